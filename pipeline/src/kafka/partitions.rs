//! One assigned partition: its queue in librdkafka and its offset bookkeeping.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::error::KafkaResult;
use rdkafka::message::BorrowedMessage;

use super::consumer::Watermark;
use super::marks::{Mark, PartitionMarks};
use super::reader::SourceQueue;
use super::received::Received;
use super::source::Shared;
use super::tracker::PartitionTracker;
use super::wire;
use crate::record::Record;
use crate::topic::Place;

/// Pause before a partition is read again from a dropped record, so that a stage that drops the
/// same record each time cannot spin.
const REWIND_PAUSE: Duration = Duration::from_secs(1);
/// Records waiting behind one slow record, as a multiple of the in-flight limit.
const WINDOW_FACTOR: usize = 8;

/// An assigned partition: its queue in librdkafka and its offset bookkeeping.
pub(super) struct Partition {
    queue: SourceQueue,
    tracker: Arc<PartitionTracker>,
    rewind_at: Option<Instant>,
    last_timestamp_ms: i64,
    /// Where the source keeps marks.
    marks: Option<PartitionMarks>,
}

impl Partition {
    pub(super) fn new(topic: &str, number: i32, queue: SourceQueue, shared: &Shared) -> Self {
        let in_flight = Arc::clone(&shared.in_flight);
        Self {
            queue,
            tracker: PartitionTracker::new(topic.into(), number, in_flight),
            rewind_at: None,
            last_timestamp_ms: 0,
            marks: None,
        }
    }

    /// From now on marks are kept, beginning with how the last owner left the partition.
    pub(super) fn keep_marks(&mut self, marks: Option<PartitionMarks>) {
        self.marks = marks;
    }

    pub(super) fn has_marks(&self) -> bool {
        self.marks.is_some()
    }

    /// What has to be written before this record is handed out.
    pub(super) fn mark_before(&self, offset: i64) -> Option<Mark> {
        self.marks.as_ref()?.wanted(offset)
    }

    pub(super) fn mark_written(&mut self, mark: Mark) {
        if let Some(marks) = &mut self.marks {
            marks.written(mark);
        }
    }

    pub(super) fn mark_beside(&self, committed: i64) -> Option<Mark> {
        self.marks.as_ref().map(|marks| marks.beside(committed))
    }

    pub(super) fn mark_at_leave(&self, committed: i64) -> Option<Mark> {
        self.marks.as_ref().map(|marks| marks.at_leave(committed))
    }

    /// Where the group stands, as far as this assignment knows.
    pub(super) fn position(&self) -> Option<i64> {
        self.tracker.position()
    }

    pub(super) fn topic(&self) -> &str {
        self.tracker.topic()
    }

    pub(super) fn shared_topic(&self) -> Arc<str> {
        Arc::clone(self.tracker.topic())
    }

    pub(super) fn number(&self) -> i32 {
        self.tracker.partition()
    }

    pub(super) fn may_read(&self, max_in_flight_records: usize) -> bool {
        let window_limit = max_in_flight_records.saturating_mul(WINDOW_FACTOR);
        self.rewind_at.is_none() && self.tracker.window_len() < window_limit
    }

    pub(super) fn poll(&self) -> Option<KafkaResult<BorrowedMessage<'_>>> {
        self.queue.poll(Duration::ZERO)
    }

    pub(super) fn track(&mut self, place: Place, record: Record) -> Received<Record> {
        self.last_timestamp_ms = place.timestamp_ms;
        let bytes = wire::record_bytes(&record);
        let mut claim = self.tracker.track(place.offset, place.timestamp_ms, bytes);
        if let Some(marks) = &self.marks {
            claim.attempts_before = marks.attempts_before(place.offset);
        }
        Received::new(record, place, claim)
    }

    pub(super) fn take_commit(&self) -> Option<i64> {
        self.tracker.take_commit()
    }

    pub(super) fn commit_failed(&self) {
        self.tracker.commit_failed();
    }

    pub(super) fn start_draining(&self) {
        self.tracker.start_draining();
    }

    pub(super) fn handed_out(&self) -> usize {
        self.tracker.handed_out()
    }

    /// The offset to read again from, when a record was dropped and the others are finished.
    pub(super) fn rewind_due(&mut self) -> Option<i64> {
        if self.rewind_at.is_none() && self.tracker.take_abandoned() {
            self.tracker.start_draining();
            self.rewind_at = Some(Instant::now() + REWIND_PAUSE);
        }
        let is_due = self.rewind_at.is_some_and(|at| Instant::now() >= at);
        (is_due && self.tracker.handed_out() == 0).then(|| {
            let oldest = self.tracker.oldest();
            oldest.expect("a dropped record stays in the window").0
        })
    }

    /// Begins a new life after a rewind.
    pub(super) fn start_over(&mut self, shared: &Shared) {
        let next = PartitionTracker::new(
            self.shared_topic(),
            self.number(),
            Arc::clone(&shared.in_flight),
        );
        next.inherit_position(&self.tracker);
        self.tracker.close();
        self.tracker = next;
        self.rewind_at = None;
    }

    pub(super) fn measure(&self, watermark: Option<Watermark>, shared: &Shared) {
        let Some(watermark) = watermark else {
            return;
        };
        let position = self.tracker.position().unwrap_or(watermark.committed);
        let lag = if position < 0 {
            0
        } else {
            (watermark.end - position).max(0)
        };
        let oldest_ms = self.tracker.oldest().map(|(_, timestamp_ms)| timestamp_ms);
        // Nothing in flight but more to come: at least as old as the last one seen.
        let waiting_ms = oldest_ms.or((lag > 0).then_some(self.last_timestamp_ms));
        let behind = waiting_ms.filter(|ms| *ms > 0).map_or(0.0, seconds_since);
        let number = self.number().to_string();
        let labels = [shared.settings.group.as_str(), self.topic(), &number];
        shared.metrics.lag.with_label_values(&labels).set(lag);
        shared.metrics.behind.with_label_values(&labels).set(behind);
    }

    /// No longer ours: late completions do nothing, and its gauges disappear.
    pub(super) fn close(self, shared: &Shared) {
        self.tracker.close();
        let number = self.number().to_string();
        let labels = [shared.settings.group.as_str(), self.topic(), &number];
        // Absent when the partition was never measured.
        drop(shared.metrics.lag.remove_label_values(&labels));
        drop(shared.metrics.behind.remove_label_values(&labels));
    }
}

fn seconds_since(timestamp_ms: i64) -> f64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    (now.as_secs_f64() - timestamp_ms as f64 / 1000.0).max(0.0)
}
