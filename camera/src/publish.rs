//! Frames onto the live topic: one in flight per camera, so a slow broker lowers the frame rate and never adds delay.

use std::{convert::Infallible, sync::Arc};

use pipeline::{
    frame::{Frame, SourceId},
    kafka::{Sink, SinkError},
    record::encode_frame,
    service::{DropReason, Metrics},
};
use tokio_util::sync::CancellationToken;

use crate::{capture::Shot, newest::Newest};

/// A live frame that nobody has looked at after this long is old news.
const DEADLINE_MS: u32 = 1000;

/// The way of one camera to Kafka.
pub(crate) struct Publisher {
    pub(crate) source: SourceId,
    pub(crate) topic: String,
    pub(crate) sink: Sink,
    pub(crate) metrics: Metrics,
}

impl Publisher {
    pub(crate) async fn run(
        self,
        slot: Arc<Newest<Shot>>,
        stop: CancellationToken,
    ) -> Result<(), Infallible> {
        loop {
            let shot = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                shot = slot.take() => shot,
            };
            if let Err(error) = self.publish(shot).await {
                self.count(&error);
            }
        }
    }

    async fn publish(&self, shot: Shot) -> Result<(), SinkError> {
        let mut frame = Frame::new(self.source.clone(), shot.captured_at, shot.jpeg);
        frame.sequence = Some(shot.sequence);
        frame.deadline_ms = Some(DEADLINE_MS);
        self.sink
            .send(&self.topic, None, &encode_frame(&frame))?
            .await?;
        Ok(())
    }

    fn count(&self, error: &SinkError) {
        tracing::warn!(source = %self.source, %error, "a live frame was not published");
        self.metrics.frame_dropped(match error {
            SinkError::Full { .. } => DropReason::QueueFull,
            SinkError::TooBig { .. } => DropReason::TooBig,
            SinkError::Broken { .. } => DropReason::Unpublished,
        });
    }
}
