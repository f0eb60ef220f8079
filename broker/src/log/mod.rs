//! The partitions' logs: segment files on disk, one writer thread for all of them, flushes grouped by a second
//! and kept within their bounds by a third.

mod batch;
mod buffers;
mod checkpoint;
mod disk;
mod epochs;
mod flusher;
mod index;
mod janitor;
mod partition;
mod producers;
mod reader;
mod records;
mod recover;
mod segment;
mod shape;
mod sync;
#[cfg(test)]
mod testing;
mod time_lookup;
mod writer;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::watch;

pub(crate) use batch::BatchError;
pub(crate) use batch::Batches;
pub(crate) use epochs::EpochEnd;
pub(crate) use time_lookup::Stamped;
pub(crate) use writer::Pending;

use buffers::Buffers;
use disk::{Disk, RealDisk};
use flusher::Flusher;
use janitor::{Janitor, Registry};
use partition::{Partition, PartitionConfig};
use reader::Portion;
use recover::Recovery;
use sync::{Trouble, lock, read_lock, write_lock};
use writer::Writer;

#[derive(Debug, Clone)]
pub(crate) struct LogStoreConfig {
    pub dir: PathBuf,
    /// The least time between two flushes.
    pub flush_interval: Duration,
    /// Written into every batch appended during this run.
    pub leader_epoch: i32,
    /// The last run closed properly, so the checksums at the end need no check.
    pub was_clean: bool,
    pub janitor_interval: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// Visible and acknowledged only once it is on the disk.
    BeforeAck,
    /// Visible and acknowledged once written; a power cut may take the last second back.
    Background,
}

#[derive(Debug, Clone)]
pub(crate) struct LogSettings {
    pub segment_bytes: u64,
    pub retention: Option<Duration>,
    pub retention_bytes: Option<u64>,
    pub max_batch_bytes: usize,
    pub flush: Flush,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub base_offset: i64,
    pub log_start: i64,
    pub duplicate: bool,
}

#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum AppendError {
    #[error(
        "the record batch has {bytes} bytes and the topic takes {limit}: raise its max.message.bytes or send less"
    )]
    TooLarge { bytes: usize, limit: usize },
    #[error("sequence {sequence} came where {expected} was due: send what lies between first")]
    OutOfOrderSequence { sequence: i32, expected: i32 },
    #[error("producer epoch {epoch} is older than {current}: a newer producer took over")]
    InvalidProducerEpoch { epoch: i16, current: i16 },
    #[error("the log cannot be written ({0}): try again when the disk is well")]
    Storage(String),
    #[error("the log was removed or closed")]
    Gone,
}

#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub records: Bytes,
    pub high_watermark: i64,
    pub log_start: i64,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the log holds offsets {log_start} to {log_end}: ask for one of them")]
    OutOfRange { log_start: i64, log_end: i64 },
    #[error("the log was removed")]
    Gone,
    #[error("the log cannot be read")]
    Io(#[from] io::Error),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offsets {
    pub log_start: i64,
    pub high_watermark: i64,
    pub log_end: i64,
}

/// All logs of a broker. Dropped without `close`, it stops like a killed process: nothing is flushed or saved.
pub(crate) struct LogStore {
    config: LogStoreConfig,
    disk: Arc<dyn Disk>,
    buffers: Arc<Buffers>,
    trouble: Arc<Trouble>,
    registry: Arc<Registry>,
    writer: Writer,
    flusher: Arc<Flusher>,
    janitor: Arc<Janitor>,
    threads: Vec<JoinHandle<()>>,
}

impl LogStore {
    pub(crate) fn open(config: LogStoreConfig) -> io::Result<Self> {
        Self::on_disk(config, Arc::new(RealDisk))
    }

    fn on_disk(config: LogStoreConfig, disk: Arc<dyn Disk>) -> io::Result<Self> {
        fs::create_dir_all(&config.dir)?;
        let registry = Arc::new(Registry::default());
        let flusher = Arc::new(Flusher::default());
        let janitor = Arc::new(Janitor::default());
        let (writer, writing) = Writer::start(Arc::clone(&flusher))?;
        let flushing = flusher.start(config.flush_interval)?;
        let sweeping = janitor.start(config.janitor_interval, Arc::clone(&registry))?;
        Ok(Self {
            config,
            disk,
            buffers: Arc::default(),
            trouble: Arc::default(),
            registry,
            writer,
            flusher,
            janitor,
            threads: vec![writing, flushing, sweeping],
        })
    }

    /// Creates or recovers the log in a folder; blocking.
    pub(crate) fn open_log(&self, folder: &Path, settings: LogSettings) -> io::Result<Log> {
        let folder = self.config.dir.join(folder);
        self.create_folder(&folder)?;
        let recovered = Recovery {
            disk: &*self.disk,
            folder: &folder,
            leader_epoch: self.config.leader_epoch,
            trust_last_segment: self.config.was_clean,
            now_ms: now_ms(),
        }
        .run()?;
        let config = PartitionConfig {
            folder,
            disk: Arc::clone(&self.disk),
            buffers: Arc::clone(&self.buffers),
            leader_epoch: self.config.leader_epoch,
            trouble: Arc::clone(&self.trouble),
            settings,
        };
        let partition = Arc::new(Partition::new(config, recovered));
        lock(&self.registry).push(Arc::clone(&partition));
        Ok(Log {
            partition,
            writer: self.writer.clone(),
        })
    }

    /// A folder is only there for good once its parents say so on the disk.
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(folder)?;
        let parents = folder.ancestors().skip(1);
        for parent in parents.take_while(|parent| parent.starts_with(&self.config.dir)) {
            disk::sync_folder(&*self.disk, parent)?;
        }
        Ok(())
    }

    /// Blocking. Appends and reads answer `Gone` from now on.
    pub(crate) fn remove(&self, log: &Log) -> io::Result<()> {
        let partition = &log.partition;
        partition.gone.store(true, Ordering::Release);
        lock(&self.registry).retain(|known| !Arc::ptr_eq(known, partition));
        let _turn = lock(&partition.flushing);
        lock(&partition.tail).refuse_waiting(&AppendError::Gone);
        lock(&partition.notice).take();
        match fs::remove_dir_all(&partition.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _gone => Ok(()),
        }
    }

    /// Blocking: what is queued is written, all is flushed and the files beside the segments saved.
    /// After an error the next run must not be told that this one ended cleanly.
    pub(crate) fn close(mut self) -> io::Result<()> {
        self.stop_threads();
        let mut outcome = Ok(());
        for partition in lock(&self.registry).drain(..) {
            if let Err(error) = partition.flush_and_save() {
                self.trouble.report_flush(&partition.folder, &error);
                outcome = Err(error);
            }
        }
        outcome
    }

    pub(crate) fn disk_trouble(&self) -> Option<String> {
        self.trouble.current()
    }

    fn stop_threads(&mut self) {
        self.writer.stop();
        self.flusher.stop();
        self.janitor.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the log store panicked, see above");
            }
        }
    }
}

impl Drop for LogStore {
    fn drop(&mut self) {
        self.stop_threads();
    }
}

/// A cheap handle on one log.
#[derive(Clone)]
pub(crate) struct Log {
    partition: Arc<Partition>,
    writer: Writer,
}

impl Log {
    /// Queues the batch; waits only for room. The order of calls is the order in the log.
    pub(crate) async fn append(&self, batches: Batches) -> Pending {
        self.writer.append(&self.partition, batches).await
    }

    /// Blocking. Whole batches from the one that holds `from` on, below the high watermark.
    pub(crate) fn read(
        &self,
        from: i64,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Read, ReadError> {
        self.partition.read(Portion {
            from,
            max_bytes,
            at_least_one,
        })
    }

    pub(crate) fn offsets(&self) -> Offsets {
        let shape = read_lock(&self.partition.shape);
        Offsets {
            log_start: shape.log_start,
            high_watermark: shape.visible.offset,
            log_end: shape.end().offset,
        }
    }

    /// The high watermark; closed when the log is removed.
    pub(crate) fn watch(&self) -> watch::Receiver<i64> {
        let notice = lock(&self.partition.notice);
        match notice.as_ref() {
            Some(sender) => sender.subscribe(),
            None => watch::channel(self.offsets().high_watermark).1,
        }
    }

    /// Blocking.
    pub(crate) fn find_by_time(&self, timestamp_ms: i64) -> io::Result<Option<Stamped>> {
        self.partition.find_by_time(timestamp_ms)
    }

    /// Blocking.
    pub(crate) fn find_newest(&self) -> io::Result<Option<Stamped>> {
        self.partition.find_newest()
    }

    pub(crate) fn end_of_epoch(&self, epoch: i32) -> EpochEnd {
        let shape = read_lock(&self.partition.shape);
        shape.epochs.end_of(epoch, shape.visible.offset)
    }

    pub(crate) fn epoch_at_end(&self) -> i32 {
        read_lock(&self.partition.shape).epochs.newest()
    }

    /// Moves the log start, durably; -1 means the high watermark.
    pub(crate) async fn delete_before(&self, offset: i64) -> Result<i64, ReadError> {
        let partition = Arc::clone(&self.partition);
        let deleting = tokio::task::spawn_blocking(move || partition.delete_before(offset));
        deleting.await.map_err(io::Error::other)?
    }

    pub(crate) fn reconfigure(&self, settings: LogSettings) {
        *write_lock(&self.partition.settings) = settings;
    }

    #[cfg(test)]
    fn size_bytes(&self) -> u64 {
        read_lock(&self.partition.shape).bytes()
    }

    #[cfg(test)]
    fn producers(&self) -> usize {
        lock(&self.partition.tail).producers.len()
    }
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_millis() as i64)
}
