//! Commits offsets on a thread of its own.
//!
//! librdkafka tells the outcome of a commit only to a caller that waits for it: through rdkafka's
//! event queue an asynchronous commit ends in silence. The reader may not wait, so this thread
//! does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::marks::Mark;
use super::metrics::KafkaMetrics;
use super::reader::SourceConsumer;
use super::wake::Wake;

/// A periodic commit and, behind it, the last one of leaving partitions.
const QUEUE: usize = 2;

#[derive(Debug)]
struct Progress {
    running: AtomicUsize,
    failed: AtomicBool,
    wake: Arc<Wake>,
    metrics: KafkaMetrics,
}

/// Handle to the commit thread; dropping it waits for commits under way.
pub(super) struct Committer {
    requests: Option<SyncSender<TopicPartitionList>>,
    thread: Option<JoinHandle<()>>,
    progress: Arc<Progress>,
}

impl Committer {
    pub(super) fn start(
        consumer: &Arc<SourceConsumer>,
        wake: &Arc<Wake>,
        metrics: &KafkaMetrics,
    ) -> std::io::Result<Self> {
        let progress = Arc::new(Progress {
            running: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            wake: Arc::clone(wake),
            metrics: metrics.clone(),
        });
        let (requests, queue) = sync_channel(QUEUE);
        let (consumer, thread_progress) = (Arc::clone(consumer), Arc::clone(&progress));
        let thread = std::thread::Builder::new()
            .name("kafka-commit".to_owned())
            .spawn(move || run(&consumer, &queue, &thread_progress))?;
        Ok(Self {
            requests: Some(requests),
            thread: Some(thread),
            progress,
        })
    }

    /// Starts a commit; nothing happens for an empty list.
    pub(super) fn commit(&self, offsets: &TopicPartitionList) {
        if offsets.count() == 0 {
            return;
        }
        self.progress.running.fetch_add(1, Ordering::AcqRel);
        let queue = self.requests.as_ref();
        if queue.is_none_or(|queue| queue.try_send(offsets.clone()).is_err()) {
            self.progress.end(false);
        }
    }

    pub(super) fn running(&self) -> bool {
        self.progress.running.load(Ordering::Acquire) > 0
    }

    /// Whether a commit failed since the last call.
    pub(super) fn take_failed(&self) -> bool {
        self.progress.failed.swap(false, Ordering::AcqRel)
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        drop(self.requests.take());
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the kafka commit thread has panicked");
        }
    }
}

impl Progress {
    fn end(&self, committed: bool) {
        if !committed {
            self.metrics.commit_errors_total.inc();
            self.failed.store(true, Ordering::Release);
        }
        self.running.fetch_sub(1, Ordering::AcqRel);
        self.wake.raise();
    }
}

/// Offsets to commit, by topic and partition, each with its mark.
pub(super) fn offset_list<'a>(
    entries: impl IntoIterator<Item = (&'a str, i32, i64, Option<Mark>)>,
) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (topic, partition, offset, mark) in entries {
        let mut entry = list.add_partition(topic, partition);
        entry
            .set_offset(Offset::Offset(offset))
            .expect("an offset read from Kafka is a valid offset");
        if let Some(mark) = mark {
            entry.set_metadata(mark.to_string());
        }
    }
    list
}

fn run(consumer: &SourceConsumer, queue: &Receiver<TopicPartitionList>, progress: &Progress) {
    for offsets in queue {
        progress.end(is_committed(consumer.commit(&offsets, CommitMode::Sync)));
    }
}

fn is_committed(result: KafkaResult<()>) -> bool {
    match result {
        Ok(()) => true,
        // The group already stands there.
        Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::NoOffset) => true,
        Err(error) => {
            tracing::warn!(%error, "offset commit failed, it will be tried again");
            false
        }
    }
}
