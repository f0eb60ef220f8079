//! Which frame is looked at next: a state machine that is handed frames and the time, and waits for nothing.
//!
//! - The live lane keeps the newest frame of each source; sources are served in turn, and a frame
//!   past its deadline is never served.
//! - The durable lane is a queue: first in, first out, nothing skipped. When it is full the caller
//!   must stop reading.
//! - While both lanes have work they take turns. A batch is filled by the same rule with frames that
//!   want the same model, and no frame overtakes an earlier one of its source. A frame that a
//!   detector may have died of is a batch of its own.

use std::collections::{HashSet, VecDeque};

use jiff::Timestamp;
use pipeline::frame::{Lane, ModelRef, SourceId};

/// What the scheduler has to know about a frame.
pub(crate) trait Waiting {
    fn source(&self) -> &SourceId;
    fn model(&self) -> &ModelRef;
    fn captured_at(&self) -> Timestamp;
    /// Whether it may be what a detector died of: it is looked at alone.
    fn is_suspect(&self) -> bool;
    /// Whether nobody wants to see it any more.
    fn is_stale(&self, now: Timestamp) -> bool;
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Sources with a waiting frame on the live lane.
    pub(crate) live_sources: usize,
    /// Frames on the durable lane.
    pub(crate) durable_frames: usize,
}

/// The frames that wait.
#[derive(Debug)]
pub(crate) struct Scheduler<T> {
    room: Room,
    /// At most one frame a source, the source that waits longest first.
    live: VecDeque<T>,
    durable: VecDeque<T>,
    /// So many of the first durable frames have been overtaken.
    owed: usize,
    next_lane: Lane,
}

/// What became of the live lane when a frame came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed<T> {
    /// It waits.
    Waits,
    /// It waits in the place of this one.
    Superseded(T),
    /// Too many sources wait already: it was not taken.
    Refused(T),
}

/// What was taken out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken<T> {
    /// Frames for one model, in order; empty when nothing waits.
    pub(crate) batch: Vec<T>,
    /// Frames that came too late.
    pub(crate) stale: Vec<T>,
}

impl<T: Waiting> Scheduler<T> {
    pub(crate) fn new(room: Room) -> Self {
        Self {
            room,
            live: VecDeque::new(),
            durable: VecDeque::new(),
            owed: 0,
            next_lane: Lane::Live,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.live.is_empty() && self.durable.is_empty()
    }

    /// Whether the durable lane may be read on.
    pub(crate) fn has_durable_room(&self) -> bool {
        self.durable.len() < self.room.durable_frames
    }

    /// Leaves only frames that later ones of their lane have overtaken. Whoever ends must finish
    /// these: their offsets hold back those of the later ones, which would be looked at again.
    pub(crate) fn keep_owed(&mut self) {
        self.live.clear();
        self.durable.truncate(self.owed);
    }

    /// Enters a frame of the durable lane; the caller has asked for room.
    pub(crate) fn push_durable(&mut self, frame: T) {
        self.durable.push_back(frame);
    }

    /// Enters a frame of the live lane, in the place of an older one of its source if there is one.
    pub(crate) fn push_live(&mut self, frame: T) -> Pushed<T> {
        let same_source = |waiting: &&mut T| waiting.source() == frame.source();
        if let Some(waiting) = self.live.iter_mut().find(same_source) {
            return Pushed::Superseded(std::mem::replace(waiting, frame));
        }
        if self.live.len() >= self.room.live_sources {
            return Pushed::Refused(frame);
        }
        self.live.push_back(frame);
        Pushed::Waits
    }

    /// Takes out the live frames whose time is over, so that none of a source that fell silent stays.
    pub(crate) fn take_stale(&mut self, now: Timestamp) -> Vec<T> {
        let (stale, fresh) = std::mem::take(&mut self.live)
            .into_iter()
            .partition(|frame| frame.is_stale(now));
        self.live = fresh;
        Vec::from(stale)
    }

    /// The next batch. `max_batch` says how many frames a model takes at once.
    pub(crate) fn take(
        &mut self,
        now: Timestamp,
        max_batch: impl FnOnce(&ModelRef) -> usize,
    ) -> Taken<T> {
        let stale = self.take_stale(now);
        let mut batch = Vec::new();
        let Some(first) = self.take_first() else {
            return Taken { batch, stale };
        };
        let size = if first.is_suspect() {
            1
        } else {
            max_batch(first.model())
        };
        batch.push(first);
        self.fill(&mut batch, size);
        Taken { batch, stale }
    }

    /// Joins waiting frames to a batch of one, from both lanes in turn.
    fn fill(&mut self, batch: &mut Vec<T>, size: usize) {
        let mut lane = self.next_lane;
        let mut lanes_without = 0;
        while batch.len() < size && lanes_without < 2 {
            match self.take_for(lane, batch[0].model()) {
                Some(frame) => {
                    batch.push(frame);
                    lanes_without = 0;
                }
                None => lanes_without += 1,
            }
            lane = other(lane);
        }
    }

    /// The first frame that wants this model and overtakes no frame of its own source.
    fn take_for(&mut self, lane: Lane, model: &ModelRef) -> Option<T> {
        let frames = self.lane_mut(lane);
        let mut passed = HashSet::new();
        let position = frames.iter().position(|frame| {
            let fits = frame.model() == model && !frame.is_suspect();
            let is_wanted = fits && !passed.contains(frame.source());
            if !is_wanted {
                passed.insert(frame.source());
            }
            is_wanted
        })?;
        let frame = frames.remove(position);
        if lane == Lane::Durable {
            // All before it have been overtaken; so had been those before an earlier one.
            self.owed = position.max(self.owed.saturating_sub(1));
        }
        frame
    }

    /// The capture time of the oldest frame of a lane.
    pub(crate) fn oldest(&self, lane: Lane) -> Option<Timestamp> {
        self.lane(lane).iter().map(Waiting::captured_at).min()
    }

    fn take_first(&mut self) -> Option<T> {
        for lane in [self.next_lane, other(self.next_lane)] {
            if let Some(frame) = self.lane_mut(lane).pop_front() {
                if lane == Lane::Durable {
                    self.owed = self.owed.saturating_sub(1);
                }
                self.next_lane = other(lane);
                return Some(frame);
            }
        }
        None
    }

    fn lane(&self, lane: Lane) -> &VecDeque<T> {
        match lane {
            Lane::Live => &self.live,
            Lane::Durable => &self.durable,
        }
    }

    fn lane_mut(&mut self, lane: Lane) -> &mut VecDeque<T> {
        match lane {
            Lane::Live => &mut self.live,
            Lane::Durable => &mut self.durable,
        }
    }
}

fn other(lane: Lane) -> Lane {
    match lane {
        Lane::Live => Lane::Durable,
        Lane::Durable => Lane::Live,
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
