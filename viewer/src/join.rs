//! Joins pictures and results by frame id, in a bounded waiting room.
//!
//! Picture and result of a frame come on two topics, each in the order of its source, and either may
//! come first. A half waits for the other in the room of its source. Once a frame has both, whatever
//! waits there from before it can no longer become whole: it is given up and counted.
//!
//! An upload's picture bears no deadline; it leaves only a mark, so that its result finds it and
//! both are forgotten.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use jiff::Timestamp;
use pipeline::{
    detections::{Detections, Instance},
    frame::{Frame, FrameId, SourceId},
    service::DropReason,
};

use crate::way::Way;

/// Halves of each kind that wait per source: two topics are read a fetch apart, not more.
const MAX_WAITING: usize = 16;
/// Sources with a room at a time; uploads are sources too, each of one frame.
const MAX_ROOMS: usize = 1024;
/// All waiting halves together.
const MAX_BYTES: usize = 64 << 20;
/// A half that waits longer than this waits in vain.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// An empty room is kept so long for its memory of ids.
const FORGET_AFTER: Duration = Duration::from_secs(30);
/// Ids remembered per source, so that what is delivered twice is not taken for another frame.
const MAX_REMEMBERED: usize = 64;

/// A whole frame: the picture and the result of one id.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) picture: Frame,
    pub(crate) result: Detections,
    /// When its first half came.
    pub(crate) since: Duration,
}

/// A half that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) captured_at: Timestamp,
    pub(crate) reason: DropReason,
    /// What is recorded of it.
    pub(crate) way: Option<Way>,
}

/// What a new half did.
#[derive(Debug)]
pub(crate) enum Placed {
    /// It completed a live frame.
    Joined(Box<Joined>),
    /// It waits for its other half.
    Waits,
    /// It belongs to an upload.
    NotLive,
    /// Its id is done with: shown, lost, or waiting already.
    Repeated,
}

/// What is waited with.
#[derive(Debug)]
enum Half {
    Picture(Frame),
    Result(Detections),
    /// The picture of an upload was here.
    NotLive,
}

#[derive(Debug)]
struct Waiting {
    id: FrameId,
    captured_at: Timestamp,
    since: Duration,
    half: Half,
}

impl Waiting {
    fn bytes(&self) -> usize {
        match &self.half {
            Half::Picture(frame) => frame.jpeg.len(),
            Half::Result(result) => size_of_result(result),
            Half::NotLive => 0,
        }
    }

    fn way(&self) -> Option<Way> {
        match &self.half {
            Half::Picture(picture) => Way::of(picture, self.since),
            Half::Result(_) | Half::NotLive => None,
        }
    }

    fn is_result(&self) -> bool {
        matches!(self.half, Half::Result(_))
    }
}

/// Where the halves of one source wait, oldest first.
#[derive(Debug, Default)]
struct Room {
    pictures: VecDeque<Waiting>,
    results: VecDeque<Waiting>,
    /// Ids that were joined or given up.
    done: VecDeque<FrameId>,
    last_used: Duration,
}

impl Room {
    fn knows(&self, id: FrameId, is_result: bool) -> bool {
        let queue = if is_result {
            &self.results
        } else {
            &self.pictures
        };
        self.done.contains(&id) || queue.iter().any(|waiting| waiting.id == id)
    }

    fn queue(&mut self, is_result: bool) -> &mut VecDeque<Waiting> {
        if is_result {
            &mut self.results
        } else {
            &mut self.pictures
        }
    }

    fn take(&mut self, id: FrameId, is_result: bool) -> Option<Waiting> {
        let queue = self.queue(is_result);
        let place = queue.iter().position(|waiting| waiting.id == id)?;
        queue.remove(place)
    }

    fn take_if(&mut self, leaves: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        let mut left: Vec<Waiting> = Vec::new();
        for queue in [&mut self.pictures, &mut self.results] {
            while let Some(waiting) = queue.pop_front_if(|front| leaves(front)) {
                left.push(waiting);
            }
        }
        for waiting in &left {
            self.remember(waiting.id);
        }
        left
    }

    fn remember(&mut self, id: FrameId) {
        if self.done.len() >= MAX_REMEMBERED {
            self.done.pop_front();
        }
        self.done.push_back(id);
    }

    fn is_empty(&self) -> bool {
        self.pictures.is_empty() && self.results.is_empty()
    }

    /// Since when the longest waiting half waits; the far future for an empty room.
    fn waits_since(&self) -> Duration {
        let oldest = [self.pictures.front(), self.results.front()];
        let since = oldest.into_iter().flatten().map(|waiting| waiting.since);
        since.min().unwrap_or(Duration::MAX)
    }
}

/// The rooms of all sources. What was given up is kept until [`WaitingRoom::take_lost`].
#[derive(Debug, Default)]
pub(crate) struct WaitingRoom {
    rooms: HashMap<SourceId, Room>,
    bytes: usize,
    lost: Vec<Lost>,
}

impl WaitingRoom {
    pub(crate) fn picture(&mut self, frame: Frame, now: Duration) -> Placed {
        let source = frame.source.clone();
        let waiting = Waiting {
            id: frame.id,
            captured_at: frame.captured_at,
            since: now,
            half: if frame.is_live() {
                Half::Picture(frame)
            } else {
                Half::NotLive
            },
        };
        self.place(&source, waiting)
    }

    pub(crate) fn result(&mut self, result: Detections, now: Duration) -> Placed {
        let source = result.source.clone();
        let waiting = Waiting {
            id: result.id,
            captured_at: result.captured_at,
            since: now,
            half: Half::Result(result),
        };
        self.place(&source, waiting)
    }

    /// Gives up what waits too long, and rooms that nobody uses.
    pub(crate) fn sweep(&mut self, now: Duration) {
        let sources: Vec<SourceId> = self.rooms.keys().cloned().collect();
        for source in sources {
            self.give_up(&source, DropReason::Stale, |waiting| {
                waiting.since + MAX_WAIT < now
            });
        }
        self.rooms
            .retain(|_, room| !room.is_empty() || room.last_used + FORGET_AFTER > now);
    }

    /// The halves given up since the last call.
    pub(crate) fn take_lost(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.lost)
    }

    fn place(&mut self, source: &SourceId, waiting: Waiting) -> Placed {
        let is_result = waiting.is_result();
        self.make_room_for(source);
        let room = self.rooms.entry(source.clone()).or_default();
        room.last_used = waiting.since;
        if room.knows(waiting.id, is_result) {
            return Placed::Repeated;
        }
        let Some(other) = room.take(waiting.id, !is_result) else {
            self.bytes += waiting.bytes();
            room.queue(is_result).push_back(waiting);
            self.keep_bounds(source, is_result);
            return Placed::Waits;
        };
        room.remember(waiting.id);
        self.bytes -= other.bytes();
        let (captured_at, since) = (waiting.captured_at, other.since);
        let ((Half::Picture(picture), Half::Result(result))
        | (Half::Result(result), Half::Picture(picture))) = (waiting.half, other.half)
        else {
            return Placed::NotLive;
        };
        self.give_up(source, DropReason::Superseded, |waiting| {
            waiting.captured_at < captured_at
        });
        Placed::Joined(Box::new(Joined {
            picture,
            result,
            since,
        }))
    }

    /// Lets the longest unused room go when a new source finds all taken.
    fn make_room_for(&mut self, source: &SourceId) {
        if self.rooms.len() < MAX_ROOMS || self.rooms.contains_key(source) {
            return;
        }
        let unused = self.rooms.iter().min_by_key(|(_, room)| room.last_used);
        if let Some((unused, _)) = unused {
            let unused = unused.clone();
            self.give_up(&unused, DropReason::QueueFull, |_| true);
            self.rooms.remove(&unused);
        }
    }

    fn keep_bounds(&mut self, source: &SourceId, is_result: bool) {
        let room = self
            .rooms
            .get_mut(source)
            .expect("a half was just placed in it");
        if room.queue(is_result).len() > MAX_WAITING
            && let Some(oldest) = room.queue(is_result).pop_front()
        {
            room.remember(oldest.id);
            self.lose(&oldest, DropReason::QueueFull);
        }
        while self.bytes > MAX_BYTES {
            let crowded = self.rooms.iter().filter(|(_, room)| !room.is_empty());
            let Some((longest, _)) = crowded.min_by_key(|(_, room)| room.waits_since()) else {
                return;
            };
            let longest = longest.clone();
            self.give_up(&longest, DropReason::QueueFull, |_| true);
        }
    }

    /// Lets go of all halves of a source that `leaves` is true for.
    fn give_up(
        &mut self,
        source: &SourceId,
        reason: DropReason,
        leaves: impl Fn(&Waiting) -> bool,
    ) {
        let Some(room) = self.rooms.get_mut(source) else {
            return;
        };
        let left = room.take_if(leaves);
        for waiting in left {
            self.lose(&waiting, reason);
        }
    }

    fn lose(&mut self, waiting: &Waiting, reason: DropReason) {
        self.bytes -= waiting.bytes();
        // The mark of an upload is no frame; its result comes when the detector has it.
        if !matches!(waiting.half, Half::NotLive) {
            self.lost.push(Lost {
                captured_at: waiting.captured_at,
                reason,
                way: waiting.way().map(|way| way.lost(reason)),
            });
        }
    }
}

/// What a result takes in memory, roughly: labels are short or bounded by the size of a record.
fn size_of_result(result: &Detections) -> usize {
    let labels = result.instances.iter().map(|instance| instance.label.len());
    let instances = labels.map(|label| label + size_of::<Instance>());
    let classes = result.classes.iter().map(|class| class.label.len() + 32);
    size_of::<Detections>() + instances.chain(classes).sum::<usize>()
}

#[cfg(test)]
#[path = "join_tests.rs"]
mod tests;
