//! What the detector counts.

use std::time::Duration;

use pipeline::{
    detections::{Detections, ModelVersion, Timings},
    frame::Lane,
    service::{DropReason, Metrics, metrics::MetricsError},
};
use prometheus::{Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts};

/// Frames whose result was published, by `lane` and `model`.
pub const FRAMES_TOTAL: &str = "kadr_detector_frames_total";
/// Things found, by `model` and `label`.
pub const INSTANCES: &str = "kadr_detector_found_total";
/// Time a frame spends in a stage, by `stage`.
pub const STAGE: &str = "kadr_detector_stage_seconds";
/// Frames that went through the model at once.
pub const BATCH: &str = "kadr_detector_batch_frames";
/// 1 for each loaded model, by `model` and `version`.
pub const LOADED: &str = "kadr_detector_loaded_model_info";
/// Age of the oldest frame that waits for the model, by `lane`; 0 when none does.
pub const OLDEST_WAITING: &str = "kadr_detector_oldest_waiting_seconds";

/// Handles to all of them.
#[derive(Clone, Debug)]
pub(crate) struct Meters {
    dropped: Metrics,
    frames: IntCounterVec,
    instances: IntCounterVec,
    stage: HistogramVec,
    batch: Histogram,
    loaded: GaugeVec,
    oldest_waiting: [Gauge; 2],
}

impl Meters {
    pub(crate) fn register(metrics: &Metrics) -> Result<Self, MetricsError> {
        let stage_buckets = vec![
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
        ];
        let batch_buckets = vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
        let counter = |name, help, labels: &[&str]| {
            metrics.register(IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let oldest = metrics.register(GaugeVec::new(
            Opts::new(OLDEST_WAITING, "Age of the oldest waiting frame"),
            &["lane"],
        )?)?;
        Ok(Self {
            dropped: metrics.clone(),
            frames: counter(
                FRAMES_TOTAL,
                "Frames with a published result",
                &["lane", "model"],
            )?,
            instances: counter(INSTANCES, "Things found", &["model", "label"])?,
            stage: metrics.register(HistogramVec::new(
                HistogramOpts::new(STAGE, "Time of a frame in a stage").buckets(stage_buckets),
                &["stage"],
            )?)?,
            batch: metrics.register(Histogram::with_opts(
                HistogramOpts::new(BATCH, "Frames a batch").buckets(batch_buckets),
            )?)?,
            loaded: metrics.register(GaugeVec::new(
                Opts::new(LOADED, "Loaded models"),
                &["model", "version"],
            )?)?,
            oldest_waiting: [Lane::Durable, Lane::Live]
                .map(|lane| oldest.with_label_values(&[lane.as_str()])),
        })
    }

    pub(crate) fn dropped(&self, reason: DropReason) {
        self.dropped.frame_dropped(reason);
    }

    /// Counts a published result; `publishing` is what acknowledgements took.
    pub(crate) fn published(&self, lane: Lane, result: &Detections, publishing: Duration) {
        let model = format!("{}@{}", result.model.name, result.model.version);
        self.frames
            .with_label_values(&[lane.as_str(), &model])
            .inc();
        for instance in &result.instances {
            self.instances
                .with_label_values(&[&*model, &instance.label])
                .inc();
        }
        let Timings {
            queue,
            decode,
            batch_wait,
            infer,
            annotate,
            encode,
            total,
        } = result.timings_ms;
        for (stage, milliseconds) in [
            ("queue", queue),
            ("decode", decode),
            ("batch_wait", batch_wait),
            ("infer", infer),
            ("annotate", annotate),
            ("encode", encode),
            ("total", total),
        ] {
            self.observe(stage, f64::from(milliseconds) / 1000.0);
        }
        self.observe("publish", publishing.as_secs_f64());
    }

    fn observe(&self, stage: &str, seconds: f64) {
        self.stage.with_label_values(&[stage]).observe(seconds);
    }

    pub(crate) fn batch(&self, frames: usize) {
        self.batch.observe(frames as f64);
    }

    pub(crate) fn loaded<'a>(&self, models: impl Iterator<Item = &'a ModelVersion>) {
        self.loaded.reset();
        for model in models {
            let version = model.version.to_string();
            let labels = [&*model.name, &*version];
            self.loaded.with_label_values(&labels).set(1.0);
        }
    }

    pub(crate) fn oldest_waiting(&self, lane: Lane, age: Duration) {
        let gauge = match lane {
            Lane::Durable => &self.oldest_waiting[0],
            Lane::Live => &self.oldest_waiting[1],
        };
        gauge.set(age.as_secs_f64());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Meters on a registry of their own.
    pub(crate) fn meters() -> (Meters, Metrics) {
        let metrics = Metrics::new("detector").unwrap();
        (Meters::register(&metrics).unwrap(), metrics)
    }

    #[test]
    fn all_names_keep_the_rule_and_show_what_was_fed() {
        let (meters, metrics) = meters();
        meters.batch(3);
        meters.oldest_waiting(Lane::Live, Duration::from_millis(1500));
        let parts = |version| ModelVersion {
            name: "parts".to_owned(),
            version,
        };
        meters.loaded([parts(1), parts(2)].iter());
        meters.loaded([parts(2)].iter());
        let text = metrics.to_text().unwrap();
        for line in [
            "kadr_detector_batch_frames_sum{service=\"detector\"} 3",
            "kadr_detector_oldest_waiting_seconds{lane=\"live\",service=\"detector\"} 1.5",
            "kadr_detector_loaded_model_info{model=\"parts\",version=\"2\",service=\"detector\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing from:\n{text}");
        }
        assert!(!text.contains("version=\"1\""), "{text}");
    }
}
