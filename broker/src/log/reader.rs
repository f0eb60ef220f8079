//! Reading: positional, from whole batches, without holding any lock while a file is read.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::batch::Header;
use super::index::{self, Entry};
use super::partition::Partition;
use super::segment::{self, HeaderScan, Placed};
use super::shape::{Source, View};
use super::sync::{lock, read_lock};
use super::{Read, ReadError};

/// Retention may delete a segment between finding and opening it; then the log start has moved.
const ATTEMPTS: usize = 4;
const MAX_HINTS: usize = 16;

/// Where readers that go on from offset to offset stand, so that they need no search.
#[derive(Default)]
pub(super) struct Hints(Mutex<VecDeque<Hint>>);

#[derive(Clone, Copy)]
struct Hint {
    offset: i64,
    segment: i64,
    position: u64,
}

impl Hints {
    fn take(&self, segment: i64, offset: i64) -> Option<u64> {
        let mut hints = lock(&self.0);
        let at = hints
            .iter()
            .position(|hint| hint.offset == offset && hint.segment == segment)?;
        hints.remove(at).map(|hint| hint.position)
    }

    fn put(&self, hint: Hint) {
        let mut hints = lock(&self.0);
        if hints.len() == MAX_HINTS {
            hints.pop_front();
        }
        hints.push_back(hint);
    }
}

/// How much a reader asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portion {
    pub from: i64,
    pub max_bytes: usize,
    pub at_least_one: bool,
}

impl Partition {
    pub(super) fn read(&self, portion: Portion) -> Result<Read, ReadError> {
        for _attempt in 0..ATTEMPTS {
            match self.try_read(portion) {
                Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
                result => return result,
            }
        }
        self.try_read(portion)
    }

    fn try_read(&self, portion: Portion) -> Result<Read, ReadError> {
        if self.is_gone() {
            return Err(ReadError::Gone);
        }
        let (mut answer, view) = {
            let shape = read_lock(&self.shape);
            let log_end = shape.end().offset;
            if portion.from < shape.log_start || portion.from > log_end {
                return Err(ReadError::OutOfRange {
                    log_start: shape.log_start,
                    log_end,
                });
            }
            let answer = Read {
                records: Bytes::new(),
                high_watermark: shape.visible.offset,
                log_start: shape.log_start,
            };
            (answer, shape.views_from(portion.from).next())
        };
        if let Some(view) = view.filter(|_view| portion.from < answer.high_watermark) {
            answer.records = self.read_segment(&view, portion)?;
        }
        Ok(answer)
    }

    fn read_segment(&self, view: &View, portion: Portion) -> io::Result<Bytes> {
        let file = self.open(view)?;
        let first = self.find(&file, view, portion.from)?;
        let wanted_bytes = if portion.at_least_one {
            portion.max_bytes.max(first.header.bytes)
        } else {
            portion.max_bytes
        };
        let count = (view.readable - first.position).min(wanted_bytes as u64);
        let mut records = self.buffers.lend(count as usize)?;
        file.read_exact_at(records.filled(), first.position)?;
        let (whole_bytes, next_offset) = whole_batches(records.filled());
        if let Some(offset) = next_offset {
            self.hints.put(Hint {
                offset,
                segment: view.base,
                position: first.position + whole_bytes as u64,
            });
        }
        Ok(records.into_bytes(whole_bytes))
    }

    /// The batch that holds `from`, or the first one behind it.
    fn find(&self, file: &File, view: &View, from: i64) -> io::Result<Placed> {
        let position = match self.hints.take(view.base, from) {
            Some(position) => position,
            None => self.position(view, |entry| entry.offset <= from)?,
        };
        let mut scan = HeaderScan::new(file, position, view.readable);
        while let Some(placed) = scan.next()? {
            if placed.header.next_offset() > from {
                return Ok(placed);
            }
        }
        // Answering with nothing would leave a consumer waiting here for ever.
        let path = segment::log_path(&self.folder, view.base);
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "{} is damaged in front of offset {from}: move consumers past {}",
                path.display(),
                view.summary.end_offset
            ),
        ))
    }

    pub(super) fn open(&self, view: &View) -> io::Result<Arc<File>> {
        match &view.source {
            Source::Active(file) => Ok(Arc::clone(file)),
            Source::Saved | Source::Unsaved(_) => {
                let path = segment::log_path(&self.folder, view.base);
                File::open(path).map(Arc::new)
            }
        }
    }

    /// Where a walk for the batch in question starts, by the sparse index.
    pub(super) fn position(&self, view: &View, before: impl Fn(&Entry) -> bool) -> io::Result<u64> {
        match &view.source {
            Source::Unsaved(entries) => Ok(index::position_in(entries, before)),
            Source::Saved => {
                let path = segment::index_path(&self.folder, view.base);
                index::position_in_file(&path, before)
            }
            Source::Active(_) => {
                let shape = read_lock(&self.shape);
                if shape.active.base == view.base {
                    return Ok(index::position_in(&shape.active.index.entries, before));
                }
                // Rolled since: the walk is longer, once.
                Ok(0)
            }
        }
    }
}

fn whole_batches(records: &[u8]) -> (usize, Option<i64>) {
    let (mut bytes, mut next_offset) = (0, None);
    while let Some(header) = Header::read(&records[bytes..]) {
        if header.bytes > records.len() - bytes {
            break;
        }
        bytes += header.bytes;
        next_offset = Some(header.next_offset());
    }
    (bytes, next_offset)
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
