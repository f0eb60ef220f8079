//! Traces by OTLP, when asked: one per frame, across services.
//!
//! A frame's trace begins where it enters Kadr, or at whoever sent it there, and travels in the
//! record's `traceparent`. Whether it is sampled is decided at that place, and every service keeps
//! to it. Without an endpoint nothing is started, and a span costs a branch.
//!
//! - this file: the traces of a process and of each service in it
//! - `settings`: what the flag and the `OTEL_…` variables say
//! - `span`: a stretch of a frame's way
//! - `context`: to the contract's trace context and back
//! - `export`: the way to the collector, bounded, and what is lost on it
//! - `client`: the exporter's HTTP

mod client;
mod context;
mod export;
mod settings;
mod span;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use opentelemetry::{
    Context,
    trace::{SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::task::spawn_blocking;

pub use self::{
    export::SPANS_DROPPED_TOTAL,
    settings::{TraceSettings, TraceSettingsError},
    span::Span,
};
use super::metrics::{Metrics, MetricsError};
use crate::frame::TraceContext;

/// The traces of one service. Clones share them; the default records nothing.
#[derive(Clone, Default)]
pub struct Traces {
    process: Option<Arc<Process>>,
    tracer: Option<SdkTracer>,
}

/// What the services of a process share.
struct Process {
    settings: TraceSettings,
    providers: Mutex<Vec<(String, SdkTracerProvider)>>,
}

/// What a span is called, and its part in the traffic between services.
#[derive(Clone, Debug)]
pub struct Step {
    name: &'static str,
    kind: SpanKind,
}

impl Step {
    /// Answers a request.
    pub const fn server(name: &'static str) -> Self {
        let kind = SpanKind::Server;
        Self { name, kind }
    }

    /// Writes a record that others go on with.
    pub const fn producer(name: &'static str) -> Self {
        let kind = SpanKind::Producer;
        Self { name, kind }
    }

    /// Goes on with a record of others.
    pub const fn consumer(name: &'static str) -> Self {
        let kind = SpanKind::Consumer;
        Self { name, kind }
    }
}

impl Traces {
    /// Traces for a process; each service of it is to ask for its own. No settings, no traces.
    pub fn new(settings: Option<TraceSettings>) -> Self {
        let process = settings.map(|settings| {
            Arc::new(Process {
                settings,
                providers: Mutex::default(),
            })
        });
        Self {
            process,
            tracer: None,
        }
    }

    /// The traces of a service of this process, under its own name unless `OTEL_SERVICE_NAME`
    /// says otherwise. What is lost is counted in `metrics`.
    pub fn for_service(&self, service: &str, metrics: &Metrics) -> Result<Self, MetricsError> {
        let Some(process) = &self.process else {
            return Ok(Self::default());
        };
        let mut providers = process.lock();
        let known = providers.iter().find(|(name, _)| name == service);
        let provider = if let Some((_, provider)) = known {
            provider.clone()
        } else {
            let provider = export::provider(&process.settings, service, metrics)?;
            providers.push((service.to_owned(), provider.clone()));
            provider
        };
        drop(providers);
        Ok(Self {
            process: self.process.clone(),
            tracer: Some(provider.tracer("kadr")),
        })
    }

    /// Goes on with a frame's trace, or begins one where there is none.
    pub fn begin(
        &self,
        step: Step,
        parent: Option<&TraceContext>,
        from: impl Into<SystemTime>,
    ) -> Span {
        let Some(tracer) = &self.tracer else {
            return Span::passing_on(parent);
        };
        let above = match parent.and_then(context::of_frame) {
            Some(parent) => Context::new().with_remote_span_context(parent),
            None => Context::new(),
        };
        let builder = tracer.span_builder(step.name).with_kind(step.kind);
        let builder = builder.with_start_time(from);
        let started = tracer.build_with_context(builder, &above);
        Span::started(started, tracer, parent)
    }

    /// Goes on with a frame's trace where it is sampled, and begins none.
    pub fn follow(
        &self,
        step: Step,
        parent: Option<&TraceContext>,
        from: impl Into<SystemTime>,
    ) -> Span {
        match parent {
            Some(parent) if parent.is_sampled() => self.begin(step, Some(parent), from),
            _ => Span::passing_on(parent),
        }
    }

    /// Sends what is still here, up to `patience`; the end of all traces of this process.
    pub async fn close(&self, patience: Duration) {
        let Some(process) = self.process.clone() else {
            return;
        };
        let closing = spawn_blocking(move || process.close(patience));
        if let Err(error) = closing.await {
            tracing::error!(%error, "closing the traces broke");
        }
    }
}

impl Process {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(String, SdkTracerProvider)>> {
        self.providers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        for (service, provider) in std::mem::take(&mut *self.lock()) {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Err(error) = provider.shutdown_with_timeout(left) {
                tracing::warn!(service, %error, "the last spans were not sent in time");
            }
        }
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_on = self.process.is_some();
        f.debug_struct("Traces")
            .field("is_on", &is_on)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
