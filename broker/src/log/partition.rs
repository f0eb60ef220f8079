//! One partition's log while it is open: what the writer appends to, and how it mends itself after disk trouble.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use super::batch::{Batches, Header};
use super::buffers::Buffers;
use super::checkpoint::State;
use super::disk::{self, Disk};
use super::index::{Entry, SparseIndex, Summary};
use super::producers::{Producers, Verdict};
use super::reader::Hints;
use super::recover::{self, Recovered, Recovery};
use super::segment;
use super::shape::{Active, Closed, Place, Shape};
use super::sync::{Trouble, lock, read_lock, write_lock};
use super::{AppendError, Appended, Flush, LogSettings};

pub(super) struct Partition {
    pub folder: PathBuf,
    pub disk: Arc<dyn Disk>,
    pub buffers: Arc<Buffers>,
    pub leader_epoch: i32,
    pub trouble: Arc<Trouble>,
    pub settings: RwLock<LogSettings>,
    /// Locks are taken in this order: `flushing`, `tail`, `shape`.
    pub flushing: Mutex<()>,
    pub tail: Mutex<Tail>,
    pub shape: RwLock<Shape>,
    /// Tells readers of a new high watermark; taken away when the log is removed.
    pub notice: Mutex<Option<watch::Sender<i64>>>,
    pub gone: AtomicBool,
    pub flush_wanted: AtomicBool,
    pub hints: Hints,
}

/// What only those who write need; readers never wait for it.
pub(super) struct Tail {
    pub producers: Producers,
    pub waiting: VecDeque<Waiting>,
    pub unsaved: Vec<Seal>,
    /// Producers and epochs as of the newest roll, saved with its index.
    pub unsaved_state: Option<State>,
    pub flushed: Place,
    pub folder_changed: bool,
    /// A failed write may have left bytes behind the last whole batch.
    pub uncut: bool,
    /// A flush failed: what stands behind `flushed` may be gone.
    pub lost: bool,
}

impl Tail {
    pub(super) fn state(&self, shape: &Shape) -> State {
        State {
            offset: shape.end().offset,
            producers: self.producers.clone(),
            epochs: shape.epochs.clone(),
        }
    }

    pub(super) fn refuse_waiting(&mut self, refusal: &AppendError) {
        for waiting in self.waiting.drain(..) {
            waiting.reply.send(Err(refusal.clone()));
        }
    }
}

/// An append that stands in the log and is not yet answered.
pub(super) struct Waiting {
    pub visible_at: i64,
    pub appended: Appended,
    pub reply: Reply,
}

pub(super) struct Reply {
    pub sender: oneshot::Sender<Result<Appended, AppendError>>,
    /// Bounds the unanswered appends of the whole store.
    pub _slot: OwnedSemaphorePermit,
}

impl Reply {
    pub(super) fn send(self, result: Result<Appended, AppendError>) {
        // Nobody listens any more when the connection is gone; the batch stays all the same.
        drop(self.sender.send(result));
    }
}

/// A closed segment whose content or index may not be on the disk yet.
#[derive(Clone)]
pub(super) struct Seal {
    pub base: i64,
    pub file: Arc<File>,
    pub summary: Summary,
    pub entries: Arc<Vec<Entry>>,
}

pub(super) struct PartitionConfig {
    pub folder: PathBuf,
    pub disk: Arc<dyn Disk>,
    pub buffers: Arc<Buffers>,
    pub leader_epoch: i32,
    pub trouble: Arc<Trouble>,
    pub settings: LogSettings,
}

impl Partition {
    pub(super) fn new(config: PartitionConfig, recovered: Recovered) -> Self {
        let end = recovered.shape.visible;
        Self {
            folder: config.folder,
            disk: config.disk,
            buffers: config.buffers,
            leader_epoch: config.leader_epoch,
            trouble: config.trouble,
            settings: RwLock::new(config.settings),
            flushing: Mutex::new(()),
            tail: Mutex::new(Tail {
                producers: recovered.producers,
                waiting: VecDeque::new(),
                unsaved: recovered.unsaved,
                unsaved_state: None,
                flushed: end,
                folder_changed: false,
                uncut: false,
                lost: false,
            }),
            shape: RwLock::new(recovered.shape),
            notice: Mutex::new(Some(watch::Sender::new(end.offset))),
            gone: AtomicBool::new(false),
            flush_wanted: AtomicBool::new(false),
            hints: Hints::default(),
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub(super) fn flushes_before_ack(&self) -> bool {
        read_lock(&self.settings).flush == Flush::BeforeAck
    }

    /// Writes one batch and says from which high watermark on it may be answered.
    pub(super) fn append(
        &self,
        tail: &mut Tail,
        batches: &Batches,
    ) -> Result<(Appended, i64), AppendError> {
        if self.is_gone() {
            return Err(AppendError::Gone);
        }
        self.mend(tail).map_err(|error| self.storage(&error))?;
        let settings = read_lock(&self.settings).clone();
        let bytes = batches.body.len();
        if bytes > settings.max_batch_bytes {
            return Err(AppendError::TooLarge {
                bytes,
                limit: settings.max_batch_bytes,
            });
        }
        if let Verdict::Duplicate(base_offset) = tail.producers.check(&batches.header)? {
            let end = base_offset + i64::from(batches.header.record_count);
            return Ok((self.appended(base_offset, true), end));
        }
        let used = read_lock(&self.shape).end().position;
        if used > 0 && used + bytes as u64 > settings.segment_bytes {
            self.roll(tail).map_err(|error| self.storage(&error))?;
        }
        let header = self
            .write(tail, batches)
            .map_err(|error| self.storage(&error))?;
        tail.producers.record(&header, super::now_ms());
        Ok((
            self.appended(header.base_offset, false),
            header.next_offset(),
        ))
    }

    fn appended(&self, base_offset: i64, duplicate: bool) -> Appended {
        Appended {
            base_offset,
            log_start: read_lock(&self.shape).log_start,
            duplicate,
        }
    }

    fn storage(&self, error: &io::Error) -> AppendError {
        self.trouble.report(&self.folder, error);
        AppendError::Storage(error.to_string())
    }

    /// Undoes what an earlier failure left, before anything new is written.
    pub(super) fn mend(&self, tail: &mut Tail) -> io::Result<()> {
        if tail.lost {
            self.cut_back(tail)?;
        }
        if tail.uncut {
            let (file, bytes) = self.active_file();
            self.disk.cut(&file, bytes)?;
            tail.uncut = false;
        }
        Ok(())
    }

    fn active_file(&self) -> (Arc<File>, u64) {
        let shape = read_lock(&self.shape);
        (Arc::clone(&shape.active.file), shape.end().position)
    }

    fn write(&self, tail: &mut Tail, batches: &Batches) -> io::Result<Header> {
        let (file, position) = self.active_file();
        let header = Header {
            base_offset: read_lock(&self.shape).end().offset,
            leader_epoch: self.leader_epoch,
            ..batches.header
        };
        let prefix = batches.stored_prefix(header.base_offset, self.leader_epoch);
        let body = &batches.body[prefix.len()..];
        let mut parts = [IoSlice::new(&prefix), IoSlice::new(body)];
        if let Err(error) = self.disk.append(&file, &mut parts) {
            tail.uncut = self.disk.cut(&file, position).is_err();
            return Err(error);
        }
        write_lock(&self.shape).active.index.grow(&header);
        self.trouble.write_worked();
        Ok(header)
    }

    /// Closes the active segment and goes on in a new one.
    pub(super) fn roll(&self, tail: &mut Tail) -> io::Result<()> {
        let end = read_lock(&self.shape).end();
        if end.position == 0 {
            return Ok(());
        }
        let file = disk::open_for_append(&segment::log_path(&self.folder, end.offset))?;
        self.disk.cut(&file, 0)?;
        let mut shape = write_lock(&self.shape);
        let fresh = Active {
            base: end.offset,
            file: Arc::new(file),
            index: SparseIndex::new(end.offset),
        };
        let full = std::mem::replace(&mut shape.active, fresh);
        let seal = Seal {
            base: full.base,
            file: full.file,
            summary: full.index.summary,
            entries: Arc::new(full.index.entries),
        };
        shape.closed.insert(
            seal.base,
            Closed {
                summary: seal.summary,
                unsaved_index: Some(Arc::clone(&seal.entries)),
            },
        );
        let fresh_end = shape.end();
        for place in [&mut shape.visible, &mut tail.flushed] {
            // Else this place would speak of a segment that retention may delete.
            if place.offset == end.offset {
                *place = fresh_end;
            }
        }
        tail.unsaved.push(seal);
        tail.unsaved_state = Some(tail.state(&shape));
        tail.folder_changed = true;
        Ok(())
    }

    /// Moves the high watermark forward and answers the appends it passes.
    pub(super) fn show(&self, tail: &mut Tail, place: Place) {
        {
            let mut shape = write_lock(&self.shape);
            if place.offset > shape.visible.offset {
                shape.visible = place;
            }
        }
        if let Some(notice) = lock(&self.notice).as_ref() {
            notice.send_if_modified(|known| {
                let moved = place.offset > *known;
                *known = place.offset.max(*known);
                moved
            });
        }
        let visible = read_lock(&self.shape).visible.offset;
        while tail
            .waiting
            .front()
            .is_some_and(|first| first.visible_at <= visible)
        {
            let answered = tail.waiting.pop_front().expect("there is a first");
            answered.reply.send(Ok(answered.appended));
        }
    }

    /// After a failed flush: what was not flushed is cut off, and the rest read anew.
    pub(super) fn cut_back(&self, tail: &mut Tail) -> io::Result<()> {
        let visible = read_lock(&self.shape).visible;
        let keep = if visible.offset > tail.flushed.offset {
            visible
        } else {
            tail.flushed
        };
        for base in segment::list(&self.folder)? {
            if base > keep.segment {
                recover::remove_segment(&self.folder, base)?;
            }
        }
        let file = disk::open_for_append(&segment::log_path(&self.folder, keep.segment))?;
        self.disk.cut(&file, keep.position)?;
        let recovered = Recovery {
            disk: &*self.disk,
            folder: &self.folder,
            leader_epoch: self.leader_epoch,
            trust_last_segment: true,
            now_ms: super::now_ms(),
        }
        .run()?;
        tracing::warn!(folder = %self.folder.display(), offset = keep.offset, "cut what a failed flush left back to the flushed end");
        tail.producers = recovered.producers;
        tail.flushed = recovered.shape.visible;
        tail.unsaved = recovered.unsaved;
        tail.unsaved_state = None;
        tail.lost = false;
        tail.uncut = false;
        *write_lock(&self.shape) = recovered.shape;
        Ok(())
    }
}
