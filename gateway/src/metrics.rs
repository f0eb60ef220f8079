//! What the gateway counts.

use pipeline::service::{Metrics, metrics::MetricsError};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts};

/// Uploads by `outcome`: `accepted`, or the code of the problem.
pub const UPLOADS_TOTAL: &str = "kadr_gateway_uploads_total";
/// Bytes of pictures that were sent in, refused ones too.
pub const RECEIVED_BYTES_TOTAL: &str = "kadr_gateway_received_bytes_total";
/// From the head of the request to Kafka's acknowledgement, for what was accepted.
pub const ACCEPT_SECONDS: &str = "kadr_gateway_accept_seconds";
/// Clients that wait for their result.
pub const WAITING: &str = "kadr_gateway_waiting_connections";

#[derive(Clone, Debug)]
pub(crate) struct GatewayMetrics {
    pub(crate) uploads: IntCounterVec,
    pub(crate) received_bytes: IntCounter,
    pub(crate) accept_seconds: Histogram,
    pub(crate) waiting: IntGauge,
}

impl GatewayMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Result<Self, MetricsError> {
        let uploads = Opts::new(UPLOADS_TOTAL, "Uploads, by what was answered");
        let accept = HistogramOpts::new(
            ACCEPT_SECONDS,
            "From the request to Kafka's acknowledgement",
        )
        .buckets(vec![
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
        ]);
        let uploads = metrics.register(IntCounterVec::new(uploads, &["outcome"])?)?;
        // A rate needs the series to exist before the first upload.
        uploads.with_label_values(&["accepted"]).reset();
        Ok(Self {
            uploads,
            received_bytes: metrics.register(IntCounter::new(
                RECEIVED_BYTES_TOTAL,
                "Bytes of pictures that were sent in",
            )?)?,
            accept_seconds: metrics.register(Histogram::with_opts(accept)?)?,
            waiting: metrics.register(IntGauge::new(
                WAITING,
                "Clients that wait for their result",
            )?)?,
        })
    }

    pub(crate) fn count_upload(&self, outcome: &str) {
        self.uploads.with_label_values(&[outcome]).inc();
    }
}
