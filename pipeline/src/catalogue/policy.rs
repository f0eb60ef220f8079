//! Which of a model's versions may be asked for: `[versions]` in `model.toml`.

use serde::Deserialize;

/// Which versions are offered. A version that is not offered is as good as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenPolicy")]
pub enum VersionPolicy {
    /// Every version there is.
    #[default]
    All,
    /// The newest so many.
    Latest(usize),
    /// These and no others.
    Named(Vec<u32>),
}

/// The table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPolicy {
    policy: Kind,
    count: Option<usize>,
    named: Option<Vec<u32>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    All,
    Latest,
    Named,
}

impl TryFrom<WrittenPolicy> for VersionPolicy {
    type Error = &'static str;

    fn try_from(written: WrittenPolicy) -> Result<Self, Self::Error> {
        match (written.policy, written.count, written.named) {
            (Kind::All, None, None) => Ok(Self::All),
            (Kind::Latest, Some(0), None) => Err("count = 0 offers no version; write 1 or more"),
            (Kind::Latest, count, None) => Ok(Self::Latest(count.unwrap_or(1))),
            (Kind::Named, None, Some(named)) if !named.is_empty() => Ok(Self::Named(named)),
            (Kind::Named, None, _) => Err("policy = \"named\" needs named = [1, 3] beside it"),
            (_, Some(_), _) => Err("count belongs to policy = \"latest\" alone"),
            (_, _, Some(_)) => Err("named belongs to policy = \"named\" alone"),
        }
    }
}

impl VersionPolicy {
    /// What is offered of the versions there are, which are ascending.
    pub fn offered(&self, mut there: Vec<u32>) -> Vec<u32> {
        match self {
            Self::All => {}
            Self::Latest(count) => drop(there.drain(..there.len().saturating_sub(*count))),
            Self::Named(named) => there.retain(|version| named.contains(version)),
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<VersionPolicy, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn each_policy_offers_its_versions() {
        for (text, offered) in [
            ("policy = \"all\"", vec![1, 2, 10]),
            ("policy = \"latest\"", vec![10]),
            ("policy = \"latest\"\ncount = 2", vec![2, 10]),
            ("policy = \"latest\"\ncount = 7", vec![1, 2, 10]),
            ("policy = \"named\"\nnamed = [1, 3]", vec![1]),
        ] {
            let policy = parse(text).unwrap();
            assert_eq!(policy.offered(vec![1, 2, 10]), offered, "{text}");
        }
    }

    #[test]
    fn contradictions_are_refused_with_advice() {
        for (text, told) in [
            ("policy = \"latest\"\ncount = 0", "write 1 or more"),
            ("policy = \"named\"", "needs named = [1, 3]"),
            ("policy = \"named\"\nnamed = []", "needs named = [1, 3]"),
            ("policy = \"all\"\ncount = 1", "\"latest\" alone"),
            ("policy = \"latest\"\nnamed = [1]", "\"named\" alone"),
            ("policy = \"newest\"", "unknown variant"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
