//! How a topic should be, and how an existing one differs.

use std::time::Duration;

use rdkafka::admin::ConfigResource;

use super::profile::MAX_RECORD_BYTES;

/// What an acknowledged record of a topic is promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// What the brokers promise by default: copies on Apache Kafka, a flush on the embedded broker.
    #[default]
    Brokers,
    /// The operating system has it: a power cut may take the last records. For what is worthless a
    /// moment later, and must not wait for a disk.
    Memory,
}

/// How a topic should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Topic name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// How long records are kept.
    pub retention: Duration,
    /// Bytes kept per partition; `None` for no limit but the time.
    pub retention_bytes_per_partition: Option<u64>,
    /// Largest record, batch header included.
    pub max_record_bytes: usize,
    /// What an acknowledged record is promised.
    pub durability: Durability,
}

impl TopicSpec {
    /// A topic that is kept for `retention` and takes records as large as a sink sends by default.
    pub fn new(name: &str, partitions: i32, retention: Duration) -> Self {
        Self {
            name: name.to_owned(),
            partitions,
            retention,
            retention_bytes_per_partition: None,
            max_record_bytes: MAX_RECORD_BYTES,
            durability: Durability::default(),
        }
    }

    /// The topic settings to create it with.
    pub(super) fn settings(&self) -> Vec<(&'static str, String)> {
        let retention_bytes = self.retention_bytes_per_partition;
        let mut settings = vec![
            ("retention.ms", self.retention.as_millis().to_string()),
            (
                "retention.bytes",
                retention_bytes.map_or("-1".to_owned(), |bytes| bytes.to_string()),
            ),
            ("max.message.bytes", self.max_record_bytes.to_string()),
        ];
        if self.durability == Durability::Memory {
            settings.push(("flush.messages", i64::MAX.to_string()));
        }
        settings
    }

    /// One line for each way in which an existing topic differs.
    pub(super) fn complaints(&self, partitions: usize, settings: &ConfigResource) -> Vec<String> {
        let name = &self.name;
        let mut complaints = Vec::new();
        if partitions != self.partitions as usize {
            complaints.push(format!(
                "topic {name} has {partitions} partitions, not {}: all frame topics need the same \
                 number, so recreate it or ask for {partitions}",
                self.partitions
            ));
        }
        for (key, wanted) in self.settings() {
            let entry = settings.get(key).and_then(|entry| entry.value.as_deref());
            let actual = entry.unwrap_or("unknown");
            let suits = match key {
                "max.message.bytes" => at_least(actual, self.max_record_bytes),
                _ => actual == wanted,
            };
            if !suits {
                complaints.push(format!(
                    "topic {name} has {key}={actual}, not {wanted}: kafka-configs --alter --topic \
                     {name} --add-config {key}={wanted}"
                ));
            }
        }
        complaints
    }
}

fn at_least(actual: &str, wanted: usize) -> bool {
    actual.parse::<usize>().is_ok_and(|actual| actual >= wanted)
}
