//! When the next picture is due. Pictures keep the time of their source: one that comes late is not
//! followed by a burst, and moments that were missed altogether are counted.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pipeline::service::Part;
use tokio::time::{Instant, sleep_until, timeout};

/// A part that waits for a slow source says so this often.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// The clock of one camera.
#[derive(Debug)]
pub(super) struct Pace {
    gap: Duration,
    next_due: Instant,
}

/// A picture is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tick {
    /// Pictures that were due before, too long ago.
    pub(super) passed_over: u64,
    /// When this one was due: exactly one gap after the one before.
    pub(super) due_at: Timestamp,
}

impl Pace {
    /// The first picture is due now.
    pub(super) fn new(fps: f64) -> Self {
        Self {
            gap: gap_of(fps),
            next_due: Instant::now(),
        }
    }

    /// For a source that was exchanged for a faster or slower one.
    pub(super) fn set_fps(&mut self, fps: f64) {
        self.gap = gap_of(fps);
    }

    /// The next picture is due now, and none was missed: there was nothing to take.
    pub(super) fn restart(&mut self) {
        self.next_due = Instant::now();
    }

    /// Waits for the next moment at which a picture is due.
    pub(super) async fn tick(&mut self, part: &Part) -> Tick {
        while timeout(SIGN_OF_LIFE, sleep_until(self.next_due))
            .await
            .is_err()
        {
            part.alive();
        }
        let late = self.next_due.elapsed();
        let passed_over = (late.as_nanos() / self.gap.as_nanos()) as u64;
        let since_due = Duration::from_nanos((late.as_nanos() % self.gap.as_nanos()) as u64);
        self.next_due += late.saturating_sub(since_due) + self.gap;
        Tick {
            passed_over,
            due_at: before_now(since_due),
        }
    }
}

fn gap_of(fps: f64) -> Duration {
    Duration::from_secs_f64(1.0 / fps)
}

fn before_now(since: Duration) -> Timestamp {
    let since = SignedDuration::try_from(since).unwrap_or(SignedDuration::ZERO);
    let now = Timestamp::now();
    now.checked_sub(since).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use pipeline::service::Health;
    use tokio::time::advance;

    use super::*;

    fn part() -> Part {
        Health::new("camera").register("camera line-3", Duration::from_secs(15))
    }

    #[tokio::test(start_paused = true)]
    async fn pictures_are_due_at_the_pace_of_the_source() {
        let (part, mut pace) = (part(), Pace::new(4.0));
        let start = Instant::now();
        for number in 0..8 {
            assert_eq!(pace.tick(&part).await.passed_over, 0);
            let due = start + number * Duration::from_millis(250);
            // The runtime's timer counts in milliseconds.
            assert!(Instant::now() - due < Duration::from_millis(2), "{number}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn missed_moments_are_counted_and_not_made_up_for() {
        let (part, mut pace) = (part(), Pace::new(10.0));
        pace.tick(&part).await;
        advance(Duration::from_millis(370)).await;
        assert_eq!(pace.tick(&part).await.passed_over, 2);
        let before = Instant::now();
        assert_eq!(pace.tick(&part).await.passed_over, 0);
        let waited = Instant::now() - before;
        assert!(
            waited >= Duration::from_millis(20),
            "the next is due at 400 ms: {waited:?}"
        );
        assert!(waited < Duration::from_millis(40), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_without_a_source_misses_nothing() {
        let (part, mut pace) = (part(), Pace::new(10.0));
        pace.tick(&part).await;
        advance(Duration::from_mins(1)).await;
        pace.restart();
        assert_eq!(pace.tick(&part).await.passed_over, 0);
    }
}
