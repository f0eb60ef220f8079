//! Two clocks read at once: the steady one for durations, the wall clock for what people see.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A reading of both clocks. State machines are given one and never look at a clock themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Since some fixed moment; never jumps.
    pub(crate) steady: Duration,
    /// What capture times are compared with.
    pub(crate) wall: Timestamp,
}

impl Moment {
    /// Unix milliseconds of the wall clock.
    pub(crate) fn unix_ms(self) -> f64 {
        unix_ms(self.wall)
    }
}

/// Where moments come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Moment {
        Moment {
            steady: self.start.elapsed(),
            wall: Timestamp::now(),
        }
    }
}

/// Unix milliseconds with their fraction; exact to a microsecond until the year 2255.
pub(crate) fn unix_ms(time: Timestamp) -> f64 {
    time.as_microsecond() as f64 / 1000.0
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// `millis` after an arbitrary start, on both clocks.
    pub(crate) fn at_ms(millis: u64) -> Moment {
        let start: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        Moment {
            steady: Duration::from_millis(1_000_000 + millis),
            wall: start + Duration::from_millis(millis),
        }
    }

    #[test]
    fn fractions_of_a_millisecond_are_kept() {
        let time = "2026-03-01T12:00:00.123456Z".parse().unwrap();
        assert_eq!(format!("{:.3}", unix_ms(time)), "1772366400123.456");
    }
}
