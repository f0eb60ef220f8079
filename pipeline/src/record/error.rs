//! Why a record could not be read, in words that fit into a dead letter.

use crate::detections::DetectionsError;
use std::fmt::Display;

/// A record that breaks the contract. The message names what is wrong and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The value is empty, as a tombstone's is.
    #[error("the record has no value; expected {expected}")]
    NoValue {
        /// What the value should have been.
        expected: &'static str,
    },
    /// The value of a frame does not begin as a JPEG does.
    #[error("the value is not a JPEG: it begins with {start}, not with ff d8")]
    NotJpeg {
        /// The first bytes in hex.
        start: String,
    },
    /// Nothing says where the frame comes from.
    #[error("the record has neither a key nor a ce_source header; set the key to the source id")]
    NoSource,
    /// The key is not a source id.
    #[error("the key {value} is not a source id: {reason}")]
    Key {
        /// The key, shortened.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing says when the picture was taken.
    #[error("the record has neither a ce_time header nor a timestamp")]
    NoTime,
    /// A header that must be there is not.
    #[error("header {name} is missing")]
    NoHeader {
        /// Its name.
        name: &'static str,
    },
    /// A header with a value that cannot be used.
    #[error("header {name} holds {value}: {reason}")]
    Header {
        /// Its name.
        name: &'static str,
        /// Its value, shortened.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The value is not a result JSON.
    #[error("the value is not a result: {reason}")]
    Json {
        /// What the JSON reader says.
        reason: String,
    },
    /// The key or a header says something else than the result.
    #[error("by its key and headers the {field} is {in_record}, but the result says {in_json}")]
    Contradiction {
        /// What they disagree about.
        field: &'static str,
        /// What the key or the header says.
        in_record: String,
        /// What the JSON says.
        in_json: String,
    },
    /// The result contradicts itself.
    #[error("the result is not usable: {0}")]
    Detections(#[source] DetectionsError),
}

/// What a parser says, which may quote all of its input: at most 200 characters of it.
pub(super) fn reason_of(error: &impl Display) -> String {
    const MAX_CHARS: usize = 200;
    let mut reason = error.to_string();
    if let Some((end, _)) = reason.char_indices().nth(MAX_CHARS) {
        reason.truncate(end);
        reason.push('…');
    }
    reason
}

/// A value as it can stand in a message: quoted, escaped and at most 48 characters.
pub(super) fn shorten(value: &[u8]) -> String {
    const MAX_CHARS: usize = 48;
    // A character has at most four bytes; cutting first keeps a huge value from being copied.
    let head = &value[..value.len().min(4 * MAX_CHARS + 4)];
    let text = String::from_utf8_lossy(head);
    let mut short: String = text.chars().take(MAX_CHARS).collect();
    if short.len() < text.len() || head.len() < value.len() {
        short.push('…');
    }
    format!("{short:?}")
}
