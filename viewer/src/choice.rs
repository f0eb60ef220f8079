//! Which sources a client wants to see.

use std::collections::BTreeSet;

use pipeline::frame::SourceId;

use crate::wall::MAX_SOURCES;

/// All live sources, or those named; a name may belong to a source that appears later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Choice {
    #[default]
    All,
    Named(BTreeSet<SourceId>),
}

/// Why a choice cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChoiceError {
    #[error("{name:?} is no source id: {reason}")]
    Name { name: String, reason: String },
    #[error("at most {MAX_SOURCES} sources can be named, not {0}")]
    TooMany(usize),
}

impl Choice {
    /// The sources of these names; an empty list is none at all.
    pub(crate) fn named(names: Vec<String>) -> Result<Self, ChoiceError> {
        if names.len() > MAX_SOURCES {
            return Err(ChoiceError::TooMany(names.len()));
        }
        let checked = names.into_iter().map(|name| {
            SourceId::new(name.clone()).map_err(|error| ChoiceError::Name {
                name: name.chars().take(SourceId::MAX_LENGTH).collect(),
                reason: error.to_string(),
            })
        });
        Ok(Self::Named(checked.collect::<Result<_, _>>()?))
    }

    /// This one alone.
    pub(crate) fn only(source: SourceId) -> Self {
        Self::Named(BTreeSet::from([source]))
    }

    pub(crate) fn includes(&self, source: &SourceId) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Result<Choice, ChoiceError> {
        Choice::named(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn names_are_told_apart_and_an_empty_list_is_none() {
        let belt = SourceId::new("hall_2:cam.3@plant").unwrap();
        assert!(Choice::All.includes(&belt));
        assert!(
            named(&["belt-1", "hall_2:cam.3@plant"])
                .unwrap()
                .includes(&belt)
        );
        assert!(!named(&["belt-1"]).unwrap().includes(&belt));
        assert!(!named(&[]).unwrap().includes(&belt));
    }

    #[test]
    fn names_that_no_source_can_have_are_refused() {
        let error = named(&["belt-1", "../etc"]).unwrap_err();
        assert!(error.to_string().contains("../etc"), "{error}");
        let many = vec!["belt-1".to_owned(); MAX_SOURCES + 1];
        assert_eq!(
            Choice::named(many),
            Err(ChoiceError::TooMany(MAX_SOURCES + 1))
        );
    }
}
