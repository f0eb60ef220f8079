//! Flushing: one thread that groups what durable logs wait for, and the flush of one log itself.

use std::fs::File;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::checkpoint::State;
use super::disk;
use super::index;
use super::partition::{Partition, Seal};
use super::segment;
use super::shape::Place;
use super::sync::{lock, read_lock, write_lock};
use super::{AppendError, Flush};

#[derive(Default)]
struct Wanted {
    partitions: Vec<Arc<Partition>>,
    stop: bool,
}

#[derive(Default)]
pub(super) struct Flusher {
    wanted: Mutex<Wanted>,
    wake: Condvar,
}

impl Flusher {
    pub(super) fn start(
        self: &Arc<Self>,
        interval: Duration,
    ) -> io::Result<thread::JoinHandle<()>> {
        let flusher = Arc::clone(self);
        thread::Builder::new()
            .name("log-flusher".into())
            .spawn(move || while flusher.round(interval) {})
    }

    pub(super) fn request(&self, partition: &Arc<Partition>) {
        if !partition.flush_wanted.swap(true, Ordering::AcqRel) {
            lock(&self.wanted).partitions.push(Arc::clone(partition));
            self.wake.notify_one();
        }
    }

    pub(super) fn stop(&self) {
        lock(&self.wanted).stop = true;
        self.wake.notify_all();
    }

    fn round(&self, interval: Duration) -> bool {
        let Some(partitions) = self.next() else {
            return false;
        };
        let started = Instant::now();
        for partition in partitions {
            // First: what is written from here on asks for the next round.
            partition.flush_wanted.store(false, Ordering::Release);
            partition.flush();
        }
        self.rest(interval.saturating_sub(started.elapsed()));
        true
    }

    fn next(&self) -> Option<Vec<Arc<Partition>>> {
        let wanted = self.wake.wait_while(lock(&self.wanted), |wanted| {
            wanted.partitions.is_empty() && !wanted.stop
        });
        let mut wanted = wanted.unwrap_or_else(PoisonError::into_inner);
        (!wanted.stop).then(|| std::mem::take(&mut wanted.partitions))
    }

    /// Gathers what comes in meanwhile into one flush.
    fn rest(&self, time: Duration) {
        drop(
            self.wake
                .wait_timeout_while(lock(&self.wanted), time, |wanted| !wanted.stop),
        );
    }
}

/// What one flush makes durable.
struct Work {
    end: Place,
    active: Arc<File>,
    sealed: Vec<Seal>,
    state: Option<State>,
    folder_changed: bool,
}

impl Partition {
    /// Makes durable what is written so far. Failures are kept as trouble and answered to whoever waits.
    pub(super) fn flush(&self) {
        let _turn = lock(&self.flushing);
        let Some(work) = self.work() else {
            return;
        };
        match self.sync(&work) {
            Ok(()) => {
                self.trouble.flush_worked();
                self.flushed(&work);
                if let Err(error) = self.save_sealed(work) {
                    self.trouble.report_flush(&self.folder, &error);
                }
            }
            Err(error) => self.flush_failed(&error),
        }
    }

    fn work(&self) -> Option<Work> {
        let mut tail = lock(&self.tail);
        if self.is_gone() || tail.lost {
            return None;
        }
        let shape = read_lock(&self.shape);
        let end = shape.end();
        if end == tail.flushed && tail.unsaved.is_empty() && !tail.folder_changed {
            return None;
        }
        Some(Work {
            end,
            active: Arc::clone(&shape.active.file),
            sealed: tail.unsaved.clone(),
            state: tail.unsaved_state.take(),
            folder_changed: tail.folder_changed,
        })
    }

    fn sync(&self, work: &Work) -> io::Result<()> {
        for seal in &work.sealed {
            self.disk.sync(&seal.file)?;
        }
        self.disk.sync(&work.active)?;
        if work.folder_changed {
            disk::sync_folder(&*self.disk, &self.folder)?;
        }
        Ok(())
    }

    fn flushed(&self, work: &Work) {
        let mut tail = lock(&self.tail);
        tail.flushed = work.end;
        let rolled_since = read_lock(&self.shape).active.base != work.end.segment;
        tail.folder_changed &= rolled_since;
        self.show(&mut tail, work.end);
    }

    /// Only now may an index speak for its segment; one that cannot be written is tried again with the next flush.
    fn save_sealed(&self, work: Work) -> io::Result<()> {
        if let Some(state) = work.state {
            // First: once a segment has its index, retention may delete it, and its headers with it.
            if let Err(error) = state.save(&*self.disk, &self.folder) {
                lock(&self.tail).unsaved_state.get_or_insert(state);
                return Err(error);
            }
        }
        for seal in &work.sealed {
            let path = segment::index_path(&self.folder, seal.base);
            index::save(&seal.summary, &seal.entries, &*self.disk, &path)?;
            let mut tail = lock(&self.tail);
            tail.unsaved.retain(|unsaved| unsaved.base != seal.base);
            if let Some(closed) = write_lock(&self.shape).closed.get_mut(&seal.base) {
                closed.unsaved_index = None;
            }
        }
        Ok(())
    }

    /// The kernel may have dropped the pages it could not write, so nothing unflushed counts any more.
    fn flush_failed(&self, error: &io::Error) {
        self.trouble.report_flush(&self.folder, error);
        if read_lock(&self.settings).flush == Flush::Background {
            return;
        }
        let mut tail = lock(&self.tail);
        tail.lost = true;
        tail.refuse_waiting(&AppendError::Storage(error.to_string()));
        if let Err(error) = self.cut_back(&mut tail) {
            self.trouble.report_flush(&self.folder, &error);
        }
    }

    /// Everything durable, and the files beside the segments up to date: the last act of a run.
    pub(super) fn flush_and_save(&self) -> io::Result<()> {
        self.flush();
        let mut tail = lock(&self.tail);
        if self.is_gone() {
            return Ok(());
        }
        self.mend(&mut tail)?;
        let shape = read_lock(&self.shape);
        if tail.flushed != shape.end() {
            return Err(io::Error::other("the end of a log could not be flushed"));
        }
        tail.state(&shape).save(&*self.disk, &self.folder)
    }
}

#[cfg(test)]
#[path = "flusher_tests.rs"]
mod tests;
