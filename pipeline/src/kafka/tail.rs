//! The tail: reads topics from their end without a group, for viewers. Nothing is committed, every
//! tail sees every record, and partitions added later are not seen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{Consumer, ConsumerContext, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{ClientContext, Offset, Statistics, TopicPartitionList};
use tokio::sync::watch;

use super::link::{Link, LinkSender};
use super::properties::{KafkaConfig, client_error_text};
use super::wire;
use crate::record::Record;
use crate::topic::Place;

const METADATA_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two questions to a partition that has no leader yet.
const LEADER_PAUSE: Duration = Duration::from_millis(100);

/// Why a tail could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// librdkafka refused the settings.
    #[error("cannot read from Kafka: {0}")]
    Client(String),
    /// The brokers did not tell about a topic.
    #[error("cannot look up topic {topic}: {reason}")]
    Lookup {
        /// Topic name.
        topic: String,
        /// What went wrong.
        reason: String,
    },
}

/// A record and where it stands; there is nothing to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The record.
    pub record: Record,
    /// Where it stands.
    pub place: Place,
}

/// Reads all partitions of some topics from the end on.
pub struct Tail {
    consumer: StreamConsumer<TailContext>,
    link: Arc<LinkSender>,
}

struct TailContext {
    link: Arc<LinkSender>,
}

impl ClientContext for TailContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.link.logged(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.link.heard(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.link.measured(&statistics);
    }
}

impl ConsumerContext for TailContext {}

impl Tail {
    /// Starts `backlog` records before the end of each partition; 0 for new records only. What is
    /// written after this returns is seen.
    pub async fn open(
        kafka: &KafkaConfig,
        topics: &[&str],
        backlog: u32,
    ) -> Result<Self, TailError> {
        let link = Arc::new(LinkSender::default());
        let mut config = kafka.consumer();
        // librdkafka reads only with a group name; as nothing subscribes or commits, no group
        // of this name ever exists.
        config.set("group.id", "kadr-tail");
        config.set("auto.offset.reset", "latest");
        let context = TailContext {
            link: Arc::clone(&link),
        };
        let consumer: StreamConsumer<TailContext> = config
            .create_with_context(context)
            .map_err(|error| TailError::Client(client_error_text(&error)))?;
        let topics: Vec<String> = topics.iter().map(|&topic| topic.to_owned()).collect();
        let consumer = Arc::new(consumer);
        let deadline = Instant::now() + METADATA_TIMEOUT;
        loop {
            let (consumer_there, topics_there) = (Arc::clone(&consumer), topics.clone());
            let assigned = tokio::task::spawn_blocking(move || {
                assign_all(&consumer_there, &topics_there, backlog)
            });
            let assigned = assigned
                .await
                .map_err(|error| TailError::Client(error.to_string()))?;
            match assigned {
                Ok(()) => break,
                // A topic that was made a moment ago.
                Err(failure) if failure.is_for_now && Instant::now() < deadline => {
                    tokio::time::sleep(LEADER_PAUSE).await;
                }
                Err(failure) => return Err(failure.error),
            }
        }
        let consumer = Arc::into_inner(consumer).expect("every attempt has ended");
        Ok(Self { consumer, link })
    }

    /// The next record. Errors heal by themselves meanwhile; see [`Tail::link`]. Safe to use in
    /// `select!`.
    pub async fn recv(&self) -> Seen {
        loop {
            let Ok(message) = self.consumer.recv().await else {
                continue;
            };
            let place = Place {
                topic: message.topic().into(),
                partition: message.partition(),
                offset: message.offset(),
                timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
            };
            return Seen {
                record: wire::record_of(&message),
                place,
            };
        }
    }

    /// Whether the brokers answer.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }
}

/// Why an attempt to open failed, and whether another may succeed.
struct Failure {
    error: TailError,
    is_for_now: bool,
}

impl From<TailError> for Failure {
    fn from(error: TailError) -> Self {
        Self {
            error,
            is_for_now: false,
        }
    }
}

fn lacks_leader(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(Code::NotLeaderForPartition | Code::LeaderNotAvailable)
    )
}

fn assign_all(
    consumer: &StreamConsumer<TailContext>,
    topics: &[String],
    backlog: u32,
) -> Result<(), Failure> {
    let mut list = TopicPartitionList::new();
    for topic in topics {
        let lookup = |reason: String| TailError::Lookup {
            topic: topic.clone(),
            reason,
        };
        let metadata = consumer
            .fetch_metadata(Some(topic), METADATA_TIMEOUT)
            .map_err(|error| lookup(error.to_string()))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let partitions = found.map_or(&[][..], |found| found.partitions());
        if partitions.is_empty() {
            return Err(lookup("it does not exist; create it first".to_owned()).into());
        }
        for partition in partitions {
            // A looked-up number, not "the end": nothing written after this can be missed.
            let (low, high) = consumer
                .fetch_watermarks(topic, partition.id(), METADATA_TIMEOUT)
                .map_err(|error| Failure {
                    is_for_now: lacks_leader(&error),
                    error: lookup(error.to_string()),
                })?;
            let start = Offset::Offset((high - i64::from(backlog)).max(low));
            list.add_partition_offset(topic, partition.id(), start)
                .map_err(|error| lookup(error.to_string()))?;
        }
    }
    consumer
        .assign(&list)
        .map_err(|error| TailError::Client(error.to_string()).into())
}
