//! Record <-> type: the only place that knows Kafka headers.
//!
//! Headers are `CloudEvents` in binary mode, plus our own:
//!
//! | header | on | value |
//! |---|---|---|
//! | `ce_specversion` | all | `1.0` |
//! | `ce_id` | all | the frame id, a UUID (ours are version 7) |
//! | `ce_source` | all | the source id, the same as the key |
//! | `ce_type` | all | `kadr.frame.v1`, `kadr.annotated.v1` or `kadr.result.v1` |
//! | `ce_time` | all | when the picture was taken, RFC 3339 with microseconds |
//! | `content-type` | all | `image/jpeg` or `application/json` |
//! | `traceparent`, `tracestate` | all | W3C trace context |
//! | `kadr_model` | frames | `name`, `name@version` or `name@alias` |
//! | `kadr_sequence` | frames | the source's own count |
//! | `kadr_deadline_ms` | frames | milliseconds after capture |
//!
//! A dead letter keeps the original key, value and headers, and adds `kadr_error`, `kadr_error_kind`,
//! `kadr_topic`, `kadr_partition`, `kadr_offset` and `kadr_attempts`. Headers that are not listed here
//! pass from a frame to its annotated picture and its result as they are.
//!
//! **What a foreign producer must send** is a JPEG and a key; every header is optional:
//!
//! - the source is the key; without a key it is `ce_source`; with neither, the record is refused
//! - `ce_id` defaults to a UUID made from the record's timestamp and its topic, partition and
//!   offset, so that a redelivered record keeps its id
//! - `ce_time` defaults to the record's timestamp
//! - `ce_type` and `content-type` may be missing or the producer's own, but must not say that the
//!   record is something else
//! - a malformed `traceparent` is dropped, as W3C asks; any other malformed header refuses the record
//!
//! Header names match without regard to case. Where a name repeats, the last value counts. An empty
//! value counts as none.

mod dead_letter;
mod error;
mod frame;
mod headers;
mod result;

pub use dead_letter::{
    DeadLetter, FailureKind, MAX_ERROR_LENGTH, decode_dead_letter, encode_dead_letter,
};
pub use error::RecordError;
pub use frame::{decode_annotated, decode_frame, encode_annotated, encode_frame};
pub use headers::{
    ANNOTATED_TYPE, ATTEMPTS, CE_ID, CE_SOURCE, CE_SPECVERSION, CE_TIME, CE_TYPE, CONTENT_TYPE,
    DEADLINE_MS, DRAW, ERROR, ERROR_KIND, FRAME_TYPE, MODEL, OFFSET, PARTITION, RESULT_TYPE,
    SEQUENCE, TOPIC, TRACEPARENT, TRACESTATE,
};
pub use result::{decode_result, encode_result};

use bytes::Bytes;

/// A Kafka record without its place: what a producer sends and a consumer receives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The partition key; by the key rule this is the source id.
    pub key: Option<Bytes>,
    /// The payload: a JPEG, a result JSON, or whatever a foreign producer put there.
    pub value: Bytes,
    /// Headers in order; names may repeat, as Kafka allows.
    pub headers: Vec<(String, Bytes)>,
}

impl Record {
    /// The last value of a header, by its name without regard to case.
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        let is_named = |(header, _): &&(String, Bytes)| header.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .rev()
            .find(is_named)
            .map(|(_, value)| value)
    }
}
