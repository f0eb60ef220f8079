//! Which frame is looked at next: a state machine that is handed frames and the time, and waits for nothing.
//!
//! - The live lane keeps the newest frame of each source; sources are served in turn.
//! - The durable lane is a queue: first in, first out, nothing skipped. When it is full the caller
//!   must stop reading.
//! - A frame past its deadline is never served, on either lane.
//! - While both lanes have work, [`Shares`] says whose turn it is. A batch is filled by the same rule
//!   with frames that want the same model, and no frame overtakes an earlier one of its source. A
//!   frame that a detector may have died of is a batch of its own.
//! - A batch that is worth a wait ([`BatchRule`]) lets those for other models go before.

use std::collections::{BTreeMap, HashSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use pipeline::frame::{Lane, ModelRef, SourceId};

use super::batching::BatchRule;
use super::shares::{PerLane, Reservation, Shares, index, other};

/// What the scheduler has to know about a frame.
pub(crate) trait Waiting {
    fn source(&self) -> &SourceId;
    fn model(&self) -> &ModelRef;
    fn captured_at(&self) -> Timestamp;
    /// Whether it may be what a detector died of: it is looked at alone.
    fn is_suspect(&self) -> bool;
    /// After this nobody wants to see it any more.
    fn expires_at(&self) -> Option<Timestamp>;

    fn is_late(&self, now: Timestamp) -> bool {
        self.expires_at().is_some_and(|end| now > end)
    }
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
    shares: Shares,
    /// At most one frame a source, the source that waits longest first.
    live: VecDeque<Queued<T>>,
    durable: VecDeque<Queued<T>>,
    /// So many of the first durable frames have been overtaken.
    owed: usize,
    /// Lanes whose first frame was overtaken by one that joined a batch of the other lane.
    overtaken: PerLane<bool>,
}

/// A frame, and since when it waits; one that took another's place waits as long as that one.
#[derive(Debug)]
struct Queued<T> {
    frame: T,
    since: Timestamp,
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

/// A batch that is taken out.
#[derive(Debug)]
pub(crate) struct Taken<T> {
    /// Frames for one model, in order.
    pub(crate) frames: Vec<T>,
    /// The time held for it against its lanes.
    pub(crate) reservation: Reservation,
}

/// A batch that may go.
struct Plan {
    lane: Lane,
    position: usize,
    size: usize,
}

impl<T: Waiting> Scheduler<T> {
    pub(crate) fn new(room: Room, shares: Shares) -> Self {
        Self {
            room,
            shares,
            live: VecDeque::new(),
            durable: VecDeque::new(),
            owed: 0,
            overtaken: [false; 2],
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
    pub(crate) fn push_durable(&mut self, frame: T, now: Timestamp) {
        if self.durable.is_empty() {
            self.shares.returns(Lane::Durable);
        }
        self.durable.push_back(Queued { frame, since: now });
    }

    /// Enters a frame of the live lane, in the place of an older one of its source if there is one.
    pub(crate) fn push_live(&mut self, frame: T, now: Timestamp) -> Pushed<T> {
        let same_source = |waiting: &&mut Queued<T>| waiting.frame.source() == frame.source();
        if let Some(waiting) = self.live.iter_mut().find(same_source) {
            return Pushed::Superseded(std::mem::replace(&mut waiting.frame, frame));
        }
        if self.live.len() >= self.room.live_sources {
            return Pushed::Refused(frame);
        }
        if self.live.is_empty() {
            self.shares.returns(Lane::Live);
        }
        self.live.push_back(Queued { frame, since: now });
        Pushed::Waits
    }

    /// Takes out the frames whose time is over, so that none of a source that fell silent stays.
    pub(crate) fn take_late(&mut self, now: Timestamp) -> Vec<T> {
        let mut late = Vec::new();
        for lane in [Lane::Live, Lane::Durable] {
            while let Some(position) = self.lane(lane).iter().position(|q| q.frame.is_late(now)) {
                late.extend(self.drop_out(lane, position));
            }
        }
        late
    }

    /// When a batch may go; now, where it is not worth a wait. Nothing when nothing waits.
    pub(crate) fn ready_at(
        &self,
        now: Timestamp,
        rule_of: impl Fn(&ModelRef) -> BatchRule,
    ) -> Option<Timestamp> {
        match self.plan(now, rule_of) {
            Ok(_) => Some(now),
            Err(until) => until,
        }
    }

    /// The next batch, where one may go now. The caller has taken out what is late.
    pub(crate) fn take(
        &mut self,
        now: Timestamp,
        rule_of: impl Fn(&ModelRef) -> BatchRule,
    ) -> Option<Taken<T>> {
        let Plan {
            lane: first_lane,
            position,
            size,
        } = self.plan(now, rule_of).ok()?;
        let first = self.remove(first_lane, position)?;
        self.overtaken[index(first_lane)] = false;
        let model = first.model().clone();
        let mut turn = self.shares.turn(&model);
        turn.join(first_lane);
        let mut frames = vec![first];
        while frames.len() < size {
            let lanes = [turn.next(), other(turn.next())];
            let found = lanes.into_iter().find_map(|lane| {
                let position = self.fitting(lane, &model).next()?;
                self.overtaken[index(lane)] |= lane != first_lane && position > 0;
                Some((lane, self.remove(lane, position)?))
            });
            let Some((lane, frame)) = found else {
                break;
            };
            turn.join(lane);
            frames.push(frame);
        }
        let reservation = self.shares.reserve(first_lane, &turn);
        Some(Taken {
            frames,
            reservation,
        })
    }

    /// The capture time of the oldest frame of a lane.
    pub(crate) fn oldest(&self, lane: Lane) -> Option<Timestamp> {
        let frames = self.lane(lane).iter();
        frames.map(|queued| queued.frame.captured_at()).min()
    }

    /// How many frames of a lane wait for each model.
    pub(crate) fn lengths(&self, lane: Lane) -> BTreeMap<String, usize> {
        let mut lengths = BTreeMap::new();
        for queued in self.lane(lane) {
            let model = queued.frame.model().to_string();
            *lengths.entry(model).or_default() += 1;
        }
        lengths
    }

    /// The first batch that may go; else when the first one may.
    fn plan(
        &self,
        now: Timestamp,
        rule_of: impl Fn(&ModelRef) -> BatchRule,
    ) -> Result<Plan, Option<Timestamp>> {
        let mut earliest: Option<Timestamp> = None;
        let lane = self.next_lane();
        for lane in [lane, other(lane)] {
            for position in self.heads(lane) {
                let head = &self.lane(lane)[position].frame;
                match self.size(head, now, &rule_of(head.model())) {
                    Ok(size) => {
                        return Ok(Plan {
                            lane,
                            position,
                            size,
                        });
                    }
                    Err(until) => {
                        earliest = Some(earliest.map_or(until, |earliest| earliest.min(until)));
                    }
                }
            }
        }
        Err(earliest)
    }

    /// The lane whose turn it is to begin a batch. One that had its part by joining the batches of
    /// the other still begins one for whoever does not fit there.
    fn next_lane(&self) -> Lane {
        match self.overtaken {
            [true, false] => Lane::Durable,
            [false, true] => Lane::Live,
            _ => self.shares.next(),
        }
    }

    /// How large the batch that begins with this frame is now, or until when it waits for more.
    fn size(&self, head: &T, now: Timestamp, rule: &BatchRule) -> Result<usize, Timestamp> {
        if head.is_suspect() || rule.max_size == 1 {
            return Ok(1);
        }
        let model = head.model();
        let fitting: Vec<&Queued<T>> = [Lane::Live, Lane::Durable]
            .into_iter()
            .flat_map(|lane| self.fitting(lane, model).map(move |at| (lane, at)))
            .map(|(lane, at)| &self.lane(lane)[at])
            .collect();
        let until = self.must_go_by(&fitting, rule);
        // A clock that was put back would make them wait for longer than they may.
        let is_due = now >= until || now + rule.max_delay() < until;
        rule.size(fitting.len(), is_due).ok_or(until)
    }

    /// When the oldest of these frames has waited long enough, or one of them would miss its
    /// deadline: it must be through the model by then.
    fn must_go_by(&self, frames: &[&Queued<T>], rule: &BatchRule) -> Timestamp {
        let since = frames.iter().map(|queued| queued.since).min();
        let since = since.unwrap_or(Timestamp::MIN);
        let due = later(since, rule.max_delay().as_secs_f64());
        let expires_at = frames.iter().filter_map(|queued| queued.frame.expires_at());
        let Some((end, first)) = expires_at.min().zip(frames.first()) else {
            return due;
        };
        let run_seconds = self.shares.seconds_a_frame(first.frame.model()) * frames.len() as f64;
        due.min(later(end, -run_seconds))
    }

    /// Where the frames stand that may begin a batch: for each model the first one that overtakes
    /// none of its own source, and suspects of which the same holds.
    fn heads(&self, lane: Lane) -> impl Iterator<Item = usize> {
        let mut sources = HashSet::new();
        let mut models = HashSet::new();
        let queued = self.lane(lane).iter().enumerate();
        queued.filter_map(move |(position, Queued { frame, .. })| {
            let is_first = sources.insert(frame.source());
            let is_head = is_first && (frame.is_suspect() || models.insert(frame.model()));
            is_head.then_some(position)
        })
    }

    /// Where the frames stand that may be in one batch for this model, in order.
    fn fitting(&self, lane: Lane, model: &ModelRef) -> impl Iterator<Item = usize> {
        let mut passed = HashSet::new();
        let queued = self.lane(lane).iter().enumerate();
        queued.filter_map(move |(position, Queued { frame, .. })| {
            let fits = frame.model() == model && !frame.is_suspect();
            let is_wanted = fits && !passed.contains(frame.source());
            if !is_wanted {
                passed.insert(frame.source());
            }
            is_wanted.then_some(position)
        })
    }

    /// Takes a frame out for the model; on the durable lane, all before it have been overtaken.
    fn remove(&mut self, lane: Lane, position: usize) -> Option<T> {
        let frame = self.drop_out(lane, position)?;
        if lane == Lane::Durable {
            self.owed = self.owed.max(position);
        }
        Some(frame)
    }

    /// Takes a frame out of its lane; those behind it are not served for that.
    fn drop_out(&mut self, lane: Lane, position: usize) -> Option<T> {
        let queue = match lane {
            Lane::Live => &mut self.live,
            Lane::Durable => &mut self.durable,
        };
        let queued = queue.remove(position)?;
        if lane == Lane::Durable && position < self.owed {
            self.owed -= 1;
        }
        Some(queued.frame)
    }

    fn lane(&self, lane: Lane) -> &VecDeque<Queued<T>> {
        match lane {
            Lane::Live => &self.live,
            Lane::Durable => &self.durable,
        }
    }
}

/// So many seconds later, or earlier; the ends of time where there is no such moment.
fn later(moment: Timestamp, seconds: f64) -> Timestamp {
    let by = SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::MAX);
    let end = if seconds < 0.0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    moment.checked_add(by).unwrap_or(end)
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
