//! Where marks are kept: a record that needs one waits here until Kafka has it, see `marks`.

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;

use super::committer::offset_list;
use super::marks::{Mark, PartitionMarks};
use super::partitions::Partition;
use super::reader::Session;
use super::received::Received;
use crate::record::Record;

/// How long the brokers may take to tell how a partition was left.
const LOOK_UP_PATIENCE: Duration = Duration::from_secs(10);

/// Between two attempts to commit a mark.
const COMMIT_PAUSE: Duration = Duration::from_millis(50);

/// A record that was read and may not be handed out yet.
pub(super) struct Held {
    topic: String,
    number: i32,
    offset: i64,
    received: Received<Record>,
    mark: Mark,
    /// It is handed out when nothing else is in hand.
    is_suspect: bool,
    /// The commit of its mark is under way.
    is_requested: bool,
}

impl Held {
    pub(super) fn of(partition: &Partition, received: Received<Record>, mark: Mark) -> Self {
        let offset = received.place().map_or(0, |place| place.offset);
        Self {
            topic: partition.topic().to_owned(),
            number: partition.number(),
            offset,
            received,
            mark,
            is_suspect: matches!(mark, Mark::Trying { .. }),
            is_requested: false,
        }
    }
}

impl Session {
    /// Whether reading waits for a record that is held, or for a suspect that is in hand.
    pub(super) fn is_held_up(&mut self) -> bool {
        if self.suspect_in_hand && self.shared.in_flight.records() == 0 {
            self.suspect_in_hand = false;
        }
        self.held.is_some() || self.suspect_in_hand
    }

    /// Brings the held record on its way: alone if it is a suspect, and after its mark.
    pub(super) fn serve_held(&mut self) {
        // Commits of a revocation have their own bookkeeping, and none but it may be looked at.
        if self.revocation.is_some() || self.committer.running() {
            return;
        }
        let Some(mut held) = self.held.take() else {
            return;
        };
        let is_held = |partition: &&mut Partition| {
            partition.topic() == held.topic && partition.number() == held.number
        };
        let Some(partition) = self.partitions.iter_mut().find(is_held) else {
            // It has gone to another member, which reads the record itself.
            return;
        };
        let others_in_hand = self.shared.in_flight.records() > 1;
        if held.is_suspect && others_in_hand {
            self.held = Some(held);
            return;
        }
        let has_failed = self.committer.take_failed();
        if !held.is_requested || has_failed {
            if has_failed {
                // Perhaps it was another commit that failed: all are repeated.
                self.partitions.iter().for_each(Partition::commit_failed);
                self.shared.wake.wait(COMMIT_PAUSE);
            }
            held.is_requested = true;
            self.request(held);
            return;
        }
        partition.mark_written(held.mark);
        self.suspect_in_hand = held.is_suspect;
        if let Mark::Trying {
            offset, attempt, ..
        } = held.mark
        {
            let (topic, partition) = (held.topic.as_str(), held.number);
            tracing::info!(
                topic,
                partition,
                offset,
                attempt,
                "a record that was in hand when a detector died is tried alone"
            );
        }
        // Closed when the source is being dropped; full it cannot be, see `Source::start`.
        drop(self.records.try_send(held.received));
    }

    /// Commits the mark beside the offset that stands.
    fn request(&mut self, held: Held) {
        let partition = self
            .partitions
            .iter()
            .find(|partition| partition.topic() == held.topic && partition.number() == held.number);
        let position = partition
            .and_then(Partition::position)
            .unwrap_or(held.offset);
        let entry = (held.topic.as_str(), held.number, position, Some(held.mark));
        self.committer.commit(&offset_list([entry]));
        self.held = Some(held);
    }

    /// Asks how the last owners left these partitions.
    pub(super) fn look_up_marks(
        &self,
        list: &TopicPartitionList,
    ) -> Result<Vec<Option<PartitionMarks>>, String> {
        if !self.shared.settings.attempt_marks {
            return Ok(vec![None; list.count()]);
        }
        let committed = self
            .consumer
            .committed_offsets(list.clone(), LOOK_UP_PATIENCE)
            .map_err(|error| format!("cannot look up how partitions were left: {error}"))?;
        let mut found = Vec::with_capacity(list.count());
        for wanted in list.elements() {
            let (topic, number) = (wanted.topic(), wanted.partition());
            let mark = match committed.find_partition(topic, number) {
                Some(entry) => {
                    entry.error().map_err(|error| error.to_string())?;
                    Mark::parse(entry.metadata())
                }
                None => Mark::Clean,
            };
            let end = match mark {
                Mark::Clean => None,
                _ => self.end_of(topic, number),
            };
            if let Some(until) = mark.until() {
                tracing::warn!(
                    topic,
                    partition = number,
                    until,
                    "the last owner of a partition died: what it had in hand is tried one by one"
                );
            }
            found.push(Some(PartitionMarks::taken_over(mark, end)));
        }
        Ok(found)
    }

    /// Without an answer more records than necessary are taken for suspects.
    fn end_of(&self, topic: &str, partition: i32) -> Option<i64> {
        let watermarks = self
            .consumer
            .fetch_watermarks(topic, partition, LOOK_UP_PATIENCE);
        match watermarks {
            Ok((_, end)) => Some(end),
            Err(error) => {
                tracing::warn!(topic, partition, %error, "the end of a partition is not known");
                None
            }
        }
    }
}
