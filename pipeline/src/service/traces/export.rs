//! The way to the collector: a bounded queue and a thread that empties it. Nobody waits for it; what
//! does not fit, or is not taken, is lost and counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter as OtlpExporter, WithExportConfig as _,
    WithHttpConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, Span, SpanData, SpanExporter,
        SpanProcessor,
    },
};
use prometheus::{IntCounter, IntCounterVec, Opts};

use super::{client::CollectorClient, settings::TraceSettings};
use crate::service::{
    metrics::{Metrics, MetricsError},
    redact::redact_text,
};

/// Spans that never reached the collector, by `reason`: `queue_full` or `not_taken`.
pub const SPANS_DROPPED_TOTAL: &str = "kadr_trace_spans_dropped_total";

/// Spans that wait for the collector, or are on their way to it, per service.
const MAX_WAITING: usize = 2048;

/// Where the spans of one service go.
pub(super) fn provider(
    settings: &TraceSettings,
    service: &str,
    metrics: &Metrics,
) -> Result<SdkTracerProvider, MetricsError> {
    let dropped = metrics.register(IntCounterVec::new(
        Opts::new(
            SPANS_DROPPED_TOTAL,
            "Spans that never reached the collector",
        ),
        &["reason"],
    )?)?;
    let client = CollectorClient::new(settings.timeout());
    let exporter = exporter(settings, client.clone());
    let waiting = Arc::new(AtomicUsize::new(0));
    let counted = Counted {
        exporter: exporter.expect("the settings were tried before"),
        client,
        waiting: Arc::clone(&waiting),
        not_taken: dropped.with_label_values(&["not_taken"]),
        is_away: AtomicBool::new(false),
        endpoint: redact_text(settings.endpoint()),
    };
    let batches = BatchConfigBuilder::default().with_max_queue_size(MAX_WAITING);
    let processor = Bounded {
        batches: BatchSpanProcessor::new(counted, batches.build()),
        waiting,
        queue_full: dropped.with_label_values(&["queue_full"]),
    };
    Ok(SdkTracerProvider::builder()
        .with_sampler(settings.sampler().clone())
        .with_resource(resource(settings, service))
        .with_span_processor(processor)
        .build())
}

/// The exporter that the settings ask for; nothing is opened yet.
pub(super) fn exporter(
    settings: &TraceSettings,
    client: CollectorClient,
) -> Result<OtlpExporter, ExporterBuildError> {
    OtlpExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(settings.endpoint())
        .with_timeout(settings.timeout())
        .with_http_client(client)
        .build()
}

/// Who the spans are of: `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` have the last word.
fn resource(settings: &TraceSettings, service: &str) -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder_empty().with_attribute(version);
    let given = Resource::builder().build();
    let builder = given.iter().fold(builder, |builder, (key, value)| {
        builder.with_attribute(KeyValue::new(key.clone(), value.clone()))
    });
    if settings.is_named() {
        return builder.build();
    }
    builder.with_service_name(format!("kadr-{service}")).build()
}

/// In front of the queue: refuses what it has no room for.
#[derive(Debug)]
struct Bounded {
    batches: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
    queue_full: IntCounter,
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return self.queue_full.inc();
        }
        self.batches.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Behind the queue: counts what the collector did not take, and says so once.
#[derive(Debug)]
struct Counted {
    exporter: OtlpExporter,
    client: CollectorClient,
    waiting: Arc<AtomicUsize>,
    not_taken: IntCounter,
    is_away: AtomicBool,
    endpoint: String,
}

impl SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let exported = self.exporter.export(batch).await;
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        let endpoint = &self.endpoint;
        match &exported {
            Ok(()) => {
                if self.is_away.swap(false, Ordering::Relaxed) {
                    tracing::info!(endpoint, "the trace collector takes spans again");
                }
            }
            Err(error) => {
                self.not_taken.inc_by(spans as u64);
                let reason = self.client.take_trouble();
                let reason = reason.unwrap_or_else(|| error.to_string());
                if !self.is_away.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        endpoint,
                        reason,
                        "the trace collector takes no spans: they are lost and counted until it does"
                    );
                }
            }
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
