//! How fast a source delivers, and whether it has stopped.
//!
//! A source is stale when nothing was joined in time for two seconds or five frame gaps, whichever
//! is longer. Frames past their deadline do not count: a picture that came too late is what the
//! camera last saw, but no sign that it sees anything now.

use std::{collections::VecDeque, time::Duration};

/// The rate is that of the last seconds.
const WINDOW: Duration = Duration::from_secs(5);
/// At 60 frames a second this is one second; the rate needs no more.
const MAX_KEPT: usize = 64;

const LEAST_PATIENCE: Duration = Duration::from_secs(2);
const PATIENCE_IN_GAPS: u32 = 5;
/// An outage of an hour is no frame gap: after the first frame that follows it, five hours of
/// silence would not be noticed.
const LONGEST_GAP: Duration = Duration::from_mins(1);

/// The moments of the last frames that came in time, on the steady clock.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    arrivals: VecDeque<Duration>,
}

impl Pace {
    /// A frame came in time.
    pub(crate) fn arrived(&mut self, at: Duration) {
        self.arrivals.push_back(at);
        // Two always stay, or a camera that sends every ten seconds would have no rate.
        while self.arrivals.len() > 2
            && (self.arrivals.len() > MAX_KEPT || self.arrivals[0] + WINDOW < at)
        {
            self.arrivals.pop_front();
        }
    }

    /// Frames per second; 0 when stale.
    pub(crate) fn fps(&self, now: Duration) -> f64 {
        match self.gap() {
            Some(gap) if !self.is_stale(now) && !gap.is_zero() => 1.0 / gap.as_secs_f64(),
            _ => 0.0,
        }
    }

    /// Whether the source has stopped, or never yet sent anything in time.
    pub(crate) fn is_stale(&self, now: Duration) -> bool {
        self.arrivals
            .back()
            .is_none_or(|&last| now.saturating_sub(last) > self.patience())
    }

    fn patience(&self) -> Duration {
        let gap = self.gap().unwrap_or_default().min(LONGEST_GAP);
        LEAST_PATIENCE.max(gap * PATIENCE_IN_GAPS)
    }

    /// The mean time between two frames.
    fn gap(&self) -> Option<Duration> {
        let (first, last) = (self.arrivals.front()?, self.arrivals.back()?);
        let gaps = u32::try_from(self.arrivals.len() - 1).ok()?;
        (last.saturating_sub(*first)).checked_div(gaps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn paced(arrivals_ms: impl IntoIterator<Item = u64>) -> Pace {
        let mut pace = Pace::default();
        arrivals_ms.into_iter().for_each(|at| pace.arrived(ms(at)));
        pace
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let steady = paced((0..100).map(|frame| frame * 50));
        assert!((steady.fps(ms(4950)) - 20.0).abs() < 1e-9);
        // A slower camera from here on: the old gaps leave the window.
        let slowed = paced((0..40).map(|n| n * 50).chain((5..20).map(|n| n * 1000)));
        assert!((slowed.fps(ms(19_000)) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_in_time_yet_is_stale_and_has_no_rate() {
        let silent = Pace::default();
        assert!(silent.is_stale(ms(0)));
        assert_eq!(silent.fps(ms(0)).to_bits(), 0_f64.to_bits());
    }

    #[test]
    fn a_fast_camera_is_stale_after_two_seconds() {
        let pace = paced([0, 50, 100]);
        assert!(!pace.is_stale(ms(2100)));
        assert!(pace.is_stale(ms(2101)));
        assert_eq!(pace.fps(ms(2101)).to_bits(), 0_f64.to_bits());
    }

    #[test]
    fn a_slow_camera_is_given_five_gaps() {
        let pace = paced([0, 3000]);
        assert!(!pace.is_stale(ms(3000 + 15_000)));
        assert!(pace.is_stale(ms(3000 + 15_001)));
        assert!((pace.fps(ms(4000)) - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn an_outage_is_not_taken_for_a_frame_gap() {
        let hour = 3_600_000;
        let back = paced([0, 50, 100, hour]);
        assert!(back.is_stale(ms(hour) + 5 * LONGEST_GAP + ms(1)));
        // The next frame at the old rate makes it forget.
        let going = paced([0, 50, 100, hour, hour + 50]);
        assert!(going.is_stale(ms(hour + 50 + 2001)));
    }

    #[test]
    fn memory_is_bounded_at_any_rate() {
        let flood = paced(0..10_000);
        assert_eq!(flood.arrivals.len(), MAX_KEPT);
    }
}
