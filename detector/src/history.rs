//! What redrive and replay share: which records are meant.

use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use pipeline::frame::{ModelRef, ModelSelector, SourceId};
use pipeline::record::{CE_SOURCE, MODEL, Record};
use pipeline::service::units::parse_duration;

/// Which records are meant; what is not said does not matter.
#[derive(Args, Clone, Debug, Default)]
pub struct Which {
    /// Only of this source; may be given several times
    #[arg(long, value_name = "SOURCE")]
    pub source: Vec<SourceId>,

    /// Only what is not older, such as 1h or 2d
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub since: Option<Duration>,
}

impl Which {
    /// The time before which nothing is meant.
    pub(crate) fn begins_at(&self, now: Timestamp) -> Option<Timestamp> {
        let since = SignedDuration::try_from(self.since?).unwrap_or(SignedDuration::MAX);
        let begin = now.saturating_sub(since).unwrap_or(Timestamp::UNIX_EPOCH);
        Some(begin.max(Timestamp::UNIX_EPOCH))
    }

    /// Whether the record's source is meant.
    pub(crate) fn has_source(&self, record: &Record) -> bool {
        if self.source.is_empty() {
            return true;
        }
        let key = record.key.as_ref().filter(|key| !key.is_empty());
        let source = key.or_else(|| record.header(CE_SOURCE));
        source.is_some_and(|source| {
            let is_it = |wanted: &SourceId| wanted.as_str().as_bytes() == &source[..];
            self.source.iter().any(is_it)
        })
    }
}

/// Whether a record asks for one of these models; a name alone stands for all its versions.
pub(crate) fn asks_for(record: &Record, models: &[ModelRef]) -> bool {
    if models.is_empty() {
        return true;
    }
    let asked = record.header(MODEL).map(|value| value.to_vec());
    let asked = asked.and_then(|value| String::from_utf8(value).ok()?.parse().ok());
    asked.is_some_and(|asked: ModelRef| {
        models.iter().any(|model| match model.selector() {
            ModelSelector::Default => model.name() == asked.name(),
            _ => *model == asked,
        })
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(key: &'static str, model: Option<&'static str>) -> Record {
        let header = |value: &'static str| (MODEL.to_owned(), Bytes::from_static(value.as_bytes()));
        Record {
            key: Some(Bytes::from_static(key.as_bytes())),
            value: Bytes::new(),
            headers: model.map(header).into_iter().collect(),
        }
    }

    #[test]
    fn sources_are_compared_by_the_key() {
        let which = Which {
            source: vec!["line-3".parse().unwrap(), "line-4".parse().unwrap()],
            since: None,
        };
        assert!(which.has_source(&record("line-4", None)));
        assert!(!which.has_source(&record("line-5", None)));
        assert!(Which::default().has_source(&record("line-5", None)));
        let mut keyless = record("", None);
        assert!(!which.has_source(&keyless));
        let source = (CE_SOURCE.to_owned(), Bytes::from_static(b"line-3"));
        keyless.headers.push(source);
        assert!(which.has_source(&keyless));
    }

    #[test]
    fn a_models_name_stands_for_all_its_versions() {
        let wanted = |text: &str| [text.parse().unwrap()];
        for (asked, models, meant) in [
            (Some("parts@2"), "parts", true),
            (Some("parts@2"), "parts@2", true),
            (Some("parts@2"), "parts@1", false),
            (Some("parts"), "parts@1", false),
            (Some("other"), "parts", false),
            (Some("no model!"), "parts", false),
            (None, "parts", false),
        ] {
            let record = record("a", asked);
            assert_eq!(
                asks_for(&record, &wanted(models)),
                meant,
                "{asked:?} {models}"
            );
        }
        assert!(asks_for(&record("a", None), &[]));
    }

    #[test]
    fn since_counts_from_now() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let mut which = Which::default();
        assert_eq!(which.begins_at(now), None);
        which.since = Some(Duration::from_hours(1));
        assert_eq!(which.begins_at(now), "2026-03-01T11:00:00Z".parse().ok());
        which.since = Some(Duration::MAX);
        assert_eq!(which.begins_at(now), Some(Timestamp::UNIX_EPOCH));
    }
}
