//! What must outlive the process but is not a record: topics, groups and committed offsets, as keys
//! with JSON values in one append-only file that is rewritten when it has grown too old.

mod disk;
mod line;
mod store;
mod worker;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use disk::{DiskFile, JournalFile};
use line::ChangeSet;
use store::Store;
use worker::Put;

/// Change sets that may wait for the journal's thread; past that, `put` waits for room.
const QUEUE_CHANGE_SETS: usize = 256;

/// Keys with their new values; `None` deletes.
pub(crate) type Changes = Vec<(String, Option<Value>)>;

#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum JournalError {
    #[error("cannot open the journal {}: {source}", path.display())]
    Open {
        path: PathBuf,
        source: Arc<io::Error>,
    },
    #[error("{} is not a journal of this version: give an empty data folder, or the version that wrote it", .0.display())]
    Foreign(PathBuf),
    #[error(
        "the journal could not be written: {0}; free space on the data disk or repair it, then retry"
    )]
    Write(Arc<io::Error>),
    #[error("the journal is closed: the broker is shutting down")]
    Closed,
}

/// A cheap handle on the journal; one thread of its own does all the writing.
#[derive(Clone)]
pub(crate) struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    /// Taken by `close`: the thread ends when no sender is left.
    queue: Mutex<Option<mpsc::Sender<Put>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    trouble: Arc<Trouble>,
    /// Dropped after the thread has ended: until then the folder is ours.
    guard: OnceLock<File>,
}

/// Why the last write failed; gone with the next that works.
#[derive(Default)]
struct Trouble(Mutex<Option<String>>);

impl Trouble {
    /// Logged once as it begins: every refused change would else be a line.
    fn report(&self, error: &JournalError) {
        if self.lock().replace(error.to_string()).is_none() {
            tracing::error!("{error}");
        }
    }

    fn worked(&self) {
        if self.lock().take().is_some() {
            tracing::info!("the journal can be written again");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        end(&self.queue, &self.thread);
    }
}

impl Journal {
    /// Opens or creates the journal and gives back all it holds. Blocking.
    pub(crate) fn open(path: &Path) -> Result<(Self, BTreeMap<String, Value>), JournalError> {
        let failed = |source: io::Error| JournalError::Open {
            path: path.to_path_buf(),
            source: Arc::new(source),
        };
        let (file, contents) = DiskFile::open(path).map_err(failed)?;
        if !line::is_readable(&contents) {
            return Err(JournalError::Foreign(path.to_path_buf()));
        }
        let (store, entries) = Store::recover(file, &contents).map_err(failed)?;
        let journal = Self::start(store).map_err(failed)?;
        Ok((journal, entries))
    }

    fn start<F: JournalFile>(store: Store<F>) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE_CHANGE_SETS);
        let trouble = Arc::<Trouble>::default();
        let told = Arc::clone(&trouble);
        let thread = std::thread::Builder::new()
            .name("kadr-journal".to_owned())
            .spawn(move || worker::run(store, receiver, &told))?;
        Ok(Self {
            shared: Arc::new(Shared {
                queue: Mutex::new(Some(sender)),
                thread: Mutex::new(Some(thread)),
                trouble,
                guard: OnceLock::new(),
            }),
        })
    }

    /// Holds on to the lock on the folder for as long as anything can be written to the journal.
    pub(crate) fn hold(&self, lock: File) {
        let is_first = self.shared.guard.set(lock).is_ok();
        debug_assert!(is_first, "a journal has one lock");
    }

    /// Why nothing can be written at the moment, if so.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.shared.trouble.lock().clone()
    }

    /// Makes the changes durable (flushed together with whatever else waits), all of them or none.
    /// `None` deletes the key.
    pub(crate) async fn put(&self, changes: Changes) -> Result<(), JournalError> {
        let changes: ChangeSet = changes
            .into_iter()
            .map(|(key, value)| (key, value.map(|value| value.to_string())))
            .collect();
        let sender = self.sender().ok_or(JournalError::Closed)?;
        let (done, answer) = oneshot::channel();
        sender
            .send(Put { changes, done })
            .await
            .map_err(|_closed| JournalError::Closed)?;
        // A sender kept here would keep the thread alive, and `close` waiting.
        drop(sender);
        answer.await.map_err(|_closed| JournalError::Closed)?
    }

    /// Writes what is queued and ends the thread. Blocking; later calls of `put` answer `Closed`.
    pub(crate) fn close(self) {
        end(&self.shared.queue, &self.shared.thread);
    }

    fn sender(&self) -> Option<mpsc::Sender<Put>> {
        self.shared
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn end(queue: &Mutex<Option<mpsc::Sender<Put>>>, thread: &Mutex<Option<JoinHandle<()>>>) {
    drop(queue.lock().unwrap_or_else(PoisonError::into_inner).take());
    let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(thread) = thread
        && thread.join().is_err()
    {
        tracing::error!("the journal's thread panicked; the next start recovers its file");
    }
}

#[cfg(test)]
mod tests;
