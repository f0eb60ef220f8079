//! Where pictures come from, told by a URL: `belt://?seed=1&fps=15&size=640x480`,
//! `file:///clips/line-3.mp4` or `dir:///photos?fps=1`.

use std::{borrow::Cow, fmt, ops::RangeInclusive, path::PathBuf};

use belt::BeltConfig;
use url::Url;

/// What a clip or a folder may be played at.
pub(crate) const FPS_RANGE: RangeInclusive<f64> = 0.01..=240.0;
const FOLDER_FPS: f64 = 1.0;

/// A validated source address.
#[derive(Clone, Debug, PartialEq)]
pub enum Address {
    /// The simulated conveyor.
    Belt(BeltConfig),
    /// A video file, played in real time again and again.
    Clip(ClipAddress),
    /// A folder of photos, shown in the order of their names again and again.
    Folder(FolderAddress),
}

/// A video file.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipAddress {
    /// The file.
    pub path: PathBuf,
    /// Frames per second; none means as the file says.
    pub fps: Option<f64>,
}

/// A folder of photos.
#[derive(Clone, Debug, PartialEq)]
pub struct FolderAddress {
    /// The folder.
    pub path: PathBuf,
    /// Photos per second.
    pub fps: f64,
}

/// Why an address cannot be used; the text says what to write instead.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error(
        "'{address}' is not a URL ({cause}); write something like belt://?seed=1&fps=15&size=640x480, \
         file:///clips/line-3.mp4 or dir:///photos, with %2C for a comma"
    )]
    NotAUrl {
        address: String,
        cause: url::ParseError,
    },
    #[error("camera scheme '{0}' is not known; known: belt, file and dir")]
    UnknownScheme(String),
    #[error(
        "'{address}' names no path from the root on; write {scheme}:///the/whole/path, with three slashes"
    )]
    NoPath { address: String, scheme: String },
    #[error("'{address}' has a part after #; write %23 for a # in a name")]
    Fragment { address: String },
    #[error("{key}={value} in a {kind} address: {expected}")]
    BadValue {
        kind: &'static str,
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
            "file" => Ok(Self::Clip(ClipAddress {
                path: path_of(&url)?,
                fps: fps_of(&url, "file")?,
            })),
            "dir" => Ok(Self::Folder(FolderAddress {
                path: path_of(&url)?,
                fps: fps_of(&url, "dir")?.unwrap_or(FOLDER_FPS),
            })),
            other => Err(AddressError::UnknownScheme(other.to_owned())),
        }
    }
}

/// As status and logs name it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Belt(belt) => write!(
                f,
                "belt with seed {}, {}x{}",
                belt.seed, belt.width, belt.height
            ),
            Self::Clip(clip) => write!(f, "clip {}", clip.path.display()),
            Self::Folder(folder) => write!(f, "folder {}", folder.path.display()),
        }
    }
}

/// One `key=value` of a query.
struct Setting<'a> {
    kind: &'static str,
    key: Cow<'a, str>,
    value: Cow<'a, str>,
}

impl Setting<'_> {
    fn bad(&self, expected: &'static str) -> AddressError {
        AddressError::BadValue {
            kind: self.kind,
            key: self.key.to_string(),
            value: self.value.to_string(),
            expected,
        }
    }
}

fn settings<'a>(url: &'a Url, kind: &'static str) -> impl Iterator<Item = Setting<'a>> {
    url.query_pairs()
        .map(move |(key, value)| Setting { kind, key, value })
}

fn parse_belt(url: &Url) -> Result<BeltConfig, AddressError> {
    const SIZE: &str = "expected WIDTHxHEIGHT, such as 640x480";
    let mut config = BeltConfig::default();
    for setting in settings(url, "belt") {
        let value = &*setting.value;
        match &*setting.key {
            "seed" => {
                let seed = value.parse();
                config.seed = seed.map_err(|_cause| setting.bad("expected a whole number"))?;
            }
            "fps" => {
                let fps = value.parse();
                config.fps =
                    fps.map_err(|_cause| setting.bad("expected frames per second, such as 15"))?;
            }
            "size" => {
                let (width, height) = value.split_once('x').ok_or_else(|| setting.bad(SIZE))?;
                config.width = width.parse().map_err(|_cause| setting.bad(SIZE))?;
                config.height = height.parse().map_err(|_cause| setting.bad(SIZE))?;
            }
            _ => return Err(setting.bad("known settings are seed, fps and size")),
        }
    }
    config.validate()?;
    Ok(config)
}

fn path_of(url: &Url) -> Result<PathBuf, AddressError> {
    let address = || url.as_str().to_owned();
    if url.fragment().is_some() {
        return Err(AddressError::Fragment { address: address() });
    }
    let no_path = || AddressError::NoPath {
        address: address(),
        scheme: url.scheme().to_owned(),
    };
    let is_local = matches!(url.host_str(), None | Some("" | "localhost"));
    if !is_local || !url.path().starts_with('/') || url.path() == "/" {
        return Err(no_path());
    }
    let mut local = url.clone();
    // An empty host in place of `localhost`; it cannot fail for a URL with an authority.
    if local.set_host(None).is_err() {
        return Err(no_path());
    }
    local.to_file_path().map_err(|()| no_path())
}

fn fps_of(url: &Url, kind: &'static str) -> Result<Option<f64>, AddressError> {
    let mut fps = None;
    for setting in settings(url, kind) {
        if setting.key != "fps" {
            return Err(setting.bad("the only setting is fps"));
        }
        let asked = setting.value.parse().ok();
        let asked = asked.filter(|fps| FPS_RANGE.contains(fps));
        let advice = "expected frames per second from 0.01 to 240, such as 25";
        fps = Some(asked.ok_or_else(|| setting.bad(advice))?);
    }
    Ok(fps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_belt_address_sets_what_it_names() {
        let address = "belt://?seed=7&fps=5&size=320x240".parse().unwrap();
        let Address::Belt(config) = address else {
            panic!("{address:?}");
        };
        assert_eq!((config.seed, config.width, config.height), (7, 320, 240));
        assert!((config.fps - 5.0).abs() < f32::EPSILON);
    }

    #[test]
    fn clips_and_folders_are_paths_from_the_root_on() {
        let clip = |path: &str, fps| {
            let path = path.into();
            Address::Clip(ClipAddress { path, fps })
        };
        let folder = |path: &str, fps| {
            let path = path.into();
            Address::Folder(FolderAddress { path, fps })
        };
        for (address, expected) in [
            ("file:///clips/line-3.mp4", clip("/clips/line-3.mp4", None)),
            (
                "file:///a%20b%2Cc.mp4?fps=12.5",
                clip("/a b,c.mp4", Some(12.5)),
            ),
            ("file://localhost/clip.avi", clip("/clip.avi", None)),
            ("dir:///photos", folder("/photos", FOLDER_FPS)),
            ("dir:///my%20photos/?fps=0.2", folder("/my photos/", 0.2)),
        ] {
            assert_eq!(address.parse::<Address>().unwrap(), expected, "{address}");
        }
    }

    #[test]
    fn a_wrong_address_is_told_what_to_write() {
        for (address, advice) in [
            ("line 3", "write something like belt://"),
            ("b.mp4", "%2C for a comma"),
            ("ftp://host/clip", "known: belt, file and dir"),
            ("belt://?size=640", "WIDTHxHEIGHT"),
            ("belt://?size=64x48", "120 to 4096"),
            ("belt://?fps=fast", "frames per second"),
            ("belt://?sede=3", "seed, fps and size"),
            ("file://clip.mp4", "file:///the/whole/path"),
            ("file:///", "file:///the/whole/path"),
            ("dir:photos", "dir:///the/whole/path"),
            ("dir://photos", "dir:///the/whole/path"),
            ("file:///clip#3.mp4", "%23"),
            ("file:///clip.mp4?fps=0", "from 0.01 to 240"),
            ("file:///clip.mp4?fps=NaN", "from 0.01 to 240"),
            ("dir:///photos?speed=2", "the only setting is fps"),
        ] {
            let error = address.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(advice), "{address}: {error}");
        }
    }
}
