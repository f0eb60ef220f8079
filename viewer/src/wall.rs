//! The live wall as a state machine: halves go in with the time, frames to show come out.
//!
//! Only live sources are on it. A frame is shown once, in the order of its source: by capture time,
//! then by sequence. Memory is bounded by sources and bytes, whatever comes in and for how long.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use pipeline::{
    detections::Detections,
    frame::{Frame, SourceId},
    service::DropReason,
};

use crate::{
    choice::Choice,
    clock::Moment,
    join::{Joined, Lost, Placed, WaitingRoom},
    shown::Shown,
    source::{Source, Summary},
    way::Way,
};

/// Beyond it the source that was seen least recently goes.
pub(crate) const MAX_SOURCES: usize = 256;
/// All newest pictures together; beyond it likewise.
const MAX_PICTURE_BYTES: usize = 256 << 20;
/// A camera that was taken down leaves the wall after a day.
const FORGET_AFTER: Duration = Duration::from_hours(24);

/// Everything that is shown.
#[derive(Debug)]
pub(crate) struct Wall {
    sources: BTreeMap<SourceId, Source>,
    room: WaitingRoom,
    started_at: Timestamp,
    last_number: u64,
}

/// What came of one half, or of a tick.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// The frame that became whole, and is now the newest of its source.
    pub(crate) shown: Option<Arc<Shown>>,
    /// It had been seen before.
    pub(crate) is_repeated: bool,
    /// A source appeared, left, went stale or recovered.
    pub(crate) has_turned: bool,
    /// Frames that will never be shown.
    pub(crate) lost: Vec<DropReason>,
    /// What is recorded of frames that ended here, shown or not.
    pub(crate) ways: Vec<Way>,
}

impl Wall {
    pub(crate) fn new(now: Moment) -> Self {
        Self {
            sources: BTreeMap::new(),
            room: WaitingRoom::default(),
            started_at: now.wall,
            last_number: 0,
        }
    }

    /// Takes in a record of the annotated topic.
    pub(crate) fn picture(&mut self, frame: Frame, now: Moment) -> Change {
        let placed = self.room.picture(frame, now.steady);
        self.follow(placed, now)
    }

    /// Takes in a record of the results topic. Nothing here looks at masks, so they go at once.
    pub(crate) fn result(&mut self, mut result: Detections, now: Moment) -> Change {
        for instance in &mut result.instances {
            instance.segmentation = None;
        }
        let placed = self.room.result(result, now.steady);
        self.follow(placed, now)
    }

    /// To be called a few times a second: time passes for sources and for halves that wait.
    pub(crate) fn tick(&mut self, now: Moment) -> Change {
        self.room.sweep(now.steady);
        let count = self.sources.len();
        self.sources
            .retain(|_, source| source.newest.joined.steady + FORGET_AFTER > now.steady);
        let mut change = Change {
            has_turned: self.sources.len() != count,
            ..Change::default()
        };
        for source in self.sources.values_mut() {
            change.has_turned |= source.has_turned(now);
        }
        self.collect_lost(change)
    }

    /// The frame that a client has waited for longest: the first one joined after `after` that is
    /// still the newest of its source. Answers its number, too.
    ///
    /// A client that asks with the last number it was given sees every source in turn and only
    /// newest frames, however slowly it asks.
    pub(crate) fn next_frame(&self, choice: &Choice, after: u64) -> Option<(u64, Arc<Shown>)> {
        let chosen = self.sources.iter().filter(|(id, _)| choice.includes(id));
        let newer = chosen.filter(|(_, source)| source.number > after);
        let (_, next) = newer.min_by_key(|(_, source)| source.number)?;
        Some((next.number, Arc::clone(&next.newest)))
    }

    pub(crate) fn source(&self, id: &str) -> Option<(&SourceId, &Source)> {
        self.sources
            .iter()
            .find(|(source, _)| source.as_str() == id)
    }

    pub(crate) fn summaries(&self, choice: &Choice, now: Moment) -> Vec<Summary> {
        let chosen = self.sources.iter().filter(|(id, _)| choice.includes(id));
        chosen.map(|(id, source)| source.summary(id, now)).collect()
    }

    pub(crate) fn source_ids(&self) -> impl Iterator<Item = &SourceId> {
        self.sources.keys()
    }

    fn follow(&mut self, placed: Placed, now: Moment) -> Change {
        let change = match placed {
            Placed::Joined(joined) => self.show(&joined, now),
            Placed::Repeated => Change {
                is_repeated: true,
                ..Change::default()
            },
            Placed::Waits | Placed::NotLive => Change::default(),
        };
        self.collect_lost(change)
    }

    fn show(&mut self, joined: &Joined, now: Moment) -> Change {
        let id = &joined.picture.source;
        let way = Way::of(&joined.picture, joined.since);
        let known = self.sources.get_mut(id);
        if known
            .as_ref()
            .is_some_and(|source| source.is_outdated(&joined.picture, now))
        {
            return Change {
                lost: vec![DropReason::Superseded],
                ways: Vec::from_iter(way.map(|way| way.lost(DropReason::Superseded))),
                ..Change::default()
            };
        }
        self.last_number += 1;
        let shown = Arc::new(Shown::new(joined, now));
        let has_turned = if let Some(source) = known {
            source.show(Arc::clone(&shown), self.last_number, &joined.result);
            source.has_turned(now)
        } else {
            let source = Source::new(Arc::clone(&shown), self.last_number, &joined.result);
            self.sources.insert(id.clone(), source);
            true
        };
        self.keep_bounds();
        Change {
            shown: Some(shown),
            has_turned,
            ways: Vec::from_iter(way),
            ..Change::default()
        }
    }

    fn keep_bounds(&mut self) {
        let bytes = |source: &Source| source.newest.message().len();
        while self.sources.len() > MAX_SOURCES
            || (self.sources.len() > 1
                && self.sources.values().map(bytes).sum::<usize>() > MAX_PICTURE_BYTES)
        {
            let unseen = self.sources.iter().min_by_key(|(_, source)| source.number);
            let Some(unseen) = unseen.map(|(id, _)| id.clone()) else {
                return;
            };
            tracing::warn!(source = %unseen, "too many sources: the least recently seen leaves the wall");
            self.sources.remove(&unseen);
        }
    }

    /// What was captured before this viewer started was never its to show: at the edge of the
    /// backlog one half of a frame is missing.
    fn collect_lost(&mut self, mut change: Change) -> Change {
        let ours = |lost: &Lost| lost.captured_at >= self.started_at;
        for lost in self.room.take_lost().into_iter().filter(ours) {
            change.lost.push(lost.reason);
            change.ways.extend(lost.way);
        }
        change
    }
}

#[cfg(test)]
#[path = "wall_tests.rs"]
mod tests;
