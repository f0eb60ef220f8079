//! The janitor thread: retention by bytes and time, `DeleteRecords`, and the flushes that nobody waits for.

use std::fs;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use super::checkpoint;
use super::partition::Partition;
use super::recover;
use super::segment;
use super::shape::Shape;
use super::sync::{lock, read_lock, write_lock};
use super::{LogSettings, ReadError};

pub(super) type Registry = Mutex<Vec<Arc<Partition>>>;

#[derive(Default)]
pub(super) struct Janitor {
    stopped: Mutex<bool>,
    wake: Condvar,
}

impl Janitor {
    pub(super) fn start(
        self: &Arc<Self>,
        interval: Duration,
        registry: Arc<Registry>,
    ) -> io::Result<thread::JoinHandle<()>> {
        let janitor = Arc::clone(self);
        thread::Builder::new()
            .name("log-janitor".into())
            .spawn(move || {
                while janitor.rest(interval) {
                    let partitions = lock(&registry).clone();
                    for partition in partitions {
                        partition.sweep(super::now_ms());
                    }
                }
            })
    }

    pub(super) fn stop(&self) {
        *lock(&self.stopped) = true;
        self.wake.notify_all();
    }

    fn rest(&self, interval: Duration) -> bool {
        let waited = self
            .wake
            .wait_timeout_while(lock(&self.stopped), interval, |stopped| !*stopped);
        waited.is_ok_and(|(stopped, _timeout)| !*stopped)
    }
}

impl Partition {
    pub(super) fn sweep(&self, now_ms: i64) {
        if let Err(error) = self.try_sweep(now_ms) {
            tracing::error!(folder = %self.folder.display(), %error, "cannot apply retention, will try again");
        }
    }

    fn try_sweep(&self, now_ms: i64) -> io::Result<()> {
        if self.is_gone() {
            return Ok(());
        }
        let settings = read_lock(&self.settings).clone();
        let must_save = {
            let mut tail = lock(&self.tail);
            tail.producers.forget_idle(now_ms);
            if self.has_expired(&settings, now_ms)? {
                self.roll(&mut tail)?;
            }
            !tail.unsaved.is_empty()
        };
        if must_save || !self.flushes_before_ack() {
            self.flush();
        }
        let expired = self.expired(&settings, now_ms)?;
        self.drop_segments(&expired)
    }

    /// Like Kafka, a log whose every record is too old gets a new active segment, so that the old one can go.
    fn has_expired(&self, settings: &LogSettings, now_ms: i64) -> io::Result<bool> {
        let (end, visible, newest_ms) = {
            let shape = read_lock(&self.shape);
            let newest_ms = shape.active.index.summary.max_timestamp_ms;
            (shape.end(), shape.visible, newest_ms)
        };
        let Some(retention) = settings.retention else {
            return Ok(false);
        };
        if end.position == 0 || end.offset != visible.offset {
            return Ok(false);
        }
        let newest_ms = self.newest_ms(end.segment, newest_ms)?;
        Ok(is_older(newest_ms, retention, now_ms))
    }

    /// Records without a timestamp are as old as their file.
    fn newest_ms(&self, base: i64, max_timestamp_ms: i64) -> io::Result<i64> {
        if max_timestamp_ms >= 0 {
            return Ok(max_timestamp_ms);
        }
        let modified = fs::metadata(segment::log_path(&self.folder, base))?.modified()?;
        Ok(modified
            .duration_since(UNIX_EPOCH)
            .map_or(0, |age| age.as_millis() as i64))
    }

    /// The oldest closed segments that retention gives up, in order.
    fn expired(&self, settings: &LogSettings, now_ms: i64) -> io::Result<Vec<i64>> {
        let (mut bytes, log_start, candidates) = {
            let shape = read_lock(&self.shape);
            let candidates: Vec<_> = deletable(&shape).collect();
            (shape.bytes(), shape.log_start, candidates)
        };
        let mut expired = Vec::new();
        for (base, summary) in candidates {
            let too_much = settings
                .retention_bytes
                .is_some_and(|limit| bytes.saturating_sub(summary.bytes) >= limit);
            let too_old = match settings.retention {
                Some(retention) => {
                    let newest_ms = self.newest_ms(base, summary.max_timestamp_ms)?;
                    is_older(newest_ms, retention, now_ms)
                }
                None => false,
            };
            let left_behind = summary.end_offset <= log_start;
            if !too_much && !too_old && !left_behind {
                break;
            }
            bytes -= summary.bytes;
            expired.push(base);
        }
        Ok(expired)
    }

    /// Readers lose sight of the segments before their files go.
    fn drop_segments(&self, bases: &[i64]) -> io::Result<()> {
        if bases.is_empty() {
            return Ok(());
        }
        {
            let mut shape = write_lock(&self.shape);
            for base in bases {
                shape.closed.remove(base);
            }
            shape.log_start = shape.log_start.max(shape.first_base());
            let log_start = shape.log_start;
            shape.epochs.forget_before(log_start);
        }
        for base in bases {
            recover::remove_segment(&self.folder, *base)?;
        }
        Ok(())
    }

    /// Moves the log start, durably, and drops the segments it leaves behind.
    pub(super) fn delete_before(&self, offset: i64) -> Result<i64, ReadError> {
        if self.is_gone() {
            return Err(ReadError::Gone);
        }
        self.flush();
        let _turn = lock(&self.flushing);
        let (log_start, visible) = {
            let shape = read_lock(&self.shape);
            (shape.log_start, shape.visible.offset)
        };
        let offset = if offset == -1 { visible } else { offset };
        if offset < 0 || offset > visible {
            return Err(ReadError::OutOfRange {
                log_start,
                log_end: visible,
            });
        }
        if offset <= log_start {
            return Ok(log_start);
        }
        if let Err(error) = checkpoint::save_start(&*self.disk, &self.folder, offset) {
            // On a full disk this may be how room is made: whole segments go without being written
            // down, since a log starts where its first segment does.
            if !self.drop_below(offset)? {
                return Err(error.into());
            }
            checkpoint::save_start(&*self.disk, &self.folder, offset)?;
        }
        {
            let mut shape = write_lock(&self.shape);
            shape.log_start = offset;
            shape.epochs.forget_before(offset);
        }
        self.drop_below(offset)?;
        Ok(offset)
    }

    /// Drops the segments that end at an offset or before; whether there were any.
    fn drop_below(&self, offset: i64) -> io::Result<bool> {
        let left_behind: Vec<i64> = deletable(&read_lock(&self.shape))
            .take_while(|(_base, summary)| summary.end_offset <= offset)
            .map(|(base, _summary)| base)
            .collect();
        self.drop_segments(&left_behind)?;
        Ok(!left_behind.is_empty())
    }
}

/// Closed, indexed on disk and wholly below the high watermark.
fn deletable(shape: &Shape) -> impl Iterator<Item = (i64, super::index::Summary)> {
    let visible = shape.visible.offset;
    shape
        .closed
        .iter()
        .take_while(move |(_base, it)| {
            it.unsaved_index.is_none() && it.summary.end_offset <= visible
        })
        .map(|(base, it)| (*base, it.summary))
}

fn is_older(newest_ms: i64, retention: Duration, now_ms: i64) -> bool {
    let retention_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
    newest_ms < now_ms.saturating_sub(retention_ms)
}

#[cfg(test)]
#[path = "janitor_tests.rs"]
mod tests;
