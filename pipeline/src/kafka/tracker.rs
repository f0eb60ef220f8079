//! What may be committed: records finish in any order, offsets are committed in order.
//!
//! One tracker stands for one partition *during one assignment*. When the partition is taken away
//! the tracker is closed, and whatever finishes later is ignored: a new assignment of the same
//! partition has a new tracker.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::metrics::KafkaMetrics;
use super::wake::Wake;

/// Limits of what one source may have in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// What all partitions of a source share: the in-flight budget and the reader's alarm clock.
#[derive(Debug)]
pub(super) struct InFlight {
    limits: Limits,
    records: AtomicUsize,
    bytes: AtomicUsize,
    wake: Arc<Wake>,
    metrics: KafkaMetrics,
}

impl InFlight {
    pub(super) fn new(limits: Limits, wake: Arc<Wake>, metrics: KafkaMetrics) -> Self {
        Self {
            limits,
            records: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            wake,
            metrics,
        }
    }

    /// Whether another record may be read. A record's size is known only once it is read, so the
    /// byte limit can be exceeded by one record.
    pub(super) fn has_room(&self) -> bool {
        self.records.load(Ordering::Acquire) < self.limits.records
            && self.bytes.load(Ordering::Acquire) < self.limits.bytes
    }

    pub(super) fn records(&self) -> usize {
        self.records.load(Ordering::Acquire)
    }

    fn take(&self, bytes: usize) {
        self.records.fetch_add(1, Ordering::AcqRel);
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.metrics.in_flight_records.inc();
        self.metrics.in_flight_bytes.add(bytes as i64);
    }

    fn give_back(&self, bytes: usize) {
        self.records.fetch_sub(1, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.metrics.in_flight_records.dec();
        self.metrics.in_flight_bytes.sub(bytes as i64);
        self.wake.raise();
    }
}

/// A partition's life within one assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Ours: records are handed out, completions count.
    Open,
    /// Being given back: nothing more is handed out, completions still count.
    Draining,
    /// No longer ours: completions are ignored.
    Closed,
}

#[derive(Debug)]
struct Slot {
    offset: i64,
    timestamp_ms: i64,
    done: bool,
}

#[derive(Debug)]
struct Window {
    phase: Phase,
    /// Read and not yet committable, in the order of the log.
    slots: VecDeque<Slot>,
    first_sequence: u64,
    /// Every record below this offset is done; `None` until the first one is.
    next_offset: Option<i64>,
    /// The offset last handed to a commit that has not failed.
    requested: Option<i64>,
    /// Claims that a stage holds.
    handed_out: usize,
    /// A claim was dropped without being completed.
    abandoned: bool,
}

/// Offset bookkeeping of one partition during one assignment.
#[derive(Debug)]
pub(super) struct PartitionTracker {
    topic: Arc<str>,
    partition: i32,
    in_flight: Arc<InFlight>,
    window: Mutex<Window>,
}

impl PartitionTracker {
    pub(super) fn new(topic: Arc<str>, partition: i32, in_flight: Arc<InFlight>) -> Arc<Self> {
        Arc::new(Self {
            topic,
            partition,
            in_flight,
            window: Mutex::new(Window {
                phase: Phase::Open,
                slots: VecDeque::new(),
                first_sequence: 0,
                next_offset: None,
                requested: None,
                handed_out: 0,
                abandoned: false,
            }),
        })
    }

    pub(super) fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    pub(super) fn partition(&self) -> i32 {
        self.partition
    }

    /// Enters a record that was just read. Offsets may have gaps (compaction, markers).
    pub(super) fn track(self: &Arc<Self>, offset: i64, timestamp_ms: i64, bytes: usize) -> Claim {
        self.in_flight.take(bytes);
        let mut window = self.window();
        let sequence = window.first_sequence + window.slots.len() as u64;
        window.slots.push_back(Slot {
            offset,
            timestamp_ms,
            done: false,
        });
        Claim {
            tracker: Arc::clone(self),
            sequence,
            bytes,
            state: ClaimState::Queued,
            attempts_before: 0,
        }
    }

    /// The offset to commit next, if it moved since the last call.
    pub(super) fn take_commit(&self) -> Option<i64> {
        let mut window = self.window();
        if window.phase == Phase::Closed || window.next_offset == window.requested {
            return None;
        }
        window.requested = window.next_offset;
        window.requested
    }

    /// A commit failed: offer the offset again.
    pub(super) fn commit_failed(&self) {
        self.window().requested = None;
    }

    pub(super) fn start_draining(&self) {
        let mut window = self.window();
        if window.phase == Phase::Open {
            window.phase = Phase::Draining;
        }
    }

    /// From now on nothing that happens to this partition's records is ours to commit.
    pub(super) fn close(&self) {
        self.window().phase = Phase::Closed;
    }

    /// How many records stages still hold.
    pub(super) fn handed_out(&self) -> usize {
        self.window().handed_out
    }

    /// How many records wait behind the oldest unfinished one, itself included.
    pub(super) fn window_len(&self) -> usize {
        self.window().slots.len()
    }

    /// Whether a stage dropped a record; told once per drop.
    pub(super) fn take_abandoned(&self) -> bool {
        std::mem::take(&mut self.window().abandoned)
    }

    /// Carries on where `previous` stood: what it had finished can still be committed.
    pub(super) fn inherit_position(&self, previous: &Self) {
        let (next_offset, requested) = {
            let previous = previous.window();
            (previous.next_offset, previous.requested)
        };
        let mut window = self.window();
        window.next_offset = next_offset;
        window.requested = requested;
    }

    /// The offset and time of the oldest unfinished record.
    pub(super) fn oldest(&self) -> Option<(i64, i64)> {
        let window = self.window();
        window
            .slots
            .front()
            .map(|slot| (slot.offset, slot.timestamp_ms))
    }

    /// Where a restart would go on, as far as this assignment knows.
    pub(super) fn position(&self) -> Option<i64> {
        let window = self.window();
        let oldest = window.slots.front().map(|slot| slot.offset);
        window.next_offset.or(oldest)
    }

    fn complete(&self, sequence: u64) {
        let mut window = self.window();
        if window.phase == Phase::Closed {
            self.in_flight.metrics.late_total.inc();
            return;
        }
        let index = usize::try_from(sequence - window.first_sequence)
            .expect("a window is far smaller than the address space");
        window.slots[index].done = true;
        while window.slots.front().is_some_and(|slot| slot.done) {
            let done = window.slots.pop_front();
            window.first_sequence += 1;
            window.next_offset = done.map(|slot| slot.offset + 1);
        }
    }

    fn abandon(&self) {
        let mut window = self.window();
        match window.phase {
            Phase::Open => window.abandoned = true,
            Phase::Draining => {}
            Phase::Closed => return,
        }
        self.in_flight.metrics.abandoned_total.inc();
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        // No code that can panic runs under the lock except the index above, which checks first.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClaimState {
    /// Read ahead, not yet in the hands of a stage.
    Queued,
    HandedOut,
    Completed,
}

/// The right to complete one record. Dropped without that, the record is delivered again.
#[derive(Debug)]
pub(super) struct Claim {
    tracker: Arc<PartitionTracker>,
    sequence: u64,
    bytes: usize,
    state: ClaimState,
    /// How often members that died may have tried the record.
    pub(super) attempts_before: u32,
}

impl Claim {
    /// Passes the record to a stage; false if its partition is being given back, and then the
    /// next owner of the partition will read it.
    pub(super) fn hand_out(&mut self) -> bool {
        let mut window = self.tracker.window();
        if window.phase != Phase::Open {
            return false;
        }
        window.handed_out += 1;
        self.state = ClaimState::HandedOut;
        true
    }

    pub(super) fn complete(mut self) {
        self.tracker.complete(self.sequence);
        self.finish(ClaimState::Completed);
    }

    fn finish(&mut self, state: ClaimState) {
        if self.state == ClaimState::HandedOut {
            self.tracker.window().handed_out -= 1;
        }
        self.state = state;
        self.tracker.in_flight.give_back(self.bytes);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        match self.state {
            ClaimState::Completed => return,
            ClaimState::HandedOut => self.tracker.abandon(),
            ClaimState::Queued => {}
        }
        self.finish(ClaimState::Queued);
    }
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
pub(super) mod tests;
