//! Frames, captured and annotated, as records.

use super::headers::{
    ANNOTATED_TYPE, DEADLINE_MS, DRAW, FRAME_TYPE, HeaderReader, MODEL, RecordKind, SEQUENCE,
    common_headers, push, push_carried,
};
use super::{Record, RecordError};
use crate::frame::{Frame, FrameId, ModelRef};
use crate::topic::{Place, key_of};
use jiff::Timestamp;

/// Media types under which producers send JPEG files.
const JPEG_MEDIA_TYPES: &[&str] = &["image/jpeg", "image/jpg", "application/octet-stream"];
const CAPTURED: RecordKind = RecordKind {
    ce_type: FRAME_TYPE,
    accepted_media_types: JPEG_MEDIA_TYPES,
};
const ANNOTATED: RecordKind = RecordKind {
    ce_type: ANNOTATED_TYPE,
    accepted_media_types: JPEG_MEDIA_TYPES,
};

/// A captured frame as a record for the frames or the live topic.
pub fn encode_frame(frame: &Frame) -> Record {
    encode(frame, &CAPTURED)
}

/// An annotated frame as a record for the annotated topic.
pub fn encode_annotated(frame: &Frame) -> Record {
    encode(frame, &ANNOTATED)
}

/// Reads a captured frame; `place` fills in what a foreign producer left out.
pub fn decode_frame(record: Record, place: &Place) -> Result<Frame, RecordError> {
    decode(record, place, &CAPTURED)
}

/// Reads an annotated frame.
pub fn decode_annotated(record: Record, place: &Place) -> Result<Frame, RecordError> {
    decode(record, place, &ANNOTATED)
}

fn encode(frame: &Frame, kind: &RecordKind) -> Record {
    let mut headers = common_headers(kind, frame.id, &frame.source, frame.captured_at);
    if let Some(model) = &frame.model {
        push(&mut headers, MODEL, model);
    }
    if let Some(sequence) = frame.sequence {
        push(&mut headers, SEQUENCE, sequence);
    }
    if let Some(deadline_ms) = frame.deadline_ms {
        push(&mut headers, DEADLINE_MS, deadline_ms);
    }
    if !frame.draw.is_empty() {
        push(&mut headers, DRAW, frame.draw);
    }
    push_carried(&mut headers, &frame.carried);
    Record {
        key: Some(key_of(&frame.source)),
        value: frame.jpeg.clone(),
        headers,
    }
}

fn decode(record: Record, place: &Place, kind: &RecordKind) -> Result<Frame, RecordError> {
    let mut headers = HeaderReader::new(record.headers);
    headers.expect(kind)?;
    let source = headers
        .take_source(record.key.as_ref())?
        .ok_or(RecordError::NoSource)?;
    let captured_at = match headers.take_time()? {
        Some(time) => time,
        None => recorded_at(place).ok_or(RecordError::NoTime)?,
    };
    let id = match headers.take_id()? {
        Some(id) => id,
        None => derived_id(place, captured_at),
    };
    let model = headers.take(
        MODEL,
        "name, name@version or name@alias",
        str::parse::<ModelRef>,
    )?;
    let sequence = headers.take(SEQUENCE, "a whole number", str::parse::<u64>)?;
    let deadline_ms = headers.take(DEADLINE_MS, "whole milliseconds", str::parse::<u32>)?;
    let draw = headers.take(DRAW, "words such as no-labels,opacity:30", str::parse)?;
    check_jpeg(&record.value)?;
    Ok(Frame {
        id,
        source,
        captured_at,
        model,
        sequence,
        deadline_ms,
        draw: draw.unwrap_or_default(),
        carried: headers.into_carried(),
        jpeg: record.value,
    })
}

fn recorded_at(place: &Place) -> Option<Timestamp> {
    let has_timestamp = place.timestamp_ms > 0;
    has_timestamp
        .then(|| Timestamp::from_millisecond(place.timestamp_ms).ok())
        .flatten()
}

fn derived_id(place: &Place, captured_at: Timestamp) -> FrameId {
    let time = recorded_at(place).unwrap_or(captured_at);
    FrameId::derived(
        time,
        &format!("{}/{}/{}", place.topic, place.partition, place.offset),
    )
}

/// Only the first bytes: whether the rest decodes is the decoder's business.
fn check_jpeg(value: &[u8]) -> Result<(), RecordError> {
    if value.is_empty() {
        return Err(RecordError::NoValue {
            expected: "the JPEG file",
        });
    }
    if value.starts_with(&[0xff, 0xd8]) {
        return Ok(());
    }
    let hex: Vec<String> = value
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Err(RecordError::NotJpeg {
        start: hex.join(" "),
    })
}
