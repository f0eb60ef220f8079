//! One source on the wall: its newest frame, its pace and what it saw in the last minutes.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use pipeline::{
    detections::{Detections, ModelVersion},
    frame::{Frame, SourceId},
};
use serde::Serialize;

use crate::{
    clock::{Moment, unix_ms},
    counts::ClassCount,
    history::History,
    pace::Pace,
    results::Results,
    shown::Shown,
};

/// A newest frame this far in the future tells nothing about order: the camera's clock was wrong
/// then, and may be right now.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

/// A source and all that is kept of it; as large after a year as after ten minutes.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) newest: Arc<Shown>,
    /// Frames of all sources are numbered in the order in which they were joined.
    pub(crate) number: u64,
    pub(crate) history: History,
    pub(crate) results: Results,
    /// Frames shown since the source appeared.
    frames: u64,
    pace: Pace,
    last_in_time: Option<Timestamp>,
    /// What was last told to the clients.
    told_stale: bool,
}

/// What the wall says of a source.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) id: SourceId,
    /// Frames shown since the source appeared; grows only.
    pub(crate) frames: u64,
    pub(crate) fps: f64,
    pub(crate) last_captured_ms: f64,
    pub(crate) last_joined_ms: f64,
    pub(crate) latency_ms: f64,
    pub(crate) stale: bool,
    pub(crate) stale_since_ms: Option<f64>,
    pub(crate) model: Option<ModelVersion>,
    pub(crate) counts: Vec<ClassCount>,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Source {
    /// A source that is seen for the first time.
    pub(crate) fn new(first: Arc<Shown>, number: u64, result: &Detections) -> Self {
        let mut source = Self {
            newest: Arc::clone(&first),
            number,
            history: History::default(),
            results: Results::default(),
            frames: 0,
            pace: Pace::default(),
            last_in_time: None,
            told_stale: false,
        };
        source.show(first, number, result);
        source.told_stale = source.is_stale(source.newest.joined);
        source
    }

    /// Whether a frame that came whole only now belongs before the one shown.
    pub(crate) fn is_outdated(&self, frame: &Frame, now: Moment) -> bool {
        let newest = &self.newest;
        if newest.captured_at > now.wall + CLOCK_TOLERANCE {
            return false;
        }
        (frame.captured_at, frame.sequence) < (newest.captured_at, newest.sequence)
    }

    /// Shows a newer frame. One past its deadline is what the camera last saw and no sign of life.
    pub(crate) fn show(&mut self, shown: Arc<Shown>, number: u64, result: &Detections) {
        if !shown.is_late {
            self.pace.arrived(shown.joined.steady);
            self.last_in_time = Some(shown.joined.wall);
            let joined_ms = shown.joined.wall.as_millisecond();
            self.history.add(joined_ms, &shown.counts);
        }
        self.results.add(result);
        self.frames += 1;
        self.newest = shown;
        self.number = number;
    }

    pub(crate) fn is_stale(&self, now: Moment) -> bool {
        self.pace.is_stale(now.steady)
    }

    /// Whether it went stale or recovered since this was last asked.
    pub(crate) fn has_turned(&mut self, now: Moment) -> bool {
        let is_stale = self.is_stale(now);
        std::mem::replace(&mut self.told_stale, is_stale) != is_stale
    }

    pub(crate) fn summary(&self, id: &SourceId, now: Moment) -> Summary {
        let newest = &self.newest;
        let stale = self.is_stale(now);
        let last_sign = self.last_in_time.unwrap_or(newest.captured_at);
        Summary {
            id: id.clone(),
            frames: self.frames,
            fps: self.pace.fps(now.steady),
            last_captured_ms: unix_ms(newest.captured_at),
            last_joined_ms: newest.joined.unix_ms(),
            latency_ms: newest.latency_ms(),
            stale,
            stale_since_ms: stale.then(|| unix_ms(last_sign)),
            model: Some(newest.model.clone()),
            counts: newest.counts.clone(),
            width: newest.width,
            height: newest.height,
        }
    }
}
