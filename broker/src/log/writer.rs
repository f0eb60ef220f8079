//! The writer thread: takes appends from a queue bounded in count and in bytes, and writes them in order.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::task::{Context, Poll, ready};
use std::thread;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::batch::Batches;
use super::flusher::Flusher;
use super::partition::{Partition, Reply, Waiting};
use super::sync::{lock, read_lock};
use super::{AppendError, Appended};

/// Appends that are queued, or written and not yet answered.
const MAX_APPENDS: usize = 4096;
/// Bodies in the queue; one larger than all of it waits until it is alone.
const MAX_QUEUED_BYTES: usize = 16 * 1024 * 1024;

enum Job {
    Append(Append),
    Stop,
}

struct Append {
    partition: Arc<Partition>,
    batches: Batches,
    reply: Reply,
    _room: OwnedSemaphorePermit,
}

/// Resolves once the batch is as safe as its log promises, or refused.
pub(crate) struct Pending(oneshot::Receiver<Result<Appended, AppendError>>);

impl Future for Pending {
    type Output = Result<Appended, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(answer.unwrap_or(Err(AppendError::Gone)))
    }
}

/// The near end of the queue.
#[derive(Clone)]
pub(super) struct Writer {
    queue: SyncSender<Job>,
    slots: Arc<Semaphore>,
    room_bytes: Arc<Semaphore>,
}

impl Writer {
    pub(super) fn start(flusher: Arc<Flusher>) -> io::Result<(Self, thread::JoinHandle<()>)> {
        let (queue, jobs) = mpsc::sync_channel(MAX_APPENDS + 1);
        let thread = thread::Builder::new()
            .name("log-writer".into())
            .spawn(move || run(&jobs, &flusher))?;
        let writer = Self {
            queue,
            slots: Arc::new(Semaphore::new(MAX_APPENDS)),
            room_bytes: Arc::new(Semaphore::new(MAX_QUEUED_BYTES)),
        };
        Ok((writer, thread))
    }

    pub(super) async fn append(&self, partition: &Arc<Partition>, batches: Batches) -> Pending {
        let (sender, receiver) = oneshot::channel();
        let pending = Pending(receiver);
        let bytes = batches.body.len().min(MAX_QUEUED_BYTES) as u32;
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
            return pending;
        };
        let Ok(room) = Arc::clone(&self.room_bytes).acquire_many_owned(bytes).await else {
            return pending;
        };
        let append = Append {
            partition: Arc::clone(partition),
            batches,
            reply: Reply {
                sender,
                _slot: slot,
            },
            _room: room,
        };
        // Never full, since the slots are fewer; without a writer the reply is dropped and says `Gone`.
        drop(self.queue.try_send(Job::Append(append)));
        pending
    }

    /// What is queued is still written.
    pub(super) fn stop(&self) {
        self.slots.close();
        self.room_bytes.close();
        drop(self.queue.send(Job::Stop));
    }
}

fn run(jobs: &Receiver<Job>, flusher: &Flusher) {
    while let Ok(Job::Append(append)) = jobs.recv() {
        write(append, flusher);
    }
}

fn write(append: Append, flusher: &Flusher) {
    let partition = append.partition;
    let mut tail = lock(&partition.tail);
    let (appended, visible_at) = match partition.append(&mut tail, &append.batches) {
        Ok(written) => written,
        Err(refusal) => return append.reply.send(Err(refusal)),
    };
    tail.waiting.push_back(Waiting {
        visible_at,
        appended,
        reply: append.reply,
    });
    let end = {
        let shape = read_lock(&partition.shape);
        if partition.flushes_before_ack() {
            shape.visible
        } else {
            shape.end()
        }
    };
    partition.show(&mut tail, end);
    if !tail.waiting.is_empty() {
        drop(tail);
        flusher.request(&partition);
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
