//! A value that must not be seen: redacted wherever it is printed, logged or serialised.

use std::{convert::Infallible, fmt, fs, io, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize, Serializer};

use super::redact::REDACTED;

/// A password, token or key. Only [`Secret::expose`] shows it.
///
/// As a clap field it takes `#[arg(long, env = "KADR_…", hide_env_values = true)]`: without the
/// last, `--help` would print the value of the variable.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Which of the two was meant cannot be guessed.
    #[error("{name} and {name}_FILE are both set: keep one of them")]
    Both {
        /// The variable's name without `_FILE`.
        name: &'static str,
    },
    /// The file is missing, unreadable or not text.
    #[error("cannot read {name}_FILE {}: check the path and its permissions", path.display())]
    Unreadable {
        /// The variable's name without `_FILE`.
        name: &'static str,
        /// The file that was named.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The secret that stands in `name` or in the file that `{name}_FILE` names, as Docker and
    /// Kubernetes hand secrets over. One line break at the end of the file does not count.
    pub fn resolve(
        name: &'static str,
        value: Option<Self>,
        file: Option<PathBuf>,
    ) -> Result<Option<Self>, SecretError> {
        match (value, file) {
            (Some(_), Some(_)) => Err(SecretError::Both { name }),
            (value, None) => Ok(value),
            (None, Some(path)) => match fs::read_to_string(&path) {
                Ok(text) => Ok(Some(Self::new(without_final_line_break(&text)))),
                Err(source) => Err(SecretError::Unreadable { name, path, source }),
            },
        }
    }
}

fn without_final_line_break(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(value: &str) -> Result<Self, Infallible> {
        Ok(Self::new(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    const NAME: &str = "KADR_API_KEY";

    #[test]
    fn no_way_of_printing_shows_it() {
        let secret = Secret::new("canary");
        let holder = serde_json::json!({ "key": secret });
        let printed = format!("{secret} {secret:?} {:?} {holder}", Some(&secret));
        assert!(!printed.contains("canary"), "{printed}");
        assert_eq!(secret.expose(), "canary");
    }

    #[test]
    fn read_from_a_file_without_its_final_line_break() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (content, expected) in [
            ("canary", "canary"),
            ("canary\n", "canary"),
            (" can\nary\r\n", " can\nary"),
        ] {
            let path = folder.path().join("secret");
            fs::write(&path, content).expect("a writable folder");
            let secret = Secret::resolve(NAME, None, Some(path)).expect("a readable secret");
            assert_eq!(secret.expect("a secret").expose(), expected);
        }
    }

    #[test]
    fn value_and_file_together_are_refused() {
        let error = Secret::resolve(NAME, Some(Secret::new("canary")), Some("/x".into()))
            .expect_err("two sources");
        assert_eq!(
            error.to_string(),
            "KADR_API_KEY and KADR_API_KEY_FILE are both set: keep one of them"
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Secret::resolve(NAME, None, Some("/no/such/file".into())).expect_err("no file");
        assert!(
            error
                .to_string()
                .contains("KADR_API_KEY_FILE /no/such/file"),
            "{error}"
        );
        assert!(error.source().is_some());
    }

    #[test]
    fn absent_is_not_an_error() {
        assert_eq!(
            Secret::resolve(NAME, None, None).expect("nothing to fail"),
            None
        );
    }
}
