//! A stretch of a frame's way through a service, recorded where its trace is sampled.

use std::{fmt::Display, time::SystemTime};

use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, Status, TraceContextExt as _, Tracer as _},
};
use opentelemetry_sdk::trace::{SdkTracer, Span as SdkSpan};

use super::context;
use crate::{
    detections::ModelVersion,
    frame::{FrameId, Lane, SourceId, TraceContext},
    service::DropReason,
};

/// A span. Where traces are off, or this one is not sampled, it records nothing; dropped, it ends.
#[derive(Debug, Default)]
#[must_use]
pub struct Span {
    recording: Option<Box<Recording>>,
    trace: Option<TraceContext>,
}

#[derive(Debug)]
struct Recording {
    span: SdkSpan,
    tracer: SdkTracer,
    /// What its children are below.
    below: Context,
}

impl Span {
    /// Records nothing, and lets the frame bear what it bore.
    pub(super) fn passing_on(parent: Option<&TraceContext>) -> Self {
        Self {
            recording: None,
            trace: parent.cloned(),
        }
    }

    pub(super) fn started(
        span: SdkSpan,
        tracer: &SdkTracer,
        parent: Option<&TraceContext>,
    ) -> Self {
        let context = span.span_context().clone();
        // After the end of all traces there is no context.
        let trace = context::for_frame(&context).or_else(|| parent.cloned());
        let recording = span.is_recording().then(|| {
            Box::new(Recording {
                span,
                tracer: tracer.clone(),
                below: Context::new().with_remote_span_context(context),
            })
        });
        Self { recording, trace }
    }

    /// What the outputs of this stretch are to bear.
    pub fn trace(&self) -> Option<&TraceContext> {
        self.trace.as_ref()
    }

    /// Whether anybody will see it.
    pub fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    /// Which frame it is about.
    pub fn set_frame(&mut self, id: FrameId, source: &SourceId, lane: Lane) {
        if self.is_recording() {
            self.set("kadr.frame_id", id);
            self.set("kadr.source", source);
            self.set("kadr.lane", lane.as_str());
        }
    }

    /// Which model looked at it.
    pub fn set_model(&mut self, model: &ModelVersion) {
        if self.is_recording() {
            self.set("kadr.model", &model.name);
            self.set_number("kadr.model_version", model.version.into());
        }
    }

    /// A fact about it.
    pub fn set(&mut self, name: &'static str, value: impl Display) {
        if let Some(recording) = &mut self.recording {
            let value = value.to_string();
            recording.span.set_attribute(KeyValue::new(name, value));
        }
    }

    /// A number about it.
    pub fn set_number(&mut self, name: &'static str, value: i64) {
        if let Some(recording) = &mut self.recording {
            recording.span.set_attribute(KeyValue::new(name, value));
        }
    }

    /// Why the frame goes no further; not an end.
    pub fn set_dropped(&mut self, reason: DropReason) {
        self.set_dropped_by(reason, reason.code());
    }

    /// The same, where an error tells more. It is set once: of two, the SDK keeps neither the first
    /// nor the last, but the greater text.
    pub fn set_dropped_by(&mut self, reason: DropReason, error: impl Display) {
        self.set("kadr.drop_reason", reason.code());
        self.set_error(error);
    }

    /// What went wrong; not an end.
    pub fn set_error(&mut self, reason: impl Display) {
        if let Some(recording) = &mut self.recording {
            recording.span.set_status(Status::error(reason.to_string()));
        }
    }

    /// A part of it that is over.
    pub fn child(&self, name: &'static str, from: SystemTime, to: SystemTime) {
        if let Some(recording) = &self.recording {
            let builder = recording.tracer.span_builder(name).with_start_time(from);
            let tracer = &recording.tracer;
            let mut child = tracer.build_with_context(builder, &recording.below);
            child.end_with_timestamp(to.max(from));
        }
    }

    /// Waits for a part of it.
    pub async fn around<T>(&self, name: &'static str, part: impl Future<Output = T>) -> T {
        if !self.is_recording() {
            return part.await;
        }
        let from = SystemTime::now();
        let output = part.await;
        self.child(name, from, SystemTime::now());
        output
    }

    /// The end, at a time that its parts were measured by.
    pub fn end_at(mut self, at: SystemTime) {
        if let Some(recording) = &mut self.recording {
            recording.span.end_with_timestamp(at);
        }
    }

    /// The end, now.
    pub fn end(self) {
        drop(self);
    }
}
