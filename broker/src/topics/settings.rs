//! The topic settings this broker honours, under the names Apache Kafka gives them.

use std::{collections::BTreeMap, time::Duration};

use crate::log::{Flush, LogSettings};

/// Settings of a topic that a client gave, by name.
pub(crate) type Overrides = BTreeMap<String, String>;

/// How a topic's records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    /// `retention.ms`: records older than this are deleted; -1 keeps them.
    pub retention_ms: i64,
    /// `retention.bytes`: a partition beyond this loses its oldest segments; -1 for no limit.
    pub retention_bytes: i64,
    /// `segment.bytes`: the unit in which records are deleted.
    pub segment_bytes: i64,
    /// `max.message.bytes`: the largest batch.
    pub max_message_bytes: i64,
    /// `flush.messages`: 1 flushes to the disk before a record is acknowledged or seen; anything
    /// greater leaves that to the operating system.
    pub flush_messages: i64,
}

impl Default for TopicSettings {
    /// A day and a gibibyte a partition, every acknowledged record on the disk.
    fn default() -> Self {
        Self {
            retention_ms: 24 * 60 * 60 * 1000,
            retention_bytes: 1 << 30,
            segment_bytes: 64 << 20,
            max_message_bytes: 1_048_588,
            flush_messages: 1,
        }
    }
}

/// One setting as the tables of the protocol describe it.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) documentation: &'static str,
}

/// What values a setting takes.
pub(crate) enum Kind {
    /// A number from `least` to `most` with a place in [`TopicSettings`].
    Number {
        least: i64,
        most: i64,
        field: fn(&mut TopicSettings) -> &mut i64,
        /// The type clients are told: 3 for a 32-bit number, 5 for a 64-bit one.
        wire_type: i8,
    },
    /// The one value under which this broker works, taken so that tools which always name it work.
    Fixed(&'static str, i8),
}

const INT: i8 = 3;
const LONG: i8 = 5;
const STRING: i8 = 2;
const LIST: i8 = 7;

/// Every setting, in the order clients see them.
pub(crate) const SETTINGS: [Setting; 9] = [
    Setting {
        name: "cleanup.policy",
        kind: Kind::Fixed("delete", LIST),
        documentation: "Old segments are deleted; this broker does not compact.",
    },
    Setting {
        name: "compression.type",
        kind: Kind::Fixed("producer", STRING),
        documentation: "Batches are kept as the producer compressed them.",
    },
    Setting {
        name: "flush.messages",
        kind: Kind::Number {
            least: 1,
            most: i64::MAX,
            field: |settings| &mut settings.flush_messages,
            wire_type: LONG,
        },
        documentation: "1: a record is on the disk before it is acknowledged or seen. More: the operating system decides.",
    },
    Setting {
        name: "max.message.bytes",
        kind: Kind::Number {
            least: 0,
            most: i32::MAX as i64,
            field: |settings| &mut settings.max_message_bytes,
            wire_type: INT,
        },
        documentation: "The largest batch of records, as sent.",
    },
    Setting {
        name: "message.timestamp.type",
        kind: Kind::Fixed("CreateTime", STRING),
        documentation: "Records keep the time their producer gave them.",
    },
    Setting {
        name: "min.insync.replicas",
        kind: Kind::Fixed("1", INT),
        documentation: "There is one replica.",
    },
    Setting {
        name: "retention.bytes",
        kind: Kind::Number {
            least: -1,
            most: i64::MAX,
            field: |settings| &mut settings.retention_bytes,
            wire_type: LONG,
        },
        documentation: "A partition beyond this loses its oldest segments; -1 for no limit.",
    },
    Setting {
        name: "retention.ms",
        kind: Kind::Number {
            least: -1,
            most: i64::MAX,
            field: |settings| &mut settings.retention_ms,
            wire_type: LONG,
        },
        documentation: "Records older than this are deleted; -1 keeps them.",
    },
    Setting {
        name: "segment.bytes",
        kind: Kind::Number {
            least: MIN_SEGMENT_BYTES,
            most: i32::MAX as i64,
            field: |settings| &mut settings.segment_bytes,
            wire_type: INT,
        },
        documentation: "The unit in which old records are deleted.",
    },
];

/// Smaller segments would make a file of almost every record. Apache Kafka draws the line here too.
const MIN_SEGMENT_BYTES: i64 = 1 << 20;

/// What is wrong with a setting; the text goes to the client.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum SettingError {
    #[error("unknown topic config name: {0}; honoured here: {list}", list = names())]
    Unknown(String),
    #[error("invalid value {value} for configuration {name}: {hint}")]
    Invalid {
        name: &'static str,
        value: String,
        hint: String,
    },
}

fn names() -> String {
    SETTINGS.map(|setting| setting.name).join(", ")
}

impl Setting {
    /// The setting of that name.
    pub(crate) fn find(name: &str) -> Result<&'static Self, SettingError> {
        SETTINGS
            .iter()
            .find(|setting| setting.name == name)
            .ok_or_else(|| SettingError::Unknown(name.to_owned()))
    }

    /// The type number of the protocol.
    pub(crate) fn wire_type(&self) -> i8 {
        match self.kind {
            Kind::Number { wire_type, .. } | Kind::Fixed(_, wire_type) => wire_type,
        }
    }

    /// The value under `settings`.
    pub(crate) fn value(&self, settings: &TopicSettings) -> String {
        match self.kind {
            Kind::Number { field, .. } => field(&mut settings.clone()).to_string(),
            Kind::Fixed(value, _) => value.to_owned(),
        }
    }

    fn apply(&self, value: &str, settings: &mut TopicSettings) -> Result<(), SettingError> {
        let invalid = |hint| SettingError::Invalid {
            name: self.name,
            value: value.to_owned(),
            hint,
        };
        match self.kind {
            Kind::Number {
                least, most, field, ..
            } => {
                let number = value
                    .parse::<i64>()
                    .ok()
                    .filter(|number| (least..=most).contains(number));
                *field(settings) = number
                    .ok_or_else(|| invalid(format!("a whole number from {least} to {most}")))?;
                Ok(())
            }
            Kind::Fixed(only, _) if value == only => Ok(()),
            Kind::Fixed(only, _) => Err(invalid(format!(
                "this broker knows only {only}; Apache Kafka has the others"
            ))),
        }
    }
}

impl TopicSettings {
    /// These settings with a topic's own on top.
    pub(crate) fn with(&self, overrides: &Overrides) -> Result<Self, SettingError> {
        let mut settings = self.clone();
        for (name, value) in overrides {
            Setting::find(name)?.apply(value, &mut settings)?;
        }
        Ok(settings)
    }

    /// The same for one partition's log.
    pub(crate) fn for_log(&self) -> LogSettings {
        LogSettings {
            segment_bytes: self.segment_bytes.unsigned_abs(),
            retention: u64::try_from(self.retention_ms)
                .ok()
                .map(Duration::from_millis),
            retention_bytes: u64::try_from(self.retention_bytes).ok(),
            max_batch_bytes: usize::try_from(self.max_message_bytes).unwrap_or(0),
            flush: if self.flush_messages == 1 {
                Flush::BeforeAck
            } else {
                Flush::Background
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Result<TopicSettings, SettingError> {
        TopicSettings::default().with(&Overrides::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn every_setting_takes_the_value_it_shows() {
        let settings = TopicSettings::default();
        for setting in &SETTINGS {
            assert_eq!(
                with(setting.name, &setting.value(&settings)),
                Ok(settings.clone()),
                "{}",
                setting.name
            );
        }
    }

    #[test]
    fn an_override_changes_its_own_field_only() {
        let settings = with("retention.ms", "5000").expect("a good value");
        assert_eq!(
            settings,
            TopicSettings {
                retention_ms: 5000,
                ..TopicSettings::default()
            }
        );
        assert_eq!(settings.for_log().retention, Some(Duration::from_secs(5)));
    }

    #[test]
    fn minus_one_lifts_a_bound() {
        let log = with("retention.bytes", "-1").expect("no limit").for_log();
        assert_eq!(log.retention_bytes, None);
    }

    #[test]
    fn what_is_not_honoured_is_refused_by_name() {
        let unknown = with("segment.jitter.ms", "1").expect_err("not honoured");
        assert!(
            unknown.to_string().contains("segment.jitter.ms"),
            "{unknown}"
        );
        let compact = with("cleanup.policy", "compact").expect_err("no compaction");
        assert!(compact.to_string().contains("Apache Kafka"), "{compact}");
        assert!(with("retention.ms", "soon").is_err());
        assert!(with("retention.ms", "-2").is_err());
        assert!(with("segment.bytes", "14").is_err());
    }

    #[test]
    fn one_message_a_flush_means_before_the_answer() {
        assert_eq!(
            with("flush.messages", "1").expect("one").for_log().flush,
            Flush::BeforeAck
        );
        assert_eq!(
            with("flush.messages", "9").expect("nine").for_log().flush,
            Flush::Background
        );
    }
}
