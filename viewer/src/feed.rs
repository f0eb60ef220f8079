//! Reads the two output topics from their end and feeds the wall.

use std::{convert::Infallible, sync::Arc, time::Duration};

use pipeline::{
    detections::Detections,
    frame::Frame,
    kafka::{Seen, Tail, TailError},
    record::{RecordError, decode_annotated, decode_result},
    service::Bus,
};
use tokio::{
    task::{JoinError, spawn_blocking},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;

/// Records per partition read from before the start, so that a wall that was opened anew shows
/// something at once. They are late, so they show as stale.
const BACKLOG: u32 = 16;
/// Going stale is noticed this soon.
const TICK: Duration = Duration::from_millis(250);
/// A larger record is decoded away from the async threads.
const DECODED_IN_PLACE: usize = 64 << 10;

/// The two topics, opened: what is written after this is seen.
pub(crate) struct Feed {
    tail: Tail,
    annotated_topic: String,
}

enum Half {
    Picture(Frame),
    Result(Detections),
}

/// A record that is no half of a frame.
#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("the decoder ended early")]
    Decoder(#[from] JoinError),
}

impl Feed {
    pub(crate) async fn open(bus: &Bus) -> Result<Self, TailError> {
        let (annotated, results) = (bus.topics.annotated(), bus.topics.results());
        let tail = Tail::open(&bus.kafka, &[&annotated, &results], BACKLOG).await?;
        Ok(Self {
            tail,
            annotated_topic: annotated,
        })
    }

    pub(crate) fn tail(&self) -> &Tail {
        &self.tail
    }

    pub(crate) async fn run(
        self,
        hub: Arc<Hub>,
        stop: CancellationToken,
    ) -> Result<(), Infallible> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let seen = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {
                    hub.tick();
                    continue;
                }
                seen = self.tail.recv() => seen,
            };
            let place = seen.place.clone();
            match self.decode(seen).await {
                Ok(Half::Picture(frame)) => hub.picture(frame),
                Ok(Half::Result(result)) => hub.result(result),
                Err(error) => {
                    hub.metrics().bad_record();
                    // One broken producer writes many; the metric tells how many.
                    tracing::debug!(%error, ?place, "a record that is no half of a frame");
                }
            }
        }
    }

    async fn decode(&self, seen: Seen) -> Result<Half, FeedError> {
        let Seen { record, place } = seen;
        if *place.topic == *self.annotated_topic {
            return Ok(Half::Picture(decode_annotated(record, &place)?));
        }
        let decoded = if record.value.len() > DECODED_IN_PLACE {
            spawn_blocking(move || decode_result(record)).await?
        } else {
            decode_result(record)
        };
        let (result, _carried) = decoded?;
        Ok(Half::Result(result))
    }
}
