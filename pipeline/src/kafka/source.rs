//! The source: a consumer group member that yields records with their offsets.
//!
//! A thread of its own reads Kafka (see `reader`), so that heartbeats and rebalances never wait
//! for a slow stage. Back-pressure is a budget of records and bytes in flight: when it is used up,
//! the reader leaves records in librdkafka's bounded per-partition queues and keeps polling for
//! events, so the group never takes the member for dead.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use tokio::sync::{mpsc, oneshot, watch};

use super::link::{Link, LinkSender};
use super::metrics::KafkaMetrics;
use super::properties::KafkaConfig;
use super::reader;
use super::received::Received;
use super::tracker::{InFlight, Limits};
use super::wake::Wake;
use crate::record::Record;

/// How long a closing source may take on top of the drain: commit, leave the group, disconnect.
const CLOSE_GRACE: Duration = Duration::from_secs(20);

/// Where a group begins that has committed nothing yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartPosition {
    /// At the oldest record there is: durable lanes, where nothing may be skipped.
    Earliest,
    /// At the end: live lanes, where the past is of no use.
    Latest,
}

/// What to read, and how much of it at a time.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// Consumer group.
    pub group: String,
    /// Name of a static member, unique in the group: a restart within the session timeout then
    /// causes no rebalance. Without it the member is dynamic.
    pub instance_id: Option<String>,
    /// Topics to read.
    pub topics: Vec<String>,
    /// Where to begin without a committed offset.
    pub start: StartPosition,
    /// Records in flight at most.
    pub max_in_flight_records: usize,
    /// Bytes in flight at most; one record may exceed it.
    pub max_in_flight_bytes: usize,
    /// How long a partition that goes to another member may take to finish what it began.
    pub drain: Duration,
    /// How often finished offsets are committed.
    pub commit_interval: Duration,
    /// Whether the group counts, beyond the death of a member, how often a record was tried: see
    /// [`Received::attempts_before`]. What a dead member had in hand is handed out one at a time.
    pub attempt_marks: bool,
}

impl SourceConfig {
    /// The usual limits.
    pub fn new(group: &str, topics: &[&str], start: StartPosition) -> Self {
        Self {
            group: group.to_owned(),
            instance_id: None,
            topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
            start,
            max_in_flight_records: 256,
            max_in_flight_bytes: 64 * 1024 * 1024,
            drain: Duration::from_secs(5),
            commit_interval: Duration::from_secs(1),
            attempt_marks: false,
        }
    }
}

/// Why a source did not start.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// librdkafka refused the settings.
    #[error("cannot start the Kafka source of group {group}: {reason}")]
    Client {
        /// Consumer group.
        group: String,
        /// What librdkafka says.
        reason: String,
    },
    /// The reader thread could not be started.
    #[error("cannot start the Kafka reader thread: {0}")]
    Thread(#[source] std::io::Error),
}

/// How a source ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Records that stages still held at the deadline; they will be delivered again.
    pub unfinished: usize,
}

/// What the source and its reader thread share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) client: ClientConfig,
    pub(super) settings: SourceConfig,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) wake: Arc<Wake>,
    pub(super) link: Arc<LinkSender>,
    pub(super) metrics: KafkaMetrics,
    close_by: Mutex<Option<Instant>>,
}

impl Shared {
    /// The drain deadline, once closing was asked for.
    pub(super) fn close_by(&self) -> Option<Instant> {
        *self.close_by.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, drain: Duration) {
        let mut close_by = self.close_by.lock().unwrap_or_else(PoisonError::into_inner);
        close_by.get_or_insert(Instant::now() + drain);
        drop(close_by);
        self.wake.raise();
    }
}

/// Asks the reader to stop when the source is dropped without `close`.
#[derive(Debug)]
struct StopOnDrop(Arc<Shared>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.close(Duration::ZERO);
    }
}

/// A member of a consumer group. See [`Received`] for how offsets are committed.
#[derive(Debug)]
pub struct Source {
    records: mpsc::Receiver<Received<Record>>,
    closed: oneshot::Receiver<Closed>,
    reader: StopOnDrop,
}

impl Source {
    /// Joins the group. Brokers that do not answer are no error here: see [`Source::link`].
    pub fn start(
        kafka: &KafkaConfig,
        settings: SourceConfig,
        metrics: &KafkaMetrics,
    ) -> Result<Self, SourceError> {
        let wake = Arc::new(Wake::default());
        let limits = Limits {
            records: settings.max_in_flight_records.max(1),
            bytes: settings.max_in_flight_bytes.max(1),
        };
        let in_flight = InFlight::new(limits, Arc::clone(&wake), metrics.clone());
        // Everything queued here is in flight, so the queue can never be full.
        let (sender, records) = mpsc::channel(limits.records);
        let shared = Arc::new(Shared {
            client: client_config(kafka, &settings),
            settings,
            in_flight: Arc::new(in_flight),
            wake,
            link: Arc::default(),
            metrics: metrics.clone(),
            close_by: Mutex::default(),
        });
        let session = reader::open(&shared, &sender).map_err(|reason| SourceError::Client {
            group: shared.settings.group.clone(),
            reason,
        })?;
        let (done, closed) = oneshot::channel();
        let thread_shared = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("kafka-source".to_owned())
            .spawn(move || {
                let outcome = reader::run(session, &thread_shared, &sender);
                if done.send(outcome).is_err() {
                    tracing::debug!("the kafka source was dropped without being closed");
                }
            })
            .map_err(SourceError::Thread)?;
        Ok(Self {
            records,
            closed,
            reader: StopOnDrop(shared),
        })
    }

    /// The next record. `None` means that the reader thread has died, which is a defect. Safe to
    /// use in `select!`.
    pub async fn recv(&mut self) -> Option<Received<Record>> {
        loop {
            // A record whose partition is leaving stays unread: the next owner reads it.
            if let Some(received) = self.records.recv().await?.hand_out() {
                return Some(received);
            }
        }
    }

    /// Whether the brokers answer.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.reader.0.link.subscribe()
    }

    /// Stops reading, waits up to `drain` for what stages hold, commits, and leaves the group (a
    /// static member keeps its place for the session timeout).
    pub async fn close(self, drain: Duration) -> Closed {
        let Self {
            records,
            closed,
            reader,
        } = self;
        reader.0.close(drain);
        drop(records);
        if let Ok(Ok(outcome)) = tokio::time::timeout(drain + CLOSE_GRACE, closed).await {
            return outcome;
        }
        tracing::warn!("the kafka reader did not close in time");
        let unfinished = reader.0.in_flight.records();
        Closed { unfinished }
    }
}

fn client_config(kafka: &KafkaConfig, settings: &SourceConfig) -> ClientConfig {
    let mut client = kafka.consumer();
    client.set("group.id", &settings.group);
    if let Some(instance_id) = &settings.instance_id {
        client.set("group.instance.id", instance_id);
    }
    let reset = match settings.start {
        StartPosition::Earliest => "earliest",
        StartPosition::Latest => "latest",
    };
    client.set("auto.offset.reset", reset);
    client
}
