//! What the threads of a soak share: how far each topic is, who must wait, and what went wrong.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::records::{Sizes, Topic};

/// A topic may be so much of its records ahead of another: both last as long as the run.
const LEAD: f64 = 0.01;

/// How long a producer that must wait does so before it looks again.
const PAUSE: Duration = Duration::from_millis(1);

/// Faults told in full; more are only counted.
const FAULTS_TOLD: usize = 5;

/// The records of one topic.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub(super) topic: Topic,
    pub(super) records: u64,
    pub(super) sizes: Sizes,
}

/// How far one topic is.
pub(super) struct Flow {
    pub(super) load: Load,
    records_sent: AtomicU64,
    records_taken: AtomicU64,
    /// Bytes sent and not consumed, per partition.
    waiting_bytes: Vec<AtomicU64>,
}

impl Flow {
    fn new(load: Load) -> Self {
        let partitions = usize::from(load.topic.partitions);
        Self {
            load,
            records_sent: AtomicU64::new(0),
            records_taken: AtomicU64::new(0),
            waiting_bytes: (0..partitions).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Which partition a record goes to, and its number within it.
    pub(super) fn place(&self, number: u64) -> (usize, u64) {
        let partitions = u64::from(self.load.topic.partitions);
        ((number % partitions) as usize, number / partitions)
    }

    /// The number of a record by its place.
    pub(super) fn number(&self, partition: usize, sequence: u64) -> u64 {
        sequence * u64::from(self.load.topic.partitions) + partition as u64
    }

    /// How many records a partition is to have.
    pub(super) fn records_of(&self, partition: usize) -> u64 {
        let partitions = u64::from(self.load.topic.partitions);
        (self.load.records + partitions - 1 - partition as u64) / partitions
    }

    pub(super) fn send(&self, partition: usize, bytes: usize) {
        self.waiting_bytes[partition].fetch_add(bytes as u64, Ordering::Relaxed);
        self.records_sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn take(&self, partition: usize, bytes: usize) {
        self.waiting_bytes[partition].fetch_sub(bytes as u64, Ordering::Relaxed);
        self.records_taken.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn taken(&self) -> u64 {
        self.records_taken.load(Ordering::Relaxed)
    }

    pub(super) fn is_done(&self) -> bool {
        self.taken() >= self.load.records
    }

    fn share_sent(&self) -> f64 {
        self.records_sent.load(Ordering::Relaxed) as f64 / self.load.records as f64
    }

    /// Nothing is lost to retention while the consumer is at most half of it behind.
    fn has_room(&self, partition: usize) -> bool {
        let waiting_bytes = self.waiting_bytes[partition].load(Ordering::Relaxed);
        waiting_bytes <= self.load.topic.retention_bytes / 2
    }
}

/// The whole run.
pub(super) struct Course {
    pub(super) flows: [Flow; 2],
    pub(super) probe: Probe,
    pub(super) clock: Instant,
    pub(super) faults: Arc<Faults>,
    given_up: AtomicBool,
}

/// The stream whose latency is measured.
#[derive(Default)]
pub(super) struct Probe {
    /// Since they were last drained.
    latencies_ms: Mutex<Vec<f64>>,
    pub(super) sent: AtomicU64,
    /// No more will be sent.
    pub(super) is_over: AtomicBool,
}

/// What came of all records.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) planned: u64,
    pub(super) taken: u64,
    pub(super) faults: u64,
    pub(super) told: Vec<String>,
}

impl Course {
    pub(super) fn new(loads: [Load; 2]) -> Self {
        Self {
            flows: loads.map(Flow::new),
            probe: Probe::default(),
            clock: Instant::now(),
            faults: Arc::default(),
            given_up: AtomicBool::new(false),
        }
    }

    /// Waits until a record may be sent; false when the run was given up.
    pub(super) fn wait_for_room(&self, flow: &Flow, partition: usize) -> bool {
        while !self.is_given_up() {
            let ahead = flow.share_sent() - LEAD;
            let others_keep_up = self.flows.iter().all(|other| ahead <= other.share_sent());
            if others_keep_up && flow.has_room(partition) {
                return true;
            }
            thread::park_timeout(PAUSE);
        }
        false
    }

    /// The share of the run that lies behind, by what was consumed.
    pub(super) fn share_done(&self) -> f64 {
        let shares = self
            .flows
            .iter()
            .map(|flow| flow.taken() as f64 / flow.load.records as f64);
        shares.fold(1.0, f64::min)
    }

    pub(super) fn is_done(&self) -> bool {
        self.flows.iter().all(Flow::is_done)
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Ends the stream whose latency is measured.
    pub(super) fn end_probe(&self) {
        self.probe.is_over.store(true, Ordering::Release);
    }

    /// Ends the run early.
    pub(super) fn give_up(&self, why: &str) {
        self.faults.add(why);
        self.given_up.store(true, Ordering::Relaxed);
    }

    pub(super) fn account(&self) -> Account {
        let told = self
            .faults
            .told
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Account {
            planned: self.flows.iter().map(|flow| flow.load.records).sum(),
            taken: self.flows.iter().map(Flow::taken).sum(),
            faults: self.faults.count.load(Ordering::Relaxed),
            told: told.clone(),
        }
    }
}

impl Probe {
    pub(super) fn note(&self, latency_ms: f64) {
        let mut latencies = self
            .latencies_ms
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        latencies.push(latency_ms);
    }

    /// The latencies since the last call.
    pub(super) fn drain(&self) -> Vec<f64> {
        let mut latencies = self
            .latencies_ms
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *latencies)
    }
}

/// What went wrong.
#[derive(Default)]
pub(super) struct Faults {
    count: AtomicU64,
    told: Mutex<Vec<String>>,
}

impl Faults {
    pub(super) fn add(&self, what: impl std::fmt::Display) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < FAULTS_TOLD {
            told.push(what.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brokers::Flush;

    fn load(records: u64) -> Load {
        Load {
            topic: Topic {
                name: "t",
                partitions: 3,
                retention_bytes: 100,
                segment_bytes: 10,
                flush: Flush::EveryRecord,
            },
            records,
            sizes: Sizes {
                least: 16,
                most: 32,
            },
        }
    }

    #[test]
    fn every_record_has_its_place_and_partitions_share_evenly() {
        let flow = Flow::new(load(8));
        for number in 0..8 {
            let (partition, sequence) = flow.place(number);
            assert_eq!(flow.number(partition, sequence), number);
        }
        assert_eq!(
            [0, 1, 2].map(|partition| flow.records_of(partition)),
            [3, 3, 2]
        );
    }

    #[test]
    fn a_partition_is_full_when_half_of_what_it_keeps_waits() {
        let flow = Flow::new(load(8));
        flow.send(1, 51);
        assert!(flow.has_room(0));
        assert!(!flow.has_room(1));
        flow.take(1, 51);
        assert!(flow.has_room(1));
    }

    #[test]
    fn the_run_is_as_far_as_its_slowest_topic() {
        let course = Course::new([load(10), load(20)]);
        course.flows[0].take(0, 0);
        assert!(course.share_done().abs() < 1e-9);
        course.flows[1].take(0, 0);
        assert!((course.share_done() - 0.05).abs() < 1e-9);
    }

    #[test]
    fn faults_are_counted_beyond_those_told() {
        let course = Course::new([load(1), load(1)]);
        for number in 0..9 {
            course.faults.add(number);
        }
        let account = course.account();
        assert_eq!((account.faults, account.told.len()), (9, FAULTS_TOLD));
    }
}
