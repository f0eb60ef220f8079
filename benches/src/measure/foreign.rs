//! What others used of the machine while something was measured.
//!
//! It is what `/proc/stat` calls busy, or stolen by a neighbour of a virtual machine, less what our
//! own processes used and less the kernel's own threads, which write to the disk for us. A run with
//! more than [`LIMIT`] of it says so wherever it is reported.

use std::time::{Duration, Instant};

use procfs::{CurrentSI as _, KernelStats};

use super::processes::{self, Usage};

/// Beyond this share of one core, others were at work and a run is void.
pub const LIMIT: f64 = 0.05;

/// Whose work is ours.
#[derive(Clone, Debug)]
pub struct Ours {
    roots: Vec<u32>,
}

/// The machine at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    at: Instant,
    busy: Duration,
    usage: Usage,
}

/// What was used between two moments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// How long it was.
    pub wall: Duration,
    /// CPU time of our processes.
    pub ours: Duration,
    /// CPU time of others.
    pub foreign: Duration,
}

impl Ours {
    /// This process and its children, and `others`, such as a broker that a script started.
    pub fn with(others: &[u32]) -> Self {
        let own = std::process::id();
        Self {
            roots: std::iter::once(own).chain(others.iter().copied()).collect(),
        }
    }

    /// Looks at the machine now.
    pub fn moment(&self) -> Moment {
        let stats = KernelStats::current().expect("a readable /proc/stat");
        let total = stats.total;
        let stolen = total.steal_duration().unwrap_or_default();
        Moment {
            at: Instant::now(),
            busy: total.user_duration() + total.nice_duration() + total.system_duration() + stolen,
            usage: processes::usage(&self.roots),
        }
    }
}

impl Moment {
    /// What was used from this moment to a later one.
    pub fn until(&self, later: &Self) -> Load {
        let busy = later.busy.saturating_sub(self.busy);
        let ours = later.usage.ours.saturating_sub(self.usage.ours);
        let kernel = later.usage.kernel.saturating_sub(self.usage.kernel);
        Load {
            wall: later.at - self.at,
            ours,
            foreign: busy.saturating_sub(ours).saturating_sub(kernel),
        }
    }
}

impl Load {
    /// Foreign work as a share of one core.
    pub fn foreign_cores(&self) -> f64 {
        self.foreign.as_secs_f64() / self.wall.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            wall: self.wall + other.wall,
            ours: self.ours + other.ours,
            foreign: self.foreign + other.foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::cpu::Stopwatch;

    fn moment(at: Instant, [busy, ours, kernel]: [u64; 3]) -> Moment {
        Moment {
            at,
            busy: Duration::from_millis(busy),
            usage: Usage {
                ours: Duration::from_millis(ours),
                kernel: Duration::from_millis(kernel),
            },
        }
    }

    #[test]
    fn what_is_neither_ours_nor_the_kernels_is_foreign() {
        let begin = Instant::now();
        let first = moment(begin, [1000, 100, 50]);
        let second = moment(begin + Duration::from_secs(2), [4000, 2900, 150]);
        let load = first.until(&second);
        assert_eq!(load.ours, Duration::from_millis(2800));
        assert_eq!(load.foreign, Duration::from_millis(100));
        assert!((load.foreign_cores() - 0.05).abs() < 1e-9);
        let twice = load.plus(load);
        assert!((twice.foreign_cores() - 0.05).abs() < 1e-9);
    }

    #[test]
    fn clocks_that_disagree_by_a_tick_make_no_negative_load() {
        let begin = Instant::now();
        let first = moment(begin, [1000, 100, 0]);
        let second = moment(begin + Duration::from_secs(1), [1990, 1100, 0]);
        assert_eq!(first.until(&second).foreign, Duration::ZERO);
    }

    #[test]
    fn our_own_work_is_seen_as_ours() {
        let ours = Ours::with(&[]);
        let before = ours.moment();
        let work = Stopwatch::of_process();
        let mut state = 1_u64;
        while work.elapsed() < Duration::from_millis(200) {
            state = std::hint::black_box(state.wrapping_mul(3));
        }
        let load = before.until(&ours.moment());
        assert!(load.ours >= Duration::from_millis(150), "{load:?}");
    }
}
