//! What the live topic gives back: the newest frame of each camera, for as many watchers as like.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use pipeline::{
    frame::{Frame, SourceId},
    kafka::Tail,
    record::decode_frame,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The newest frame of each camera, as it came back from Kafka.
#[derive(Debug)]
pub struct Playback {
    newest: BTreeMap<SourceId, watch::Sender<Option<Arc<Frame>>>>,
}

impl Playback {
    pub(crate) fn new(sources: impl Iterator<Item = SourceId>) -> Self {
        Self {
            newest: sources
                .map(|source| (source, watch::Sender::new(None)))
                .collect(),
        }
    }

    /// The cameras, in order of their names.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &SourceId> {
        self.newest.keys()
    }

    /// Follows one camera; a slow watcher sees fewer frames, always the newest.
    pub(crate) fn watch(&self, source: &str) -> Option<watch::Receiver<Option<Arc<Frame>>>> {
        let (_, sender) = self.newest.iter().find(|(id, _)| id.as_str() == source)?;
        Some(sender.subscribe())
    }

    fn show(&self, frame: Frame) {
        // Other processes may publish on the same topic; their cameras are theirs to show.
        if let Some(sender) = self.newest.get(&frame.source) {
            sender.send_replace(Some(Arc::new(frame)));
        }
    }
}

pub(crate) async fn run(
    tail: Tail,
    playback: Arc<Playback>,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    loop {
        let seen = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            seen = tail.recv() => seen,
        };
        match decode_frame(seen.record, &seen.place) {
            Ok(frame) => playback.show(frame),
            Err(error) => {
                tracing::warn!(%error, place = ?seen.place, "a foreign record on the live topic");
            }
        }
    }
}
