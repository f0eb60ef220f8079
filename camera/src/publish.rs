//! Frames onto the live topic: one in flight per camera, so a slow broker lowers the frame rate and never adds delay.

use std::{convert::Infallible, sync::Arc, time::SystemTime};

use pipeline::{
    frame::{DEFAULT_LIVE_DEADLINE_MS, Frame, Lane, SourceId, truncate_to_micros},
    kafka::{Sink, SinkError},
    record::encode_frame,
    service::{
        DropReason, Traces,
        traces::{Span, Step},
    },
};
use tokio_util::sync::CancellationToken;

use crate::{capture::Shot, newest::Newest, stats::CameraStats};

/// The root of a live frame's trace: from the moment its picture was due.
pub(crate) const CAPTURE: Step = Step::producer("capture");

/// The way of one camera to Kafka.
pub(crate) struct Publisher {
    pub(crate) source: SourceId,
    pub(crate) topic: String,
    pub(crate) sink: Sink,
    pub(crate) stats: Arc<CameraStats>,
    pub(crate) traces: Traces,
}

impl Publisher {
    pub(crate) async fn run(
        self,
        slot: Arc<Newest<Shot>>,
        stop: CancellationToken,
    ) -> Result<(), Infallible> {
        while let Some(shot) = stop.run_until_cancelled(slot.take()).await {
            // As the frame keeps it.
            let captured_at = truncate_to_micros(shot.captured_at);
            let mut span = self.traces.begin(CAPTURE, None, captured_at);
            match self.publish(shot, &mut span).await {
                Ok(()) => self.stats.published(),
                Err(error) => self.lose(&error, &mut span),
            }
            span.end();
        }
        Ok(())
    }

    async fn publish(&self, shot: Shot, span: &mut Span) -> Result<(), SinkError> {
        let mut frame = Frame::new(self.source.clone(), shot.captured_at, shot.jpeg);
        frame.sequence = Some(shot.sequence);
        frame.deadline_ms = Some(DEFAULT_LIVE_DEADLINE_MS);
        frame.carried.trace = span.trace().cloned();
        span.set_frame(frame.id, &frame.source, Lane::Live);
        let sent_at = SystemTime::now();
        self.sink
            .send(&self.topic, None, &encode_frame(&frame))?
            .await?;
        span.child("send", sent_at, SystemTime::now());
        Ok(())
    }

    fn lose(&self, error: &SinkError, span: &mut Span) {
        tracing::warn!(source = %self.source, %error, "a live frame was not published");
        let reason = match error {
            SinkError::Full { .. } => DropReason::QueueFull,
            SinkError::TooBig { .. } => DropReason::TooBig,
            SinkError::Broken { .. } => DropReason::Unpublished,
        };
        self.stats.dropped(reason);
        span.set_dropped(reason);
        span.set_error(error);
    }
}
