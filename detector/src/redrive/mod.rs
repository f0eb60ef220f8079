//! Dead letters back to where they came from: `detector redrive`.
//!
//! - this file: which letters, and one after the other
//! - `command`: the flags and what is printed
//!
//! Which letters were put back is kept in a ledger beside the group `<prefix>-redrive`, so that none
//! is put back twice, whatever the filters were. A crash in between may repeat the last few; outputs
//! are idempotent by frame id.

mod command;

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use pipeline::frame::ModelRef;
use pipeline::kafka::{
    Delivered, KafkaConfig, Ledger, LedgerError, Place, Scan, ScanError, ScanStart, Seen, Sink,
    SinkError,
};
use pipeline::record::{DEADLINE_MS, DeadLetter, FailureKind, Record, decode_dead_letter};
use pipeline::topic::Topics;

use crate::history::{Which, asks_for};

pub use command::{RedriveArgs, run};

/// Letters on their way at the same time; so many may be repeated after a crash.
const IN_FLIGHT: usize = 64;

/// Which dead letters are put back.
#[derive(Clone, Debug, Default)]
pub struct Redrive {
    /// By source and time of death.
    pub which: Which,
    /// By what they died of.
    pub kinds: Vec<FailureKind>,
    /// By the model that they ask for.
    pub models: Vec<ModelRef>,
    /// Look only, put nothing back.
    pub dry_run: bool,
}

/// What a redrive did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redriven {
    /// Letters put back, by what they had died of.
    pub put_back: BTreeMap<String, usize>,
    /// Letters that the filters leave.
    pub left: usize,
    /// Letters that were put back before.
    pub done_before: usize,
    /// Letters that cannot be put back, with the reason, at most a few of them.
    pub unfit: Vec<String>,
    /// How many those are.
    pub unfit_count: usize,
}

/// Why a redrive ended early.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// The dead letters cannot be read.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// What was put back cannot be noted.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A letter was not taken.
    #[error("a dead letter cannot be put back, those before it are: {0}")]
    Sink(#[from] SinkError),
}

/// Reasons that are shown.
const UNFIT_SHOWN: usize = 5;

/// What a letter is.
enum Letter {
    Fit(Box<DeadLetter>),
    Left,
    Unfit(String),
}

impl Redrive {
    /// Puts back every letter that stands there now and is meant.
    pub async fn run(
        &self,
        kafka: &KafkaConfig,
        topics: &Topics,
        sink: &Sink,
    ) -> Result<Redriven, RedriveError> {
        let dead = topics.dead();
        let prefix = dead.strip_suffix(".dead").unwrap_or(&dead);
        let mut ledger = Ledger::open(kafka, &format!("{prefix}-redrive"), &dead).await?;
        let mut scan = Scan::open(kafka, &dead, ScanStart::Beginning).await?;
        let mut redriven = Redriven::default();
        let mut begun = BTreeSet::new();
        let mut sent = FuturesUnordered::new();
        let now = Timestamp::now();
        while let Some(seen) = scan.next().await? {
            let (partition, offset) = (seen.place.partition, seen.place.offset);
            if begun.insert(partition) {
                // What was there before has run out of its time.
                ledger.begin_at(partition, offset);
            }
            if ledger.is_done(partition, offset) {
                redriven.done_before += 1;
                continue;
            }
            let letter = match self.judge(seen, topics, now) {
                Letter::Fit(letter) => letter,
                Letter::Left => {
                    redriven.left += 1;
                    continue;
                }
                Letter::Unfit(reason) => {
                    redriven.note_unfit(reason);
                    continue;
                }
            };
            *redriven
                .put_back
                .entry(letter.kind.to_string())
                .or_default() += 1;
            if self.dry_run {
                continue;
            }
            if sent.len() >= IN_FLIGHT {
                note_all(&mut sent, &mut ledger).await?;
            }
            if let Err(scattered) = ledger.has_room(partition, IN_FLIGHT) {
                note_all(&mut sent, &mut ledger).await?;
                return Err(scattered.into());
            }
            sent.push(put_back(sink, letter, (partition, offset)));
        }
        note_all(&mut sent, &mut ledger).await?;
        Ok(redriven)
    }

    fn judge(&self, seen: Seen, topics: &Topics, now: Timestamp) -> Letter {
        let Place {
            partition,
            offset,
            timestamp_ms,
            ..
        } = seen.place;
        let at = format!("{partition}/{offset}");
        let begins_at = self.which.begins_at(now);
        if begins_at.is_some_and(|begin| timestamp_ms < begin.as_millisecond()) {
            return Letter::Left;
        }
        let letter = match decode_dead_letter(seen.record) {
            Ok(letter) => letter,
            Err(error) => return Letter::Unfit(format!("{at} is no dead letter: {error}")),
        };
        let is_meant = self.which.has_source(&letter.original)
            && (self.kinds.is_empty() || self.kinds.contains(&letter.kind))
            && asks_for(&letter.original, &self.models);
        if !is_meant {
            return Letter::Left;
        }
        if topics.lane_of(&letter.topic).is_none() {
            let topic = letter.topic;
            return Letter::Unfit(format!(
                "{at} came from {topic}, which is no lane of this prefix"
            ));
        }
        if letter.original.value.is_empty() {
            return Letter::Unfit(format!(
                "{at} lost its picture, which was too big for Kafka"
            ));
        }
        Letter::Fit(Box::new(letter))
    }
}

impl Redriven {
    fn note_unfit(&mut self, reason: String) {
        self.unfit_count += 1;
        if self.unfit.len() < UNFIT_SHOWN {
            self.unfit.push(reason);
        }
    }
}

/// Sends the original without anything that says that it had died.
async fn put_back(
    sink: &Sink,
    letter: Box<DeadLetter>,
    at: (i32, i64),
) -> Result<(i32, i64), SinkError> {
    let topic = letter.topic.clone();
    let record = revived(*letter);
    let delivery = sink.send_when_room(&topic, None, &record).await?;
    let Delivered { .. } = delivery.await?;
    Ok(at)
}

/// The record as it was; a deadline that is over is not put back, or it would die of it again.
fn revived(letter: DeadLetter) -> Record {
    let mut record = letter.original;
    if letter.kind == FailureKind::Deadline {
        let is_deadline = |name: &str| name.eq_ignore_ascii_case(DEADLINE_MS);
        record.headers.retain(|(name, _)| !is_deadline(name));
    }
    record
}

/// Waits for what is on its way and notes it, in spite of a failure among it.
async fn note_all<F>(
    sent: &mut FuturesUnordered<F>,
    ledger: &mut Ledger,
) -> Result<(), RedriveError>
where
    F: Future<Output = Result<(i32, i64), SinkError>>,
{
    if sent.is_empty() {
        return Ok(());
    }
    let mut failed = None;
    while let Some(put_back) = sent.next().await {
        match put_back {
            Ok((partition, offset)) => ledger.note(partition, offset),
            Err(error) => failed = Some(error),
        }
    }
    ledger.save().await?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn who_died_of_a_deadline_comes_back_without_it() {
        let letter = |kind| DeadLetter {
            original: Record {
                key: Some(Bytes::from_static(b"job")),
                value: Bytes::from_static(b"\xff\xd8"),
                headers: ["x-mine", DEADLINE_MS]
                    .map(|name| (name.to_owned(), Bytes::from_static(b"5")))
                    .into(),
            },
            error: "late".to_owned(),
            kind,
            topic: "kadr.frames".to_owned(),
            partition: 0,
            offset: 1,
            attempts: 1,
        };
        let names = |kind| {
            let headers = revived(letter(kind)).headers;
            headers
                .into_iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(FailureKind::Deadline), ["x-mine"]);
        assert_eq!(names(FailureKind::BadImage), ["x-mine", DEADLINE_MS]);
    }
}
