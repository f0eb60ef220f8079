//! Where pictures come from, told by a URL: `belt://?seed=1&fps=15&size=640x480`.

use belt::BeltConfig;
use url::Url;

/// A validated source address.
#[derive(Clone, Debug, PartialEq)]
pub enum Address {
    /// The simulated conveyor.
    Belt(BeltConfig),
}

/// Why an address cannot be used; the text says what to write instead.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error(
        "'{address}' is not a URL ({cause}); write something like belt://?seed=1&fps=15&size=640x480"
    )]
    NotAUrl {
        address: String,
        cause: url::ParseError,
    },
    #[error("camera scheme '{0}' is not known; known: belt")]
    UnknownScheme(String),
    #[error("{key}={value} in a belt address: {expected}")]
    BadValue {
        key: String,
        value: String,
        expected: &'static str,
    },
    #[error(transparent)]
    Belt(#[from] belt::BeltError),
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(address: &str) -> Result<Self, AddressError> {
        let url = Url::parse(address).map_err(|cause| AddressError::NotAUrl {
            address: address.to_owned(),
            cause,
        })?;
        match url.scheme() {
            "belt" => parse_belt(&url).map(Self::Belt),
            other => Err(AddressError::UnknownScheme(other.to_owned())),
        }
    }
}

fn parse_belt(url: &Url) -> Result<BeltConfig, AddressError> {
    const SIZE: &str = "expected WIDTHxHEIGHT, such as 640x480";
    let mut config = BeltConfig::default();
    for (key, value) in url.query_pairs() {
        let bad = |expected| AddressError::BadValue {
            key: key.to_string(),
            value: value.to_string(),
            expected,
        };
        match key.as_ref() {
            "seed" => {
                config.seed = value
                    .parse()
                    .map_err(|_cause| bad("expected a whole number"))?;
            }
            "fps" => {
                config.fps = value
                    .parse()
                    .map_err(|_cause| bad("expected frames per second, such as 15"))?;
            }
            "size" => {
                let (width, height) = value.split_once('x').ok_or_else(|| bad(SIZE))?;
                config.width = width.parse().map_err(|_cause| bad(SIZE))?;
                config.height = height.parse().map_err(|_cause| bad(SIZE))?;
            }
            _ => return Err(bad("known settings are seed, fps and size")),
        }
    }
    config.validate()?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn a_belt_address_sets_what_it_names() {
        let Address::Belt(config) = "belt://?seed=7&fps=5&size=320x240".parse().unwrap();
        assert_eq!((config.seed, config.width, config.height), (7, 320, 240));
        assert!((config.fps - 5.0).abs() < f32::EPSILON);
    }

    #[test]
    fn a_wrong_address_is_told_what_to_write() {
        for (address, advice) in [
            ("line 3", "write something like belt://"),
            ("ftp://host/clip", "known: belt"),
            ("belt://?size=640", "WIDTHxHEIGHT"),
            ("belt://?size=64x48", "120 to 4096"),
            ("belt://?fps=fast", "frames per second"),
            ("belt://?sede=3", "seed, fps and size"),
        ] {
            let error = address.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(advice), "{address}: {error}");
        }
    }
}
