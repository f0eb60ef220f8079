//! The way back: what Kafka gives back of each camera, live and annotated, for as many watchers as
//! like. Newest only, so memory is bounded by the number of cameras.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use bytes::Bytes;
use pipeline::{
    detections::Detections,
    frame::{Frame, SourceId},
    kafka::{Seen, Tail},
    record::{RecordError, decode_annotated, decode_frame, decode_result},
    topic::Topics,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{address::Address, stats::CameraStats};

/// The newest of one kind; none before the first.
type Newest<T> = watch::Sender<Option<Arc<T>>>;
pub(crate) type Watched<T> = watch::Receiver<Option<Arc<T>>>;

/// Every camera of this process and what is known of it.
#[derive(Debug)]
pub(crate) struct Playback {
    cameras: BTreeMap<SourceId, Camera>,
    topics: Topics,
}

/// One camera.
#[derive(Debug)]
pub(crate) struct Camera {
    pub(crate) address: Address,
    pub(crate) stats: Arc<CameraStats>,
    live: Newest<Frame>,
    annotated: Newest<Frame>,
    result: Newest<Detections>,
}

impl Camera {
    pub(crate) fn new(address: Address, stats: Arc<CameraStats>) -> Self {
        Self {
            address,
            stats,
            live: watch::Sender::new(None),
            annotated: watch::Sender::new(None),
            result: watch::Sender::new(None),
        }
    }

    /// The pictures as they were captured; a slow watcher sees fewer, always the newest.
    pub(crate) fn live(&self) -> Watched<Frame> {
        self.live.subscribe()
    }

    /// The pictures as the detector drew on them.
    pub(crate) fn annotated(&self) -> Watched<Frame> {
        self.annotated.subscribe()
    }

    /// What the detector saw last.
    pub(crate) fn result(&self) -> Option<Arc<Detections>> {
        self.result.borrow().clone()
    }

    /// Something that was sent again after a restart never replaces what came later.
    fn show(place: &Newest<Frame>, frame: Frame) -> bool {
        place.send_if_modified(|newest| {
            let is_news = newest
                .as_ref()
                .is_none_or(|shown| frame.captured_at > shown.captured_at);
            if is_news {
                *newest = Some(Arc::new(frame));
            }
            is_news
        })
    }
}

impl Playback {
    pub(crate) fn new(cameras: BTreeMap<SourceId, Camera>, topics: Topics) -> Self {
        Self { cameras, topics }
    }

    /// The cameras, in order of their names.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &SourceId> {
        self.cameras.keys()
    }

    pub(crate) fn camera(&self, id: &str) -> Option<(&SourceId, &Camera)> {
        self.cameras.iter().find(|(known, _)| known.as_str() == id)
    }

    /// The camera that a record's key names. Other processes use the same topics; what is theirs
    /// is not even decoded.
    fn camera_of(&self, key: Option<&Bytes>) -> Option<&Camera> {
        let id = std::str::from_utf8(key?).ok()?;
        self.camera(id).map(|(_, camera)| camera)
    }

    pub(crate) fn take_in(&self, seen: Seen) -> Result<(), RecordError> {
        let Some(camera) = self.camera_of(seen.record.key.as_ref()) else {
            return Ok(());
        };
        let topic = &*seen.place.topic;
        if topic == self.topics.live() {
            Camera::show(&camera.live, decode_frame(seen.record, &seen.place)?);
        } else if topic == self.topics.annotated() {
            let frame = decode_annotated(seen.record, &seen.place)?;
            let captured_at = frame.captured_at;
            if Camera::show(&camera.annotated, frame) {
                camera.stats.annotated(captured_at);
            }
        } else if topic == self.topics.results() {
            let (detections, _) = decode_result(seen.record)?;
            camera.result.send_replace(Some(Arc::new(detections)));
        }
        Ok(())
    }
}

pub(crate) async fn run(
    tail: Tail,
    playback: Arc<Playback>,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    while let Some(seen) = stop.run_until_cancelled(tail.recv()).await {
        let place = seen.place.clone();
        if let Err(error) = playback.take_in(seen) {
            tracing::warn!(%error, ?place, "a record that cannot be shown");
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "playback_tests.rs"]
mod tests;
