//! The journal without its thread: recovery, appending, healing after a failed write, rewriting.

use std::collections::BTreeMap;
use std::io;

use serde_json::Value;

use super::disk::JournalFile;
use super::line::{self, ChangeSet, HEADER};

/// Rewriting a small file saves nothing.
const MIN_GARBAGE_BYTES: u64 = 1 << 20;
/// CRC, brackets, quotes, comma and newline around a key and its value.
const LINE_OVERHEAD_BYTES: u64 = 18;

/// What must happen before the file can be trusted with another line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    /// Bytes of a failed write may stand past the last good line.
    TailToCut,
    /// A flush failed: what the disk holds of the last pages is anyone's guess.
    Distrusted,
}

pub(super) struct Store<F> {
    file: F,
    /// Every live key with its JSON text: what a rewrite writes.
    live: BTreeMap<String, String>,
    live_bytes: u64,
    /// Where the next line goes. All before it is flushed.
    len: u64,
    trouble: Trouble,
    min_garbage_bytes: u64,
    /// Not tried again below this length after a rewrite that failed.
    rewrite_above: u64,
}

struct Recovered {
    entries: BTreeMap<String, Value>,
    /// Where the last good line ends.
    good_len: usize,
    damaged_before_good: usize,
}

impl<F: JournalFile> Store<F> {
    pub(super) fn recover(file: F, contents: &[u8]) -> io::Result<(Self, BTreeMap<String, Value>)> {
        let recovered = read_lines(contents);
        let mut store = Self {
            file,
            live: BTreeMap::new(),
            live_bytes: 0,
            len: recovered.good_len as u64,
            trouble: Trouble::None,
            min_garbage_bytes: MIN_GARBAGE_BYTES,
            rewrite_above: 0,
        };
        for (key, value) in &recovered.entries {
            store.apply(key.clone(), Some(value.to_string()));
        }
        store.repair(contents, &recovered)?;
        store.compact_if_worthwhile();
        Ok((store, recovered.entries))
    }

    /// Flushes the lines, then takes over what they say. After an error nothing of them is left.
    pub(super) fn commit(&mut self, lines: &[u8], sets: Vec<ChangeSet>) -> io::Result<()> {
        self.heal()?;
        if let Err(error) = self.file.write_at(lines, self.len) {
            let is_cut = self.cut_tail();
            self.trouble = if is_cut {
                Trouble::None
            } else {
                Trouble::TailToCut
            };
            return Err(error);
        }
        if let Err(error) = self.file.sync() {
            self.cut_tail();
            self.trouble = Trouble::Distrusted;
            return Err(error);
        }
        self.len += lines.len() as u64;
        for (key, value) in sets.into_iter().flatten() {
            self.apply(key, value);
        }
        Ok(())
    }

    /// Rewrites the file when more than half of it says nothing any more.
    pub(super) fn compact_if_worthwhile(&mut self) {
        let garbage = self.len.saturating_sub(self.live_bytes);
        let worthwhile = garbage > self.live_bytes.max(self.min_garbage_bytes);
        if !worthwhile || self.len < self.rewrite_above || self.trouble != Trouble::None {
            return;
        }
        if let Err(error) = self.rewrite() {
            self.rewrite_above = self.len + self.min_garbage_bytes;
            tracing::warn!(%error, "journal not rewritten, it goes on growing for now");
        }
    }

    fn repair(&mut self, contents: &[u8], recovered: &Recovered) -> io::Result<()> {
        if recovered.damaged_before_good > 0 {
            let kept = self.file.keep_damaged(contents)?;
            tracing::error!(
                lines = recovered.damaged_before_good,
                copy = %kept.display(),
                "journal damaged in the middle: those changes are lost, all else is kept; check the disk"
            );
            return self.rewrite();
        }
        if contents.len() < HEADER.len() {
            return self.rewrite();
        }
        let torn_bytes = contents.len() - recovered.good_len;
        if torn_bytes > 0 {
            tracing::warn!(
                torn_bytes,
                at = recovered.good_len,
                "cut the journal's torn tail"
            );
            self.file.set_len(self.len)?;
            self.file.sync()?;
        }
        Ok(())
    }

    fn heal(&mut self) -> io::Result<()> {
        match self.trouble {
            Trouble::None => return Ok(()),
            Trouble::TailToCut => self.file.set_len(self.len)?,
            Trouble::Distrusted => self.rewrite()?,
        }
        self.trouble = Trouble::None;
        Ok(())
    }

    /// What was refused must not come back after a restart: if it cannot be cut, it is spoilt by
    /// writing over its first byte, which needs no room on a full disk.
    fn cut_tail(&mut self) -> bool {
        let Err(error) = self.file.set_len(self.len) else {
            return true;
        };
        let spoilt = self.file.write_at(b"#", self.len).is_ok();
        tracing::warn!(%error, spoilt, "journal's tail not cut yet, tried again before a write");
        false
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let mut contents = HEADER.to_vec();
        for (key, value) in &self.live {
            line::encode(&vec![(key.clone(), Some(value.clone()))], &mut contents);
        }
        self.file.replace(&contents)?;
        self.len = contents.len() as u64;
        // Until the folder is flushed, a power cut could bring the old file back.
        self.trouble = Trouble::Distrusted;
        self.file.sync_folder()?;
        self.trouble = Trouble::None;
        Ok(())
    }

    fn apply(&mut self, key: String, value: Option<String>) {
        let key_bytes = key.len() as u64 + LINE_OVERHEAD_BYTES;
        let old = match value {
            Some(value) => {
                self.live_bytes += key_bytes + value.len() as u64;
                self.live.insert(key, value)
            }
            None => self.live.remove(&key),
        };
        if let Some(old) = old {
            self.live_bytes -= key_bytes + old.len() as u64;
        }
    }
}

/// A damaged last stretch is a torn write nobody was answered for; damage before a good line is not.
fn read_lines(contents: &[u8]) -> Recovered {
    let mut recovered = Recovered {
        entries: BTreeMap::new(),
        good_len: HEADER.len(),
        damaged_before_good: 0,
    };
    let mut damaged = 0;
    let mut start = HEADER.len().min(contents.len());
    while let Some(length) = contents[start..].iter().position(|byte| *byte == b'\n') {
        let line = &contents[start..start + length];
        start += length + 1;
        let Some(changes) = line::decode(line) else {
            damaged += 1;
            continue;
        };
        recovered.good_len = start;
        recovered.damaged_before_good = damaged;
        for (key, value) in changes {
            match value {
                Some(value) => recovered.entries.insert(key, value),
                None => recovered.entries.remove(&key),
            };
        }
    }
    recovered
}

#[cfg(test)]
mod tests;
