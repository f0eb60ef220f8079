//! What the unit tests of this crate stand on: frames and results of a source, numbered.

use bytes::Bytes;
use jiff::Timestamp;
use pipeline::{
    detections::{BBox, Detections, Instance, ModelVersion, Rgb, SchemaVersion, Timings},
    frame::{Frame, FrameId, SourceId},
};

use crate::clock::tests::at_ms;

pub(crate) const DEADLINE_MS: u32 = 1000;

/// A frame of `source` captured at `captured_ms` of the tests' clock, with its number as sequence.
pub(crate) fn live_frame(source: &str, captured_ms: u64) -> Frame {
    Frame {
        sequence: Some(captured_ms),
        deadline_ms: Some(DEADLINE_MS),
        ..upload(source, captured_ms)
    }
}

/// The same without a deadline.
pub(crate) fn upload(source: &str, captured_ms: u64) -> Frame {
    let jpeg = Bytes::from(format!("\u{ff}{source} at {captured_ms}"));
    Frame::new(source_id(source), at_ms(captured_ms).wall, jpeg)
}

/// The result of a frame: one gear.
pub(crate) fn result_of(frame: &Frame) -> Detections {
    let model = ModelVersion {
        name: "parts".to_owned(),
        version: 1,
    };
    let mut result = Detections::for_frame(frame, 64, 48, model);
    result.instances = vec![instance("gear", 4)];
    result
}

/// A result of nothing in particular.
pub(crate) fn detections(source: &str) -> Detections {
    Detections {
        schema_version: SchemaVersion,
        id: FrameId::new(),
        source: source_id(source),
        captured_at: Timestamp::UNIX_EPOCH,
        width: 64,
        height: 48,
        model: ModelVersion {
            name: "parts".to_owned(),
            version: 1,
        },
        instances: Vec::new(),
        classes: Vec::new(),
        timings_ms: Timings::default(),
        annotated: None,
    }
}

pub(crate) fn instance(label: &str, category_id: u32) -> Instance {
    Instance {
        label: label.to_owned(),
        category_id,
        score: 0.9,
        bbox: BBox {
            x: 1.0,
            y: 2.0,
            w: 3.0,
            h: 4.0,
        },
        area: 12,
        segmentation: None,
        class_color: Some(Rgb([1, 2, 3])),
        color: None,
    }
}

pub(crate) fn source_id(text: &str) -> SourceId {
    SourceId::new(text).unwrap()
}
