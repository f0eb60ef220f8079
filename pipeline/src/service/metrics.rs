//! Metrics: names by rule, one reason code for every lost frame, text for the scraper.
//!
//! Names are `kadr_<noun>_<unit>`, constants beside the code that feeds them; counters end in
//! `_total`, times are in seconds, sizes in bytes. [`Metrics::register`] refuses others.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use prometheus::{
    Gauge, IntCounterVec, Opts, Registry, TextEncoder,
    core::Collector,
    proto::{LabelPair, Metric, MetricFamily},
};

/// Frames lost or skipped, by `reason`; see [`DropReason`].
pub const FRAMES_DROPPED_TOTAL: &str = "kadr_frames_dropped_total";
/// Always 1; the version is a label.
pub const BUILD_INFO: &str = "kadr_build_info";

/// What a metric's name may end in. All but the first four are plain counts of the thing named.
const UNITS: [&str; 10] = [
    "total",
    "seconds",
    "bytes",
    "ratio",
    "info",
    "frames",
    "records",
    "instances",
    "connections",
    "threads",
];

/// Why a frame was lost or skipped: the one list of reason codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// A live frame was older than its deadline.
    Stale,
    /// A durable frame was older than its deadline; a dead letter says so.
    Deadline,
    /// A newer live frame of the same source took its place.
    Superseded,
    /// A bounded queue or a sink was full, and the frame was one that may be lost.
    QueueFull,
    /// More bytes or pixels than allowed.
    TooBig,
    /// A record that does not keep the contract, such as one without a frame id.
    BadRecord,
    /// Not a picture that can be decoded.
    Undecodable,
    /// The model failed on it.
    ModelFailed,
    /// Its outputs could not be published.
    Unpublished,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Stale,
        Self::Deadline,
        Self::Superseded,
        Self::QueueFull,
        Self::TooBig,
        Self::BadRecord,
        Self::Undecodable,
        Self::ModelFailed,
        Self::Unpublished,
    ];

    /// The value of the `reason` label.
    pub fn code(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Deadline => "deadline",
            Self::Superseded => "superseded",
            Self::QueueFull => "queue_full",
            Self::TooBig => "too_big",
            Self::BadRecord => "bad_record",
            Self::Undecodable => "undecodable",
            Self::ModelFailed => "model_failed",
            Self::Unpublished => "unpublished",
        }
    }
}

/// Why a metric could not be registered or written; always a mistake in our code.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The name breaks the rule.
    #[error("metric {name:?} is not named kadr_<noun>_<unit>, with a unit of {UNITS:?}")]
    Name {
        /// The name that was tried.
        name: String,
    },
    /// Registered twice, or not a valid metric.
    #[error("the metrics library refuses: check for a metric registered twice")]
    Prometheus(#[from] prometheus::Error),
}

/// The metrics of one service. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    service: Arc<str>,
    /// Adds the label `service` to all that is registered here.
    registry: Registry,
    /// This registry and those of the other services in this process.
    all: Arc<Mutex<Vec<Registry>>>,
    frames_dropped: IntCounterVec,
}

impl Metrics {
    /// A fresh set for this process, with its build and process metrics.
    pub fn new(service: &str) -> Result<Self, MetricsError> {
        let process = Registry::new();
        let build_info = Gauge::with_opts(
            Opts::new(BUILD_INFO, "Always 1; the version is a label")
                .const_label("version", env!("CARGO_PKG_VERSION")),
        )?;
        build_info.set(1.0);
        process.register(Box::new(build_info))?;
        #[cfg(target_os = "linux")]
        process.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        Self::added_to(Arc::new(Mutex::new(vec![process])), service)
    }

    /// A set for another service of this process; both appear on the same `/metrics`, told apart
    /// by the label `service`. The same service has the same set.
    pub fn for_service(&self, service: &str) -> Result<Self, MetricsError> {
        if *self.service == *service {
            return Ok(self.clone());
        }
        Self::added_to(Arc::clone(&self.all), service)
    }

    fn added_to(all: Arc<Mutex<Vec<Registry>>>, service: &str) -> Result<Self, MetricsError> {
        let labels = HashMap::from([("service".to_owned(), service.to_owned())]);
        let registry = Registry::new_custom(None, Some(labels))?;
        let frames_dropped = IntCounterVec::new(
            Opts::new(FRAMES_DROPPED_TOTAL, "Frames lost or skipped, by reason"),
            &["reason"],
        )?;
        for reason in DropReason::ALL {
            // An alert needs the series to exist before the first loss.
            frames_dropped.with_label_values(&[reason.code()]).reset();
        }
        registry.register(Box::new(frames_dropped.clone()))?;
        all.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(registry.clone());
        Ok(Self {
            service: service.into(),
            registry,
            all,
            frames_dropped,
        })
    }

    /// Registers a metric and hands it back, as in
    /// `metrics.register(IntCounter::new(UPLOADS_TOTAL, "Uploads taken")?)?`.
    pub fn register<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, MetricsError> {
        for described in metric.desc() {
            if !is_well_named(&described.fq_name) {
                return Err(MetricsError::Name {
                    name: described.fq_name.clone(),
                });
            }
        }
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    /// The registry of this service, for code that registers on its own.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Counts one lost or skipped frame.
    pub fn frame_dropped(&self, reason: DropReason) {
        self.frames_dropped
            .with_label_values(&[reason.code()])
            .inc();
    }

    /// What the counters and gauges of this name add up to, over all services of this process and
    /// all series that have every one of `labels`; 0 where there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has_all = |series: &&Metric| {
            labels.iter().all(|(label, value)| {
                let has = |pair: &LabelPair| pair.name() == *label && pair.value() == *value;
                series.get_label().iter().any(has)
            })
        };
        self.gather()
            .iter()
            .filter(|family| family.name() == name)
            .flat_map(MetricFamily::get_metric)
            .filter(has_all)
            .map(|series| series.get_counter().get_value() + series.get_gauge().get_value())
            // From plain zero: the sum of nothing is -0.0.
            .fold(0.0, |sum, value| sum + value)
    }

    fn gather(&self) -> Vec<MetricFamily> {
        let registries = self
            .all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        registries.iter().flat_map(Registry::gather).collect()
    }

    /// All metrics of this process in the Prometheus text format.
    pub fn to_text(&self) -> Result<String, MetricsError> {
        let mut families: BTreeMap<String, MetricFamily> = BTreeMap::new();
        for mut family in self.gather() {
            match families.get_mut(family.name()) {
                Some(known) => known.mut_metric().append(family.mut_metric()),
                None => {
                    families.insert(family.name().to_owned(), family);
                }
            }
        }
        let families: Vec<MetricFamily> = families.into_values().collect();
        Ok(TextEncoder::new().encode_to_string(&families)?)
    }
}

/// Whether a name keeps the rule.
pub fn is_well_named(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("kadr_") else {
        return false;
    };
    let Some((noun, unit)) = rest.rsplit_once('_') else {
        return false;
    };
    let is_plain = |character: char| character.is_ascii_lowercase() || character == '_';
    !noun.is_empty() && noun.chars().all(is_plain) && UNITS.contains(&unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{IntCounter, IntGauge};
    use std::collections::HashSet;

    fn metrics() -> Metrics {
        Metrics::new("detector").expect("fresh registries")
    }

    #[test]
    fn names_keep_the_rule() {
        for name in [FRAMES_DROPPED_TOTAL, BUILD_INFO, "kadr_kafka_lag_records"] {
            assert!(is_well_named(name), "{name}");
        }
        for name in [
            "frames_total",
            "kadr_total",
            "kadr_frames",
            "kadr_Frames_total",
            "kadr_x_ms",
        ] {
            assert!(!is_well_named(name), "{name}");
        }
    }

    #[test]
    fn a_badly_named_metric_is_refused() {
        let counter = IntCounter::new("kadr_latency_ms", "In the wrong unit").expect("valid");
        let error = metrics().register(counter).expect_err("the name");
        assert!(error.to_string().contains("kadr_latency_ms"), "{error}");
    }

    #[test]
    fn reasons_have_distinct_codes() {
        let codes: HashSet<_> = DropReason::ALL.map(DropReason::code).into();
        assert_eq!(codes.len(), DropReason::ALL.len());
    }

    #[test]
    fn every_reason_is_there_from_the_start_and_counts() {
        let metrics = metrics();
        metrics.frame_dropped(DropReason::Stale);
        metrics.frame_dropped(DropReason::Stale);
        let text = metrics.to_text().expect("text");
        for reason in DropReason::ALL {
            let count = if reason == DropReason::Stale { 2 } else { 0 };
            let line = format!(
                "kadr_frames_dropped_total{{reason=\"{}\",service=\"detector\"}} {count}\n",
                reason.code()
            );
            assert!(text.contains(&line), "{line} is missing from:\n{text}");
        }
    }

    #[test]
    fn services_of_one_process_share_a_page_under_one_heading() {
        let detector = metrics();
        let viewer = detector.for_service("viewer").expect("another service");
        for (service, waiting) in [(&detector, 3), (&viewer, 4)] {
            let gauge = IntGauge::new("kadr_waiting_frames", "Frames that wait").expect("valid");
            service
                .register(gauge)
                .expect("its own registry")
                .set(waiting);
        }
        let text = viewer.to_text().expect("text");
        assert_eq!(
            text.matches("# TYPE kadr_waiting_frames gauge").count(),
            1,
            "{text}"
        );
        assert!(
            text.contains("kadr_waiting_frames{service=\"detector\"} 3"),
            "{text}"
        );
        assert!(
            text.contains("kadr_waiting_frames{service=\"viewer\"} 4"),
            "{text}"
        );
        assert_eq!(
            detector
                .to_text()
                .expect("text")
                .matches("kadr_build_info{")
                .count(),
            1
        );
    }

    #[test]
    fn sums_go_over_services_and_can_be_narrowed() {
        let detector = metrics();
        let camera = detector.for_service("camera").expect("another service");
        detector.frame_dropped(DropReason::Stale);
        camera.frame_dropped(DropReason::Stale);
        camera.frame_dropped(DropReason::Superseded);
        let gauge = IntGauge::new("kadr_waiting_frames", "Frames that wait").expect("valid");
        camera.register(gauge).expect("a new name").set(5);
        let dropped = |labels: &[(&str, &str)]| detector.sum(FRAMES_DROPPED_TOTAL, labels) as i64;
        assert_eq!(dropped(&[]), 3);
        assert_eq!(dropped(&[("reason", "stale")]), 2);
        assert_eq!(dropped(&[("reason", "stale"), ("service", "camera")]), 1);
        assert_eq!(dropped(&[("reason", "no_such")]), 0);
        assert_eq!(detector.sum("kadr_waiting_frames", &[]) as i64, 5);
        assert_eq!(detector.sum("kadr_unknown_total", &[]) as i64, 0);
    }

    #[test]
    fn a_service_that_runs_alone_is_on_the_page_once() {
        let detector = metrics();
        let same = detector.for_service("detector").expect("itself");
        same.frame_dropped(DropReason::Stale);
        let text = detector.to_text().expect("text");
        let series = "kadr_frames_dropped_total{reason=\"stale\",service=\"detector\"}";
        assert_eq!(text.matches(series).count(), 1, "{text}");
        assert!(text.contains(&format!("{series} 1\n")), "{text}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_is_measured() {
        let text = metrics().to_text().expect("text");
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
    }
}
