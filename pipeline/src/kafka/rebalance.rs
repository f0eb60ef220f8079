//! Rebalances: taking partitions, and giving them back only after draining and committing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;

use super::committer::{Committer, offset_list};
use super::consumer::{self, Rebalance};
use super::partitions::Partition;
use super::reader::{Session, SourceConsumer};
use super::source::Shared;

/// How long the last commit of leaving partitions may take. Longer than librdkafka holds a commit
/// back when it misses the coordinator, so that none is sent after the partitions are gone.
const COMMIT_PATIENCE: Duration = Duration::from_secs(10);

impl Session {
    /// Does what the group wants, one thing at a time.
    pub(super) fn serve_rebalances(&mut self) -> Result<(), String> {
        loop {
            if let Some(revocation) = &mut self.revocation {
                if revocation.step(&self.consumer, &self.committer, &self.shared) == Step::Wait {
                    return Ok(());
                }
                self.finish_revocation()?;
            }
            match self.consumer.context().next_rebalance() {
                None => return Ok(()),
                Some(Rebalance::Assign(partitions)) => self.assign(partitions)?,
                Some(Rebalance::Revoke(partitions)) => self.start_revocation(partitions),
            }
        }
    }

    fn assign(&mut self, list: TopicPartitionList) -> Result<(), String> {
        let marks = self.look_up_marks(&list)?;
        for (entry, marks) in list.elements().into_iter().zip(marks) {
            let (topic, number) = (entry.topic(), entry.partition());
            let mut queue = self
                .consumer
                .split_partition_queue(topic, number)
                .ok_or_else(|| format!("no queue for {topic}/{number}"))?;
            let wake = Arc::clone(&self.shared.wake);
            queue.set_nonempty_callback(move || wake.raise());
            let mut partition = Partition::new(topic, number, queue, &self.shared);
            partition.keep_marks(marks);
            self.partitions.push(partition);
        }
        self.count_partitions();
        tracing::info!(
            group = self.shared.settings.group,
            partitions = %describe(&list),
            "kafka partitions assigned"
        );
        consumer::answer(&self.consumer, &Rebalance::Assign(list))
            .map_err(|error| error.to_string())
    }

    fn start_revocation(&mut self, list: TopicPartitionList) {
        let (leaving, staying) =
            std::mem::take(&mut self.partitions)
                .into_iter()
                .partition(|partition| {
                    list.find_partition(partition.topic(), partition.number())
                        .is_some()
                });
        self.partitions = staying;
        self.count_partitions();
        let deadline = Instant::now() + self.shared.settings.drain;
        self.revocation = Some(Revocation::start(list, leaving, deadline));
    }

    pub(super) fn count_partitions(&self) {
        let group = [self.shared.settings.group.as_str()];
        let count = self.partitions.len() as i64;
        self.shared
            .metrics
            .assigned
            .with_label_values(&group)
            .set(count);
    }

    fn finish_revocation(&mut self) -> Result<(), String> {
        let Some(revocation) = self.revocation.take() else {
            return Ok(());
        };
        let list = revocation.finish(&self.shared);
        tracing::info!(
            group = self.shared.settings.group,
            partitions = %describe(&list),
            "kafka partitions given back"
        );
        consumer::answer(&self.consumer, &Rebalance::Revoke(list))
            .map_err(|error| error.to_string())
    }
}

/// Whether a revocation needs more time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Wait,
    Done,
}

/// Partitions on their way out: drain, commit, and only then give up.
pub(super) struct Revocation {
    list: TopicPartitionList,
    partitions: Vec<Partition>,
    drain_by: Instant,
    commit: Option<LastCommit>,
}

struct LastCommit {
    offsets: TopicPartitionList,
    give_up_at: Instant,
}

impl Revocation {
    pub(super) fn start(
        list: TopicPartitionList,
        partitions: Vec<Partition>,
        drain_by: Instant,
    ) -> Self {
        partitions.iter().for_each(Partition::start_draining);
        Self {
            list,
            partitions,
            drain_by,
            commit: None,
        }
    }

    pub(super) fn handed_out(&self) -> usize {
        self.partitions.iter().map(Partition::handed_out).sum()
    }

    pub(super) fn step(
        &mut self,
        consumer: &SourceConsumer,
        committer: &Committer,
        shared: &Shared,
    ) -> Step {
        if consumer.assignment_lost() {
            // The session has expired: another member owns them, a commit would be refused.
            return Step::Done;
        }
        let Some(last) = &self.commit else {
            let unfinished = self.handed_out();
            if unfinished > 0 && Instant::now() < self.drain_by {
                return Step::Wait;
            }
            if unfinished > 0 {
                tracing::warn!(unfinished, "kafka partitions leave with unfinished records");
                shared.metrics.undrained_total.inc_by(unfinished as u64);
            }
            return self.start_commit(committer);
        };
        if Instant::now() >= last.give_up_at {
            tracing::warn!("the last commit of leaving kafka partitions was not confirmed");
            return Step::Done;
        }
        if committer.running() {
            return Step::Wait;
        }
        if committer.take_failed() {
            committer.commit(&last.offsets);
            return Step::Wait;
        }
        Step::Done
    }

    fn start_commit(&mut self, committer: &Committer) -> Step {
        let offsets = last_offsets(&self.partitions);
        if offsets.count() == 0 {
            return Step::Done;
        }
        committer.take_failed();
        committer.commit(&offsets);
        self.commit = Some(LastCommit {
            offsets,
            give_up_at: Instant::now() + COMMIT_PATIENCE,
        });
        Step::Wait
    }

    /// Closes the partitions and returns the list to give back.
    pub(super) fn finish(self, shared: &Shared) -> TopicPartitionList {
        for partition in self.partitions {
            partition.close(shared);
        }
        self.list
    }
}

pub(super) fn offsets_to_commit(partitions: &[Partition]) -> TopicPartitionList {
    let entries = partitions.iter().filter_map(|partition| {
        let offset = partition.take_commit()?;
        let (topic, number) = (partition.topic(), partition.number());
        Some((topic, number, offset, partition.mark_beside(offset)))
    });
    offset_list(entries)
}

/// All that leaving partitions have finished, and that they were left in good order if they were.
fn last_offsets(partitions: &[Partition]) -> TopicPartitionList {
    let entries = partitions.iter().filter_map(|partition| {
        // All of it again, in case an earlier commit is failing right now.
        partition.commit_failed();
        let finished = partition.take_commit();
        let offset = if partition.has_marks() {
            finished.or_else(|| partition.position())?
        } else {
            finished?
        };
        let mark = match partition.handed_out() {
            0 => partition.mark_at_leave(offset),
            _ => partition.mark_beside(offset),
        };
        Some((partition.topic(), partition.number(), offset, mark))
    });
    offset_list(entries)
}

fn describe(list: &TopicPartitionList) -> String {
    let names = list.elements();
    let names = names
        .iter()
        .map(|entry| format!("{}/{}", entry.topic(), entry.partition()));
    names.collect::<Vec<_>>().join(" ")
}
