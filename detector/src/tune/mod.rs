//! Finds out how a model runs best on this machine: sessions, threads, batches and weights, measured.
//!
//! Each setting is tried in a process of its own, round after round. So its memory is its own, one that
//! crashes says so and costs nothing else, and a busy moment of the machine does not fall on one
//! setting alone.
//!
//! - this file: which settings there are, what was measured, which one is best
//! - [`trial`]: one setting, run for a while
//! - [`slo`]: what latency is allowed
//! - [`record`]: `tuning.toml`, where the best is kept and the detector finds it

pub mod record;
pub mod slo;
pub mod trial;

use serde::{Deserialize, Serialize};

use crate::model::repository::Precision;
use slo::Slo;
use trial::Trial;

/// Batches above this are not tried: latency grows with them, throughput has long stopped to.
const MAX_TRIED_BATCH: usize = 16;

/// Throughputs that differ by less are alike, and the smaller memory wins.
const ALIKE: f64 = 0.97;

/// One way of running a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Copies of the model that run side by side.
    pub sessions: usize,
    /// Threads inside each.
    pub threads: usize,
    /// Frames in a run.
    pub batch: usize,
    /// The form of the weights.
    pub precision: Precision,
}

/// What one setting gave, over all its rounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The setting.
    pub setting: Setting,
    /// Median of the rounds.
    pub frames_per_second: f64,
    /// Of all runs, milliseconds.
    pub p50_ms: f64,
    /// Of all runs, milliseconds.
    pub p95_ms: f64,
    /// Of all runs, milliseconds.
    pub p99_ms: f64,
    /// Most memory that the process held, MiB.
    pub memory_mib: f64,
}

/// The settings that are worth a trial on so many cores: together they use all of them, or one each.
pub fn settings(cores: usize, max_batch: usize, precisions: &[Precision]) -> Vec<Setting> {
    let mut settings = Vec::new();
    for &precision in precisions {
        for sessions in doubling_to(cores) {
            let mut shares = vec![(cores / sessions).max(1), 1];
            shares.dedup();
            for threads in shares {
                settings.extend(
                    doubling_to(max_batch.min(MAX_TRIED_BATCH)).map(|batch| Setting {
                        sessions,
                        threads,
                        batch,
                        precision,
                    }),
                );
            }
        }
    }
    settings
}

/// One, two, four and so on, and the end itself.
fn doubling_to(end: usize) -> impl Iterator<Item = usize> {
    let doubling = std::iter::successors(Some(1), |value| Some(value * 2));
    doubling
        .take_while(move |&value| value < end)
        .chain([end.max(1)])
}

impl Measured {
    /// Sums up the rounds of a setting; none without a run.
    pub fn of(setting: Setting, rounds: &[Trial]) -> Option<Self> {
        let mut rates: Vec<f64> = rounds.iter().map(Trial::frames_per_second).collect();
        let mut latencies: Vec<f64> = rounds
            .iter()
            .flat_map(|round| round.latencies_ms.iter().copied())
            .collect();
        latencies.sort_by(f64::total_cmp);
        rates.sort_by(f64::total_cmp);
        let memory = rounds.iter().map(|round| round.memory_mib);
        Some(Self {
            setting,
            frames_per_second: *rates.get(rates.len() / 2)?,
            p50_ms: percentile(&latencies, 50)?,
            p95_ms: percentile(&latencies, 95)?,
            p99_ms: percentile(&latencies, 99)?,
            memory_mib: memory.fold(0.0, f64::max),
        })
    }
}

/// The value that so many of a hundred do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// The setting with the most throughput among those that keep the latency; of those that are nearly
/// as good, the one with the least memory.
pub fn best(measured: &[Measured], slo: Option<Slo>) -> Option<&Measured> {
    let allowed = |one: &&Measured| slo.is_none_or(|slo| slo.is_kept_by(one));
    let most = measured
        .iter()
        .filter(allowed)
        .map(|one| one.frames_per_second)
        .fold(0.0, f64::max);
    measured
        .iter()
        .filter(allowed)
        .filter(|one| one.frames_per_second >= most * ALIKE)
        .min_by(|one, other| one.memory_mib.total_cmp(&other.memory_mib))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(sessions: usize, threads: usize, batch: usize) -> Setting {
        Setting {
            sessions,
            threads,
            batch,
            precision: Precision::Fp32,
        }
    }

    fn measured(sessions: usize, frames_per_second: f64, p95_ms: f64, memory_mib: f64) -> Measured {
        Measured {
            setting: setting(sessions, 1, 1),
            frames_per_second,
            p50_ms: p95_ms / 2.0,
            p95_ms,
            p99_ms: p95_ms * 2.0,
            memory_mib,
        }
    }

    #[test]
    fn the_settings_share_the_cores_out() {
        let two = settings(2, 1, &[Precision::Fp32]);
        assert_eq!(two, [setting(1, 2, 1), setting(1, 1, 1), setting(2, 1, 1)]);
        let six = settings(6, 5, &[Precision::Fp32]);
        assert!(six.contains(&setting(4, 1, 4)) && six.contains(&setting(6, 1, 5)));
        assert!(
            six.iter()
                .all(|one| one.sessions * one.threads <= 6 && one.batch <= 5)
        );
        assert_eq!(settings(1, 1, &[Precision::Fp32, Precision::Int8]).len(), 2);
        let largest = settings(1, 256, &[Precision::Fp32]).last().unwrap().batch;
        assert_eq!(largest, MAX_TRIED_BATCH);
    }

    #[test]
    fn rounds_are_summed_up() {
        let round = |latencies_ms: Vec<f64>, seconds, memory_mib| Trial {
            frames: 2 * latencies_ms.len() as u64,
            latencies_ms,
            seconds,
            memory_mib,
        };
        let rounds = [
            round(vec![1.0; 50], 1.0, 70.0),
            round(vec![2.0; 49], 0.5, 90.0),
            round(vec![9.0], 1.0, 80.0),
        ];
        let sum = Measured::of(setting(1, 1, 2), &rounds).unwrap();
        let figures = [sum.p50_ms, sum.p95_ms, sum.p99_ms, sum.memory_mib];
        assert_eq!(figures.map(|figure| figure as u32), [1, 2, 2, 90]);
        assert!((sum.frames_per_second - 100.0).abs() < 1e-9, "{sum:?}");
        assert_eq!(Measured::of(setting(1, 1, 1), &[]), None);
    }

    #[test]
    fn the_best_keeps_the_latency_and_is_not_wasteful() {
        let all = [
            measured(1, 10.0, 50.0, 300.0),
            measured(2, 19.5, 90.0, 500.0),
            measured(4, 20.0, 120.0, 900.0),
        ];
        assert_eq!(
            best(&all, None),
            Some(&all[1]),
            "two per cent are not worth 400 MiB"
        );
        let slo = |text: &str| Some(text.parse().unwrap());
        assert_eq!(best(&all, slo("p95=60ms")), Some(&all[0]));
        assert_eq!(best(&all, slo("p99=60ms")), None);
    }
}
