//! What travels through the stages: a frame with the record it came as, and what became of it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use pipeline::{
    detections::{ModelVersion, Timings},
    draw::Drawing,
    frame::{DEFAULT_LIVE_DEADLINE_MS, Frame, Lane, ModelRef, SourceId},
    kafka::{Place, Received},
    record::{DeadLetter, FailureKind, Record, decode_frame},
    service::{DropReason, units::format_duration},
};

use super::{metrics::Meters, scheduler::Waiting, trace::FrameTrace};
use crate::{image::RgbImage, model::Prediction};

/// A frame that was in the model's hands so often, over all detectors, is not tried again.
pub(crate) const MAX_ATTEMPTS: u32 = 3;

/// A frame to look at.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) frame: Frame,
    /// The model asked for, or the default.
    pub(crate) model: ModelRef,
    pub(crate) origin: Box<Origin>,
    /// How old the frame may be when the model begins with it, on either lane.
    pub(crate) deadline: Option<Duration>,
    pub(crate) received_at: Instant,
    /// Filled in on the way.
    pub(crate) timings: Timings,
}

/// Where a job came from: what a dead letter needs.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) record: Record,
    pub(crate) place: Place,
    pub(crate) lane: Lane,
    /// Runs of a model that the frame was part of, over all detectors.
    pub(crate) attempts: u32,
    /// What is recorded of its way.
    pub(crate) trace: FrameTrace,
}

/// A job that cannot be done.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) origin: Box<Origin>,
    pub(crate) kind: FailureKind,
    /// For whoever sent the frame.
    pub(crate) reason: String,
}

/// A job that is done up to some stage, or failed on the way.
pub(crate) type Outcome<T> = Received<Result<T, Failed>>;

/// A job with its pixels.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) job: Job,
    pub(crate) picture: RgbImage,
}

/// A job with what the model says.
#[derive(Debug)]
pub(crate) struct Predicted {
    pub(crate) job: Job,
    pub(crate) picture: RgbImage,
    pub(crate) prediction: Prediction,
    pub(crate) model: ModelVersion,
    /// How the picture is to be drawn.
    pub(crate) drawing: Drawing,
}

/// A job with everything that is published.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) job: Job,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) prediction: Prediction,
    pub(crate) model: ModelVersion,
    pub(crate) annotated: Bytes,
}

impl Job {
    /// Reads a record; what breaks the contract is a failed job.
    pub(crate) fn read(
        origin: Origin,
        default_model: &ModelRef,
        now: Timestamp,
    ) -> Result<Self, Failed> {
        let origin = Box::new(origin);
        if origin.attempts >= MAX_ATTEMPTS {
            let reason = format!(
                "it was tried {} times, and each time the detector died with it in hand",
                origin.attempts
            );
            return Err(origin.failed(FailureKind::ModelFailed, reason));
        }
        let mut frame = match decode_frame(origin.record.clone(), &origin.place) {
            Ok(frame) => frame,
            Err(error) => return Err(origin.failed(FailureKind::BadRecord, error.to_string())),
        };
        // On the outputs a deadline tells the lanes apart: every frame of the live lane bears one,
        // and none of the durable lane. Here it counts on both.
        let asked_ms = frame.deadline_ms;
        frame.deadline_ms = match origin.lane {
            Lane::Live => asked_ms.or(Some(DEFAULT_LIVE_DEADLINE_MS)),
            Lane::Durable => None,
        };
        let deadline = frame.deadline_ms.or(asked_ms);
        let deadline = deadline.map(|ms| Duration::from_millis(ms.into()));
        let timings = Timings {
            queue: frame.age(now).as_millis_f32().max(0.0),
            ..Timings::default()
        };
        let model = frame.model.clone();
        Ok(Self {
            frame,
            model: model.unwrap_or_else(|| default_model.clone()),
            origin,
            deadline,
            received_at: Instant::now(),
            timings,
        })
    }
}

impl Job {
    /// From then on nobody wants to see it any more.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        let deadline = SignedDuration::try_from(self.deadline?).ok()?;
        let end = self.frame.captured_at.checked_add(deadline);
        Some(end.unwrap_or(Timestamp::MAX))
    }

    pub(crate) fn is_late(&self, now: Timestamp) -> bool {
        self.expires_at().is_some_and(|end| now > end)
    }

    /// The job when its deadline is over: it is not looked at.
    pub(crate) fn too_late(self, now: Timestamp) -> Failed {
        let deadline = self.deadline.unwrap_or_default();
        let age = self.frame.age(now).unsigned_abs();
        let age = Duration::new(age.as_secs(), age.subsec_millis() * 1_000_000);
        let reason = format!(
            "it was to be looked at within {}, and {} have passed since it was taken",
            format_duration(deadline),
            format_duration(age)
        );
        self.origin.failed(FailureKind::Deadline, reason)
    }
}

/// Ends a frame whose deadline is over: one of the live lane is skipped, with a reason; of the
/// durable lane nothing is lost without a letter, which is what this returns.
pub(crate) fn give_up<T>(
    late: Received<Job>,
    now: Timestamp,
    meters: &Meters,
) -> Option<Outcome<T>> {
    match late.value().origin.lane {
        Lane::Live => {
            meters.dropped(DropReason::Stale);
            late.complete();
            None
        }
        Lane::Durable => Some(late.map(|job| Err(job.too_late(now)))),
    }
}

impl Origin {
    pub(crate) fn failed(self: Box<Self>, kind: FailureKind, reason: String) -> Failed {
        Failed {
            origin: self,
            kind,
            reason,
        }
    }
}

impl Failed {
    /// The letter for the dead topic.
    pub(crate) fn letter(self) -> DeadLetter {
        let Origin {
            record,
            place,
            attempts,
            ..
        } = *self.origin;
        DeadLetter {
            original: record,
            error: self.reason,
            kind: self.kind,
            topic: place.topic.to_string(),
            partition: place.partition,
            offset: place.offset,
            // What is refused before a model sees it was tried, too.
            attempts: attempts.max(1),
        }
    }
}

impl Waiting for Received<Job> {
    fn source(&self) -> &SourceId {
        &self.value().frame.source
    }

    fn model(&self) -> &ModelRef {
        &self.value().model
    }

    fn captured_at(&self) -> Timestamp {
        self.value().frame.captured_at
    }

    fn is_suspect(&self) -> bool {
        self.value().origin.attempts > 0
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.value().expires_at()
    }
}

/// Milliseconds as the result JSON has them.
pub(crate) fn milliseconds(duration: Duration) -> f32 {
    duration.as_secs_f32() * 1000.0
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::SignedDuration;
    use pipeline::record::{decode_dead_letter, encode_dead_letter, encode_frame};

    use super::*;

    /// A job as it is read from a topic.
    pub(crate) fn job(source: &str, model: &str, jpeg: &[u8]) -> Job {
        let mut frame = frame(source, jpeg);
        frame.model = Some(model.parse().unwrap());
        let origin = origin(encode_frame(&frame), Lane::Durable);
        Job::read(origin, &"parts".parse().unwrap(), frame.captured_at).unwrap()
    }

    fn frame(source: &str, jpeg: &[u8]) -> Frame {
        let captured_at = "2026-03-01T12:00:00Z".parse().unwrap();
        let source = SourceId::new(source).unwrap();
        Frame::new(source, captured_at, Bytes::copy_from_slice(jpeg))
    }

    fn origin(record: Record, lane: Lane) -> Origin {
        let place = Place {
            topic: "kadr.frames".into(),
            partition: 3,
            offset: 42,
            timestamp_ms: 1_772_366_400_000,
        };
        Origin {
            record,
            place,
            lane,
            attempts: 0,
            trace: FrameTrace::default(),
        }
    }

    fn read(frame: &Frame, lane: Lane) -> Job {
        let now = frame.captured_at + SignedDuration::from_millis(250);
        let origin = origin(encode_frame(frame), lane);
        Job::read(origin, &"parts".parse().unwrap(), now).unwrap()
    }

    #[test]
    fn the_default_model_stands_in_for_none() {
        let mut frame = frame("cam-1", b"\xff\xd8");
        assert_eq!(read(&frame, Lane::Live).model, "parts".parse().unwrap());
        frame.model = Some("part-kind@2".parse().unwrap());
        let job = read(&frame, Lane::Live);
        assert_eq!(job.model, "part-kind@2".parse().unwrap());
        assert!((job.timings.queue - 250.0).abs() < 0.1);
    }

    #[test]
    fn a_deadline_tells_the_lanes_apart() {
        let mut frame = frame("cam-1", b"\xff\xd8");
        let deadlines = |frame: &Frame| {
            [Lane::Live, Lane::Durable].map(|lane| read(frame, lane).frame.deadline_ms)
        };
        assert_eq!(deadlines(&frame), [Some(DEFAULT_LIVE_DEADLINE_MS), None]);
        frame.deadline_ms = Some(77);
        assert_eq!(deadlines(&frame), [Some(77), None], "outputs bear it");
        let asked = [Lane::Live, Lane::Durable].map(|lane| read(&frame, lane).deadline);
        assert_eq!(
            asked,
            [Some(Duration::from_millis(77)); 2],
            "and it counts on both"
        );
        let late = read(&frame, Lane::Durable);
        let end = late.expires_at().unwrap();
        assert!(!late.is_late(end) && late.is_late(end + SignedDuration::from_millis(1)));
    }

    #[test]
    fn a_record_that_breaks_the_contract_is_buried_as_it_was() {
        let record = Record {
            key: Some(Bytes::from_static(b"not a source")),
            value: Bytes::from_static(b"\xff\xd8 anything"),
            headers: vec![("x-mine".to_owned(), Bytes::from_static(b"7"))],
        };
        let origin = origin(record.clone(), Lane::Durable);
        let default_model = "parts".parse().unwrap();
        let failed = Job::read(origin, &default_model, Timestamp::now()).unwrap_err();
        let letter = decode_dead_letter(encode_dead_letter(failed.letter())).unwrap();
        assert_eq!(letter.original, record);
        assert_eq!(letter.kind, FailureKind::BadRecord);
        assert!(letter.error.contains("not a source"), "{}", letter.error);
        assert_eq!(
            (&*letter.topic, letter.partition, letter.offset),
            ("kadr.frames", 3, 42)
        );
        assert_eq!(letter.attempts, 1);
    }

    #[test]
    fn a_frame_that_was_in_hand_at_three_deaths_is_buried_unseen() {
        let record = encode_frame(&frame("cam-1", b"\xff\xd8"));
        let read = |attempts| {
            let mut origin = origin(record.clone(), Lane::Durable);
            origin.attempts = attempts;
            Job::read(origin, &"parts".parse().unwrap(), Timestamp::now())
        };
        let job = read(2).unwrap();
        assert!(Received::untracked(job).is_suspect());
        assert!(!Received::untracked(read(0).unwrap()).is_suspect());
        let failed = read(3).unwrap_err();
        assert_eq!(failed.kind, FailureKind::ModelFailed);
        let letter = failed.letter();
        assert_eq!((letter.attempts, &letter.original), (3, &record));
        assert!(letter.error.contains("died"), "{}", letter.error);
    }
}
