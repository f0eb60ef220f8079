//! Gives every idempotent producer a number that no other ever had.

use std::ops::Range;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::journal::{Journal, JournalError};

/// Where the journal keeps the first number of the next block.
pub(crate) const KEY: &str = "producer-ids";

/// Numbers taken from the journal at once; a crash loses the rest of a block, which harms nobody.
const BLOCK: i64 = 1000;

/// Hands out producer ids.
pub(crate) struct ProducerIds {
    journal: Journal,
    block: Mutex<Range<i64>>,
}

impl ProducerIds {
    /// Goes on where the journal says.
    pub(crate) fn new(journal: Journal, entry: Option<&Value>) -> Self {
        let next = entry.and_then(Value::as_i64).unwrap_or(0);
        Self {
            journal,
            block: Mutex::new(next..next),
        }
    }

    /// A number never given before.
    pub(crate) async fn next(&self) -> Result<i64, JournalError> {
        let mut block = self.block.lock().await;
        if let Some(id) = block.next() {
            return Ok(id);
        }
        let end = block.end + BLOCK;
        self.journal
            .put(vec![(KEY.to_owned(), Some(json!(end)))])
            .await?;
        *block = block.end..end;
        Ok(block.next().expect("a fresh block has numbers"))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    fn open(path: &Path) -> (Journal, ProducerIds) {
        let (journal, entries) = Journal::open(path).unwrap();
        let ids = ProducerIds::new(journal.clone(), entries.get(KEY));
        (journal, ids)
    }

    #[tokio::test]
    async fn no_number_is_given_twice_however_runs_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut given = BTreeSet::new();
        for run in 0..4 {
            let (journal, ids) = open(&path);
            // One run ends within a block, the next at the very end of one, and so on.
            for _ in 0..BLOCK + run % 2 {
                assert!(given.insert(ids.next().await.unwrap()), "run {run}");
            }
            journal.close();
        }
        assert!(given.first().is_some_and(|id| *id >= 0));
    }

    #[tokio::test]
    async fn no_number_is_given_that_is_not_written_down() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, ids) = open(&folder.path().join("journal"));
        journal.close();
        assert!(ids.next().await.is_err());
        assert!(ids.next().await.is_err());
    }
}
