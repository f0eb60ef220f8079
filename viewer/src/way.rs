//! The way of a frame through the viewer, for its trace: from its first half to the browsers that are
//! told of it, or to where it was given up.

use std::time::Duration;

use pipeline::{
    frame::{Frame, FrameId, Lane, SourceId, TraceContext},
    service::{DropReason, Traces, traces::Step},
};

use crate::clock::Moment;

const SHOW: Step = Step::consumer("show");

/// What is recorded of a frame whose trace is sampled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    id: FrameId,
    source: SourceId,
    trace: TraceContext,
    /// When its first half came.
    since: Duration,
    lost: Option<DropReason>,
}

impl Way {
    /// The way of a picture whose half, or whole, has been here since then; none where nobody would
    /// see it.
    pub(crate) fn of(picture: &Frame, since: Duration) -> Option<Self> {
        let trace = picture.carried.trace.as_ref();
        let trace = trace.filter(|trace| trace.is_sampled())?;
        Some(Self {
            id: picture.id,
            source: picture.source.clone(),
            trace: trace.clone(),
            since,
            lost: None,
        })
    }

    /// It ended here.
    pub(crate) fn lost(self, reason: DropReason) -> Self {
        let lost = Some(reason);
        Self { lost, ..self }
    }

    /// Records it as ended now.
    pub(crate) fn record(&self, traces: &Traces, now: Moment) {
        let ago = now.steady.saturating_sub(self.since);
        let from = now.wall.checked_sub(ago).unwrap_or(now.wall);
        let mut span = traces.follow(SHOW, Some(&self.trace), from);
        span.set_frame(self.id, &self.source, Lane::Live);
        if let Some(reason) = self.lost {
            span.set_dropped(reason);
        }
        span.end();
    }
}
