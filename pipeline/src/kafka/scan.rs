//! The scan: reads what stands in a topic now, from some point to the end, for work on history. No
//! group is joined; what is written meanwhile is not seen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

use super::properties::{KafkaConfig, client_error_text};
use super::tail::Seen;
use super::wire;
use crate::topic::Place;

/// One question to the brokers.
const REQUEST: Duration = Duration::from_secs(10);
/// How long a topic may show nothing of what must be there.
const SILENCE: Duration = Duration::from_secs(30);

/// Where a scan begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanStart {
    /// At the oldest record there is.
    Beginning,
    /// At the first record that is not older.
    At(Timestamp),
}

/// Why a topic cannot be read through.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// librdkafka refused the settings.
    #[error("cannot read from Kafka: {0}")]
    Client(String),
    /// The brokers did not tell about the topic.
    #[error("cannot look into topic {topic}: {reason}; check that it exists and may be read")]
    Topic {
        /// Topic name.
        topic: String,
        /// What the brokers say.
        reason: String,
    },
    /// Nothing came for a while, although the end is not reached.
    #[error("topic {topic} has shown nothing for {SILENCE:?}: {reason}; try again later")]
    Silent {
        /// Topic name.
        topic: String,
        /// What was last heard.
        reason: String,
    },
    /// The reading thread panicked: a mistake in our code.
    #[error(transparent)]
    Join(#[from] JoinError),
}

/// Reads a topic through.
pub struct Scan {
    consumer: Arc<StreamConsumer>,
    topic: Arc<str>,
    /// The offsets at which partitions end that were not read through.
    ends: BTreeMap<i32, i64>,
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Scan");
        shown.field("topic", &self.topic).field("ends", &self.ends);
        shown.finish_non_exhaustive()
    }
}

impl Scan {
    /// Finds out where the partitions begin and end.
    pub async fn open(
        kafka: &KafkaConfig,
        topic: &str,
        start: ScanStart,
    ) -> Result<Self, ScanError> {
        let mut config = kafka.consumer();
        // librdkafka reads only with a group name; as nothing subscribes or commits, no group
        // of this name ever exists.
        config.set("group.id", "kadr-scan");
        config.set("auto.offset.reset", "earliest");
        // A transaction's marker behind the last record would be waited for in vain.
        config.set("enable.partition.eof", "true");
        let consumer: StreamConsumer = config
            .create()
            .map_err(|error| ScanError::Client(client_error_text(&error)))?;
        let (consumer, topic) = (Arc::new(consumer), Arc::<str>::from(topic));
        let (reader, name) = (Arc::clone(&consumer), Arc::clone(&topic));
        let ends = spawn_blocking(move || assign(&reader, &name, start)).await?;
        let ends = ends.map_err(|reason| ScanError::Topic {
            topic: topic.to_string(),
            reason,
        })?;
        Ok(Self {
            consumer,
            topic,
            ends,
        })
    }

    /// The next record; none when all that stood there at the beginning was read.
    pub async fn next(&mut self) -> Result<Option<Seen>, ScanError> {
        let mut last_heard = "nothing was heard".to_owned();
        while !self.ends.is_empty() {
            let Ok(message) = timeout(SILENCE, self.consumer.recv()).await else {
                return Err(ScanError::Silent {
                    topic: self.topic.to_string(),
                    reason: last_heard,
                });
            };
            let message = match message {
                Ok(message) => message,
                Err(KafkaError::PartitionEOF(partition)) => {
                    self.ends.remove(&partition);
                    continue;
                }
                Err(error) => {
                    last_heard = error.to_string();
                    continue;
                }
            };
            let (partition, offset) = (message.partition(), message.offset());
            let Some(&end) = self.ends.get(&partition) else {
                continue;
            };
            if offset + 1 >= end {
                self.ends.remove(&partition);
            }
            if offset >= end {
                continue;
            }
            let place = Place {
                topic: Arc::clone(&self.topic),
                partition,
                offset,
                timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
            };
            let record = wire::record_of(&message);
            return Ok(Some(Seen { record, place }));
        }
        Ok(None)
    }
}

/// Assigns what is to be read, and says where each partition ends.
fn assign(
    consumer: &StreamConsumer,
    topic: &str,
    start: ScanStart,
) -> Result<BTreeMap<i32, i64>, String> {
    let text = |error: KafkaError| error.to_string();
    let metadata = consumer
        .fetch_metadata(Some(topic), REQUEST)
        .map_err(text)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let partitions = found.map_or(&[][..], |found| found.partitions());
    if partitions.is_empty() {
        return Err("it does not exist".to_owned());
    }
    let mut wanted = TopicPartitionList::new();
    let mut bounds = BTreeMap::new();
    for partition in partitions {
        let watermarks = consumer.fetch_watermarks(topic, partition.id(), REQUEST);
        bounds.insert(partition.id(), watermarks.map_err(text)?);
        if let ScanStart::At(time) = start {
            let time = Offset::Offset(time.as_millisecond().max(0));
            let entry = wanted.add_partition_offset(topic, partition.id(), time);
            entry.map_err(text)?;
        }
    }
    let begins = match start {
        ScanStart::Beginning => TopicPartitionList::new(),
        ScanStart::At(_) => consumer.offsets_for_times(wanted, REQUEST).map_err(text)?,
    };
    let mut assignment = TopicPartitionList::new();
    let mut ends = BTreeMap::new();
    for (partition, (low, end)) in bounds {
        let begin = match begins.find_partition(topic, partition) {
            None => low,
            Some(entry) => match entry.offset() {
                Offset::Offset(offset) => offset.max(low),
                // All records are older.
                _ => end,
            },
        };
        if begin < end {
            let entry = assignment.add_partition_offset(topic, partition, Offset::Offset(begin));
            entry.map_err(text)?;
            ends.insert(partition, end);
        }
    }
    consumer.assign(&assignment).map_err(text)?;
    Ok(ends)
}
