//! What one camera did: rates and latencies of the last seconds, losses by reason, and how it stands.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use pipeline::{
    frame::SourceId,
    service::{DropReason, Metrics, metrics::MetricsError},
};
use prometheus::{IntCounter, IntCounterVec, Opts};
use serde::Serialize;

/// What the sources offered, by `source`: each is published or dropped with a reason.
pub const FRAMES_OFFERED_TOTAL: &str = "kadr_frames_offered_total";
/// What Kafka acknowledged, by `source`.
pub(crate) const FRAMES_PUBLISHED_TOTAL: &str = "kadr_frames_published_total";

/// What rates and latencies are taken over.
const WINDOW: Duration = Duration::from_secs(10);
/// More than any camera takes in the window.
const MAX_SAMPLES: usize = 4096;
/// Silence that makes a camera stale: the longer of this and some of its frame gaps.
const STALE_AFTER: Duration = Duration::from_secs(2);
const STALE_AFTER_GAPS: f64 = 5.0;

const NOTHING_BACK: &str = "no annotated frame has come back yet; is a detector running?";

/// The metrics that all cameras share.
#[derive(Debug)]
pub(crate) struct FrameCounters {
    metrics: Metrics,
    offered: IntCounterVec,
    published: IntCounterVec,
}

impl FrameCounters {
    pub(crate) fn register(metrics: &Metrics) -> Result<Self, MetricsError> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounterVec::new(Opts::new(name, help), &["source"])?;
            metrics.register(counter)
        };
        Ok(Self {
            metrics: metrics.clone(),
            offered: counter(
                FRAMES_OFFERED_TOTAL,
                "Frames that the sources of cameras offered, also those that were dropped",
            )?,
            published: counter(
                FRAMES_PUBLISHED_TOTAL,
                "Frames of cameras that Kafka acknowledged",
            )?,
        })
    }

    pub(crate) fn for_camera(&self, id: &SourceId) -> CameraStats {
        CameraStats {
            metrics: self.metrics.clone(),
            offered_total: self.offered.with_label_values(&[id.as_str()]),
            published_total: self.published.with_label_values(&[id.as_str()]),
            tally: Mutex::new(Tally::new(Instant::now())),
        }
    }
}

/// The counts of one camera; shared by all that work for it.
#[derive(Debug)]
pub(crate) struct CameraStats {
    metrics: Metrics,
    offered_total: IntCounter,
    published_total: IntCounter,
    tally: Mutex<Tally>,
}

#[derive(Debug)]
struct Tally {
    started: Instant,
    gap: Duration,
    failure: Option<String>,
    captured: Recent,
    published: Recent,
    /// With the time from capture to here, in milliseconds.
    annotated: Recent,
    dropped: BTreeMap<&'static str, u64>,
    last_captured_at: Option<Timestamp>,
    last_annotated: Option<(Instant, Timestamp)>,
}

/// What the status says of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct StatsReport {
    #[serde(flatten)]
    standing: Standing,
    fps: Rates,
    dropped: BTreeMap<&'static str, u64>,
    last_captured_at: Option<Timestamp>,
    last_annotated_at: Option<Timestamp>,
    /// From capture to the annotated frame's return.
    latency_ms: Option<Latency>,
}

/// How a camera stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum Standing {
    /// Nothing has come back so far.
    Starting { reason: &'static str },
    /// Annotated frames come back.
    Live,
    /// They came, and come no more.
    Stale { stale_since: Timestamp },
    /// The source gives no pictures.
    NotReady { reason: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Rates {
    captured: f64,
    published: f64,
    annotated: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
}

impl CameraStats {
    pub(crate) fn set_fps(&self, fps: f64) {
        self.tally().gap = Duration::from_secs_f64(1.0 / fps);
    }

    /// The source has a frame, whatever becomes of it.
    pub(crate) fn offered(&self) {
        self.offered_total.inc();
    }

    pub(crate) fn captured(&self, captured_at: Timestamp) {
        let mut tally = self.tally();
        tally.failure = None;
        tally.last_captured_at = Some(captured_at);
        tally.captured.add(Instant::now(), 0.0);
    }

    /// The source gives no pictures.
    pub(crate) fn failed(&self, reason: String) {
        self.tally().failure = Some(reason);
    }

    pub(crate) fn published(&self) {
        self.published_total.inc();
        self.tally().published.add(Instant::now(), 0.0);
    }

    pub(crate) fn annotated(&self, captured_at: Timestamp) {
        let now = Timestamp::now();
        // A clock that is ahead makes no frame come back before it left.
        let latency_ms = now.duration_since(captured_at).as_secs_f64().max(0.0) * 1e3;
        self.tally()
            .annotated_after(latency_ms, (Instant::now(), now));
    }

    pub(crate) fn dropped(&self, reason: DropReason) {
        self.metrics.frame_dropped(reason);
        *self.tally().dropped.entry(reason.code()).or_default() += 1;
    }

    pub(crate) fn report(&self) -> StatsReport {
        self.tally().report(Instant::now())
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        // Nothing in here is left half done by a panic.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    fn new(started: Instant) -> Self {
        Self {
            started,
            gap: Duration::ZERO,
            failure: None,
            captured: Recent::default(),
            published: Recent::default(),
            annotated: Recent::default(),
            dropped: BTreeMap::new(),
            last_captured_at: None,
            last_annotated: None,
        }
    }

    fn annotated_after(&mut self, latency_ms: f64, now: (Instant, Timestamp)) {
        self.last_annotated = Some(now);
        self.annotated.add(now.0, latency_ms);
    }

    fn report(&mut self, now: Instant) -> StatsReport {
        let span = (now - self.started).clamp(Duration::from_secs(1), WINDOW);
        let fps = Rates {
            captured: self.captured.rate(now, span),
            published: self.published.rate(now, span),
            annotated: self.annotated.rate(now, span),
        };
        StatsReport {
            standing: self.standing(now),
            fps,
            dropped: self.dropped.clone(),
            last_captured_at: self.last_captured_at,
            last_annotated_at: self.last_annotated.map(|(_, at)| at),
            latency_ms: self.annotated.latency(now),
        }
    }

    fn standing(&self, now: Instant) -> Standing {
        if let Some(reason) = &self.failure {
            let reason = reason.clone();
            return Standing::NotReady { reason };
        }
        let Some((seen, stale_since)) = self.last_annotated else {
            let reason = NOTHING_BACK;
            return Standing::Starting { reason };
        };
        let patience = STALE_AFTER.max(self.gap.mul_f64(STALE_AFTER_GAPS));
        if now.saturating_duration_since(seen) > patience {
            return Standing::Stale { stale_since };
        }
        Standing::Live
    }
}

/// Samples of the last seconds.
#[derive(Debug, Default)]
struct Recent(VecDeque<(Instant, f64)>);

impl Recent {
    fn add(&mut self, now: Instant, value: f64) {
        self.forget_old(now);
        if self.0.len() == MAX_SAMPLES {
            self.0.pop_front();
        }
        self.0.push_back((now, value));
    }

    fn forget_old(&mut self, now: Instant) {
        let is_old = |(at, _): &(Instant, f64)| now.saturating_duration_since(*at) > WINDOW;
        while self.0.front().is_some_and(is_old) {
            self.0.pop_front();
        }
    }

    /// Per second, to a tenth.
    fn rate(&mut self, now: Instant, span: Duration) -> f64 {
        self.forget_old(now);
        rounded(self.0.len() as f64 / span.as_secs_f64())
    }

    fn latency(&mut self, now: Instant) -> Option<Latency> {
        self.forget_old(now);
        let mut values: Vec<f64> = self.0.iter().map(|(_, value)| *value).collect();
        values.sort_unstable_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let quantile = |share: f64| rounded(values[(last as f64 * share).round() as usize]);
        Some(Latency {
            p50: quantile(0.50),
            p99: quantile(0.99),
        })
    }
}

fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn tally() -> (Tally, Instant) {
        let start = Instant::now();
        (Tally::new(start), start)
    }

    #[test]
    fn rates_and_latencies_are_those_of_the_window() {
        let (mut tally, start) = tally();
        for tenth in 0..300 {
            let now = start + SECOND * tenth / 10;
            tally.captured.add(now, 0.0);
            let latency_ms = if tenth < 150 {
                900.0
            } else {
                f64::from(tenth % 100)
            };
            tally.annotated_after(latency_ms, (now, Timestamp::UNIX_EPOCH));
        }
        let report = tally.report(start + SECOND * 30);
        assert!((report.fps.captured - 10.0).abs() < 0.2, "{report:?}");
        let latency = report.latency_ms.unwrap();
        assert!((45.0..55.0).contains(&latency.p50), "{latency:?}");
        assert!((97.0..100.0).contains(&latency.p99), "{latency:?}");
        assert_eq!(report.standing, Standing::Live);
    }

    #[test]
    fn a_rate_holds_from_the_first_second_on() {
        let (mut tally, start) = tally();
        for tenth in 0..20 {
            tally.captured.add(start + SECOND * tenth / 10, 0.0);
        }
        let report = tally.report(start + SECOND * 2);
        assert!((report.fps.captured - 10.0).abs() < 0.1, "{report:?}");
    }

    #[test]
    fn silence_is_stale_after_two_seconds_or_five_gaps() {
        let (mut tally, start) = tally();
        assert!(matches!(tally.standing(start), Standing::Starting { .. }));
        let seen_at = Timestamp::UNIX_EPOCH;
        tally.annotated_after(5.0, (start, seen_at));
        assert_eq!(tally.standing(start + SECOND * 2), Standing::Live);
        let stale = Standing::Stale {
            stale_since: seen_at,
        };
        assert_eq!(tally.standing(start + SECOND * 3), stale);
        tally.gap = SECOND;
        assert_eq!(tally.standing(start + SECOND * 5), Standing::Live);
        assert_eq!(tally.standing(start + SECOND * 6), stale);
    }

    #[test]
    fn a_source_without_pictures_says_why_until_it_has_some() {
        let counters = FrameCounters::register(&Metrics::new("camera").unwrap()).unwrap();
        let stats = counters.for_camera(&SourceId::new("line-3").unwrap());
        stats.failed("the file is gone".to_owned());
        let json = serde_json::to_value(stats.report()).unwrap();
        assert_eq!(json["state"], "not_ready");
        assert_eq!(json["reason"], "the file is gone");
        stats.captured(Timestamp::now());
        let json = serde_json::to_value(stats.report()).unwrap();
        assert_eq!(json["state"], "starting");
    }

    #[test]
    fn samples_stay_bounded() {
        let mut recent = Recent::default();
        let now = Instant::now();
        for _ in 0..2 * MAX_SAMPLES {
            recent.add(now, 0.0);
        }
        assert_eq!(recent.0.len(), MAX_SAMPLES);
    }
}
