//! Which model a frame asks for: `name`, `name@version` or `name@alias`.

use std::fmt;
use std::str::FromStr;

/// A model by name, and which version of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelRef {
    name: String,
    selector: ModelSelector,
}

/// Which version of a model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ModelSelector {
    /// Whatever the model repository takes as the current one.
    Default,
    /// One version, by number.
    Version(u32),
    /// A name that the model repository maps to a version, such as `stable`.
    Alias(String),
}

impl ModelRef {
    /// The longest name and the longest alias, in characters.
    pub const MAX_LENGTH: usize = 64;

    /// The model's name: a safe folder name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One version of the same model.
    #[must_use]
    pub fn at(&self, version: u32) -> Self {
        Self {
            name: self.name.clone(),
            selector: ModelSelector::Version(version),
        }
    }

    /// Which version of it.
    pub fn selector(&self) -> &ModelSelector {
        &self.selector
    }
}

/// Why a text does not name a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelRefError {
    /// The part before `@`.
    #[error("the model name must be {PART_RULE}")]
    Name,
    /// A version that is all digits but no number we can count to.
    #[error("the model version must be a number up to {}", u32::MAX)]
    Version,
    /// The part after `@`.
    #[error("the model alias must be {PART_RULE}")]
    Alias,
}

const PART_RULE: &str =
    "1 to 64 ASCII letters, digits and `. _ -`, beginning with a letter or a digit";

fn is_valid_part(part: &str) -> bool {
    part.len() <= ModelRef::MAX_LENGTH
        && part.starts_with(|c: char| c.is_ascii_alphanumeric())
        && part
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

impl FromStr for ModelRef {
    type Err = ModelRefError;

    fn from_str(text: &str) -> Result<Self, ModelRefError> {
        let (name, selector) = match text.split_once('@') {
            None => (text, ModelSelector::Default),
            Some((name, part)) => (name, part.parse()?),
        };
        if !is_valid_part(name) {
            return Err(ModelRefError::Name);
        }
        Ok(Self {
            name: name.to_owned(),
            selector,
        })
    }
}

impl FromStr for ModelSelector {
    type Err = ModelRefError;

    /// Reads what stands after the `@`: all digits is a version, anything else an alias.
    fn from_str(part: &str) -> Result<Self, ModelRefError> {
        if !is_valid_part(part) {
            return Err(ModelRefError::Alias);
        }
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            let version = part.parse().or(Err(ModelRefError::Version))?;
            return Ok(Self::Version(version));
        }
        Ok(Self::Alias(part.to_owned()))
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.selector {
            ModelSelector::Default => Ok(()),
            ModelSelector::Version(version) => write!(f, "@{version}"),
            ModelSelector::Alias(alias) => write!(f, "@{alias}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_are_read_and_written() {
        for (text, selector) in [
            ("parts", ModelSelector::Default),
            ("part-kind@12", ModelSelector::Version(12)),
            (
                "Parts_v2.1@stable",
                ModelSelector::Alias("stable".to_owned()),
            ),
            ("parts@1b", ModelSelector::Alias("1b".to_owned())),
        ] {
            let model: ModelRef = text.parse().unwrap();
            assert_eq!(model.selector(), &selector);
            assert_eq!(model.name(), text.split('@').next().unwrap());
            assert_eq!(model.to_string(), text);
            assert_eq!(model.at(7).to_string(), format!("{}@7", model.name()));
        }
    }

    #[test]
    fn names_that_are_no_folder_are_refused() {
        for (text, error) in [
            ("", ModelRefError::Name),
            ("@1", ModelRefError::Name),
            ("..", ModelRefError::Name),
            ("a/b@1", ModelRefError::Name),
            (&"x".repeat(65), ModelRefError::Name),
            ("parts@", ModelRefError::Alias),
            ("parts@../1", ModelRefError::Alias),
            ("parts@1@2", ModelRefError::Alias),
            ("parts@4294967296", ModelRefError::Version),
        ] {
            assert_eq!(text.parse::<ModelRef>(), Err(error), "{text:?}");
        }
    }
}
