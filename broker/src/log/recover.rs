//! Opening what an earlier run left: torn ends are cut, missing indexes rebuilt, producers and epochs read up to the end.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::checkpoint::{self, State};
use super::disk::{self, Disk};
use super::index::{self, SparseIndex, Summary};
use super::partition::Seal;
use super::producers::Producers;
use super::segment::{self, HeaderScan};
use super::shape::{Active, Closed, Shape};

pub(super) struct Recovery<'a> {
    pub disk: &'a dyn Disk,
    pub folder: &'a Path,
    pub leader_epoch: i32,
    /// The last run closed properly, or these pages were checked in this run.
    pub trust_last_segment: bool,
    pub now_ms: i64,
}

pub(super) struct Recovered {
    pub shape: Shape,
    pub producers: Producers,
    /// Closed segments whose index could not be written yet: the disk is full.
    pub unsaved: Vec<Seal>,
}

impl Recovery<'_> {
    pub(super) fn run(&self) -> io::Result<Recovered> {
        self.remove_half_written()?;
        let start = checkpoint::load_start(self.folder)?;
        let mut bases = segment::list(self.folder)?;
        let last = bases.pop().unwrap_or(start.unwrap_or(0));
        let mut closed = BTreeMap::new();
        let mut unsaved = Vec::new();
        for base in bases {
            closed.insert(base, self.closed(base, &mut unsaved)?);
        }
        let mut active = self.active(last)?;
        if let Some(start) = start.filter(|start| *start > active.index.summary.end_offset) {
            tracing::error!(folder = %self.folder.display(), log_start = start, "the log ends before its start: going on empty");
            active = self.restart_at(start, &closed, &active)?;
            closed.clear();
            unsaved.clear();
        }
        disk::sync_folder(self.disk, self.folder)?;
        let (shape, producers) = self.assemble(start, closed, active)?;
        Ok(Recovered {
            shape,
            producers,
            unsaved,
        })
    }

    fn assemble(
        &self,
        start: Option<i64>,
        closed: BTreeMap<i64, Closed>,
        active: Active,
    ) -> io::Result<(Shape, Producers)> {
        let mut shape = Shape {
            log_start: 0,
            visible: super::shape::Place {
                offset: active.index.summary.end_offset,
                segment: active.base,
                position: active.index.summary.bytes,
            },
            closed,
            active,
            epochs: super::epochs::Epochs::default(),
        };
        shape.log_start = start.unwrap_or(0).max(shape.first_base());
        let mut state = self.state_at_end(&shape)?;
        state.producers.forget_idle(self.now_ms);
        state.epochs.forget_before(shape.log_start);
        state.epochs.begin(self.leader_epoch, shape.visible.offset);
        shape.epochs = state.epochs;
        Ok((shape, state.producers))
    }

    fn closed(&self, base: i64, unsaved: &mut Vec<Seal>) -> io::Result<Closed> {
        let path = segment::log_path(self.folder, base);
        let bytes = fs::metadata(&path)?.len();
        let index_path = segment::index_path(self.folder, base);
        if let Some(summary) = index::load_summary(&index_path, bytes)? {
            return Ok(Closed {
                summary,
                unsaved_index: None,
            });
        }
        let file = disk::open_for_append(&path)?;
        // No index: the segment may never have reached the disk whole.
        let index = segment::index_file(&file, base, true)?;
        self.cut(&file, base, index.summary)?;
        self.disk.sync(&file)?;
        let seal = Seal {
            base,
            file: Arc::new(file),
            summary: index.summary,
            entries: Arc::new(index.entries),
        };
        // A full disk must not keep what is there from being read, nor retention from making room.
        let saved = index::save(&seal.summary, &seal.entries, self.disk, &index_path);
        let unsaved_index = saved.err().map(|error| {
            tracing::warn!(index = %index_path.display(), %error, "cannot write an index yet, will try again");
            Arc::clone(&seal.entries)
        });
        let summary = seal.summary;
        if unsaved_index.is_some() {
            unsaved.push(seal);
        }
        Ok(Closed {
            summary,
            unsaved_index,
        })
    }

    fn active(&self, base: i64) -> io::Result<Active> {
        let file = disk::open_for_append(&segment::log_path(self.folder, base))?;
        let index = segment::index_file(&file, base, !self.trust_last_segment)?;
        self.cut(&file, base, index.summary)?;
        self.disk.sync(&file)?;
        disk::remove_if_there(&segment::index_path(self.folder, base))?;
        Ok(Active {
            base,
            file: Arc::new(file),
            index,
        })
    }

    fn cut(&self, file: &File, base: i64, whole: Summary) -> io::Result<()> {
        let bytes = file.metadata()?.len();
        if bytes == whole.bytes {
            return Ok(());
        }
        tracing::warn!(
            folder = %self.folder.display(),
            segment = base,
            cut_bytes = bytes - whole.bytes,
            offset = whole.end_offset,
            "cut a torn or damaged end off a segment"
        );
        self.disk.cut(file, whole.bytes)
    }

    fn restart_at(
        &self,
        start: i64,
        closed: &BTreeMap<i64, Closed>,
        active: &Active,
    ) -> io::Result<Active> {
        let file = disk::open_for_append(&segment::log_path(self.folder, start))?;
        for base in closed.keys().chain([&active.base]) {
            remove_segment(self.folder, *base)?;
        }
        Ok(Active {
            base: start,
            file: Arc::new(file),
            index: SparseIndex::new(start),
        })
    }

    fn state_at_end(&self, shape: &Shape) -> io::Result<State> {
        let end = shape.visible.offset;
        let saved = State::load(self.folder)?;
        let mut state = saved
            .filter(|state| state.offset <= end)
            .unwrap_or_default();
        for view in shape.views_from(state.offset) {
            let file = File::open(segment::log_path(self.folder, view.base))?;
            let mut scan = HeaderScan::new(&file, 0, view.readable);
            while let Some(placed) = scan.next()? {
                if placed.header.base_offset < state.offset {
                    continue;
                }
                state.producers.record(&placed.header, self.now_ms);
                let epoch = placed.header.leader_epoch;
                state.epochs.begin(epoch, placed.header.base_offset);
            }
        }
        state.offset = end;
        Ok(state)
    }

    fn remove_half_written(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|it| it == "tmp") {
                disk::remove_if_there(&path)?;
            }
        }
        Ok(())
    }
}

/// The index goes first: a segment without one is merely checked again.
pub(super) fn remove_segment(folder: &Path, base: i64) -> io::Result<()> {
    disk::remove_if_there(&segment::index_path(folder, base))?;
    disk::remove_if_there(&segment::log_path(folder, base))
}

#[cfg(test)]
#[path = "recover_tests.rs"]
mod tests;
