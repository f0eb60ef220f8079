//! What a frame is, who sent it and on which lane it travels.
//!
//! - this file: the frame, its lane and its age
//! - `id`: frame and source ids
//! - `model_ref`: which model a frame asks for
//! - `time`: capture times as they are written
//! - `trace`: W3C trace context

mod id;
mod model_ref;
pub(crate) mod time;
mod trace;

pub use id::{FrameId, SourceId, SourceIdError};
pub use model_ref::{ModelRef, ModelRefError, ModelSelector};
pub use time::{rfc3339_micros, truncate_to_micros};
pub use trace::TraceContext;

use crate::draw::DrawWishes;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

/// Which of the two frame topics a frame travels on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Uploads and video jobs: never skipped, never lost.
    Durable,
    /// Cameras: stale frames are skipped and counted, the newest wins.
    Live,
}

impl Lane {
    /// The lower-case name, as metrics and logs write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Live => "live",
        }
    }
}

/// The deadline of a frame on the live lane whose producer names none.
pub const DEFAULT_LIVE_DEADLINE_MS: u32 = 1000;

/// One picture on its way through the pipeline: as captured, or as annotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The same on the frame, on its result and on its annotated picture.
    pub id: FrameId,
    /// The camera, upload or job it came from.
    pub source: SourceId,
    /// When the picture was taken; records keep microseconds.
    pub captured_at: Timestamp,
    /// The model to look at it; none means the detector's default.
    pub model: Option<ModelRef>,
    /// The source's own count of its frames.
    pub sequence: Option<u64>,
    /// How long after capture the frame is still worth looking at; none means for ever. Outputs of
    /// the durable lane do not bear it.
    pub deadline_ms: Option<u32>,
    /// How its annotated picture is to be drawn, where the model's way is not wanted.
    pub draw: DrawWishes,
    /// What goes from the frame to all its outputs untouched.
    pub carried: Carried,
    /// The JPEG file.
    pub jpeg: Bytes,
}

/// What a frame's producer attached for others: every output of the frame bears it again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// The trace this frame belongs to.
    pub trace: Option<TraceContext>,
    /// Headers that are not part of the contract, in their order.
    pub extra_headers: Vec<(String, Bytes)>,
}

impl Frame {
    /// A frame with a new id and nothing optional set.
    pub fn new(source: SourceId, captured_at: Timestamp, jpeg: Bytes) -> Self {
        Self {
            id: FrameId::new(),
            source,
            captured_at: truncate_to_micros(captured_at),
            model: None,
            sequence: None,
            deadline_ms: None,
            draw: DrawWishes::default(),
            carried: Carried::default(),
            jpeg,
        }
    }

    /// The same frame with the annotated picture in place of the captured one.
    #[must_use]
    pub fn with_jpeg(&self, jpeg: Bytes) -> Self {
        Self {
            jpeg,
            ..self.clone()
        }
    }

    /// How long ago the picture was taken; negative when the source's clock is ahead.
    pub fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.captured_at)
    }

    /// Of an annotated frame: whether it came by the live lane. There every frame has a deadline,
    /// and those of the durable lane leave theirs behind.
    pub fn is_live(&self) -> bool {
        self.deadline_ms.is_some()
    }

    /// Whether the deadline has passed; never true for a frame without one.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.deadline_ms.is_some_and(|deadline_ms| {
            self.age(now) > SignedDuration::from_millis(deadline_ms.into())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(deadline_ms: Option<u32>) -> Frame {
        let captured_at = "2026-03-01T12:00:00.123456789Z".parse().unwrap();
        let source = SourceId::new("cam-1").unwrap();
        Frame {
            deadline_ms,
            ..Frame::new(source, captured_at, Bytes::from_static(b"jpeg"))
        }
    }

    #[test]
    fn capture_times_are_kept_to_the_microsecond() {
        assert_eq!(
            frame(None).captured_at.to_string(),
            "2026-03-01T12:00:00.123456Z"
        );
    }

    #[test]
    fn a_frame_is_stale_only_after_its_deadline() {
        let frame = frame(Some(500));
        let at = |ms| frame.captured_at + SignedDuration::from_millis(ms);
        assert_eq!(frame.age(at(500)), SignedDuration::from_millis(500));
        assert!(!frame.is_stale(at(500)));
        assert!(frame.is_stale(at(501)));
    }

    #[test]
    fn a_clock_that_is_ahead_makes_no_frame_stale() {
        let frame = frame(Some(0));
        let before_capture = frame.captured_at - SignedDuration::from_secs(3600);
        assert_eq!(frame.age(before_capture), SignedDuration::from_secs(-3600));
        assert!(!frame.is_stale(before_capture));
    }

    #[test]
    fn a_frame_without_a_deadline_is_never_stale() {
        let frame = frame(None);
        assert!(!frame.is_live());
        assert!(!frame.is_stale(frame.captured_at + SignedDuration::from_hours(24 * 365)));
    }

    #[test]
    fn an_annotated_frame_differs_in_its_picture_alone() {
        let frame = frame(Some(500));
        let annotated = frame.with_jpeg(Bytes::from_static(b"annotated"));
        assert_eq!(annotated.jpeg, "annotated");
        assert_eq!(annotated.with_jpeg(frame.jpeg.clone()), frame);
    }
}
