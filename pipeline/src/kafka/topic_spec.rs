//! How a topic should be, and how an existing one differs.

use std::time::Duration;

use rdkafka::admin::ConfigResource;

use super::profile::MAX_RECORD_BYTES;

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
        }
    }

    /// The topic settings to create it with.
    pub(super) fn settings(&self) -> [(&'static str, String); 3] {
        let retention_bytes = self.retention_bytes_per_partition;
        [
            ("retention.ms", self.retention.as_millis().to_string()),
            (
                "retention.bytes",
                retention_bytes.map_or("-1".to_owned(), |bytes| bytes.to_string()),
            ),
            ("max.message.bytes", self.max_record_bytes.to_string()),
        ]
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
