//! Records into fates: a result, a dead letter, or the frame itself.

use std::sync::Arc;

use jiff::Timestamp;
use pipeline::{
    frame::{Frame, FrameId},
    kafka::Seen,
    record::{CE_ID, Record, RecordError, decode_dead_letter, decode_frame, decode_result},
};

use super::{Done, Failure, Fate, Submission};
use crate::intake;

/// The frame that a record is about, by its header.
pub(super) fn id_of(record: &Record) -> Option<FrameId> {
    let text = record.header(CE_ID)?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

pub(super) fn result(record: Record) -> Result<(FrameId, Fate), RecordError> {
    let json = record.value.clone();
    let (detections, carried) = decode_result(record)?;
    let done = Done {
        json,
        submitted_at: detections.captured_at,
        width: detections.width,
        height: detections.height,
        model: detections.model,
        annotated: detections.annotated,
        trace: carried.trace,
    };
    Ok((detections.id, Fate::Done(Arc::new(done))))
}

pub(super) fn dead_letter(seen: Seen) -> Result<(Option<FrameId>, Fate), RecordError> {
    let letter = decode_dead_letter(seen.record)?;
    let id = id_of(&letter.original);
    let frame = decode_frame(letter.original, &seen.place).ok();
    let failure = Failure {
        submission: frame.as_ref().map(|frame| submission(frame, None)),
        kind: letter.kind.as_str().to_owned(),
        message: letter.error,
        trace: frame.and_then(|frame| frame.carried.trace),
    };
    Ok((id, Fate::Failed(failure)))
}

pub(super) fn frame(seen: Seen) -> Result<Fate, RecordError> {
    let place = (seen.place.partition, seen.place.offset);
    let frame = decode_frame(seen.record, &seen.place)?;
    Ok(Fate::Queued(submission(&frame, Some(place))))
}

fn submission(frame: &Frame, place: Option<(i32, i64)>) -> Submission {
    let (width, height) = intake::size_of(&frame.jpeg).unwrap_or_default();
    Submission {
        submitted_at: frame.captured_at,
        width,
        height,
        model: frame.model.clone(),
        place,
    }
}

/// When an id was made; only ours, version 7, tell.
pub(super) fn made_at(id: FrameId) -> Option<Timestamp> {
    let uuid = uuid::Uuid::from(id);
    if uuid.get_version_num() != 7 {
        return None;
    }
    let (seconds, nanoseconds) = uuid.get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, nanoseconds as i32).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_ours_tells_its_time_and_others_do_not() {
        let before = Timestamp::now() - jiff::SignedDuration::from_millis(1);
        let made = made_at(FrameId::new()).expect("version 7");
        assert!(before <= made && made <= Timestamp::now());
        let foreign: FrameId = "d9428888-122b-41e1-b85c-61d4e4a0a8ab".parse().unwrap();
        assert_eq!(made_at(foreign), None);
    }
}
