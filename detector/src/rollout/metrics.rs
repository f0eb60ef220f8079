//! What is counted of versions: how they stand, how loading them went, and how shadows agree.

use pipeline::detections::ModelVersion;
use pipeline::service::{Metrics, metrics::MetricsError};
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts};

use super::agreement::Agreement;

/// 1 for each version in use, by `model`, `version` and `state`: `serving`, `canary`, `shadow` or
/// `failed`.
pub const STATE: &str = "kadr_detector_model_state_info";
/// Versions that were loaded and tried beside the running ones, by `model`, `version` and `outcome`.
pub const LOADS: &str = "kadr_detector_model_loads_total";
/// Frames of the served version that a shadow was to see, by `model`, `version` and `outcome`:
/// `agreed`, `differed`, `failed`, or `skipped` because the shadow was busy.
pub const SHADOW_FRAMES: &str = "kadr_detector_shadow_frames_total";
/// Things found, by `model`, `version` and `by`: `both`, `served` alone or `shadow` alone.
pub const SHADOW_FOUND: &str = "kadr_detector_shadow_found_total";
/// Time a shadow takes for a frame, by `model` and `version`.
pub const SHADOW_TIME: &str = "kadr_detector_shadow_seconds";

/// Handles to all of them.
#[derive(Clone, Debug)]
pub(crate) struct RolloutMeters {
    state: GaugeVec,
    loads: IntCounterVec,
    shadow_frames: IntCounterVec,
    shadow_found: IntCounterVec,
    shadow_time: HistogramVec,
}

impl RolloutMeters {
    pub(crate) fn register(metrics: &Metrics) -> Result<Self, MetricsError> {
        let counter = |name, help, label| {
            let labels = ["model", "version", label];
            metrics.register(IntCounterVec::new(Opts::new(name, help), &labels)?)
        };
        let time = HistogramOpts::new(SHADOW_TIME, "Time a shadow takes for a frame");
        Ok(Self {
            state: metrics.register(GaugeVec::new(
                Opts::new(STATE, "How versions stand"),
                &["model", "version", "state"],
            )?)?,
            loads: counter(LOADS, "Versions loaded and tried", "outcome")?,
            shadow_frames: counter(SHADOW_FRAMES, "Frames for shadows", "outcome")?,
            shadow_found: counter(SHADOW_FOUND, "Things found beside a shadow", "by")?,
            shadow_time: metrics.register(HistogramVec::new(time, &["model", "version"])?)?,
        })
    }

    /// Replaces what is known of how versions stand.
    pub(crate) fn states<'a>(&self, states: impl Iterator<Item = (&'a ModelVersion, &'a str)>) {
        self.state.reset();
        for (model, state) in states {
            let version = model.version.to_string();
            let labels = [&*model.name, &*version, state];
            self.state.with_label_values(&labels).set(1.0);
        }
    }

    pub(crate) fn loaded(&self, model: &ModelVersion, outcome: &str) {
        let version = model.version.to_string();
        let labels = [&*model.name, &*version, outcome];
        self.loads.with_label_values(&labels).inc();
    }

    pub(crate) fn shadow_frame(&self, model: &ModelVersion, outcome: &str) {
        let version = model.version.to_string();
        let labels = [&*model.name, &*version, outcome];
        self.shadow_frames.with_label_values(&labels).inc();
    }

    pub(crate) fn compared(&self, model: &ModelVersion, agreement: &Agreement, seconds: f64) {
        let version = model.version.to_string();
        for (by, count) in [
            ("both", agreement.both),
            ("served", agreement.served_alone),
            ("shadow", agreement.shadow_alone),
        ] {
            let labels = [&*model.name, &*version, by];
            self.shadow_found
                .with_label_values(&labels)
                .inc_by(count as u64);
        }
        self.shadow_time
            .with_label_values(&[&*model.name, &*version])
            .observe(seconds);
        self.shadow_frame(model, agreement.word());
    }
}
