//! The sink: sends records, bounded by bytes, and tells when Kafka has acknowledged them.
//!
//! Records of one key are written in the order of the calls to [`Sink::send`]. After a fatal or
//! indefinite error the client is replaced: everything it still held ends as
//! [`SinkError::Broken`], which means "not known to be written", and the caller sends it again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, PurgeConfig};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::delivery::{Delivery, Pending, SinkContext, SinkError, SizeLimit, sink_error};
use super::link::{Link, LinkSender};
use super::metrics::KafkaMetrics;
use super::properties::{KafkaConfig, client_error_text};
use super::wake::Wake;
use super::wire;
use crate::record::Record;

type Client = BaseProducer<SinkContext>;

/// How long one round of serving delivery reports may sleep.
const POLL: Duration = Duration::from_millis(50);
/// How long a replaced client may take to report what it purged.
const PURGE_PATIENCE: Duration = Duration::from_secs(5);
/// Pause between attempts to make a client.
const REBUILD_PAUSE: Duration = Duration::from_secs(1);

/// Why a sink did not start.
#[derive(Debug, thiserror::Error)]
pub enum SinkStartError {
    /// librdkafka refused the settings.
    #[error("cannot start the Kafka sink: {0}")]
    Client(String),
    /// The thread for delivery reports could not be started.
    #[error("cannot start the Kafka sink thread: {0}")]
    Thread(#[source] std::io::Error),
}

#[derive(Debug)]
struct Shared {
    /// `None` while a broken client is being replaced, and after closing.
    client: RwLock<Option<Arc<ClientHandle>>>,
    client_config: ClientConfig,
    budget: Arc<Semaphore>,
    budget_bytes: usize,
    max_record_bytes: usize,
    closing: AtomicBool,
    stopped: AtomicBool,
    wake: Wake,
    link: Arc<LinkSender>,
    metrics: KafkaMetrics,
}

/// `BaseProducer` has no `Debug`.
struct ClientHandle(Client);

impl std::fmt::Debug for ClientHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({} in flight)", self.0.in_flight_count())
    }
}

impl ClientHandle {
    /// Why this client must be replaced, if it must.
    fn broken(&self) -> Option<String> {
        let fatal = self.0.client().fatal_error();
        let fatal = fatal.map(|(code, text)| format!("{code}: {text}"));
        fatal.or_else(|| self.0.context().indefinite())
    }
}

/// Sends records. Clones share one client; dropping the last one without [`Sink::close`] discards
/// what is not acknowledged.
#[derive(Clone, Debug)]
pub struct Sink {
    shared: Arc<Shared>,
    _stop: Arc<StopOnDrop>,
}

#[derive(Debug)]
struct StopOnDrop(Arc<Shared>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.closing.store(true, Ordering::Release);
        self.0.stopped.store(true, Ordering::Release);
        self.0.wake.raise();
    }
}

impl Sink {
    /// Makes the client. Brokers that do not answer are no error here: see [`Sink::link`].
    pub fn start(kafka: &KafkaConfig, metrics: &KafkaMetrics) -> Result<Self, SinkStartError> {
        // A semaphore counts in u32; 4 GB in flight is more than anyone wants.
        let budget_bytes = kafka.sink_budget_bytes().min(u32::MAX as usize);
        let shared = Arc::new(Shared {
            client: RwLock::new(None),
            client_config: kafka.producer(),
            budget: Arc::new(Semaphore::new(budget_bytes)),
            budget_bytes,
            max_record_bytes: kafka.max_record_bytes().min(budget_bytes),
            closing: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            wake: Wake::default(),
            link: Arc::default(),
            metrics: metrics.clone(),
        });
        let client = shared.new_client().map_err(SinkStartError::Client)?;
        shared.replace(Some(Arc::clone(&client)));
        let thread_shared = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("kafka-sink".to_owned())
            .spawn(move || thread_shared.run(client))
            .map_err(SinkStartError::Thread)?;
        Ok(Self {
            _stop: Arc::new(StopOnDrop(Arc::clone(&shared))),
            shared,
        })
    }

    /// Hands the record to the client, or refuses it at once. Without a partition the key decides
    /// (murmur2, as Java clients do).
    pub fn send(
        &self,
        topic: &str,
        partition: Option<i32>,
        record: &Record,
    ) -> Result<Delivery, SinkError> {
        let bytes = self.shared.check_size(topic, record)?;
        let permit = Arc::clone(&self.shared.budget).try_acquire_many_owned(bytes as u32);
        let permit = permit.map_err(|_none_left| {
            let limit = self.shared.budget_bytes;
            self.shared.refused(topic, SinkError::Full { bytes, limit })
        })?;
        self.shared.enqueue((topic, partition), record, permit)
    }

    /// Like [`Sink::send`], but waits until there is room; in the order of the calls.
    pub async fn send_when_room(
        &self,
        topic: &str,
        partition: Option<i32>,
        record: &Record,
    ) -> Result<Delivery, SinkError> {
        let bytes = self.shared.check_size(topic, record)?;
        let permit = Arc::clone(&self.shared.budget)
            .acquire_many_owned(bytes as u32)
            .await;
        let permit = permit.map_err(|_closed| SinkError::broken("the sink is closed"))?;
        self.shared.enqueue((topic, partition), record, permit)
    }

    /// The largest record, batch header included, that this sink takes.
    pub fn max_record_bytes(&self) -> usize {
        self.shared.max_record_bytes
    }

    /// Whether the brokers answer.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.shared.link.subscribe()
    }

    /// Takes nothing more and waits up to `patience` until everything sent has its answer. What
    /// has none by then ends as [`SinkError::Broken`].
    pub async fn close(&self, patience: Duration) -> Result<(), SinkError> {
        self.shared.closing.store(true, Ordering::Release);
        let all = self
            .shared
            .budget
            .acquire_many(self.shared.budget_bytes as u32);
        let flushed = tokio::time::timeout(patience, all).await.is_ok();
        let unanswered = self.shared.budget_bytes - self.shared.budget.available_permits();
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.wake.raise();
        if flushed {
            return Ok(());
        }
        Err(SinkError::broken(format!(
            "{unanswered} bytes were not acknowledged within {patience:?} of closing"
        )))
    }
}

impl Shared {
    fn check_size(&self, topic: &str, record: &Record) -> Result<usize, SinkError> {
        let bytes = wire::batch_bytes(record);
        if bytes <= self.max_record_bytes {
            return Ok(bytes);
        }
        let error = SinkError::TooBig {
            topic: topic.to_owned(),
            bytes,
            by: SizeLimit::Sink(self.max_record_bytes),
        };
        Err(self.refused(topic, error))
    }

    fn enqueue(
        &self,
        (topic, partition): (&str, Option<i32>),
        record: &Record,
        permit: OwnedSemaphorePermit,
    ) -> Result<Delivery, SinkError> {
        if self.closing.load(Ordering::Acquire) {
            return Err(self.refused(topic, SinkError::broken("the sink is closed")));
        }
        let (answer, delivery) = oneshot::channel();
        let bytes = permit.num_permits();
        let pending = Box::new(Pending {
            answer,
            permit,
            bytes,
        });
        let mut message = BaseRecord::with_opaque_to(topic, pending).payload(&record.value[..]);
        message.key = record.key.as_deref();
        message.partition = partition;
        message.headers = Some(wire::owned_headers(record));
        // The lock is held so that a client is never replaced under a send.
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner);
        let Some(client) = client.as_ref() else {
            let error = SinkError::broken("the Kafka client is being replaced; send again");
            return Err(self.refused(topic, error));
        };
        self.metrics.unacknowledged_bytes.add(bytes as i64);
        let Err((error, message)) = client.0.send(message) else {
            return Ok(Delivery(delivery));
        };
        self.metrics.unacknowledged_bytes.sub(bytes as i64);
        drop(message);
        let error = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::QueueFull) => SinkError::Full {
                bytes,
                limit: self.budget_bytes,
            },
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => SinkError::TooBig {
                topic: topic.to_owned(),
                bytes,
                by: SizeLimit::Sink(self.max_record_bytes),
            },
            _ => sink_error(&error, topic, bytes),
        };
        Err(self.refused(topic, error))
    }

    fn refused(&self, topic: &str, error: SinkError) -> SinkError {
        let labels = [topic, error.kind()];
        self.metrics
            .send_errors_total
            .with_label_values(&labels)
            .inc();
        error
    }

    fn new_client(&self) -> Result<Arc<ClientHandle>, String> {
        let context = SinkContext::new(Arc::clone(&self.link), self.metrics.clone());
        let client = self.client_config.create_with_context(context);
        let client = client.map_err(|error: KafkaError| client_error_text(&error))?;
        Ok(Arc::new(ClientHandle(client)))
    }

    fn replace(&self, client: Option<Arc<ClientHandle>>) {
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = client;
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// The sink's thread: serves delivery reports and replaces broken clients, until stopped.
    fn run(&self, first: Arc<ClientHandle>) {
        let mut client = first;
        while !self.stopped() {
            client.0.poll(POLL);
            let Some(reason) = client.broken() else {
                continue;
            };
            tracing::error!(reason, "kafka sink is broken, making a new client");
            self.metrics
                .rebuilds_total
                .with_label_values(&["sink"])
                .inc();
            self.link.down(reason);
            self.replace(None);
            // Answers first, then a new client: a caller that sends again keeps its order.
            discard(&client);
            drop(client);
            let Some(next) = self.new_client_until_stopped() else {
                return;
            };
            client = next;
            self.replace(Some(Arc::clone(&client)));
        }
        self.replace(None);
        discard(&client);
    }

    fn new_client_until_stopped(&self) -> Option<Arc<ClientHandle>> {
        loop {
            match self.new_client() {
                Ok(client) => return Some(client),
                Err(reason) => tracing::error!(reason, "kafka sink cannot make a new client"),
            }
            self.wake.wait(REBUILD_PAUSE);
            if self.stopped() {
                return None;
            }
        }
    }
}

/// Ends everything that the client still holds.
fn discard(client: &ClientHandle) {
    client.0.purge(PurgeConfig::default().queue().inflight());
    let deadline = Instant::now() + PURGE_PATIENCE;
    while client.0.in_flight_count() > 0 && Instant::now() < deadline {
        client.0.poll(Duration::from_millis(5));
    }
}

#[cfg(test)]
#[path = "sink_tests.rs"]
mod tests;
