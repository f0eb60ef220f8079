//! What the viewer tells Prometheus.

use pipeline::service::{DropReason, Metrics, metrics::MetricsError};
use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use crate::{shown::Shown, wall::Change};

/// Frames joined, by outcome: `live`, `late` (past their deadline, shown as stale).
pub const FRAMES: &str = "kadr_viewer_frames_total";
/// From capture to both halves being here.
pub const CAPTURE_TO_JOINED: &str = "kadr_viewer_capture_to_joined_seconds";
/// Halves that had been seen before; Kafka delivers at least once.
pub const REPEATED: &str = "kadr_viewer_repeated_records_total";
/// Browsers that watch, by kind: `websocket`, `mjpeg`.
pub const CLIENTS: &str = "kadr_viewer_clients_connections";
/// Clients sent away, by reason: `full`, `cross_origin`.
pub const REFUSED: &str = "kadr_viewer_refused_clients_total";
/// Clients cut off because they took nothing for too long.
pub const STALLED: &str = "kadr_viewer_stalled_clients_total";

/// Fine around what a person notices, coarse beyond.
const SECONDS: [f64; 12] = [
    0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 15.0,
];

/// Handles to all metrics of the viewer. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct ViewerMetrics {
    service: Metrics,
    frames: IntCounterVec,
    capture_to_joined: Histogram,
    repeated: IntCounterVec,
    clients: IntGaugeVec,
    pub(crate) refused: IntCounterVec,
    pub(crate) stalled: IntCounterVec,
}

/// One client, counted while it is there.
#[derive(Debug)]
pub(crate) struct ClientHere(IntGauge);

impl Drop for ClientHere {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl ViewerMetrics {
    pub(crate) fn register(service: &Metrics) -> Result<Self, MetricsError> {
        let counter = |name: &str, help: &str, label: &str| {
            service.register(IntCounterVec::new(Opts::new(name, help), &[label])?)
        };
        let seconds = HistogramOpts::new(CAPTURE_TO_JOINED, "From capture to the joined frame");
        let clients = Opts::new(CLIENTS, "Browsers that watch");
        Ok(Self {
            service: service.clone(),
            frames: counter(FRAMES, "Frames joined", "outcome")?,
            capture_to_joined: service
                .register(Histogram::with_opts(seconds.buckets(SECONDS.to_vec()))?)?,
            repeated: counter(REPEATED, "Records seen before", "half")?,
            clients: service.register(IntGaugeVec::new(clients, &["kind"])?)?,
            refused: counter(REFUSED, "Clients sent away", "reason")?,
            stalled: counter(STALLED, "Clients cut off", "kind")?,
        })
    }

    /// Counts what one half, or a tick, brought about.
    pub(crate) fn count(&self, change: &Change, half: &str) {
        if let Some(shown) = &change.shown {
            self.count_shown(shown);
        }
        if change.is_repeated {
            self.repeated.with_label_values(&[half]).inc();
        }
        for reason in &change.lost {
            self.service.frame_dropped(*reason);
        }
    }

    fn count_shown(&self, shown: &Shown) {
        let outcome = if shown.is_late { "late" } else { "live" };
        self.frames.with_label_values(&[outcome]).inc();
        // The age of a backlog says nothing about how fast frames come now.
        if !shown.is_late {
            self.capture_to_joined.observe(shown.latency_ms() / 1000.0);
        }
    }

    pub(crate) fn bad_record(&self) {
        self.service.frame_dropped(DropReason::BadRecord);
    }

    pub(crate) fn client(&self, kind: &str) -> ClientHere {
        let gauge = self.clients.with_label_values(&[kind]);
        gauge.inc();
        ClientHere(gauge)
    }
}
