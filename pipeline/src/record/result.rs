//! Results as records: the JSON of [`Detections`] under the headers of its frame.

use super::error::reason_of;
use super::headers::{HeaderReader, RESULT_TYPE, RecordKind, common_headers, push_carried};
use super::{Record, RecordError};
use crate::detections::Detections;
use crate::frame::Carried;
use crate::topic::key_of;
use std::fmt::Display;

const RESULT: RecordKind = RecordKind {
    ce_type: RESULT_TYPE,
    accepted_media_types: &["application/json"],
};

/// A result as a record for the results topic, with what its frame carried.
///
/// Refuses a result that fails [`Detections::check`], so that none on the topic breaks the schema.
pub fn encode_result(detections: &Detections, carried: &Carried) -> Result<Record, RecordError> {
    detections.check().map_err(RecordError::Detections)?;
    let json = serde_json::to_vec(detections).map_err(|error| RecordError::Json {
        reason: reason_of(&error),
    })?;
    let source = &detections.source;
    let mut headers = common_headers(&RESULT, detections.id, source, detections.captured_at);
    push_carried(&mut headers, carried);
    Ok(Record {
        key: Some(key_of(source)),
        value: json.into(),
        headers,
    })
}

/// Reads a result and what its frame carried.
///
/// The JSON says everything; a key or a header that contradicts it refuses the record.
pub fn decode_result(record: Record) -> Result<(Detections, Carried), RecordError> {
    let mut headers = HeaderReader::new(record.headers);
    headers.expect(&RESULT)?;
    if record.value.is_empty() {
        return Err(RecordError::NoValue {
            expected: "the result JSON",
        });
    }
    let detections: Detections =
        serde_json::from_slice(&record.value).map_err(|error| RecordError::Json {
            reason: reason_of(&error),
        })?;
    detections.check().map_err(RecordError::Detections)?;
    check_agreement("id", headers.take_id()?, &detections.id)?;
    check_agreement(
        "capture time",
        headers.take_time()?,
        &detections.captured_at,
    )?;
    let source = headers.take_source(record.key.as_ref())?;
    check_agreement("source", source, &detections.source)?;
    Ok((detections, headers.into_carried()))
}

fn check_agreement<T: Display + PartialEq>(
    field: &'static str,
    in_record: Option<T>,
    in_json: &T,
) -> Result<(), RecordError> {
    match in_record {
        Some(in_record) if in_record != *in_json => Err(RecordError::Contradiction {
            field,
            in_record: in_record.to_string(),
            in_json: in_json.to_string(),
        }),
        _ => Ok(()),
    }
}
