//! What idempotent producers wrote last to one partition, as Kafka keeps it: duplicates, gaps and old epochs are told apart.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::AppendError;
use super::batch::Header;

/// As many batches as a client may have in flight.
const REMEMBERED_BATCHES: usize = 5;
const MAX_PRODUCERS: usize = 10_000;
const IDLE_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Producer {
    epoch: i16,
    last_seen_ms: i64,
    written: VecDeque<Written>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fresh,
    /// Written before, with this base offset.
    Duplicate(i64),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Producers {
    known: HashMap<i64, Producer>,
}

impl Producers {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn check(&self, header: &Header) -> Result<Verdict, AppendError> {
        if !header.is_idempotent() {
            return Ok(Verdict::Fresh);
        }
        let Some(producer) = self.known.get(&header.producer_id) else {
            return Ok(Verdict::Fresh);
        };
        if header.producer_epoch < producer.epoch {
            return Err(AppendError::InvalidProducerEpoch {
                epoch: header.producer_epoch,
                current: producer.epoch,
            });
        }
        if header.producer_epoch > producer.epoch {
            return in_order(0, header.base_sequence);
        }
        if let Some(known) = producer.find(header) {
            return Ok(Verdict::Duplicate(known.base_offset));
        }
        let newest = producer
            .written
            .back()
            .expect("a producer is known by a batch it wrote");
        in_order(sequence_after(newest.last_sequence), header.base_sequence)
    }

    /// Takes in a batch that now stands in the log.
    pub(super) fn record(&mut self, header: &Header, now_ms: i64) {
        if !header.is_idempotent() {
            return;
        }
        if self.known.len() >= MAX_PRODUCERS && !self.known.contains_key(&header.producer_id) {
            self.forget_oldest();
        }
        let producer = self
            .known
            .entry(header.producer_id)
            .or_insert_with(|| Producer {
                epoch: header.producer_epoch,
                last_seen_ms: now_ms,
                written: VecDeque::with_capacity(REMEMBERED_BATCHES),
            });
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.written.clear();
        }
        if producer.written.len() == REMEMBERED_BATCHES {
            producer.written.pop_front();
        }
        producer.written.push_back(Written {
            first_sequence: header.base_sequence,
            last_sequence: last_sequence(header),
            base_offset: header.base_offset,
        });
        producer.last_seen_ms = now_ms;
    }

    pub(super) fn forget_idle(&mut self, now_ms: i64) {
        self.known
            .retain(|_id, producer| now_ms - producer.last_seen_ms < IDLE_MS);
    }

    /// A tenth at once, so that a flood of new producers does not pay for a search each.
    fn forget_oldest(&mut self) {
        let mut ages: Vec<(i64, i64)> = self
            .known
            .iter()
            .map(|(id, producer)| (producer.last_seen_ms, *id))
            .collect();
        ages.sort_unstable();
        for (_last_seen_ms, id) in ages.iter().take(MAX_PRODUCERS / 10) {
            self.known.remove(id);
        }
    }
}

impl Producer {
    fn find(&self, header: &Header) -> Option<&Written> {
        self.written.iter().find(|written| {
            written.first_sequence == header.base_sequence
                && written.last_sequence == last_sequence(header)
        })
    }
}

fn in_order(expected: i32, sequence: i32) -> Result<Verdict, AppendError> {
    if sequence == expected {
        Ok(Verdict::Fresh)
    } else {
        Err(AppendError::OutOfOrderSequence { sequence, expected })
    }
}

fn last_sequence(header: &Header) -> i32 {
    wrapping_sequence(i64::from(header.base_sequence) + i64::from(header.last_offset_delta))
}

fn sequence_after(sequence: i32) -> i32 {
    wrapping_sequence(i64::from(sequence) + 1)
}

/// Sequences go on at zero after the greatest 32-bit number.
fn wrapping_sequence(sequence: i64) -> i32 {
    (sequence % (i64::from(i32::MAX) + 1)) as i32
}

#[cfg(test)]
#[path = "producers_tests.rs"]
mod tests;
