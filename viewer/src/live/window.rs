//! How far a client may lag behind what it is sent.
//!
//! A connection swallows megabytes before a write blocks: seconds of pictures that the client has yet
//! to see. So each message is followed by a ping, and while too many of them are unanswered nothing
//! new is sent. What is sent then is the newest. A client that answers none at all for long is gone.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// Enough for a fifth of a second of round trip at 15 frames a second per source.
const PER_SOURCE: usize = 2;
const AT_LEAST: usize = 2;
const AT_MOST: usize = 64;

/// The pings that are not answered yet, oldest first.
#[derive(Debug)]
pub(super) struct Window {
    unanswered: VecDeque<(u64, Instant)>,
    last: u64,
    room: usize,
}

impl Window {
    pub(super) fn new() -> Self {
        Self {
            unanswered: VecDeque::new(),
            last: 0,
            room: AT_LEAST + PER_SOURCE,
        }
    }

    /// Makes room for this many sources at full rate.
    pub(super) fn fit(&mut self, sources: usize) {
        self.room = (AT_LEAST + PER_SOURCE * sources).min(AT_MOST);
    }

    /// Notes a ping and answers what it has to carry.
    pub(super) fn ping(&mut self, now: Instant) -> [u8; 8] {
        self.last += 1;
        self.unanswered.push_back((self.last, now));
        self.last.to_be_bytes()
    }

    /// Notes a pong: it answers its ping and all before. Others mean nothing and are allowed.
    pub(super) fn pong(&mut self, carried: &[u8]) {
        let Ok(number) = carried.try_into().map(u64::from_be_bytes) else {
            return;
        };
        if number <= self.last {
            self.unanswered.retain(|&(sent, _)| sent > number);
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.unanswered.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.unanswered.len() >= self.room
    }

    /// When a client that is given `patience` counts as gone; none while it owes nothing.
    pub(super) fn deadline(&self, patience: Duration) -> Option<Instant> {
        let (_, since) = self.unanswered.front()?;
        Some(*since + patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn it_fills_up_and_a_pong_makes_room_again() {
        let mut window = Window::new();
        let now = Instant::now();
        window.fit(1);
        let pings: Vec<_> = (0..4).map(|_| window.ping(now)).collect();
        assert!(window.is_full());
        window.pong(&pings[1]);
        assert!(!window.is_full() && !window.is_idle());
        window.pong(&pings[3]);
        assert!(window.is_idle());
        assert_eq!(window.deadline(PATIENCE), None);
    }

    #[test]
    fn the_oldest_unanswered_ping_sets_the_deadline() {
        let mut window = Window::new();
        let start = Instant::now();
        let first = window.ping(start);
        window.ping(start + PATIENCE / 2);
        assert_eq!(window.deadline(PATIENCE), Some(start + PATIENCE));
        window.pong(&first);
        assert_eq!(window.deadline(PATIENCE), Some(start + PATIENCE * 3 / 2));
    }

    #[test]
    fn pongs_that_answer_nothing_change_nothing() {
        let mut window = Window::new();
        window.ping(Instant::now());
        window.pong(b"");
        window.pong(b"nine bytes");
        window.pong(&99_u64.to_be_bytes());
        window.pong(&0_u64.to_be_bytes());
        assert!(!window.is_idle());
    }

    #[test]
    fn many_sources_do_not_open_it_without_end() {
        let mut window = Window::new();
        window.fit(10_000);
        let now = Instant::now();
        let sent = (0..1000).take_while(|_| {
            let is_full = window.is_full();
            window.ping(now);
            !is_full
        });
        assert_eq!(sent.count(), AT_MOST);
    }
}
