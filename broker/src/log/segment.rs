//! Segment files: their names, and the walk over the batch headers in one.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::batch::{HEADER_BYTES, Header};
use super::index::SparseIndex;

/// Small batches come many to a read, large ones cost little more than their header.
const SCAN_BYTES: u64 = 8 * 1024;
const CHECK_BYTES: usize = 256 * 1024;

pub(super) fn log_path(folder: &Path, base_offset: i64) -> PathBuf {
    folder.join(format!("{base_offset:020}.log"))
}

pub(super) fn index_path(folder: &Path, base_offset: i64) -> PathBuf {
    folder.join(format!("{base_offset:020}.index"))
}

/// Base offsets of the segments in a folder, in order.
pub(super) fn list(folder: &Path) -> io::Result<Vec<i64>> {
    let mut bases = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let base = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse().ok());
        if let (Some(base), true) = (base, path.extension().is_some_and(|it| it == "log")) {
            bases.push(base);
        }
    }
    bases.sort_unstable();
    Ok(bases)
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub position: u64,
    pub header: Header,
}

/// Walks the headers of a file up to `end`; stops for good where there is no whole batch.
pub(super) struct HeaderScan<'a> {
    file: &'a File,
    position: u64,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<'a> HeaderScan<'a> {
    pub(super) fn new(file: &'a File, position: u64, end: u64) -> Self {
        Self {
            file,
            position,
            end,
            window: Vec::new(),
            window_at: position,
        }
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Placed>> {
        if self.end.saturating_sub(self.position) < HEADER_BYTES as u64 {
            return Ok(None);
        }
        let ahead = usize::try_from(self.position - self.window_at).unwrap_or(usize::MAX);
        let in_window = self
            .window
            .get(ahead..)
            .is_some_and(|rest| rest.len() >= HEADER_BYTES);
        let at = if in_window {
            ahead
        } else {
            self.fill()?;
            0
        };
        let Some(header) = Header::read(&self.window[at..]) else {
            return Ok(None);
        };
        let position = self.position;
        if header.bytes as u64 > self.end - position {
            return Ok(None);
        }
        self.position += header.bytes as u64;
        Ok(Some(Placed { position, header }))
    }

    fn fill(&mut self) -> io::Result<()> {
        self.window
            .resize((self.end - self.position).min(SCAN_BYTES) as usize, 0);
        self.window_at = self.position;
        self.file.read_exact_at(&mut self.window, self.position)
    }
}

/// Indexes a file from its start: as far as its batches are whole, follow on each other and, if asked, have the right checksum.
pub(super) fn index_file(
    file: &File,
    base_offset: i64,
    check_crc: bool,
) -> io::Result<SparseIndex> {
    let mut index = SparseIndex::new(base_offset);
    let mut scan = HeaderScan::new(file, 0, file.metadata()?.len());
    while let Some(placed) = scan.next()? {
        let follows = placed.header.base_offset == index.summary.end_offset;
        if !follows || (check_crc && !crc_is_right(file, &placed)?) {
            break;
        }
        index.grow(&placed.header);
    }
    Ok(index)
}

fn crc_is_right(file: &File, placed: &Placed) -> io::Result<bool> {
    const COVERED_FROM: u64 = 21;
    let end = placed.position + placed.header.bytes as u64;
    let mut at = placed.position + COVERED_FROM;
    let mut buffer = vec![0; CHECK_BYTES.min(placed.header.bytes)];
    let mut crc = 0;
    while at < end {
        let count = buffer.len().min((end - at) as usize);
        file.read_exact_at(&mut buffer[..count], at)?;
        crc = crc32c::crc32c_append(crc, &buffer[..count]);
        at += count as u64;
    }
    Ok(crc == placed.header.crc)
}
