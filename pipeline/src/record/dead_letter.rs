//! Dead letters: a record that could not be handled, and why.

use super::headers::{
    ATTEMPTS, ERROR, ERROR_KIND, HeaderReader, OFFSET, PARTITION, TOPIC, is_dead_letter_header,
    push,
};
use super::{Record, RecordError};
use std::fmt;

/// The longest reason that a dead letter carries, in bytes.
pub const MAX_ERROR_LENGTH: usize = 2_000;

/// A record that could not be handled, as it was, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The record with its own key, value and headers.
    pub original: Record,
    /// The reason in words; written on one line of at most [`MAX_ERROR_LENGTH`] bytes.
    pub error: String,
    /// The reason for machines.
    pub kind: FailureKind,
    /// The topic that the record came from.
    pub topic: String,
    /// The partition that it came from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// How often handling it was tried.
    pub attempts: u32,
}

/// What kept a record from becoming a result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The record breaks the contract: see [`RecordError`].
    BadRecord,
    /// The picture cannot be decoded.
    BadImage,
    /// The picture or an output is larger than allowed.
    TooBig,
    /// The model asked for does not exist.
    UnknownModel,
    /// The model failed on this picture.
    ModelFailed,
    /// Its deadline was over before a model could look at it.
    Deadline,
    /// A kind that this version does not know.
    Other(String),
}

impl FailureKind {
    const KNOWN: [Self; 6] = [
        Self::BadRecord,
        Self::BadImage,
        Self::TooBig,
        Self::UnknownModel,
        Self::ModelFailed,
        Self::Deadline,
    ];

    /// The word in the header.
    pub fn as_str(&self) -> &str {
        match self {
            Self::BadRecord => "bad_record",
            Self::BadImage => "bad_image",
            Self::TooBig => "too_big",
            Self::UnknownModel => "unknown_model",
            Self::ModelFailed => "model_failed",
            Self::Deadline => "deadline",
            Self::Other(kind) => kind,
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<String> for FailureKind {
    fn from(kind: String) -> Self {
        Self::KNOWN
            .into_iter()
            .find(|known| known.as_str() == kind)
            .unwrap_or(Self::Other(kind))
    }
}

/// A dead letter as a record for the dead topic.
///
/// When the original is itself a dead letter that was sent in again, the new reason replaces the old one.
pub fn encode_dead_letter(letter: DeadLetter) -> Record {
    let mut record = letter.original;
    record
        .headers
        .retain(|(name, _)| !is_dead_letter_header(name));
    push(&mut record.headers, ERROR, one_line(&letter.error));
    push(&mut record.headers, ERROR_KIND, letter.kind);
    push(&mut record.headers, TOPIC, letter.topic);
    push(&mut record.headers, PARTITION, letter.partition);
    push(&mut record.headers, OFFSET, letter.offset);
    push(&mut record.headers, ATTEMPTS, letter.attempts);
    record
}

/// Reads a dead letter back into the original record and the reason.
pub fn decode_dead_letter(record: Record) -> Result<DeadLetter, RecordError> {
    let mut headers = HeaderReader::new(record.headers);
    let missing = |name| move || RecordError::NoHeader { name };
    let error = headers.take_text(ERROR)?.ok_or_else(missing(ERROR))?;
    let kind = headers
        .take_text(ERROR_KIND)?
        .ok_or_else(missing(ERROR_KIND))?
        .into();
    let topic = headers.take_text(TOPIC)?.ok_or_else(missing(TOPIC))?;
    let number = "a whole number";
    let partition = headers
        .take(PARTITION, number, str::parse)?
        .ok_or_else(missing(PARTITION))?;
    let offset = headers
        .take(OFFSET, number, str::parse)?
        .ok_or_else(missing(OFFSET))?;
    let attempts = headers
        .take(ATTEMPTS, number, str::parse)?
        .ok_or_else(missing(ATTEMPTS))?;
    let original = Record {
        headers: headers.into_rest(),
        ..record
    };
    Ok(DeadLetter {
        original,
        error,
        kind,
        topic,
        partition,
        offset,
        attempts,
    })
}

fn one_line(error: &str) -> String {
    let mut line: String = error
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    line.truncate(line.floor_char_boundary(MAX_ERROR_LENGTH));
    line
}
