//! Finding records by time: the index leads to the batch, and the batch is decoded to the record.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::partition::Partition;
use super::records::{self, RecordStamp};
use super::segment::{HeaderScan, Placed};
use super::shape::View;
use super::sync::read_lock;

/// A record's place in time and in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamped {
    pub timestamp_ms: i64,
    pub offset: i64,
    pub leader_epoch: i32,
}

impl Partition {
    /// The first record at or after a time.
    pub(super) fn find_by_time(&self, timestamp_ms: i64) -> io::Result<Option<Stamped>> {
        let (log_start, views) = self.readable_views();
        for view in views {
            if view.summary.max_timestamp_ms < timestamp_ms {
                continue;
            }
            let position =
                self.position(&view, |entry| entry.max_timestamp_before_ms < timestamp_ms)?;
            let file = self.open(&view)?;
            let mut scan = HeaderScan::new(&file, position, view.readable);
            while let Some(placed) = scan.next()? {
                let wanted = Wanted {
                    log_start,
                    timestamp_ms,
                };
                if let Some(found) = wanted.within(&file, &placed)? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// The first of the records with the greatest time.
    pub(super) fn find_newest(&self) -> io::Result<Option<Stamped>> {
        let (log_start, views) = self.readable_views();
        let mut newest: Option<Stamped> = None;
        // Backwards: times mostly rise, so the last segment mostly settles it.
        for view in views.into_iter().rev() {
            let known_ms = newest.map_or(i64::MIN, |it| it.timestamp_ms);
            if view.summary.max_timestamp_ms < known_ms {
                continue;
            }
            newest = self
                .newest_in(&view, log_start)?
                .filter(|it| it.timestamp_ms >= known_ms)
                .or(newest);
        }
        Ok(newest)
    }

    fn newest_in(&self, view: &View, log_start: i64) -> io::Result<Option<Stamped>> {
        let file = self.open(view)?;
        let mut scan = HeaderScan::new(&file, 0, view.readable);
        let mut greatest: Option<Placed> = None;
        while let Some(placed) = scan.next()? {
            let greater = greatest
                .is_none_or(|it| placed.header.max_timestamp_ms > it.header.max_timestamp_ms);
            if placed.header.next_offset() > log_start && greater {
                greatest = Some(placed);
            }
        }
        let Some(greatest) = greatest else {
            return Ok(None);
        };
        let wanted = Wanted {
            log_start,
            timestamp_ms: greatest.header.max_timestamp_ms,
        };
        wanted.within(&file, &greatest)
    }

    fn readable_views(&self) -> (i64, Vec<View>) {
        let shape = read_lock(&self.shape);
        let views = shape.views_from(shape.log_start).collect();
        (shape.log_start, views)
    }
}

struct Wanted {
    log_start: i64,
    timestamp_ms: i64,
}

impl Wanted {
    fn within(&self, file: &File, placed: &Placed) -> io::Result<Option<Stamped>> {
        let header = &placed.header;
        if header.max_timestamp_ms < self.timestamp_ms || header.next_offset() <= self.log_start {
            return Ok(None);
        }
        let mut batch = vec![0; header.bytes];
        file.read_exact_at(&mut batch, placed.position)?;
        let found = records::find(header, &batch, |record| {
            record.offset >= self.log_start && record.timestamp_ms >= self.timestamp_ms
        });
        let found = found.unwrap_or_else(|error| {
            // One client's undecodable batch must not end lookups for all.
            tracing::warn!(offset = header.base_offset, %error, "a batch cannot be decoded, its header answers for it");
            Some(RecordStamp {
                offset: header.base_offset.max(self.log_start),
                timestamp_ms: header.max_timestamp_ms,
            })
        });
        Ok(found.map(|record| Stamped {
            timestamp_ms: record.timestamp_ms,
            offset: record.offset,
            leader_epoch: header.leader_epoch,
        }))
    }
}

#[cfg(test)]
#[path = "time_lookup_tests.rs"]
mod tests;
