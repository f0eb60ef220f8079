//! The consumer's callbacks. They run on the reader thread, inside a poll, and only take notes:
//! the reader answers a rebalance when the partitions are drained, and goes on reading the others
//! meanwhile.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Statistics, TopicPartitionList};

use super::link::LinkSender;

/// What the group coordinator wants, until the reader has done it.
#[derive(Debug)]
pub(super) enum Rebalance {
    Assign(TopicPartitionList),
    Revoke(TopicPartitionList),
}

/// What the brokers said last about a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watermark {
    pub(super) end: i64,
    /// The group's committed offset; below 0 when there is none.
    pub(super) committed: i64,
}

#[derive(Debug, Default)]
struct Notes {
    rebalances: VecDeque<Rebalance>,
    watermarks: HashMap<(String, i32), Watermark>,
}

/// Notes taken by librdkafka's callbacks.
#[derive(Debug)]
pub(super) struct SourceContext {
    link: Arc<LinkSender>,
    notes: Mutex<Notes>,
    closing: AtomicBool,
}

impl SourceContext {
    pub(super) fn new(link: Arc<LinkSender>) -> Self {
        Self {
            link,
            notes: Mutex::default(),
            closing: AtomicBool::new(false),
        }
    }

    pub(super) fn next_rebalance(&self) -> Option<Rebalance> {
        self.notes().rebalances.pop_front()
    }

    pub(super) fn watermark(&self, topic: &str, partition: i32) -> Option<Watermark> {
        let key = (topic.to_owned(), partition);
        self.notes().watermarks.get(&key).copied()
    }

    /// From now on rebalances are answered at once: the consumer is being closed, and waits for the
    /// answer inside the call.
    pub(super) fn start_closing(&self) {
        self.closing.store(true, Ordering::Release);
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for SourceContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.link.logged(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.link.heard(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.link.measured(&statistics);
        let mut notes = self.notes();
        for topic in statistics.topics.values() {
            for partition in topic.partitions.values().filter(|p| p.hi_offset >= 0) {
                let watermark = Watermark {
                    end: partition.hi_offset,
                    committed: partition.committed_offset,
                };
                let key = (topic.topic.clone(), partition.partition);
                notes.watermarks.insert(key, watermark);
            }
        }
    }
}

impl ConsumerContext for SourceContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let partitions = partitions.clone();
        let rebalance = if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            Rebalance::Assign(partitions)
        } else {
            Rebalance::Revoke(partitions)
        };
        if !self.closing.load(Ordering::Acquire) {
            self.notes().rebalances.push_back(rebalance);
        } else if let Err(error) = answer(consumer, &rebalance) {
            tracing::warn!(%error, "a rebalance was not answered while closing");
        }
    }
}

/// Takes or gives back partitions, in the way of the group's protocol.
pub(super) fn answer(
    consumer: &BaseConsumer<SourceContext>,
    rebalance: &Rebalance,
) -> KafkaResult<()> {
    let cooperative = matches!(
        consumer.rebalance_protocol(),
        RebalanceProtocol::Cooperative
    );
    match rebalance {
        Rebalance::Assign(partitions) if cooperative => consumer.incremental_assign(partitions),
        Rebalance::Assign(partitions) => consumer.assign(partitions),
        Rebalance::Revoke(partitions) if cooperative => consumer.incremental_unassign(partitions),
        Rebalance::Revoke(_) => consumer.unassign(),
    }
}
