//! The sparse index of a segment: in memory while the segment is active, a small checked file once it is closed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::batch::Header;
use super::disk::{self, Disk};

/// One entry for about so many bytes of log.
const SPACING_BYTES: u64 = 32 * 1024;
pub(super) const ENTRY_BYTES: usize = 24;
const SUMMARY_BYTES: usize = 24;
/// The checksum that `replace_file` puts in front, then the summary.
const ENTRIES_FROM: u64 = 4 + SUMMARY_BYTES as u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub offset: i64,
    pub position: u64,
    /// Greatest timestamp of all batches in front of this one.
    pub max_timestamp_before_ms: i64,
}

/// What is known of a whole segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Summary {
    pub end_offset: i64,
    pub bytes: u64,
    pub max_timestamp_ms: i64,
}

impl Summary {
    pub(super) fn empty(base_offset: i64) -> Self {
        Self {
            end_offset: base_offset,
            bytes: 0,
            max_timestamp_ms: -1,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct SparseIndex {
    pub summary: Summary,
    pub entries: Vec<Entry>,
}

impl SparseIndex {
    pub(super) fn new(base_offset: i64) -> Self {
        Self {
            summary: Summary::empty(base_offset),
            entries: Vec::new(),
        }
    }

    /// Takes in the batch that stands at the end.
    pub(super) fn grow(&mut self, header: &Header) {
        let position = self.summary.bytes;
        let due = self
            .entries
            .last()
            .is_none_or(|last| position - last.position >= SPACING_BYTES);
        if due {
            self.entries.push(Entry {
                offset: header.base_offset,
                position,
                max_timestamp_before_ms: self.summary.max_timestamp_ms,
            });
        }
        self.summary.bytes += header.bytes as u64;
        self.summary.end_offset = header.next_offset();
        self.summary.max_timestamp_ms = self.summary.max_timestamp_ms.max(header.max_timestamp_ms);
    }
}

pub(super) fn save(
    summary: &Summary,
    entries: &[Entry],
    disk: &dyn Disk,
    path: &Path,
) -> io::Result<()> {
    let mut content = Vec::with_capacity(SUMMARY_BYTES + entries.len() * ENTRY_BYTES);
    content.extend(summary.end_offset.to_be_bytes());
    content.extend(summary.bytes.to_be_bytes());
    content.extend(summary.max_timestamp_ms.to_be_bytes());
    for entry in entries {
        content.extend(entry.offset.to_be_bytes());
        content.extend(entry.position.to_be_bytes());
        content.extend(entry.max_timestamp_before_ms.to_be_bytes());
    }
    disk::replace_file(disk, path, &content)
}

/// The summary in an index file, if the file is whole and speaks of a segment of `segment_bytes`.
pub(super) fn load_summary(path: &Path, segment_bytes: u64) -> io::Result<Option<Summary>> {
    let Some(content) = disk::read_checked(path)? else {
        return Ok(None);
    };
    let whole = content.len() >= SUMMARY_BYTES
        && (content.len() - SUMMARY_BYTES).is_multiple_of(ENTRY_BYTES);
    if !whole {
        return Ok(None);
    }
    let summary = Summary {
        end_offset: number(&content, 0),
        bytes: number(&content, 8).cast_unsigned(),
        max_timestamp_ms: number(&content, 16),
    };
    Ok((summary.bytes == segment_bytes).then_some(summary))
}

/// The position from which a search must walk: that of the last entry that `before` accepts.
pub(super) fn position_in(entries: &[Entry], before: impl Fn(&Entry) -> bool) -> u64 {
    let count = entries.partition_point(before);
    count
        .checked_sub(1)
        .map_or(0, |last| entries[last].position)
}

/// The same in an index file, reading only what the search touches.
pub(super) fn position_in_file(path: &Path, before: impl Fn(&Entry) -> bool) -> io::Result<u64> {
    let file = File::open(path)?;
    let (mut from, mut to) = (
        0,
        file.metadata()?.len().saturating_sub(ENTRIES_FROM) / ENTRY_BYTES as u64,
    );
    let mut position = 0;
    while from < to {
        let middle = from.midpoint(to);
        let mut bytes = [0; ENTRY_BYTES];
        file.read_exact_at(&mut bytes, ENTRIES_FROM + middle * ENTRY_BYTES as u64)?;
        let entry = Entry {
            offset: number(&bytes, 0),
            position: number(&bytes, 8).cast_unsigned(),
            max_timestamp_before_ms: number(&bytes, 16),
        };
        if before(&entry) {
            position = entry.position;
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    Ok(position)
}

fn number(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(
        *bytes[at..]
            .first_chunk()
            .expect("the caller checked the length"),
    )
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
