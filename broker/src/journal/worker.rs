//! The journal's thread: takes what waits, flushes it once, answers everyone.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::disk::JournalFile;
use super::line::{self, ChangeSet};
use super::store::Store;
use super::{JournalError, Trouble};

/// A flush is not made larger than this, so that its memory stays bounded.
const MAX_FLUSH_BYTES: usize = 4 << 20;

pub(super) struct Put {
    pub changes: ChangeSet,
    pub done: oneshot::Sender<Result<(), JournalError>>,
}

pub(super) fn run<F: JournalFile>(
    mut store: Store<F>,
    mut queue: mpsc::Receiver<Put>,
    trouble: &Trouble,
) {
    while let Some(first) = queue.blocking_recv() {
        let mut lines = Vec::new();
        let mut sets = Vec::new();
        let mut waiting = Vec::new();
        let mut next = Some(first);
        while let Some(put) = next {
            line::encode(&put.changes, &mut lines);
            sets.push(put.changes);
            waiting.push(put.done);
            next = if lines.len() < MAX_FLUSH_BYTES {
                queue.try_recv().ok()
            } else {
                None
            };
        }
        let committed = store.commit(&lines, sets);
        let result = committed.map_err(|error| JournalError::Write(Arc::new(error)));
        match &result {
            Ok(()) => trouble.worked(),
            Err(error) => trouble.report(error),
        }
        for done in waiting {
            // Whoever stopped waiting (a closed connection) needs no answer.
            done.send(result.clone()).unwrap_or_default();
        }
        store.compact_if_worthwhile();
    }
}
