//! Frames onto the live topic: one in flight per camera, so a slow broker lowers the frame rate and never adds delay.

use std::{convert::Infallible, sync::Arc};

use pipeline::{
    frame::{DEFAULT_LIVE_DEADLINE_MS, Frame, SourceId},
    kafka::{Sink, SinkError},
    record::encode_frame,
    service::DropReason,
};
use tokio_util::sync::CancellationToken;

use crate::{capture::Shot, newest::Newest, stats::CameraStats};

/// The way of one camera to Kafka.
pub(crate) struct Publisher {
    pub(crate) source: SourceId,
    pub(crate) topic: String,
    pub(crate) sink: Sink,
    pub(crate) stats: Arc<CameraStats>,
}

impl Publisher {
    pub(crate) async fn run(
        self,
        slot: Arc<Newest<Shot>>,
        stop: CancellationToken,
    ) -> Result<(), Infallible> {
        while let Some(shot) = stop.run_until_cancelled(slot.take()).await {
            match self.publish(shot).await {
                Ok(()) => self.stats.published(),
                Err(error) => self.lose(&error),
            }
        }
        Ok(())
    }

    async fn publish(&self, shot: Shot) -> Result<(), SinkError> {
        let mut frame = Frame::new(self.source.clone(), shot.captured_at, shot.jpeg);
        frame.sequence = Some(shot.sequence);
        frame.deadline_ms = Some(DEFAULT_LIVE_DEADLINE_MS);
        self.sink
            .send(&self.topic, None, &encode_frame(&frame))?
            .await?;
        Ok(())
    }

    fn lose(&self, error: &SinkError) {
        tracing::warn!(source = %self.source, %error, "a live frame was not published");
        self.stats.dropped(match error {
            SinkError::Full { .. } => DropReason::QueueFull,
            SinkError::TooBig { .. } => DropReason::TooBig,
            SinkError::Broken { .. } => DropReason::Unpublished,
        });
    }
}
