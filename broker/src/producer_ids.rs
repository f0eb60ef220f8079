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
