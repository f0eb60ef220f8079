//! The wall in the middle of its users: the tail feeds it, clients are woken and take what is newest.
//!
//! Nobody waits for anybody: a frame is put on the wall and everybody who watches is told that there
//! is news. Each client fetches in its own time, so a slow one misses frames and holds up none.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pipeline::{detections::Detections, frame::Frame, service::Traces};
use tokio::sync::watch;

use crate::{
    clock::{Clock, Moment},
    metrics::ViewerMetrics,
    wall::{Change, Wall},
};

/// The wall and its two bells.
#[derive(Debug)]
pub(crate) struct Hub {
    wall: Mutex<Wall>,
    clock: Clock,
    metrics: ViewerMetrics,
    traces: Traces,
    new_frame: watch::Sender<()>,
    new_roster: watch::Sender<()>,
}

impl Hub {
    pub(crate) fn new(metrics: ViewerMetrics, traces: Traces) -> Self {
        let clock = Clock::start();
        Self {
            wall: Mutex::new(Wall::new(clock.now())),
            clock,
            metrics,
            traces,
            new_frame: watch::Sender::new(()),
            new_roster: watch::Sender::new(()),
        }
    }

    pub(crate) fn picture(&self, frame: Frame) {
        let now = self.clock.now();
        let change = self.lock().picture(frame, now);
        self.tell(&change, "picture");
    }

    pub(crate) fn result(&self, result: Detections) {
        let now = self.clock.now();
        let change = self.lock().result(result, now);
        self.tell(&change, "result");
    }

    pub(crate) fn tick(&self) {
        let now = self.clock.now();
        let change = self.lock().tick(now);
        self.tell(&change, "none");
    }

    /// A look at the wall; short, for everybody else waits meanwhile.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Wall, Moment) -> T) -> T {
        let now = self.clock.now();
        look(&self.lock(), now)
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Rings when a frame came, whichever its source.
    pub(crate) fn frame_bell(&self) -> watch::Receiver<()> {
        self.new_frame.subscribe()
    }

    /// Rings when a source appears, leaves, goes stale or recovers.
    pub(crate) fn roster_bell(&self) -> watch::Receiver<()> {
        self.new_roster.subscribe()
    }

    pub(crate) fn metrics(&self) -> &ViewerMetrics {
        &self.metrics
    }

    fn tell(&self, change: &Change, half: &str) {
        self.metrics.count(change, half);
        if change.shown.is_some() {
            self.new_frame.send_replace(());
        }
        if change.has_turned {
            self.new_roster.send_replace(());
        }
        for way in &change.ways {
            way.record(&self.traces, self.clock.now());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Wall> {
        // What a panic leaves behind is whole frames and numbers; showing them is better than nothing.
        self.wall.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
