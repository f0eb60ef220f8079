//! Whose turn it is: while both lanes have work, each gets its share of the models' time.
//!
//! Time and not frames, so that many cheap frames are worth one dear frame. A batch is held against
//! its lanes with what it will probably take, from the moment when it is chosen; once it has run, what
//! it took counts instead. A lane that had nothing to do does not save up time: it comes back as if it
//! had been served until now (start-time fair queueing).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pipeline::frame::{Lane, ModelRef};

/// What a frame is taken to cost while nothing is known of its model.
const UNKNOWN_SECONDS: f64 = 0.1;

/// How much the latest run says about what the next one costs.
const LATEST: f64 = 0.25;

/// Accounts that differ by less are even.
const EVEN_SECONDS: f64 = 1e-6;

/// Models that are remembered.
const MODELS: usize = 256;

/// Something for each lane, see [`index`].
pub(crate) type PerLane<T> = [T; 2];

/// Where a lane stands in [`PerLane`].
pub(crate) fn index(lane: Lane) -> usize {
    match lane {
        Lane::Durable => 0,
        Lane::Live => 1,
    }
}

pub(crate) fn other(lane: Lane) -> Lane {
    match lane {
        Lane::Live => Lane::Durable,
        Lane::Durable => Lane::Live,
    }
}

/// The account of both lanes. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Shares(Arc<Mutex<Account>>);

#[derive(Debug)]
struct Account {
    weights: PerLane<f64>,
    /// Seconds over the lane's weight; the lane with less is next.
    paid: PerLane<f64>,
    /// Where the lane that was served last stood before.
    now: f64,
    last: Lane,
    seconds_a_frame: HashMap<ModelRef, f64>,
}

/// How a batch is made up, frame by frame.
#[derive(Debug)]
pub(crate) struct Turn {
    weights: PerLane<f64>,
    paid: PerLane<f64>,
    last: Lane,
    seconds_a_frame: f64,
    frames: PerLane<usize>,
}

/// What a chosen batch will probably take; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    shares: Shares,
    held: PerLane<f64>,
}

impl Default for Shares {
    fn default() -> Self {
        Self::new(0.5)
    }
}

impl Shares {
    /// The live lane gets this part of the time, the durable lane the rest.
    pub(crate) fn new(live_share: f64) -> Self {
        Self(Arc::new(Mutex::new(Account {
            weights: [1.0 - live_share, live_share],
            paid: [0.0; 2],
            now: 0.0,
            last: Lane::Durable,
            seconds_a_frame: HashMap::new(),
        })))
    }

    /// The lane whose turn it is, if it has work.
    pub(crate) fn next(&self) -> Lane {
        let account = self.lock();
        next(&account.paid, account.last)
    }

    /// A lane that had nothing to do has work again.
    pub(crate) fn returns(&self, lane: Lane) {
        let mut account = self.lock();
        let now = account.now;
        let paid = &mut account.paid[index(lane)];
        *paid = paid.max(now);
    }

    /// What a frame of this model will probably take.
    pub(crate) fn seconds_a_frame(&self, model: &ModelRef) -> f64 {
        let account = self.lock();
        let known = account.seconds_a_frame.get(model);
        known.copied().unwrap_or(UNKNOWN_SECONDS)
    }

    /// Begins a batch for this model.
    pub(crate) fn turn(&self, model: &ModelRef) -> Turn {
        let seconds_a_frame = self.seconds_a_frame(model);
        let account = self.lock();
        Turn {
            weights: account.weights,
            paid: account.paid,
            last: account.last,
            seconds_a_frame,
            frames: [0; 2],
        }
    }

    /// Ends what [`turn`](Self::turn) began; `first` is the lane of the first frame.
    pub(crate) fn reserve(&self, first: Lane, turn: &Turn) -> Reservation {
        let mut account = self.lock();
        account.now = account.paid[index(first)];
        account.last = first;
        let mut held = [0.0; 2];
        for (lane, held) in held.iter_mut().enumerate() {
            let seconds = turn.frames[lane] as f64 * turn.seconds_a_frame;
            *held = seconds / account.weights[lane];
            account.paid[lane] += *held;
        }
        Reservation {
            shares: self.clone(),
            held,
        }
    }

    /// Counts a run on so many frames of each lane; says how many seconds each is charged.
    pub(crate) fn charge(
        &self,
        model: &ModelRef,
        frames: PerLane<usize>,
        took: Duration,
    ) -> PerLane<f64> {
        let all = frames.iter().sum::<usize>().max(1);
        let seconds_a_frame = took.as_secs_f64() / all as f64;
        let mut account = self.lock();
        account.note(model, seconds_a_frame);
        let charged = frames.map(|frames| frames as f64 * seconds_a_frame);
        for (lane, seconds) in charged.iter().enumerate() {
            account.paid[lane] += seconds / account.weights[lane];
        }
        charged
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn note(&mut self, model: &ModelRef, seconds: f64) {
        let known = &mut self.seconds_a_frame;
        if known.len() >= MODELS && !known.contains_key(model) {
            known.clear();
        }
        let expected = known.entry(model.clone()).or_insert(seconds);
        *expected += LATEST * (seconds - *expected);
    }
}

impl Turn {
    /// The lane whose turn it is, if it has a frame that fits.
    pub(crate) fn next(&self) -> Lane {
        next(&self.paid, self.last)
    }

    /// A frame of this lane joins the batch.
    pub(crate) fn join(&mut self, lane: Lane) {
        let at = index(lane);
        self.paid[at] += self.seconds_a_frame / self.weights[at];
        self.frames[at] += 1;
        self.last = lane;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut account = self.shares.lock();
        for (paid, held) in account.paid.iter_mut().zip(self.held) {
            *paid -= held;
        }
    }
}

/// Who has had less of its share; of two that are even, the one that was not served last.
fn next(paid: &PerLane<f64>, last: Lane) -> Lane {
    let [durable, live] = *paid;
    if (durable - live).abs() < EVEN_SECONDS {
        return other(last);
    }
    if live < durable {
        Lane::Live
    } else {
        Lane::Durable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str) -> ModelRef {
        name.parse().unwrap()
    }

    /// Lets the lanes take turns, each with frames of its own cost; gives the seconds of each.
    fn served(live_share: f64, costs: PerLane<f64>, runs: usize) -> PerLane<f64> {
        let shares = Shares::new(live_share);
        let models = [model("durable"), model("live")];
        let mut seconds = [0.0; 2];
        for _ in 0..runs {
            let lane = shares.next();
            let at = index(lane);
            let mut turn = shares.turn(&models[at]);
            turn.join(lane);
            let reservation = shares.reserve(lane, &turn);
            let took = Duration::from_secs_f64(costs[at]);
            let charged = shares.charge(&models[at], turn.frames, took);
            drop(reservation);
            seconds = [seconds[0] + charged[0], seconds[1] + charged[1]];
        }
        seconds
    }

    #[test]
    fn time_is_shared_by_weight_whatever_a_frame_costs() {
        for (share, costs) in [
            (0.5, [0.1, 0.1]),
            (0.5, [0.01, 0.3]),
            (0.8, [0.3, 0.01]),
            (0.2, [0.1, 0.1]),
        ] {
            let [durable, live] = served(share, costs, 2000);
            let part = live / (live + durable);
            assert!((part - share).abs() < 0.02, "{share} {costs:?}: {part}");
        }
    }

    #[test]
    fn a_lane_without_work_saves_nothing_up() {
        let shares = Shares::default();
        let parts = model("parts");
        let serve = |lane| {
            let mut turn = shares.turn(&parts);
            turn.join(lane);
            drop(shares.reserve(lane, &turn));
            shares.charge(&parts, turn.frames, Duration::from_secs(1));
        };
        for _ in 0..3600 {
            serve(Lane::Durable);
        }
        shares.returns(Lane::Live);
        let mut live_first = 0;
        while shares.next() == Lane::Live {
            serve(Lane::Live);
            live_first += 1;
        }
        assert!((1..=2).contains(&live_first), "{live_first} in a row");
    }

    #[test]
    fn what_is_reserved_counts_until_it_is_given_back() {
        let shares = Shares::default();
        let parts = model("parts");
        let mut turn = shares.turn(&parts);
        assert_eq!(turn.next(), Lane::Live, "cameras first");
        turn.join(Lane::Live);
        let reservation = shares.reserve(Lane::Live, &turn);
        assert_eq!(shares.next(), Lane::Durable, "live has a batch in hand");
        drop(reservation);
        assert_eq!(shares.next(), Lane::Durable, "and was served last");
        let charged = shares.charge(&parts, [1, 3], Duration::from_secs(2));
        assert!((charged[0] - 0.5).abs() < 1e-9 && (charged[1] - 1.5).abs() < 1e-9);
        assert_eq!(shares.next(), Lane::Durable, "it has paid less");
        assert!((shares.seconds_a_frame(&parts) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn models_that_come_and_go_do_not_fill_the_memory() {
        let shares = Shares::default();
        for version in 1..10_000 {
            let asked = model("parts").at(version);
            shares.charge(&asked, [1, 0], Duration::from_millis(1));
        }
        assert!(shares.lock().seconds_a_frame.len() <= MODELS);
    }
}
