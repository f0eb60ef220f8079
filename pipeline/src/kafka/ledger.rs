//! The ledger: which records of a topic are dealt with, whatever their order, kept as a group's
//! committed offsets. An offset says that all before it is dealt with; its metadata lists what is
//! dealt with further on.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio::task::{JoinError, spawn_blocking};

use super::properties::{KafkaConfig, client_error_text};

/// One question to the brokers.
const REQUEST: Duration = Duration::from_secs(10);
/// What stands at the beginning of our metadata.
const NAME: &str = "kadr-done";
/// Kafka takes 4096 bytes with an offset.
const MAX_METADATA: usize = 4_000;
/// What one record adds to the list at most: a comma, and an offset.
const RANGE_BYTES: usize = 20;

/// Why a ledger cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// librdkafka refused the settings.
    #[error("cannot talk to Kafka: {0}")]
    Client(String),
    /// The brokers refuse.
    #[error("cannot {action} the offsets of group {group}: {reason}; is it in use right now?")]
    Group {
        /// What was tried.
        action: &'static str,
        /// Consumer group.
        group: String,
        /// What the brokers say.
        reason: String,
    },
    /// Too many holes to note them beside an offset.
    #[error(
        "partition {0} has too many records that are left between those dealt with: deal with \
         some of the oldest first, or with all of them"
    )]
    Scattered(i32),
    /// The thread panicked: a mistake in our code.
    #[error(transparent)]
    Join(#[from] JoinError),
}

/// What is dealt with in one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Done {
    /// All before this offset, those that are gone among them.
    below: i64,
    /// Further on; apart from each other and in order.
    beyond: Vec<RangeInclusive<i64>>,
}

/// Which records of a topic are dealt with.
pub struct Ledger {
    consumer: Arc<BaseConsumer>,
    group: String,
    topic: String,
    done: BTreeMap<i32, Done>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Ledger");
        shown.field("group", &self.group).field("done", &self.done);
        shown.finish_non_exhaustive()
    }
}

impl Ledger {
    /// Reads what the group has noted.
    pub async fn open(kafka: &KafkaConfig, group: &str, topic: &str) -> Result<Self, LedgerError> {
        let mut config = kafka.consumer();
        config.set("group.id", group);
        config.set("statistics.interval.ms", "0");
        let consumer: BaseConsumer = config
            .create()
            .map_err(|error| LedgerError::Client(client_error_text(&error)))?;
        let consumer = Arc::new(consumer);
        let (reader, name) = (Arc::clone(&consumer), topic.to_owned());
        let done = spawn_blocking(move || read(&reader, &name)).await?;
        let done = done.map_err(|error| LedgerError::Group {
            action: "read",
            group: group.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            consumer,
            group: group.to_owned(),
            topic: topic.to_owned(),
            done,
        })
    }

    /// Whether this record is dealt with.
    pub fn is_done(&self, partition: i32, offset: i64) -> bool {
        let done = self.done.get(&partition);
        done.is_some_and(|done| done.has(offset))
    }

    /// Whether so many more records of a partition can be noted, wherever they stand. To be asked
    /// before dealing with them.
    pub fn has_room(&self, partition: i32, records: usize) -> Result<(), LedgerError> {
        let noted = self.done.get(&partition).map(Done::to_string);
        let bytes = noted.map_or(0, |noted| noted.len()) + records * RANGE_BYTES;
        if bytes > MAX_METADATA {
            return Err(LedgerError::Scattered(partition));
        }
        Ok(())
    }

    /// Notes that this record is dealt with; [`Ledger::save`] makes it last.
    pub fn note(&mut self, partition: i32, offset: i64) {
        self.done.entry(partition).or_default().add(offset);
    }

    /// Notes that nothing is left before this offset.
    pub fn begin_at(&mut self, partition: i32, offset: i64) {
        let done = self.done.entry(partition).or_default();
        done.below = done.below.max(offset);
        done.settle();
    }

    /// Commits what was noted.
    pub async fn save(&self) -> Result<(), LedgerError> {
        let mut list = TopicPartitionList::new();
        for (&partition, done) in &self.done {
            let mut entry = list.add_partition(&self.topic, partition);
            entry
                .set_offset(Offset::Offset(done.below))
                .expect("an offset read from Kafka is a valid offset");
            entry.set_metadata(done.to_string());
        }
        if list.count() == 0 {
            return Ok(());
        }
        let consumer = Arc::clone(&self.consumer);
        let committed = spawn_blocking(move || consumer.commit(&list, CommitMode::Sync)).await?;
        committed.map_err(|error| LedgerError::Group {
            action: "commit",
            group: self.group.clone(),
            reason: error.to_string(),
        })
    }
}

fn read(consumer: &BaseConsumer, topic: &str) -> Result<BTreeMap<i32, Done>, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), REQUEST)?;
    let mut wanted = TopicPartitionList::new();
    for found in metadata
        .topics()
        .iter()
        .filter(|found| found.name() == topic)
    {
        for partition in found.partitions() {
            wanted.add_partition(topic, partition.id());
        }
    }
    let mut done = BTreeMap::new();
    for entry in consumer.committed_offsets(wanted, REQUEST)?.elements() {
        entry.error()?;
        if let Offset::Offset(below) = entry.offset() {
            done.insert(entry.partition(), Done::parse(below, entry.metadata()));
        }
    }
    Ok(done)
}

impl Done {
    fn parse(below: i64, metadata: &str) -> Self {
        let listed = metadata.strip_prefix(NAME).unwrap_or_default();
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            Some(first.parse().ok()?..=last.parse().ok()?)
        };
        let beyond = listed.trim().split(',').filter_map(range).collect();
        Self { below, beyond }
    }

    fn has(&self, offset: i64) -> bool {
        offset < self.below || self.beyond.iter().any(|range| range.contains(&offset))
    }

    fn add(&mut self, offset: i64) {
        if self.has(offset) {
            return;
        }
        let at = self.beyond.partition_point(|range| *range.end() < offset);
        self.beyond.insert(at, offset..=offset);
        self.settle();
    }

    /// Joins ranges that touch, and what touches the beginning becomes part of it.
    fn settle(&mut self) {
        let mut joined: Vec<RangeInclusive<i64>> = Vec::with_capacity(self.beyond.len());
        for range in self.beyond.drain(..) {
            if *range.start() <= self.below {
                self.below = self.below.max(range.end() + 1);
                continue;
            }
            match joined.last_mut() {
                Some(last) if *range.start() <= last.end() + 1 => {
                    *last = *last.start()..=*range.end().max(last.end());
                }
                _ => joined.push(range),
            }
        }
        self.beyond = joined;
    }
}

impl fmt::Display for Done {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{NAME} ")?;
        for (index, range) in self.beyond.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(formatter, "{comma}{}", range.start())?;
            if range.end() > range.start() {
                write!(formatter, "-{}", range.end())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn done(below: i64, offsets: &[i64]) -> Done {
        let mut done = Done {
            below,
            beyond: Vec::new(),
        };
        for &offset in offsets {
            done.add(offset);
        }
        done
    }

    #[test]
    fn what_touches_is_joined_and_the_beginning_moves_on() {
        assert_eq!(done(3, &[9, 7, 8, 12]).to_string(), "kadr-done 7-9,12");
        assert_eq!(done(3, &[5, 4, 9, 3]).to_string(), "kadr-done 9");
        assert_eq!(done(3, &[5, 4, 9, 3]).below, 6);
        assert_eq!(done(3, &[1, 2]), done(3, &[]), "it was known");
    }

    #[test]
    fn what_another_client_left_beside_an_offset_is_ignored() {
        for metadata in ["", "kadr-1 open 7", "kadr-done", "kadr-done x-y,"] {
            assert_eq!(Done::parse(4, metadata), done(4, &[]), "{metadata:?}");
        }
    }

    proptest! {
        #[test]
        fn a_ledger_is_read_as_it_was_written(
            offsets in proptest::collection::vec(0_i64..60, 0..60),
            below in 0_i64..10,
        ) {
            let done = done(below, &offsets);
            for offset in 0..60 {
                prop_assert_eq!(done.has(offset), offset < below || offsets.contains(&offset));
            }
            prop_assert_eq!(Done::parse(done.below, &done.to_string()), done);
        }
    }
}
