//! The lookup: single records read again from where they stand, or found by key and time.
//!
//! Nothing is committed and no group is joined. A few consumers are kept for a while, because making
//! one costs a connection; all reading is done on blocking threads.

use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
use tokio::sync::Semaphore;

use super::properties::{KafkaConfig, client_error_text};
use super::tail::Seen;
use super::wire;
use crate::record::Record;
use crate::topic::{Place, partition_for};

/// Lookups at a time; further ones wait.
const MAX_CONSUMERS: usize = 4;
/// A consumer that nobody needed for this long is closed.
const IDLE: Duration = Duration::from_secs(30);
/// One wait for a message, so that the deadline is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Why a lookup has no answer.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum LookupError {
    /// librdkafka refused the settings.
    #[error("cannot read from Kafka: {0}")]
    Client(String),
    /// The topic, or that partition of it, is not there.
    #[error("cannot look into topic {topic}: {reason}; check that it exists and may be read")]
    Topic {
        /// Topic name.
        topic: String,
        /// What the brokers say.
        reason: String,
    },
    /// The brokers did not answer in time.
    #[error("Kafka did not answer within {patience:?}: {reason}; try again later")]
    TimedOut {
        /// How long it had.
        patience: Duration,
        /// What was last heard.
        reason: String,
    },
    /// The reading thread panicked: a mistake in our code.
    #[error("the lookup broke: {0}")]
    Broken(String),
}

/// What to look for, and how far.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// The oldest record timestamp of interest.
    pub from: Timestamp,
    /// Records to look at.
    pub max_records: usize,
    /// Bytes to read.
    pub max_bytes: usize,
    /// Time for all of it.
    pub patience: Duration,
}

/// What came of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchOutcome {
    /// The first record that matched.
    Found(Box<Seen>),
    /// There is none up to the end of the partition.
    NotThere,
    /// There is none within the bounds of the search; beyond them there may be.
    GaveUp,
}

/// Reads single records. Clones share the consumers.
#[derive(Clone)]
pub struct Lookup {
    shared: Arc<Shared>,
}

struct Shared {
    config: ClientConfig,
    turns: Arc<Semaphore>,
    idle: Mutex<Vec<IdleReader>>,
}

struct IdleReader {
    reader: Reader,
    since: Instant,
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lookup({} idle)", self.shared.idle().len())
    }
}

impl Lookup {
    /// Nothing is opened before the first lookup.
    pub fn new(kafka: &KafkaConfig) -> Self {
        let mut config = kafka.consumer();
        // librdkafka reads only with a group name; as nothing subscribes or commits, no group
        // of this name ever exists.
        config.set("group.id", "kadr-lookup");
        config.set("auto.offset.reset", "error");
        config.set("enable.partition.eof", "true");
        // A new assignment waits until the fetch of the last one has returned, which stands behind
        // the end of what was wanted.
        config.set("fetch.wait.max.ms", "10");
        // Idle clients are not polled, and statistics would pile up in them.
        config.set("statistics.interval.ms", "0");
        Self {
            shared: Arc::new(Shared {
                config,
                turns: Arc::new(Semaphore::new(MAX_CONSUMERS)),
                idle: Mutex::default(),
            }),
        }
    }

    /// The record at a place; `None` when it is not there, or not any more.
    pub async fn at(
        &self,
        place: (&str, i32, i64),
        patience: Duration,
    ) -> Result<Option<Record>, LookupError> {
        let (topic, partition, offset) = (place.0.to_owned(), place.1, place.2);
        let read = move |reader: &Reader, deadline| {
            let mut found = None;
            reader.read((&topic, partition, offset), deadline, |message| {
                if message.offset() == offset {
                    found = Some(wire::record_of(message));
                }
                ControlFlow::Break(())
            })?;
            Ok(found)
        };
        self.run(patience, read).await
    }

    /// The first record on the key's partition, not older than `search.from`, that `matches`.
    pub async fn find(
        &self,
        (topic, key): (&str, &[u8]),
        search: Search,
        matches: impl Fn(&Record) -> bool + Send + 'static,
    ) -> Result<SearchOutcome, LookupError> {
        let (topic, key) = (topic.to_owned(), key.to_owned());
        let patience = search.patience;
        let read = move |reader: &Reader, deadline: Deadline| {
            let partition = reader.partition_of(&topic, &key, deadline)?;
            let Some(start) = reader.offset_at((&topic, partition), search.from, deadline)? else {
                return Ok(SearchOutcome::NotThere);
            };
            let mut bounds = Bounds::of(&search);
            let mut outcome = SearchOutcome::NotThere;
            reader.read((&topic, partition, start), deadline, |message| {
                // Only a record of this key is worth a copy.
                if message.key() == Some(&key[..]) {
                    let record = wire::record_of(message);
                    if matches(&record) {
                        outcome = SearchOutcome::Found(Box::new(seen(message, record)));
                        return ControlFlow::Break(());
                    }
                }
                if bounds.are_passed_by(message) {
                    outcome = SearchOutcome::GaveUp;
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })?;
            Ok(outcome)
        };
        self.run(patience, read).await
    }

    async fn run<T: Send + 'static>(
        &self,
        patience: Duration,
        read: impl FnOnce(&Reader, Deadline) -> Result<T, LookupError> + Send + 'static,
    ) -> Result<T, LookupError> {
        let deadline = Deadline {
            at: Instant::now() + patience,
            patience,
        };
        let turn = tokio::time::timeout(patience, Arc::clone(&self.shared.turns).acquire_owned());
        let turn = turn
            .await
            .map_err(|_elapsed| deadline.passed("other lookups were first"))?
            .expect("the semaphore is never closed");
        let shared = Arc::clone(&self.shared);
        let reading = tokio::task::spawn_blocking(move || {
            // Held to the end even when nobody waits for the answer any more.
            let _turn = turn;
            let reader = shared.take_reader()?;
            let outcome = read(&reader, deadline);
            // One that failed may be in any state.
            if outcome.is_ok() {
                shared.keep(reader);
            }
            outcome
        });
        let outcome = reading
            .await
            .map_err(|error| LookupError::Broken(error.to_string()))?;
        self.shared.close_idle_later();
        outcome
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<IdleReader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_reader(&self) -> Result<Reader, LookupError> {
        let kept = self.idle().pop();
        match kept {
            Some(idle) => Ok(idle.reader),
            None => Reader::open(&self.config),
        }
    }

    fn keep(&self, reader: Reader) {
        let since = Instant::now();
        self.idle().push(IdleReader { reader, since });
    }

    /// Closes the consumers that nobody needed meanwhile; closing may take a moment.
    fn close_idle_later(self: &Arc<Self>) {
        let shared = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(IDLE).await;
            let Some(shared) = shared.upgrade() else {
                return;
            };
            let is_old = |idle: &mut IdleReader| idle.since.elapsed() >= IDLE;
            let old: Vec<IdleReader> = shared.idle().extract_if(.., is_old).collect();
            if !old.is_empty() {
                tokio::task::spawn_blocking(move || drop(old));
            }
        });
    }
}

/// How long a lookup may go on.
#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    patience: Duration,
}

impl Deadline {
    fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    fn passed(self, reason: &str) -> LookupError {
        LookupError::TimedOut {
            patience: self.patience,
            reason: reason.to_owned(),
        }
    }
}

/// What a search may still read.
struct Bounds {
    records: usize,
    bytes: usize,
}

impl Bounds {
    fn of(search: &Search) -> Self {
        Self {
            records: search.max_records,
            bytes: search.max_bytes,
        }
    }

    fn are_passed_by(&mut self, message: &BorrowedMessage<'_>) -> bool {
        self.records = self.records.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(message.payload_len());
        self.records == 0 || self.bytes == 0
    }
}

fn seen(message: &BorrowedMessage<'_>, record: Record) -> Seen {
    let place = Place {
        topic: message.topic().into(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
    };
    Seen { record, place }
}

struct ReaderContext;

impl ClientContext for ReaderContext {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(target: "librdkafka", facility, "{line}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "a kafka lookup client reports an error");
    }
}

impl ConsumerContext for ReaderContext {}

/// One consumer that is assigned anew for each lookup.
struct Reader(BaseConsumer<ReaderContext>);

impl Reader {
    fn open(config: &ClientConfig) -> Result<Self, LookupError> {
        let consumer = config.create_with_context(ReaderContext);
        consumer
            .map(Self)
            .map_err(|error| LookupError::Client(client_error_text(&error)))
    }

    fn partition_of(
        &self,
        topic: &str,
        key: &[u8],
        deadline: Deadline,
    ) -> Result<i32, LookupError> {
        let metadata = self
            .0
            .fetch_metadata(Some(topic), deadline.left())
            .map_err(|error| refusal(&error, topic, deadline))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let count = found.map_or(0, |found| found.partitions().len());
        let count = u32::try_from(count).ok().and_then(NonZeroU32::new);
        let count = count.ok_or_else(|| LookupError::Topic {
            topic: topic.to_owned(),
            reason: "it has no partitions".to_owned(),
        })?;
        Ok(partition_for(key, count) as i32)
    }

    /// The first offset whose record is not older; `None` when all are.
    fn offset_at(
        &self,
        (topic, partition): (&str, i32),
        from: Timestamp,
        deadline: Deadline,
    ) -> Result<Option<i64>, LookupError> {
        let failed = |error: KafkaError| refusal(&error, topic, deadline);
        let mut wanted = TopicPartitionList::new();
        let from_ms = Offset::Offset(from.as_millisecond().max(0));
        wanted
            .add_partition_offset(topic, partition, from_ms)
            .map_err(failed)?;
        let answered = self
            .0
            .offsets_for_times(wanted, deadline.left())
            .map_err(failed)?;
        let element = answered.find_partition(topic, partition);
        match element.map(|element| element.offset()) {
            Some(Offset::Offset(offset)) => Ok(Some(offset)),
            _ => Ok(None),
        }
    }

    /// Shows the messages from a place on, until told to stop or at the end of the partition.
    fn read(
        &self,
        (topic, partition, offset): (&str, i32, i64),
        deadline: Deadline,
        mut look: impl FnMut(&BorrowedMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), LookupError> {
        let failed = |error: KafkaError| refusal(&error, topic, deadline);
        let mut assignment = TopicPartitionList::new();
        assignment
            .add_partition_offset(topic, partition, Offset::Offset(offset))
            .map_err(failed)?;
        self.0.assign(&assignment).map_err(failed)?;
        let ended = self.read_assigned(topic, deadline, &mut look);
        self.0.unassign().map_err(failed)?;
        ended
    }

    fn read_assigned(
        &self,
        topic: &str,
        deadline: Deadline,
        look: &mut impl FnMut(&BorrowedMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), LookupError> {
        use RDKafkaErrorCode as Code;
        let mut last_heard = "nothing was heard".to_owned();
        while !deadline.left().is_zero() {
            let error = match self.0.poll(POLL.min(deadline.left())) {
                None => continue,
                Some(Ok(message)) => {
                    if look(&message).is_break() {
                        return Ok(());
                    }
                    continue;
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) => error,
            };
            match error.rdkafka_error_code() {
                // Before the beginning, or behind the end.
                Some(Code::OffsetOutOfRange | Code::AutoOffsetReset) => return Ok(()),
                Some(
                    Code::UnknownTopic
                    | Code::UnknownTopicOrPartition
                    | Code::UnknownPartition
                    | Code::TopicAuthorizationFailed,
                ) => return Err(refusal(&error, topic, deadline)),
                // The rest heals by itself, or the deadline ends it.
                _ => last_heard = error.to_string(),
            }
        }
        Err(deadline.passed(&last_heard))
    }
}

/// What an error of a request means for the caller.
fn refusal(error: &KafkaError, topic: &str, deadline: Deadline) -> LookupError {
    use RDKafkaErrorCode as Code;
    match error.rdkafka_error_code() {
        Some(
            Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::Resolve,
        ) => deadline.passed(&error.to_string()),
        _ => LookupError::Topic {
            topic: topic.to_owned(),
            reason: error.to_string(),
        },
    }
}
