//! Rebalances: taking partitions, and giving them back only after draining and committing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};

use super::committer::Committer;
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
        for entry in list.elements() {
            let (topic, number) = (entry.topic(), entry.partition());
            let mut queue = self
                .consumer
                .split_partition_queue(topic, number)
                .ok_or_else(|| format!("no queue for {topic}/{number}"))?;
            let wake = Arc::clone(&self.shared.wake);
            queue.set_nonempty_callback(move || wake.raise());
            self.partitions
                .push(Partition::new(topic, number, queue, &self.shared));
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
        // All of it again, in case an earlier commit is failing right now.
        self.partitions.iter().for_each(Partition::commit_failed);
        let offsets = offsets_to_commit(&self.partitions);
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
    let mut offsets = TopicPartitionList::new();
    for partition in partitions {
        if let Some(offset) = partition.take_commit() {
            offsets
                .add_partition_offset(
                    partition.topic(),
                    partition.number(),
                    Offset::Offset(offset),
                )
                .expect("an offset read from Kafka is a valid offset");
        }
    }
    offsets
}

fn describe(list: &TopicPartitionList) -> String {
    let names = list.elements();
    let names = names
        .iter()
        .map(|entry| format!("{}/{}", entry.topic(), entry.partition()));
    names.collect::<Vec<_>>().join(" ")
}
