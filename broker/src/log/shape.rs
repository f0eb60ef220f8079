//! What readers see of a log: its segments, where it starts and how far it may be read.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use super::epochs::Epochs;
use super::index::{Entry, SparseIndex, Summary};

/// A closed segment: no file handle, and no index once that is safely in its own file.
#[derive(Debug, Clone)]
pub(super) struct Closed {
    pub summary: Summary,
    pub unsaved_index: Option<Arc<Vec<Entry>>>,
}

#[derive(Debug, Clone)]
pub(super) struct Active {
    pub base: i64,
    pub file: Arc<File>,
    pub index: SparseIndex,
}

/// A place in the log, as an offset and as a position in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub offset: i64,
    pub segment: i64,
    pub position: u64,
}

#[derive(Debug)]
pub(super) struct Shape {
    pub log_start: i64,
    pub closed: BTreeMap<i64, Closed>,
    pub active: Active,
    /// The high watermark: nothing at or behind it is ever shown.
    pub visible: Place,
    pub epochs: Epochs,
}

impl Shape {
    pub(super) fn end(&self) -> Place {
        Place {
            offset: self.active.index.summary.end_offset,
            segment: self.active.base,
            position: self.active.index.summary.bytes,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        let closed: u64 = self.closed.values().map(|it| it.summary.bytes).sum();
        closed + self.active.index.summary.bytes
    }

    pub(super) fn first_base(&self) -> i64 {
        self.closed
            .first_key_value()
            .map_or(self.active.base, |(base, _closed)| *base)
    }

    /// The segments that hold something readable at or after `from`, in order.
    pub(super) fn views_from(&self, from: i64) -> impl Iterator<Item = View> {
        let closed = self.closed.iter().map(|(base, closed)| View {
            base: *base,
            summary: closed.summary,
            source: match &closed.unsaved_index {
                Some(entries) => Source::Unsaved(Arc::clone(entries)),
                None => Source::Saved,
            },
            readable: self.readable(*base, closed.summary.bytes),
        });
        let active = std::iter::once_with(|| View {
            base: self.active.base,
            summary: self.active.index.summary,
            source: Source::Active(Arc::clone(&self.active.file)),
            readable: self.readable(self.active.base, self.active.index.summary.bytes),
        });
        closed
            .chain(active)
            .filter(move |view| view.summary.end_offset > from && view.readable > 0)
    }

    fn readable(&self, base: i64, bytes: u64) -> u64 {
        match base.cmp(&self.visible.segment) {
            std::cmp::Ordering::Less => bytes,
            std::cmp::Ordering::Equal => self.visible.position,
            std::cmp::Ordering::Greater => 0,
        }
    }
}

/// One segment as a reader takes it along, without holding a lock.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub base: i64,
    pub summary: Summary,
    pub source: Source,
    /// Bytes in front of the high watermark.
    pub readable: u64,
}

#[derive(Debug, Clone)]
pub(super) enum Source {
    Saved,
    Unsaved(Arc<Vec<Entry>>),
    Active(Arc<File>),
}
