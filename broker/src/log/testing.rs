//! What the log's tests share: stores on a temporary folder, batches by kafka-protocol's encoder, and a disk that fails on demand.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use tempfile::TempDir;

use super::disk::{Disk, RealDisk};
use super::sync::lock;
use super::{
    AppendError, Appended, Batches, Flush, Log, LogSettings, LogStore, LogStoreConfig, ReadError,
};

pub(super) const FOLDER: &str = "frames~1/0";
const NEVER: Duration = Duration::from_hours(1);
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(super) struct Making {
    pub timestamps_ms: Vec<i64>,
    pub value_bytes: usize,
    pub compression: Compression,
    pub producer: (i64, i16),
    pub sequence: i32,
}

impl Default for Making {
    fn default() -> Self {
        Self {
            timestamps_ms: vec![1_000],
            value_bytes: 100,
            compression: Compression::None,
            producer: (-1, -1),
            sequence: -1,
        }
    }
}

impl Making {
    pub(super) fn records(count: usize) -> Self {
        Self {
            timestamps_ms: vec![1_000; count],
            ..Self::default()
        }
    }

    pub(super) fn at(timestamps_ms: &[i64]) -> Self {
        Self {
            timestamps_ms: timestamps_ms.to_vec(),
            ..Self::default()
        }
    }

    pub(super) fn by(producer_id: i64, epoch: i16, sequence: i32) -> Self {
        Self {
            producer: (producer_id, epoch),
            sequence,
            ..Self::default()
        }
    }

    pub(super) fn bytes(&self) -> Bytes {
        let records: Vec<Record> = self
            .timestamps_ms
            .iter()
            .enumerate()
            .map(|(at, timestamp_ms)| self.record(at as i32, *timestamp_ms))
            .collect();
        let mut buffer = BytesMut::new();
        let options = RecordEncodeOptions {
            version: 2,
            compression: self.compression,
        };
        RecordBatchEncoder::encode(&mut buffer, &records, &options).unwrap();
        buffer.freeze()
    }

    fn record(&self, at: i32, timestamp: i64) -> Record {
        Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: self.producer.0,
            producer_epoch: self.producer.1,
            timestamp_type: TimestampType::Creation,
            offset: i64::from(at),
            sequence: self.sequence.wrapping_add(at),
            timestamp,
            key: Some(Bytes::from_static(b"key")),
            value: Some(Bytes::from(vec![at as u8; self.value_bytes])),
            headers: [("header".into(), None)].into_iter().collect(),
        }
    }

    pub(super) fn batch(&self) -> Batches {
        Batches::parse(self.bytes(), usize::MAX).unwrap()
    }
}

pub(super) fn settings(flush: Flush) -> LogSettings {
    LogSettings {
        segment_bytes: 1_000,
        retention: None,
        retention_bytes: None,
        max_batch_bytes: 1 << 20,
        flush,
    }
}

pub(super) fn config(dir: &Path) -> LogStoreConfig {
    LogStoreConfig {
        dir: dir.to_path_buf(),
        flush_interval: Duration::from_millis(1),
        leader_epoch: 3,
        was_clean: false,
        janitor_interval: NEVER,
    }
}

/// A store with one log in it, on a disk that can be told to fail.
pub(super) struct Bench {
    pub dir: TempDir,
    pub disk: Arc<FaultyDisk>,
    store: Option<LogStore>,
    pub log: Log,
    pub settings: LogSettings,
    pub leader_epoch: i32,
}

impl Bench {
    pub(super) fn new(settings: LogSettings) -> Self {
        let dir = TempDir::new().unwrap();
        let disk = Arc::new(FaultyDisk::default());
        let (store, log) = open(dir.path(), &disk, (&settings, 3));
        Self {
            dir,
            disk,
            store: Some(store),
            log,
            settings,
            leader_epoch: 3,
        }
    }

    pub(super) fn durable() -> Self {
        Self::new(settings(Flush::BeforeAck))
    }

    pub(super) fn background() -> Self {
        Self::new(settings(Flush::Background))
    }

    pub(super) fn store(&self) -> &LogStore {
        self.store.as_ref().unwrap()
    }

    pub(super) fn folder(&self) -> std::path::PathBuf {
        self.dir.path().join(FOLDER)
    }

    pub(super) fn files(&self, extension: &str) -> Vec<std::path::PathBuf> {
        let mut found: Vec<_> = std::fs::read_dir(self.folder())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|it| it == extension))
            .collect();
        found.sort();
        found
    }

    pub(super) fn close(&mut self) {
        self.store.take().unwrap().close().unwrap();
    }

    /// Like kill -9: nothing is flushed or saved.
    pub(super) fn kill(&mut self) {
        drop(self.store.take());
    }

    pub(super) fn reopen(&mut self) {
        self.kill();
        self.leader_epoch += 1;
        let (store, log) = open(
            self.dir.path(),
            &self.disk,
            (&self.settings, self.leader_epoch),
        );
        self.store = Some(store);
        self.log = log;
    }

    pub(super) async fn append(&self, making: &Making) -> Result<Appended, AppendError> {
        self.log.append(making.batch()).await.await
    }

    pub(super) fn sweep(&self, now_ms: i64) {
        self.log.partition.sweep(now_ms);
    }

    /// Offsets of all records readable from `from` on, fetched `max_bytes` at a time.
    pub(super) fn offsets_from(&self, from: i64, max_bytes: usize) -> Vec<i64> {
        let mut offsets = Vec::new();
        let mut next = from;
        loop {
            let read = self.log.read(next, max_bytes, true).unwrap();
            if read.records.is_empty() {
                return offsets;
            }
            let batches = RecordBatchDecoder::decode_all(&mut read.records.clone()).unwrap();
            let records = batches.into_iter().flat_map(|batch| batch.records);
            offsets.extend(records.map(|record| record.offset).filter(|it| *it >= next));
            next = offsets.last().unwrap() + 1;
        }
    }

    pub(super) fn out_of_range(&self, from: i64) -> bool {
        matches!(
            self.log.read(from, 1, true),
            Err(ReadError::OutOfRange { .. })
        )
    }
}

fn open(dir: &Path, disk: &Arc<FaultyDisk>, with: (&LogSettings, i32)) -> (LogStore, Log) {
    let config = LogStoreConfig {
        leader_epoch: with.1,
        ..config(dir)
    };
    let store = LogStore::on_disk(config, Arc::clone(disk) as Arc<dyn Disk>).unwrap();
    let log = store.open_log(Path::new(FOLDER), with.0.clone()).unwrap();
    (store, log)
}

#[derive(Default)]
struct Held {
    syncs: bool,
    writes: bool,
}

/// A real disk that can be full, fail its flushes, or hold them until released.
#[derive(Default)]
pub(super) struct FaultyDisk {
    pub full: AtomicBool,
    pub cannot_cut: AtomicBool,
    pub cannot_sync: AtomicBool,
    pub syncs: AtomicUsize,
    held: Mutex<Held>,
    released: Condvar,
}

impl FaultyDisk {
    pub(super) fn hold_syncs(&self) {
        lock(&self.held).syncs = true;
    }

    pub(super) fn hold_writes(&self) {
        lock(&self.held).writes = true;
    }

    pub(super) fn release(&self) {
        *lock(&self.held) = Held::default();
        self.released.notify_all();
    }

    fn wait_while(&self, is_held: impl Fn(&Held) -> bool) {
        let waiting = self
            .released
            .wait_while(lock(&self.held), |held| is_held(held));
        drop(waiting.unwrap());
    }

    pub(super) fn set(&self, flag: impl Fn(&Self) -> &AtomicBool, value: bool) {
        flag(self).store(value, Ordering::SeqCst);
    }
}

impl Disk for FaultyDisk {
    fn append(&self, file: &File, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        self.wait_while(|held| held.writes);
        if self.full.load(Ordering::SeqCst) {
            // A full disk takes a part first.
            RealDisk.append(file, &mut parts[..1])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        RealDisk.append(file, parts)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        self.wait_while(|held| held.syncs);
        if self.cannot_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is ill"));
        }
        RealDisk.sync(file)
    }

    fn cut(&self, file: &File, bytes: u64) -> io::Result<()> {
        if self.cannot_cut.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is ill"));
        }
        RealDisk.cut(file, bytes)
    }
}
