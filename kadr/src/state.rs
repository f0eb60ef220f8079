//! The state of everything in one line, every few seconds, for whoever watches the terminal.

use std::{convert::Infallible, time::Duration};

use pipeline::service::{
    Context, DropReason, Health, Metrics,
    health::{PartReport, State},
    metrics::FRAMES_DROPPED_TOTAL,
};
use tokio::time::{MissedTickBehavior, interval};

const INTERVAL: Duration = Duration::from_secs(5);

/// What everything has counted so far.
#[derive(Clone, Debug, Default, PartialEq)]
struct Counts {
    /// Frames that cameras offered.
    offered: f64,
    /// Live frames with a published result.
    live: f64,
    /// Uploads with a published result.
    uploads: f64,
    /// Lost or skipped, for each reason that occurred.
    dropped: Vec<(&'static str, f64)>,
}

impl Counts {
    fn of(metrics: &Metrics) -> Self {
        let seen = |lane| metrics.sum(detector::FRAMES_TOTAL, &[("lane", lane)]);
        let dropped = DropReason::ALL.map(|reason| {
            let labels = [("reason", reason.code())];
            (reason.code(), metrics.sum(FRAMES_DROPPED_TOTAL, &labels))
        });
        Self {
            offered: metrics.sum(camera::FRAMES_OFFERED_TOTAL, &[]),
            live: seen("live"),
            uploads: seen("durable"),
            dropped: dropped
                .into_iter()
                .filter(|(_, count)| *count > 0.0)
                .collect(),
        }
    }
}

/// Prints the line until the shutdown.
pub(crate) async fn print(context: Context) -> Result<(), Infallible> {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut before = Counts::of(&context.metrics);
    let stop = context.shutdown.token();
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = Counts::of(&context.metrics);
        println!("{}", line(&before, &now, &trouble(&context.health)));
        before = now;
    }
    Ok(())
}

/// What is not ready, and why.
fn trouble(health: &Health) -> Vec<String> {
    let parts = health.report().parts;
    let broken = parts.iter().filter(|part| part.state != State::Ready);
    broken.map(in_words).collect()
}

fn in_words(part: &PartReport) -> String {
    let reason = part.reason.as_deref().unwrap_or("no reason given");
    format!("{}: {reason}", part.part)
}

fn line(before: &Counts, now: &Counts, trouble: &[String]) -> String {
    let a_second = |before: f64, now: f64| (now - before) / INTERVAL.as_secs_f64();
    let mut line = format!(
        "cameras {:.1} frames/s, seen {:.1}/s; uploads seen {:.0}",
        a_second(before.offered, now.offered),
        a_second(before.live, now.live),
        now.uploads
    );
    if !now.dropped.is_empty() {
        let dropped = now.dropped.iter();
        let reasons: Vec<String> = dropped
            .map(|(code, count)| format!("{code} {count:.0}"))
            .collect();
        line.push_str("; skipped so far: ");
        line.push_str(&reasons.join(", "));
    }
    if !trouble.is_empty() {
        line.push_str("; NOT READY: ");
        line.push_str(&trouble.join("; "));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calm_line_says_rates_and_totals() {
        let before = Counts {
            offered: 100.0,
            live: 60.0,
            ..Counts::default()
        };
        let now = Counts {
            offered: 250.0,
            live: 110.0,
            uploads: 3.0,
            dropped: vec![],
        };
        assert_eq!(
            line(&before, &now, &[]),
            "cameras 30.0 frames/s, seen 10.0/s; uploads seen 3"
        );
    }

    #[test]
    fn losses_and_trouble_are_named() {
        let now = Counts {
            dropped: vec![("stale", 2.0), ("superseded", 40.0)],
            ..Counts::default()
        };
        let trouble = ["model: no such file".to_owned()];
        assert_eq!(
            line(&now, &now, &trouble),
            "cameras 0.0 frames/s, seen 0.0/s; uploads seen 0; skipped so far: stale 2, superseded 40; NOT READY: model: no such file"
        );
    }
}
