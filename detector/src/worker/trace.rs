//! The trace of one frame in this detector: what each stage took, as a span with its true times,
//! below a span from the frame's arrival on Kafka to the acknowledgement of what came of it.

use std::time::{Duration, Instant, SystemTime};

use pipeline::{
    detections::ModelVersion,
    frame::TraceContext,
    kafka::SinkError,
    record::{TRACEPARENT, TRACESTATE},
    service::{
        DropReason, Traces,
        traces::{Span, Step},
    },
};

use super::job::{Failed, Job, Origin};

const DETECT: Step = Step::consumer("detect");

/// What is recorded of a frame so far; nothing, where its trace is not sampled.
#[derive(Debug, Default)]
pub(crate) struct FrameTrace {
    way: Option<Box<Way>>,
}

#[derive(Debug)]
struct Way {
    span: Span,
    /// The same moment by both clocks.
    received: (Instant, SystemTime),
    /// The end of the last stage.
    done_until: Instant,
}

impl FrameTrace {
    /// Begins with a record that was read, whether it is a frame or not.
    pub(crate) fn open(traces: &Traces, read: &mut Result<Job, Failed>) {
        match read {
            Ok(job) => {
                let (lane, origin) = (job.origin.lane, &mut job.origin);
                let sent = SystemTime::from(job.frame.captured_at).max(sent_at(origin));
                let trace = job.frame.carried.trace.as_ref();
                let mut span = traces.begin(DETECT, trace, sent);
                span.set_frame(job.frame.id, &job.frame.source, lane);
                job.frame.carried.trace = span.trace().cloned();
                origin.trace = Self::of(span, origin, sent);
            }
            Err(failed) => {
                let origin = &mut failed.origin;
                let sent = sent_at(origin);
                let span = traces.begin(DETECT, trace_of(origin).as_ref(), sent);
                origin.trace = Self::of(span, origin, sent);
            }
        }
    }

    fn of(mut span: Span, origin: &Origin, sent: SystemTime) -> Self {
        if !span.is_recording() {
            return Self::default();
        }
        span.set("messaging.system", "kafka");
        span.set("messaging.destination.name", &origin.place.topic);
        span.set("messaging.destination.partition.id", origin.place.partition);
        span.set_number("messaging.kafka.offset", origin.place.offset);
        let received = (Instant::now(), SystemTime::now());
        span.child("queue", sent, received.1);
        let way = Way {
            span,
            received,
            done_until: received.0,
        };
        Self {
            way: Some(Box::new(way)),
        }
    }

    /// What happened from the end of the last stage until `until`.
    pub(crate) fn until(&mut self, stage: &'static str, until: Instant) {
        if let Some(way) = &mut self.way {
            let from = way.done_until;
            way.stage(stage, (from, until));
        }
    }

    /// What happened from one moment to another.
    pub(crate) fn stage(&mut self, stage: &'static str, from: Instant, until: Instant) {
        if let Some(way) = &mut self.way {
            way.stage(stage, (from, until));
        }
    }

    /// The result is on Kafka; the end.
    pub(crate) fn published(self, model: &ModelVersion) {
        if let Some(mut way) = self.way {
            way.span.set_model(model);
            way.end();
        }
    }

    /// The frame goes no further; the end.
    pub(crate) fn dropped(self, reason: DropReason) {
        if let Some(mut way) = self.way {
            way.span.set_dropped(reason);
            way.end();
        }
    }

    /// The frame became a dead letter; the end.
    pub(crate) fn buried(self, reason: DropReason, (kind, error): (&str, &str)) {
        if let Some(mut way) = self.way {
            way.span.set_dropped_by(reason, error);
            way.span.set("error.type", kind);
            way.end();
        }
    }

    /// Kafka did not take what came of it; the end.
    pub(crate) fn lost(self, error: &SinkError) {
        if let Some(mut way) = self.way {
            way.span.set_dropped_by(DropReason::Unpublished, error);
            way.end();
        }
    }
}

impl Way {
    fn stage(&mut self, stage: &'static str, (from, until): (Instant, Instant)) {
        self.span.child(stage, self.wall(from), self.wall(until));
        self.done_until = until;
    }

    fn end(self) {
        let now = self.wall(Instant::now());
        self.span.end_at(now);
    }

    fn wall(&self, at: Instant) -> SystemTime {
        let (steady, wall) = self.received;
        wall + at.saturating_duration_since(steady)
    }
}

/// When the record was written, as its producer says, or Kafka.
fn sent_at(origin: &Origin) -> SystemTime {
    let milliseconds = u64::try_from(origin.place.timestamp_ms).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
}

/// The trace that a record bears which is no frame.
fn trace_of(origin: &Origin) -> Option<TraceContext> {
    let text = |name| {
        let value = origin.record.header(name)?;
        std::str::from_utf8(value).map(str::to_owned).ok()
    };
    TraceContext::new(text(TRACEPARENT)?, text(TRACESTATE))
}
