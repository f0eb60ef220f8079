//! CPU time of this process and of the calling thread, to the nanosecond.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A stopwatch that goes only while its process or thread works.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    clock: ClockId,
    begin: Duration,
}

impl Stopwatch {
    /// For this process, all threads together.
    pub fn of_process() -> Self {
        Self::start(ClockId::ProcessCPUTime)
    }

    /// For the calling thread; to be read by it too.
    pub fn of_thread() -> Self {
        Self::start(ClockId::ThreadCPUTime)
    }

    /// CPU time used since the start.
    pub fn elapsed(&self) -> Duration {
        read(self.clock).saturating_sub(self.begin)
    }

    fn start(clock: ClockId) -> Self {
        let begin = read(clock);
        Self { clock, begin }
    }
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(
        u64::try_from(time.tv_sec).expect("time used is never negative"),
        u32::try_from(time.tv_nsec).expect("nanoseconds are less than a second"),
    )
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    /// Work that takes a while on any machine.
    fn work() -> u64 {
        (0..20_000_000_u64).fold(1, |state, number| black_box(state ^ (state << 1) ^ number))
    }

    #[test]
    fn a_thread_is_charged_for_its_own_work_alone() {
        let (own, all) = (Stopwatch::of_thread(), Stopwatch::of_process());
        let other = std::thread::spawn(|| {
            let other = Stopwatch::of_thread();
            black_box(work());
            other.elapsed()
        });
        let by_other = other.join().unwrap();
        assert!(by_other > Duration::ZERO);
        assert!(own.elapsed() < by_other, "{own:?} {by_other:?}");
        assert!(all.elapsed() >= by_other, "{all:?} {by_other:?}");
    }
}
