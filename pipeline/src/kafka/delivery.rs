//! How a send ends: acknowledged, or one of three errors that ask for different things.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::{ClientContext, Statistics};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::link::LinkSender;
use super::metrics::KafkaMetrics;

/// Where a record was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Partition number.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
}

/// Why a record was not written. The three differ in what the caller does next.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SinkError {
    /// Take it back and come again: the unacknowledged bytes have reached their limit.
    #[error(
        "no room for {bytes} more bytes: the sink holds at most {limit} unacknowledged bytes \
         (queue.buffering.max.kbytes); wait for deliveries and send again"
    )]
    Full {
        /// Size of the record.
        bytes: usize,
        /// The sink's limit.
        limit: usize,
    },
    /// It will never fit: send something smaller or raise the limit.
    #[error("the record for topic {topic} takes {bytes} bytes, over the limit of {by}")]
    TooBig {
        /// Topic name.
        topic: String,
        /// Size of the record, batch header included.
        bytes: usize,
        /// Whose limit, and where to raise it.
        by: SizeLimit,
    },
    /// Not written, or not known to be written: send again, later.
    #[error("the record was not acknowledged by Kafka: {reason}")]
    Broken {
        /// What happened.
        reason: String,
    },
}

/// Whose size limit a record breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeLimit {
    /// Ours, in bytes.
    Sink(usize),
    /// The broker's or the topic's; the protocol does not tell the number.
    Broker,
}

impl std::fmt::Display for SizeLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sink(bytes) => write!(
                f,
                "{bytes} bytes (message.max.bytes); send a smaller frame, or raise it together \
                 with max.message.bytes of the topic"
            ),
            Self::Broker => write!(
                f,
                "the topic (max.message.bytes) or its broker (message.max.bytes); send a smaller \
                 frame or raise it there"
            ),
        }
    }
}

impl SinkError {
    pub(super) fn broken(reason: impl Into<String>) -> Self {
        Self::Broken {
            reason: reason.into(),
        }
    }

    /// The metric label.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Full { .. } => "full",
            Self::TooBig { .. } => "too_big",
            Self::Broken { .. } => "broken",
        }
    }
}

/// Resolves when the brokers have acknowledged the record, or it failed. Dropping it does not
/// take the record back.
#[derive(Debug)]
#[must_use = "a send counts only when its delivery is acknowledged"]
pub struct Delivery(pub(super) oneshot::Receiver<Result<Delivered, SinkError>>);

impl Future for Delivery {
    type Output = Result<Delivered, SinkError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| {
            answer.unwrap_or_else(|_closed| Err(SinkError::broken("the Kafka client has gone")))
        })
    }
}

/// A record in librdkafka's hands.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) answer: oneshot::Sender<Result<Delivered, SinkError>>,
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) bytes: usize,
}

/// Callbacks of one producer client; they run on the sink's thread.
#[derive(Debug)]
pub(super) struct SinkContext {
    link: Arc<LinkSender>,
    metrics: KafkaMetrics,
    indefinite: Mutex<Option<String>>,
}

impl SinkContext {
    pub(super) fn new(link: Arc<LinkSender>, metrics: KafkaMetrics) -> Self {
        Self {
            link,
            metrics,
            indefinite: Mutex::default(),
        }
    }

    /// The error that left it open what this client has written, if there was one.
    pub(super) fn indefinite(&self) -> Option<String> {
        self.indefinite
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_indefinite(&self, reason: &str) {
        let mut first = self
            .indefinite
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| reason.to_owned());
    }
}

impl ClientContext for SinkContext {
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

impl ProducerContext for SinkContext {
    type DeliveryOpaque = Box<Pending>;

    fn delivery(&self, result: &DeliveryResult<'_>, pending: Box<Pending>) {
        let Pending {
            answer,
            permit,
            bytes,
        } = *pending;
        // Room first: whoever sees the answer may send again.
        drop(permit);
        self.metrics.unacknowledged_bytes.sub(bytes as i64);
        let outcome = match result {
            Ok(message) => {
                let topic = [message.topic()];
                self.metrics.sent_total.with_label_values(&topic).inc();
                self.metrics
                    .sent_bytes_total
                    .with_label_values(&topic)
                    .inc_by(bytes as u64);
                Ok(Delivered {
                    partition: message.partition(),
                    offset: message.offset(),
                })
            }
            Err((error, message)) => {
                if needs_new_client(error) {
                    self.set_indefinite(&error.to_string());
                }
                let error = sink_error(error, message.topic(), bytes);
                let labels = [message.topic(), error.kind()];
                self.metrics
                    .send_errors_total
                    .with_label_values(&labels)
                    .inc();
                Err(error)
            }
        };
        // Nobody listens when the caller dropped its delivery.
        drop(answer.send(outcome));
    }
}

/// Translates librdkafka's error into what the caller can do about it.
pub(super) fn sink_error(error: &KafkaError, topic: &str, bytes: usize) -> SinkError {
    use RDKafkaErrorCode as Code;
    match error.rdkafka_error_code() {
        Some(Code::MessageSizeTooLarge | Code::MessageBatchTooLarge) => SinkError::TooBig {
            topic: topic.to_owned(),
            bytes,
            by: SizeLimit::Broker,
        },
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => {
            SinkError::broken(format!("topic {topic} does not exist; create it first"))
        }
        Some(Code::UnknownPartition) => {
            SinkError::broken(format!("topic {topic} has no such partition"))
        }
        Some(Code::PurgeQueue | Code::PurgeInflight) => {
            SinkError::broken("the client was replaced or closed before Kafka answered")
        }
        Some(Code::MessageTimedOut) => SinkError::broken(format!(
            "no answer for topic {topic} within delivery.timeout.ms"
        )),
        Some(code) => SinkError::broken(format!("topic {topic}: {code}")),
        None => SinkError::broken(format!("topic {topic}: {error}")),
    }
}

/// Whether an error leaves it open what the client has written, or the client cannot go on. An
/// answer about the record or the topic itself does not.
pub(super) fn needs_new_client(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    !matches!(
        error.rdkafka_error_code(),
        Some(
            Code::MessageSizeTooLarge
                | Code::MessageBatchTooLarge
                | Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::InvalidTopic
                | Code::InvalidMessage
                | Code::InvalidRecord
                | Code::PolicyViolation
                | Code::TopicAuthorizationFailed
                | Code::NotEnoughReplicas
                | Code::PurgeQueue
                | Code::PurgeInflight
                | Code::QueueFull
        )
    )
}
