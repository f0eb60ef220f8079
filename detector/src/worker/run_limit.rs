//! How long a run of a model may take: as long as it was told, or a multiple of what it usually takes.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use pipeline::detections::ModelVersion;

/// How many times the usual a run may take.
const FACTOR: f64 = 10.0;

/// No run is cut off before this.
const AT_LEAST: Duration = Duration::from_secs(2);

/// No run may take longer, and none has to be shorter while too few were seen.
const AT_MOST: Duration = Duration::from_mins(1);

/// Runs that tell what is usual.
const WINDOW: usize = 512;

/// Runs without which nothing is known: the first are slow, for what they set up.
const ENOUGH: usize = 20;

/// Models that are remembered.
const MODELS: usize = 256;

/// What runs took, by model.
#[derive(Debug, Default)]
pub(crate) struct RunLimits {
    /// The limit asked for.
    fixed: Option<Duration>,
    /// Seconds a frame, the latest last.
    seconds_a_frame: HashMap<ModelVersion, VecDeque<f64>>,
}

impl RunLimits {
    pub(crate) fn new(fixed: Option<Duration>) -> Self {
        Self {
            fixed,
            ..Self::default()
        }
    }

    /// The limit for a run on so many frames.
    pub(crate) fn of(&self, model: &ModelVersion, frames: usize) -> Duration {
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        let runs = self.seconds_a_frame.get(model);
        let Some(runs) = runs.filter(|runs| runs.len() >= ENOUGH) else {
            return AT_MOST;
        };
        let seconds = FACTOR * percentile_99(runs) * frames as f64;
        Duration::try_from_secs_f64(seconds)
            .unwrap_or(AT_MOST)
            .clamp(AT_LEAST, AT_MOST)
    }

    /// Notes a run. One that was ended counts with what it had, so that on a machine that has become
    /// slow the limit grows instead of ending every run.
    pub(crate) fn note(&mut self, model: &ModelVersion, frames: usize, took: Duration) {
        if self.seconds_a_frame.len() >= MODELS && !self.seconds_a_frame.contains_key(model) {
            self.seconds_a_frame.clear();
        }
        let runs = self.seconds_a_frame.entry(model.clone()).or_default();
        if runs.len() >= WINDOW {
            runs.pop_front();
        }
        runs.push_back(took.as_secs_f64() / frames.max(1) as f64);
    }
}

fn percentile_99(runs: &VecDeque<f64>) -> f64 {
    let mut sorted: Vec<f64> = runs.iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() * 99 / 100).min(sorted.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(version: u32) -> ModelVersion {
        ModelVersion {
            name: "parts".to_owned(),
            version,
        }
    }

    fn noted(limits: &mut RunLimits, runs: usize, took: Duration) {
        for _ in 0..runs {
            limits.note(&model(1), 1, took);
        }
    }

    #[test]
    fn the_limit_follows_what_is_usual_within_bounds() {
        let mut limits = RunLimits::new(None);
        assert_eq!(limits.of(&model(1), 1), AT_MOST, "nothing is known yet");
        noted(&mut limits, ENOUGH, Duration::from_millis(5));
        assert_eq!(limits.of(&model(1), 1), AT_LEAST);
        assert_eq!(limits.of(&model(2), 1), AT_MOST, "another model");
        noted(&mut limits, WINDOW, Duration::from_millis(500));
        assert_eq!(limits.of(&model(1), 1), Duration::from_secs(5));
        assert_eq!(limits.of(&model(1), 4), Duration::from_secs(20), "a batch");
        assert_eq!(limits.of(&model(1), 64), AT_MOST);
    }

    #[test]
    fn a_batch_is_noted_by_its_frames_and_runs_that_were_ended_raise_the_limit() {
        let mut limits = RunLimits::new(None);
        for _ in 0..WINDOW {
            limits.note(&model(1), 8, Duration::from_secs(4));
        }
        assert_eq!(limits.of(&model(1), 1), Duration::from_secs(5));
        noted(&mut limits, WINDOW / 100 + 2, Duration::from_secs(5));
        assert_eq!(limits.of(&model(1), 1), Duration::from_secs(50));
    }

    #[test]
    fn a_limit_that_is_asked_for_is_the_limit() {
        let asked = Duration::from_millis(300);
        let mut limits = RunLimits::new(Some(asked));
        noted(&mut limits, WINDOW, Duration::from_secs(10));
        assert_eq!(limits.of(&model(1), 9), asked);
    }

    #[test]
    fn models_that_come_and_go_do_not_fill_the_memory() {
        let mut limits = RunLimits::new(None);
        for version in 0..10_000 {
            limits.note(&model(version), 1, AT_LEAST);
        }
        assert!(limits.seconds_a_frame.len() <= MODELS);
        noted(&mut limits, 10_000, AT_LEAST);
        assert_eq!(limits.seconds_a_frame[&model(1)].len(), WINDOW);
    }
}
