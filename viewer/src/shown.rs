//! A frame as browsers are given it: encoded once, shared by all of them.

use bytes::{BufMut, Bytes, BytesMut};
use jiff::Timestamp;
use pipeline::{
    detections::{Classification, Detections, ModelVersion, Timings},
    frame::{Frame, FrameId},
};
use serde::Serialize;

use crate::{
    clock::{Moment, unix_ms},
    counts::{ClassCount, bounded_label, count_classes},
    join::Joined,
};

/// A classifier may know a thousand classes; nobody reads beyond the first.
const MAX_CLASSES: usize = 10;

/// A joined frame. Its bytes exist once, however many clients are sent them.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) id: FrameId,
    pub(crate) captured_at: Timestamp,
    pub(crate) joined: Moment,
    pub(crate) sequence: Option<u64>,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) model: ModelVersion,
    pub(crate) counts: Vec<ClassCount>,
    /// It had outlived its deadline when it was joined.
    pub(crate) is_late: bool,
    message: Bytes,
    jpeg_at: usize,
}

/// The JSON in front of the picture.
#[derive(Serialize)]
struct Header<'a> {
    source: &'a str,
    id: FrameId,
    captured_ms: f64,
    joined_ms: f64,
    sequence: Option<u64>,
    late: bool,
    width: u32,
    height: u32,
    model: &'a ModelVersion,
    counts: &'a [ClassCount],
    classes: &'a [Classification],
    timings_ms: &'a Timings,
}

impl Shown {
    /// Encodes a frame that was whole at `joined`.
    pub(crate) fn new(frame: &Joined, joined: Moment) -> Self {
        let Joined {
            picture, result, ..
        } = frame;
        let counts = count_classes(result);
        let is_late = picture.is_stale(joined.wall);
        let classes = most_likely(result);
        let header = Header {
            source: picture.source.as_str(),
            id: picture.id,
            captured_ms: unix_ms(picture.captured_at),
            joined_ms: joined.unix_ms(),
            sequence: picture.sequence,
            late: is_late,
            width: result.width,
            height: result.height,
            model: &result.model,
            counts: &counts,
            classes: &classes,
            timings_ms: &result.timings_ms,
        };
        let (message, jpeg_at) = message(&header, picture);
        Self {
            id: picture.id,
            captured_at: picture.captured_at,
            joined,
            sequence: picture.sequence,
            width: result.width,
            height: result.height,
            model: result.model.clone(),
            counts,
            is_late,
            message,
            jpeg_at,
        }
    }

    /// What a WebSocket client is sent: length of the header, header, JPEG.
    pub(crate) fn message(&self) -> Bytes {
        self.message.clone()
    }

    /// The picture alone; the same bytes.
    pub(crate) fn jpeg(&self) -> Bytes {
        self.message.slice(self.jpeg_at..)
    }

    /// From capture to both halves being here; 0 where the camera's clock is ahead.
    pub(crate) fn latency_ms(&self) -> f64 {
        (self.joined.unix_ms() - unix_ms(self.captured_at)).max(0.0)
    }
}

fn most_likely(result: &Detections) -> Vec<Classification> {
    let first = result.classes.iter().take(MAX_CLASSES);
    let bounded = |class: &Classification| Classification {
        label: bounded_label(&class.label),
        score: class.score,
    };
    first.map(bounded).collect()
}

fn message(header: &Header<'_>, picture: &Frame) -> (Bytes, usize) {
    const LENGTH_BYTES: usize = size_of::<u32>();
    let header = serde_json::to_vec(header).expect("plain fields and finite, checked numbers");
    let jpeg_at = LENGTH_BYTES + header.len();
    let mut message = BytesMut::with_capacity(jpeg_at + picture.jpeg.len());
    message.put_u32(u32::try_from(header.len()).expect("every part of a header is bounded"));
    message.put_slice(&header);
    message.put_slice(&picture.jpeg);
    (message.freeze(), jpeg_at)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        clock::tests::at_ms,
        testing::{live_frame, result_of},
    };
    use serde_json::Value;

    fn shown(joined_ms: u64) -> (Frame, Shown) {
        let picture = live_frame("belt-1", 250);
        let mut result = result_of(&picture);
        result.timings_ms.infer = 41.5;
        let joined = Joined {
            picture: picture.clone(),
            result,
            since: Duration::ZERO,
        };
        (picture, Shown::new(&joined, at_ms(joined_ms)))
    }

    #[test]
    fn a_message_is_length_header_and_picture() {
        let (picture, shown) = shown(300);
        let message = shown.message();
        let length = u32::from_be_bytes(message[..4].try_into().unwrap()) as usize;
        let header: Value = serde_json::from_slice(&message[4..4 + length]).unwrap();
        assert_eq!(message[4 + length..], picture.jpeg);
        assert_eq!(header["source"], "belt-1");
        assert_eq!(header["id"], picture.id.to_string());
        assert_eq!(header["captured_ms"], 1_772_366_400_250.0);
        assert_eq!(header["joined_ms"], 1_772_366_400_300.0);
        assert_eq!(header["sequence"], 250);
        assert_eq!(header["late"], false);
        assert_eq!(
            (&header["width"], &header["height"]),
            (&64.into(), &48.into())
        );
        assert_eq!(header["model"]["name"], "parts");
        assert_eq!(header["counts"][0]["label"], "gear");
        assert_eq!(header["counts"][0]["count"], 1);
        assert_eq!(header["counts"][0]["color"], "#010203");
        assert_eq!(header["timings_ms"]["infer"], 41.5);
        assert!((shown.latency_ms() - 50.0).abs() < 1e-6);
    }

    #[test]
    fn every_client_is_given_the_same_bytes() {
        let (picture, shown) = shown(300);
        let messages: Vec<Bytes> = (0..50).map(|_| shown.message()).collect();
        assert!(messages.iter().all(|m| m.as_ptr() == messages[0].as_ptr()));
        let jpeg = shown.jpeg();
        assert_eq!(jpeg, picture.jpeg);
        assert!(
            messages[0].as_ptr_range().contains(&jpeg.as_ptr()),
            "no copy of the picture"
        );
    }

    #[test]
    fn a_frame_past_its_deadline_says_so() {
        assert!(!shown(1250).1.is_late);
        assert!(shown(1251).1.is_late);
    }
}
