//! The reader thread of a source: polls, hands out records, commits, answers rebalances.
//!
//! Each assigned partition has its own librdkafka queue. Back-pressure is simply not reading it:
//! librdkafka stops fetching when the queue is full. Pausing a partition would do the same but
//! throws the prefetched records away each time (librdkafka#2703). The main queue, which carries
//! rebalances and errors, is polled without a break, so `max.poll.interval.ms` is never reached
//! however slow the stages are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::committer::Committer;
use super::consumer::{self, Rebalance, SourceContext};
use super::held::Held;
use super::partitions::Partition;
use super::properties::client_error_text;
use super::rebalance::{Revocation, Step, offsets_to_commit};
use super::received::Received;
use super::source::{Closed, Shared};
use super::wire;
use crate::record::Record;
use crate::topic::Place;

pub(super) type SourceConsumer = BaseConsumer<SourceContext>;
pub(super) type SourceQueue = PartitionQueue<SourceContext>;

/// Longest sleep; new records and completions wake the thread at once.
const IDLE: Duration = Duration::from_millis(50);
/// Records read before events and commits have their turn again.
const READS_PER_STEP: usize = 128;
/// Events served per step; the main queue carries few.
const EVENTS_PER_STEP: usize = 8;
/// How long after a fatal error the client is made anew.
const REBUILD_PAUSE: Duration = Duration::from_secs(1);
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);
const SEEK_PATIENCE: Duration = Duration::from_secs(10);

/// One client and its partitions; replaced as a whole after a fatal error.
pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) records: mpsc::Sender<Received<Record>>,
    /// A record that may not be handed out yet; nothing more is read meanwhile.
    pub(super) held: Option<Held>,
    /// A record that was in hand when another member died is tried alone.
    pub(super) suspect_in_hand: bool,
    // Queues and commit thread stand before `consumer`: they must be gone when the client goes.
    pub(super) partitions: Vec<Partition>,
    pub(super) revocation: Option<Revocation>,
    pub(super) committer: Committer,
    pub(super) consumer: Arc<SourceConsumer>,
    turn: usize,
    commit_at: Instant,
    measure_at: Instant,
}

/// Reads until the source is closed, with a new client after each fatal error.
pub(super) fn run(
    mut session: Session,
    shared: &Arc<Shared>,
    records: &mpsc::Sender<Received<Record>>,
) -> Closed {
    loop {
        let reason = match session.run_until_closed() {
            Ok(closed) => return closed,
            Err(reason) => reason,
        };
        tracing::error!(reason, "kafka source is broken, making a new client");
        drop(session);
        shared
            .metrics
            .rebuilds_total
            .with_label_values(&["source"])
            .inc();
        session = loop {
            shared.link.down(reason.clone());
            if shared.close_by().is_some() {
                let unfinished = shared.in_flight.records();
                return Closed { unfinished };
            }
            shared.wake.wait(REBUILD_PAUSE);
            match open(shared, records) {
                Ok(session) => break session,
                Err(reason) => tracing::error!(reason, "kafka source cannot make a new client"),
            }
        };
    }
}

/// Makes a client and subscribes.
pub(super) fn open(
    shared: &Arc<Shared>,
    records: &mpsc::Sender<Received<Record>>,
) -> Result<Session, String> {
    let context = SourceContext::new(Arc::clone(&shared.link));
    let mut consumer: SourceConsumer = shared
        .client
        .create_with_context(context)
        .map_err(|error| client_error_text(&error))?;
    let wake = Arc::clone(&shared.wake);
    consumer.set_nonempty_callback(move || wake.raise());
    let topics: Vec<&str> = shared.settings.topics.iter().map(String::as_str).collect();
    consumer
        .subscribe(&topics)
        .map_err(|error| error.to_string())?;
    let consumer = Arc::new(consumer);
    let committer = Committer::start(&consumer, &shared.wake, &shared.metrics)
        .map_err(|error| format!("no thread for commits: {error}"))?;
    Ok(Session {
        shared: Arc::clone(shared),
        records: records.clone(),
        held: None,
        suspect_in_hand: false,
        partitions: Vec::new(),
        revocation: None,
        committer,
        consumer,
        turn: 0,
        commit_at: Instant::now() + shared.settings.commit_interval,
        measure_at: Instant::now(),
    })
}

impl Session {
    fn run_until_closed(&mut self) -> Result<Closed, String> {
        loop {
            if let Some(deadline) = self.shared.close_by() {
                return self.close(deadline);
            }
            self.serve_events()?;
            self.serve_rebalances()?;
            self.rewind_dropped()?;
            self.serve_held();
            let has_read = self.read()?;
            self.commit_if_due();
            self.measure_if_due();
            if !has_read {
                self.shared.wake.wait(IDLE);
            }
        }
    }

    fn serve_events(&self) -> Result<(), String> {
        for _ in 0..EVENTS_PER_STEP {
            // Errors that heal were noted by the callback; a fatal one is asked for below.
            if let Some(Ok(message)) = self.consumer.poll(Duration::ZERO) {
                // Partitions get their own queue before they are assigned.
                let (topic, partition) = (message.topic(), message.partition());
                return Err(format!(
                    "a record of {topic}/{partition} came outside its queue"
                ));
            }
        }
        match self.consumer.client().fatal_error() {
            Some((code, text)) => Err(format!("{code}: {text}")),
            None => Ok(()),
        }
    }

    /// Reads in turn from every partition, so that a busy one cannot starve the others.
    fn read(&mut self) -> Result<bool, String> {
        let mut has_read = false;
        let mut empty_in_a_row = 0;
        for _ in 0..READS_PER_STEP {
            let count = self.partitions.len();
            if empty_in_a_row >= count || self.is_held_up() || !self.shared.in_flight.has_room() {
                break;
            }
            self.turn = (self.turn + 1) % count;
            if self.read_one(self.turn)? {
                has_read = true;
                empty_in_a_row = 0;
            } else {
                empty_in_a_row += 1;
            }
        }
        Ok(has_read)
    }

    fn read_one(&mut self, index: usize) -> Result<bool, String> {
        let partition = &mut self.partitions[index];
        if !partition.may_read(self.shared.settings.max_in_flight_records) {
            return Ok(false);
        }
        let (place, record) = match partition.poll() {
            None => return Ok(false),
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => return Err(code.to_string()),
            // The callback has noted it; librdkafka goes on by itself.
            Some(Err(_)) => return Ok(true),
            Some(Ok(message)) => take_over(&message, partition.shared_topic()),
        };
        let offset = place.offset;
        let received = partition.track(place, record);
        self.shared
            .metrics
            .received_total
            .with_label_values(&[partition.topic()])
            .inc();
        if let Some(mark) = partition.mark_before(offset) {
            self.held = Some(Held::of(partition, received, mark));
            return Ok(true);
        }
        // Closed when the source is being dropped; full it cannot be, see `Source::start`.
        drop(self.records.try_send(received));
        Ok(true)
    }

    /// A stage dropped a record: once the others are finished, reads again from there.
    fn rewind_dropped(&mut self) -> Result<(), String> {
        for partition in &mut self.partitions {
            let Some(offset) = partition.rewind_due() else {
                continue;
            };
            tracing::warn!(
                topic = partition.topic(),
                partition = partition.number(),
                offset,
                "a record was dropped unfinished, reading again from its offset"
            );
            let target = Offset::Offset(offset);
            self.consumer
                .seek(partition.topic(), partition.number(), target, SEEK_PATIENCE)
                .map_err(|error| error.to_string())?;
            partition.start_over(&self.shared);
        }
        Ok(())
    }

    fn commit_if_due(&mut self) {
        if Instant::now() < self.commit_at || self.committer.running() {
            return;
        }
        self.commit_at = Instant::now() + self.shared.settings.commit_interval;
        // The outcome of a held record's commit is looked at where it is held.
        let is_ours = self.revocation.is_none() && self.held.is_none();
        if is_ours && self.committer.take_failed() {
            self.partitions.iter().for_each(Partition::commit_failed);
        }
        self.committer.commit(&offsets_to_commit(&self.partitions));
    }

    fn measure_if_due(&mut self) {
        if Instant::now() < self.measure_at {
            return;
        }
        self.measure_at = Instant::now() + MEASURE_INTERVAL;
        for partition in &self.partitions {
            let mark = self
                .consumer
                .context()
                .watermark(partition.topic(), partition.number());
            partition.measure(mark, &self.shared);
        }
    }

    fn close(&mut self, deadline: Instant) -> Result<Closed, String> {
        // What was not handed out is left to the next owner.
        self.held = None;
        self.partitions.iter().for_each(Partition::start_draining);
        while (self.handed_out() > 0 || self.revocation.is_some()) && Instant::now() < deadline {
            self.serve_events()?;
            self.serve_rebalances()?;
            self.commit_if_due();
            self.shared.wake.wait(IDLE);
        }
        let unfinished = self.handed_out();
        // The last commit is a revocation of everything, with the waiting already done.
        let leaving = std::mem::take(&mut self.partitions);
        let list = TopicPartitionList::new();
        let mut last = Revocation::start(list, leaving, Instant::now());
        while last.step(&self.consumer, &self.committer, &self.shared) == Step::Wait {
            self.serve_events()?;
            self.shared.wake.wait(IDLE);
        }
        last.finish(&self.shared);
        Ok(Closed { unfinished })
    }

    fn handed_out(&self) -> usize {
        let leaving = self.revocation.as_ref().map_or(0, Revocation::handed_out);
        self.partitions
            .iter()
            .map(Partition::handed_out)
            .sum::<usize>()
            + leaving
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.consumer.context().start_closing();
        for partition in self.partitions.drain(..) {
            partition.close(&self.shared);
        }
        self.count_partitions();
        // Unanswered rebalances would keep the client from closing.
        let revoked = self.revocation.take();
        let revoked = revoked.map(|revocation| Rebalance::Revoke(revocation.finish(&self.shared)));
        let rest = std::iter::from_fn(|| self.consumer.context().next_rebalance());
        for rebalance in revoked.into_iter().chain(rest) {
            if let Err(error) = consumer::answer(&self.consumer, &rebalance) {
                tracing::warn!(%error, "a rebalance was not answered while closing");
            }
        }
        // Dropping the consumer now leaves the group.
    }
}

fn take_over(message: &BorrowedMessage<'_>, topic: Arc<str>) -> (Place, Record) {
    let place = Place {
        topic,
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
    };
    (place, wire::record_of(message))
}
