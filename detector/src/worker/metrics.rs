//! What the detector counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pipeline::{
    detections::{Detections, ModelVersion, Timings},
    frame::Lane,
    service::{DropReason, Metrics, metrics::MetricsError},
};
use prometheus::{
    CounterVec, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts,
};

use super::runner::Cut;
use super::shares::{PerLane, index};
use super::shelf::Room;
use crate::model::repository::Precision;
use crate::onnx::LoadOptions;

/// Frames whose result was published, by `lane` and `model`.
pub const FRAMES_TOTAL: &str = "kadr_detector_frames_total";
/// Things found, by `model` and `label`.
pub const INSTANCES: &str = "kadr_detector_found_total";
/// Time a frame spends in a stage, by `model`, `version` and `stage`.
pub const STAGE: &str = "kadr_detector_stage_seconds";
/// Frames that went through the model at once, by `model` and `version`.
pub const BATCH: &str = "kadr_detector_batch_frames";
/// 1 for each loaded model, by `model`, `version`, and the `provider` and `precision` it runs with.
pub const LOADED: &str = "kadr_detector_loaded_model_info";
/// What each loaded model was seen to take of memory, by `model` and `version`.
pub const MEMORY: &str = "kadr_detector_model_memory_bytes";
/// Models put away to make room, by `model`, `version` and `reason`: `count` or `memory`.
pub const EVICTIONS_TOTAL: &str = "kadr_detector_model_evictions_total";
/// How far a lane is behind, from Kafka to the commit, by `lane`; 0 when nothing is left.
pub const BEHIND: &str = "kadr_detector_behind_seconds";
/// Model runs that were cut short, by `model`, `version` and `how`: `ended`, `lost` or `panicked`.
pub const CUT_RUNS_TOTAL: &str = "kadr_detector_cut_runs_total";
/// Model runs that hang at this moment and could not be ended; each holds a thread.
pub const LOST_THREADS: &str = "kadr_detector_lost_threads";
/// Age of the oldest frame that waits for the model, by `lane`; 0 when none does.
pub const OLDEST_WAITING: &str = "kadr_detector_oldest_waiting_seconds";

/// Frames that wait for a model, by `lane` and `model` as they ask for it.
pub const WAITING: &str = "kadr_detector_waiting_frames";
/// Time that models ran for a lane, by `lane`; while both have work it grows by their shares.
pub const LANE_SECONDS_TOTAL: &str = "kadr_detector_lane_model_seconds_total";

/// Handles to all of them.
#[derive(Clone, Debug)]
pub(crate) struct Meters {
    dropped: Metrics,
    frames: IntCounterVec,
    instances: IntCounterVec,
    stage: HistogramVec,
    batch: HistogramVec,
    loaded: GaugeVec,
    memory: GaugeVec,
    evictions: IntCounterVec,
    oldest_waiting: [Gauge; 2],
    behind: [Gauge; 2],
    waiting: GaugeVec,
    lane_seconds: CounterVec,
    cut_runs: IntCounterVec,
    lost_threads: IntGauge,
    /// Asked for and not to be had is an error, so this is what is used.
    provider: Arc<str>,
}

impl Meters {
    pub(crate) fn register(metrics: &Metrics, load: &LoadOptions) -> Result<Self, MetricsError> {
        let stage_buckets = vec![
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
            60.0,
        ];
        let batch_buckets = vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
        let counter = |name, help, labels: &[&str]| {
            metrics.register(IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let by_lane = |name, help| -> Result<[Gauge; 2], MetricsError> {
            let gauges = metrics.register(GaugeVec::new(Opts::new(name, help), &["lane"])?)?;
            let of_lane = |lane: Lane| gauges.with_label_values(&[lane.as_str()]);
            Ok([Lane::Durable, Lane::Live].map(of_lane))
        };
        Ok(Self {
            provider: load.session.provider.to_string().into(),
            dropped: metrics.clone(),
            frames: counter(
                FRAMES_TOTAL,
                "Frames with a published result",
                &["lane", "model"],
            )?,
            instances: counter(INSTANCES, "Things found", &["model", "label"])?,
            stage: metrics.register(HistogramVec::new(
                HistogramOpts::new(STAGE, "Time of a frame in a stage").buckets(stage_buckets),
                &["model", "version", "stage"],
            )?)?,
            batch: metrics.register(HistogramVec::new(
                HistogramOpts::new(BATCH, "Frames a batch").buckets(batch_buckets),
                &["model", "version"],
            )?)?,
            loaded: metrics.register(GaugeVec::new(
                Opts::new(LOADED, "Loaded models"),
                &["model", "version", "provider", "precision"],
            )?)?,
            memory: metrics.register(GaugeVec::new(
                Opts::new(MEMORY, "Memory of loaded models"),
                &["model", "version"],
            )?)?,
            evictions: counter(
                EVICTIONS_TOTAL,
                "Models put away to make room",
                &["model", "version", "reason"],
            )?,
            cut_runs: counter(
                CUT_RUNS_TOTAL,
                "Model runs cut short",
                &["model", "version", "how"],
            )?,
            lost_threads: metrics.register(IntGauge::new(
                LOST_THREADS,
                "Model runs that hang and could not be ended",
            )?)?,
            oldest_waiting: by_lane(OLDEST_WAITING, "Age of the oldest waiting frame")?,
            waiting: metrics.register(GaugeVec::new(
                Opts::new(WAITING, "Frames that wait for a model"),
                &["lane", "model"],
            )?)?,
            lane_seconds: metrics.register(CounterVec::new(
                Opts::new(LANE_SECONDS_TOTAL, "Time that models ran for a lane"),
                &["lane"],
            )?)?,
            behind: by_lane(BEHIND, "Age of the oldest frame that is not finished")?,
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
            self.observe(&result.model, stage, f64::from(milliseconds) / 1000.0);
        }
        self.observe(&result.model, "publish", publishing.as_secs_f64());
    }

    fn observe(&self, model: &ModelVersion, stage: &str, seconds: f64) {
        let version = model.version.to_string();
        let labels = [&*model.name, &*version, stage];
        self.stage.with_label_values(&labels).observe(seconds);
    }

    /// So many frames went into a run.
    pub(crate) fn batch(&self, model: &ModelVersion, frames: usize) {
        let version = model.version.to_string();
        let labels = [&*model.name, &*version];
        self.batch.with_label_values(&labels).observe(frames as f64);
    }

    /// A run was cut short; `lost` threads hang now.
    pub(crate) fn run_cut(&self, model: &ModelVersion, cut: Cut, lost: usize) {
        let version = model.version.to_string();
        let labels = [&*model.name, &*version, cut.as_str()];
        self.cut_runs.with_label_values(&labels).inc();
        self.lost_threads(lost);
    }

    pub(crate) fn lost_threads(&self, lost: usize) {
        self.lost_threads.set(lost as i64);
    }

    /// Replaces what is known of loaded models; each with its form and what it takes of memory.
    pub(crate) fn loaded<'a>(
        &self,
        models: impl Iterator<Item = (&'a ModelVersion, Precision, u64)>,
    ) {
        self.loaded.reset();
        self.memory.reset();
        for (model, precision, bytes) in models {
            let (version, precision) = (model.version.to_string(), precision.to_string());
            let labels = [&*model.name, &*version, &*self.provider, &*precision];
            self.loaded.with_label_values(&labels).set(1.0);
            let memory = self.memory.with_label_values(&[&*model.name, &*version]);
            memory.set(bytes as f64);
        }
    }

    /// A model was put away to make room.
    pub(crate) fn evicted(&self, model: &ModelVersion, room: Room) {
        let version = model.version.to_string();
        let labels = [&*model.name, &*version, room.as_str()];
        self.evictions.with_label_values(&labels).inc();
    }

    pub(crate) fn oldest_waiting(&self, lane: Lane, age: Duration) {
        of_lane(&self.oldest_waiting, lane).set(age.as_secs_f64());
    }

    /// Replaces what is known of the queues.
    pub(crate) fn waiting(&self, lengths: &[(Lane, BTreeMap<String, usize>)]) {
        self.waiting.reset();
        for (lane, models) in lengths {
            for (model, &frames) in models {
                let labels = [lane.as_str(), model];
                self.waiting.with_label_values(&labels).set(frames as f64);
            }
        }
    }

    /// A run is charged to the lanes with so many seconds each.
    pub(crate) fn lane_time(&self, seconds: PerLane<f64>) {
        for lane in [Lane::Durable, Lane::Live] {
            let counter = self.lane_seconds.with_label_values(&[lane.as_str()]);
            counter.inc_by(seconds[index(lane)]);
        }
    }

    pub(crate) fn behind(&self, lane: Lane, seconds: f64) {
        of_lane(&self.behind, lane).set(seconds);
    }
}

fn of_lane([durable, live]: &[Gauge; 2], lane: Lane) -> &Gauge {
    match lane {
        Lane::Durable => durable,
        Lane::Live => live,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Meters on a registry of their own.
    pub(crate) fn meters() -> (Meters, Metrics) {
        let metrics = Metrics::new("detector").unwrap();
        let meters = Meters::register(&metrics, &LoadOptions::default()).unwrap();
        (meters, metrics)
    }

    #[test]
    fn all_names_keep_the_rule_and_show_what_was_fed() {
        let (meters, metrics) = meters();
        let parts = |version| ModelVersion {
            name: "parts".to_owned(),
            version,
        };
        meters.batch(&parts(2), 3);
        meters.oldest_waiting(Lane::Live, Duration::from_millis(1500));
        meters.behind(Lane::Durable, 2.5);
        let waiting = |frames| {
            [(
                Lane::Durable,
                BTreeMap::from([("parts".to_owned(), frames)]),
            )]
        };
        meters.waiting(&waiting(7));
        meters.waiting(&waiting(3));
        meters.lane_time([0.25, 1.5]);
        meters.run_cut(&parts(2), Cut::Lost, 1);
        let (fp32, cut) = (Precision::Fp32, Precision::Cut);
        meters.loaded([(&parts(1), fp32, 5), (&parts(2), fp32, 5)].into_iter());
        meters.loaded([(&parts(2), cut, 7)].into_iter());
        meters.evicted(&parts(2), Room::Memory);
        let text = metrics.to_text().unwrap();
        for line in [
            "kadr_detector_batch_frames_sum{model=\"parts\",version=\"2\",service=\"detector\"} 3",
            "kadr_detector_behind_seconds{lane=\"durable\",service=\"detector\"} 2.5",
            "kadr_detector_cut_runs_total{how=\"lost\",model=\"parts\",version=\"2\",service=\"detector\"} 1",
            "kadr_detector_lane_model_seconds_total{lane=\"live\",service=\"detector\"} 1.5",
            "kadr_detector_waiting_frames{lane=\"durable\",model=\"parts\",service=\"detector\"} 3",
            "kadr_detector_model_memory_bytes{model=\"parts\",version=\"2\",service=\"detector\"} 7",
            "kadr_detector_model_evictions_total{model=\"parts\",reason=\"memory\",version=\"2\",service=\"detector\"} 1",
            "kadr_detector_lost_threads{service=\"detector\"} 1",
            "kadr_detector_oldest_waiting_seconds{lane=\"live\",service=\"detector\"} 1.5",
            "kadr_detector_loaded_model_info{model=\"parts\",precision=\"cut\",provider=\"cpu\",version=\"2\",service=\"detector\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing from:\n{text}");
        }
        assert!(!text.contains("version=\"1\""), "{text}");
    }

    #[test]
    fn stages_are_told_by_model_and_version() {
        let (meters, metrics) = meters();
        let frame = super::super::job::tests::job("a", "parts", b"\xff\xd8").frame;
        let model = ModelVersion {
            name: "parts".to_owned(),
            version: 7,
        };
        let mut result = Detections::for_frame(&frame, 4, 4, model);
        result.timings_ms.infer = 250.0;
        meters.published(Lane::Durable, &result, Duration::from_millis(500));
        let text = metrics.to_text().unwrap();
        for (stage, seconds) in [("infer", "0.25"), ("publish", "0.5"), ("decode", "0")] {
            let line = format!(
                "kadr_detector_stage_seconds_sum{{model=\"parts\",stage=\"{stage}\",version=\"7\",service=\"detector\"}} {seconds}\n"
            );
            assert!(text.contains(&line), "{line} is missing from:\n{text}");
        }
    }
}
