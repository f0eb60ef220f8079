//! History once more, into topics of its own: `detector replay`.
//!
//! - this file: frames of the past are copied under another prefix, and a detector of this process
//!   works on them until each has its result or its dead letter
//! - `command`: the flags and what is printed
//!
//! Nothing is written to the topics that the frames come from, and no group of theirs is touched.

mod command;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pipeline::frame::{Frame, FrameId, Lane, ModelRef};
use pipeline::kafka::{
    AdminError, Scan, ScanError, ScanStart, Seen, SinkError, Tail, TailError, ensure_topics,
    frame_topics,
};
use pipeline::record::{CE_ID, decode_frame, encode_frame};
use pipeline::service::{Bus, Context, Tasks};
use pipeline::topic::Topics;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::history::Which;
use crate::worker::{DetectorConfig, DetectorError, start};

pub use command::{ReplayArgs, run};

/// How long the brokers may take to make the topics.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long no frame at all may come out before the replay says that it is stuck.
const STUCK: Duration = Duration::from_mins(5);

/// Frames that wait for the detector, so that a long history is not copied ahead of it.
const AHEAD: usize = 512;

/// What is replayed.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Sources, and how far back.
    pub which: Which,
    /// How long ago what is replayed ends; now if not said.
    pub until: Option<Duration>,
    /// The lanes that are read.
    pub lanes: Vec<Lane>,
    /// The model, instead of the one that each frame asked for.
    pub model: Option<ModelRef>,
    /// Frames at most.
    pub limit: usize,
}

/// What a replay did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Frames that were copied.
    pub frames: usize,
    /// Results among what came of them.
    pub results: usize,
    /// Dead letters among what came of them.
    pub dead: usize,
    /// Records of the past that are no frames.
    pub unreadable: usize,
    /// There was more than the limit.
    pub is_cut: bool,
}

/// Why a replay ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// History would be written over itself.
    #[error("a replay cannot go into the topics it reads from: choose another --into")]
    SameTopics,
    /// The topics cannot be had.
    #[error(transparent)]
    Topics(#[from] AdminError),
    /// The past cannot be read.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// What comes of it cannot be seen.
    #[error(transparent)]
    Tail(#[from] TailError),
    /// A frame was not taken.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The detector did not start.
    #[error(transparent)]
    Detector(#[from] DetectorError),
    /// Nothing comes any more.
    #[error(
        "{waiting} frames have no result, and none came for {STUCK:?}; see what the detector says \
         above, and run the replay again into other topics"
    )]
    Stuck {
        /// Frames without a result.
        waiting: usize,
    },
    /// It was told to end.
    #[error("ended before all frames had their result; {waiting} have none")]
    Stopped {
        /// Frames without a result.
        waiting: usize,
    },
}

/// The frames that have no result yet, and what came of the others.
#[derive(Debug, Default)]
struct Progress {
    waiting: Mutex<HashSet<FrameId>>,
    counts: Mutex<Replayed>,
    moved: Notify,
}

impl Progress {
    fn waiting(&self) -> MutexGuard<'_, HashSet<FrameId>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counts(&self) -> MutexGuard<'_, Replayed> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, seen: &Seen, dead: &str) {
        let id = seen.record.header(CE_ID).map(|id| id.to_vec());
        let id = id.and_then(|id| String::from_utf8(id).ok()?.parse().ok());
        if !id.is_some_and(|id: FrameId| self.waiting().remove(&id)) {
            return;
        }
        let mut counts = self.counts();
        if *seen.place.topic == *dead {
            counts.dead += 1;
        } else {
            counts.results += 1;
        }
        drop(counts);
        self.moved.notify_one();
    }

    /// Waits until no more than so many frames wait.
    async fn down_to(&self, most: usize, context: &Context) -> Result<(), ReplayError> {
        let mut quiet_since = Instant::now();
        let mut before = usize::MAX;
        loop {
            let waiting = self.waiting().len();
            if waiting <= most {
                return Ok(());
            }
            if waiting < before {
                (before, quiet_since) = (waiting, Instant::now());
            }
            if quiet_since.elapsed() > STUCK {
                return Err(ReplayError::Stuck { waiting });
            }
            tokio::select! {
                () = context.shutdown.begun() => return Err(ReplayError::Stopped { waiting }),
                _ = timeout(Duration::from_secs(1), self.moved.notified()) => {}
            }
        }
    }
}

impl Replay {
    /// Replays from `from`, with a detector that is started among `tasks` on the topics of `bus`.
    pub async fn run(
        &self,
        from: &Topics,
        config: DetectorConfig,
        (bus, context, tasks): (&Bus, &Context, &mut Tasks),
    ) -> Result<Replayed, ReplayError> {
        if *from == bus.topics {
            return Err(ReplayError::SameTopics);
        }
        ensure_topics(&bus.kafka, &frame_topics(&bus.topics), PATIENCE).await?;
        let names = [bus.topics.results(), bus.topics.dead()];
        let outputs = Tail::open(&bus.kafka, &names.each_ref().map(String::as_str), 0).await?;
        start(config, bus, context, tasks)?;
        let progress = Arc::new(Progress::default());
        let watching = tokio::spawn({
            let progress = Arc::clone(&progress);
            let dead = bus.topics.dead();
            async move {
                loop {
                    progress.note(&outputs.recv().await, &dead);
                }
            }
        });
        let copied = self.copy_all(from, &progress, (bus, context)).await;
        let ended = match copied {
            Ok(()) => progress.down_to(0, context).await,
            failed => failed,
        };
        watching.abort();
        ended?;
        let counts = *progress.counts();
        Ok(counts)
    }

    async fn copy_all(
        &self,
        from: &Topics,
        progress: &Progress,
        (bus, context): (&Bus, &Context),
    ) -> Result<(), ReplayError> {
        let now = Timestamp::now();
        let begin = self.which.begins_at(now);
        let begin = begin.map_or(ScanStart::Beginning, ScanStart::At);
        let into = bus.topics.frames();
        for lane in &self.lanes {
            let mut scan = Scan::open(&bus.kafka, &from.of_lane(*lane), begin).await?;
            while let Some(seen) = scan.next().await? {
                let Some(frame) = self.meant(seen, now, progress) else {
                    continue;
                };
                if progress.counts().frames >= self.limit {
                    progress.counts().is_cut = true;
                    return Ok(());
                }
                progress.counts().frames += 1;
                progress.waiting().insert(frame.id);
                let record = encode_frame(&frame);
                let sent = bus.sink.send_when_room(&into, None, &record);
                sent.await?.await?;
                progress.down_to(AHEAD, context).await?;
            }
        }
        Ok(())
    }

    /// The frame as it is sent once more; none when it is not meant.
    fn meant(&self, seen: Seen, now: Timestamp, progress: &Progress) -> Option<Frame> {
        let ends_at = self.until.map(|until| {
            let until = SignedDuration::try_from(until).unwrap_or(SignedDuration::MAX);
            now.saturating_sub(until).unwrap_or(Timestamp::UNIX_EPOCH)
        });
        let written_ms = seen.place.timestamp_ms;
        if ends_at.is_some_and(|end| written_ms > end.as_millisecond())
            || !self.which.has_source(&seen.record)
        {
            return None;
        }
        match decode_frame(seen.record, &seen.place) {
            Ok(mut frame) => {
                if let Some(model) = &self.model {
                    frame.model = Some(model.clone());
                }
                // It is stale by now, and wanted all the same.
                frame.deadline_ms = None;
                Some(frame)
            }
            Err(error) => {
                tracing::debug!(%error, place = ?seen.place, "a record of the past is no frame");
                progress.counts().unreadable += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pipeline::frame::SourceId;
    use pipeline::kafka::Place;
    use pipeline::record::Record;

    use super::*;

    fn seen(record: Record, minutes_ago: i64) -> Seen {
        let written = now() - SignedDuration::from_mins(minutes_ago);
        let place = Place {
            topic: "kadr.live".into(),
            partition: 0,
            offset: 3,
            timestamp_ms: written.as_millisecond(),
        };
        Seen { record, place }
    }

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn frame() -> Frame {
        let source = SourceId::new("line-3").unwrap();
        let mut frame = Frame::new(source, now(), Bytes::from_static(b"\xff\xd8"));
        frame.deadline_ms = Some(500);
        frame.model = Some("parts@1".parse().unwrap());
        frame
    }

    fn replay() -> Replay {
        Replay {
            which: Which::default(),
            until: Some(Duration::from_mins(10)),
            lanes: vec![Lane::Live],
            model: Some("parts@canary".parse().unwrap()),
            limit: 10,
        }
    }

    #[test]
    fn a_frame_is_sent_once_more_under_its_id_for_another_model_and_without_a_deadline() {
        let (replay, progress) = (replay(), Progress::default());
        let sent = replay.meant(seen(encode_frame(&frame()), 20), now(), &progress);
        let sent = sent.unwrap();
        assert_eq!(sent.model, replay.model);
        assert_eq!(sent.deadline_ms, None);
        let too_new = seen(encode_frame(&frame()), 5);
        assert_eq!(replay.meant(too_new, now(), &progress), None);
        let no_frame = Record {
            key: Some(Bytes::from_static(b"line-3")),
            ..Record::default()
        };
        assert_eq!(replay.meant(seen(no_frame, 20), now(), &progress), None);
        assert_eq!(progress.counts().unreadable, 1);
    }

    #[test]
    fn each_frame_is_counted_once_and_those_of_others_never() {
        let progress = Progress::default();
        let (mine, other) = (encode_frame(&frame()), encode_frame(&frame()));
        let id = decode_frame(mine.clone(), &seen(mine.clone(), 1).place);
        progress.waiting().insert(id.unwrap().id);
        for record in [&other, &mine, &mine] {
            progress.note(&seen(record.clone(), 1), "kadr.replay.dead");
        }
        let counts = *progress.counts();
        assert_eq!((counts.results, counts.dead), (1, 0));
        assert!(progress.waiting().is_empty());
    }
}
