//! Fairness, freshness, batches and order, with the time passed in.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;

use super::*;

#[path = "scheduler_wait_tests.rs"]
mod wait;

const ROOM: Room = Room {
    live_sources: 16,
    durable_frames: 64,
};

#[derive(Clone, Debug, PartialEq, Eq)]
struct Shot {
    source: SourceId,
    model: ModelRef,
    captured_at: Timestamp,
    number: u32,
    deadline_ms: Option<i64>,
    is_suspect: bool,
}

impl Waiting for Shot {
    fn is_suspect(&self) -> bool {
        self.is_suspect
    }

    fn source(&self) -> &SourceId {
        &self.source
    }

    fn model(&self) -> &ModelRef {
        &self.model
    }

    fn captured_at(&self) -> Timestamp {
        self.captured_at
    }

    fn expires_at(&self) -> Option<Timestamp> {
        let deadline_ms = self.deadline_ms?;
        Some(self.captured_at + SignedDuration::from_millis(deadline_ms))
    }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_millis(ms)
}

fn shot(source: &str, number: u32) -> Shot {
    Shot {
        source: SourceId::new(source).unwrap(),
        model: "parts".parse().unwrap(),
        captured_at: at(number.into()),
        number,
        deadline_ms: None,
        is_suspect: false,
    }
}

fn of_model(source: &str, number: u32, model: &str) -> Shot {
    Shot {
        model: model.parse().unwrap(),
        ..shot(source, number)
    }
}

fn live(source: &str, number: u32) -> Shot {
    Shot {
        deadline_ms: Some(1000),
        ..shot(source, number)
    }
}

fn names(batch: &[Shot]) -> Vec<String> {
    batch
        .iter()
        .map(|shot| format!("{}{}", shot.source, shot.number))
        .collect()
}

fn new() -> Scheduler<Shot> {
    Scheduler::new(ROOM, Shares::default())
}

fn no_wait(max_size: usize) -> BatchRule {
    BatchRule {
        max_size,
        ..BatchRule::default()
    }
}

fn taken_at(scheduler: &mut Scheduler<Shot>, now: Timestamp, rule: &BatchRule) -> Vec<String> {
    let taken = scheduler.take(now, |_| rule.clone());
    taken.map_or_else(Vec::new, |taken| names(&taken.frames))
}

fn taken(scheduler: &mut Scheduler<Shot>, max_batch: usize) -> Vec<String> {
    taken_at(scheduler, at(0), &no_wait(max_batch))
}

#[test]
fn a_newer_live_frame_takes_the_place_of_the_older() {
    let mut scheduler = new();
    assert_eq!(scheduler.push_live(live("a", 1), at(0)), Pushed::Waits);
    assert_eq!(scheduler.push_live(live("b", 1), at(0)), Pushed::Waits);
    let pushed = scheduler.push_live(live("a", 2), at(0));
    assert_eq!(pushed, Pushed::Superseded(live("a", 1)));
    assert_eq!(taken(&mut scheduler, 1), ["a2"], "it kept its turn");
    assert_eq!(taken(&mut scheduler, 1), ["b1"]);
    assert!(scheduler.is_empty());
}

#[test]
fn every_camera_gets_the_same_share_however_fast_it_is() {
    let mut scheduler = new();
    let mut served: BTreeMap<String, u32> = BTreeMap::new();
    let mut oldest_age = SignedDuration::ZERO;
    // Ten cameras with gaps of 20 to 110 ms, and a model that takes 300 ms a frame.
    for ms in 0_u32..60_000 {
        for camera in 0_u32..10 {
            if ms.is_multiple_of(20 + 10 * camera) {
                scheduler.push_live(live(&format!("cam-{camera}"), ms), at(0));
            }
        }
        if ms % 300 == 150 {
            let now = at(ms.into());
            let taken = scheduler.take(now, |_| no_wait(1));
            for frame in taken.into_iter().flat_map(|taken| taken.frames) {
                oldest_age = oldest_age.max(now.duration_since(frame.captured_at));
                *served.entry(frame.source.to_string()).or_default() += 1;
            }
        }
    }
    assert_eq!(served.len(), 10);
    assert!(served.values().all(|&frames| frames == 20), "{served:?}");
    assert!(
        oldest_age <= SignedDuration::from_millis(110),
        "no older than one frame gap: {oldest_age:?}"
    );
}

#[test]
fn the_lanes_take_turns_while_both_have_work() {
    let mut scheduler = new();
    for number in 1..=3 {
        scheduler.push_durable(shot("job", number), at(0));
    }
    scheduler.push_live(live("a", 1), at(0));
    scheduler.push_live(live("b", 1), at(0));
    let order: Vec<_> = (0..5).flat_map(|_| taken(&mut scheduler, 1)).collect();
    assert_eq!(order, ["a1", "job1", "b1", "job2", "job3"]);
}

#[test]
fn a_camera_does_not_starve_the_durable_lane_nor_the_other_way_round() {
    let mut scheduler = new();
    let (mut live_frames, mut durable_frames) = (0, 0);
    for number in 0..100 {
        scheduler.push_live(live("a", number), at(0));
        while scheduler.has_durable_room() {
            scheduler.push_durable(shot("job", number), at(0));
        }
        let taken = scheduler.take(at(0), |_| no_wait(1)).unwrap();
        match taken.frames[0].deadline_ms {
            Some(_) => live_frames += 1,
            None => durable_frames += 1,
        }
    }
    assert_eq!((live_frames, durable_frames), (50, 50));
}

#[test]
fn late_frames_are_handed_out_apart_and_never_in_a_batch() {
    let mut scheduler = new();
    scheduler.push_live(live("a", 0), at(0));
    scheduler.push_live(live("b", 500), at(0));
    scheduler.push_durable(shot("job", 0), at(0));
    assert_eq!(names(&scheduler.take_late(at(1001))), ["a0"]);
    let batch = taken_at(&mut scheduler, at(1001), &no_wait(8));
    assert_eq!(batch, ["b500", "job0"]);
    scheduler.push_live(live("silent", 0), at(0));
    assert_eq!(names(&scheduler.take_late(at(1001))), ["silent0"]);
    assert!(scheduler.is_empty());
}

#[test]
fn a_batch_grows_to_what_waits_and_the_model_takes() {
    let mut scheduler = new();
    for number in 1..=3 {
        scheduler.push_durable(shot("job", number), at(0));
    }
    scheduler.push_live(live("a", 1), at(0));
    scheduler.push_live(live("b", 1), at(0));
    assert_eq!(taken(&mut scheduler, 4), ["a1", "job1", "b1", "job2"]);
    assert_eq!(taken(&mut scheduler, 4), ["job3"]);
    assert_eq!(taken(&mut scheduler, 4), [""; 0]);
}

#[test]
fn only_frames_of_the_same_model_share_a_batch_and_none_overtakes_its_source() {
    let mut scheduler = new();
    scheduler.push_durable(of_model("x", 1, "parts"), at(0));
    scheduler.push_durable(of_model("y", 1, "part-kind"), at(0));
    scheduler.push_durable(of_model("y", 2, "parts"), at(0));
    scheduler.push_durable(of_model("z", 1, "parts"), at(0));
    scheduler.push_durable(of_model("x", 2, "parts@1"), at(0));
    scheduler.push_durable(of_model("x", 3, "parts"), at(0));
    let asked = RefCell::new(Vec::new());
    let mut take = || {
        let taken = scheduler.take(at(0), |model| {
            asked.borrow_mut().push(model.to_string());
            no_wait(8)
        });
        names(&taken.unwrap().frames)
    };
    assert_eq!(take(), ["x1", "z1"], "y2 waits for y1, x3 for x2");
    assert_eq!(take(), ["y1"]);
    assert_eq!(take(), ["y2"], "x3 still waits for x2");
    assert_eq!(take(), ["x2"]);
    assert_eq!(take(), ["x3"]);
    assert_eq!(
        *asked.borrow(),
        ["parts", "part-kind", "parts", "parts@1", "parts"]
    );
}

#[test]
fn room_is_bounded_on_both_lanes() {
    let mut scheduler = Scheduler::new(
        Room {
            live_sources: 1,
            durable_frames: 1,
        },
        Shares::default(),
    );
    scheduler.push_live(live("a", 1), at(0));
    assert_eq!(
        scheduler.push_live(live("b", 1), at(0)),
        Pushed::Refused(live("b", 1))
    );
    assert_eq!(
        scheduler.push_live(live("a", 2), at(0)),
        Pushed::Superseded(live("a", 1))
    );
    assert!(scheduler.has_durable_room());
    scheduler.push_durable(shot("job", 1), at(0));
    assert!(!scheduler.has_durable_room());
}

#[test]
fn the_oldest_frame_of_each_lane_is_known() {
    let mut scheduler = new();
    assert_eq!(scheduler.oldest(Lane::Live), None);
    scheduler.push_live(live("a", 7), at(0));
    scheduler.push_live(live("b", 5), at(0));
    scheduler.push_durable(shot("job", 9), at(0));
    assert_eq!(scheduler.oldest(Lane::Live), Some(at(5)));
    assert_eq!(scheduler.oldest(Lane::Durable), Some(at(9)));
}

#[test]
fn a_suspect_is_a_batch_of_its_own_and_keeps_its_place() {
    let mut scheduler = new();
    for number in 0..5 {
        let mut frame = shot(if number < 3 { "a" } else { "b" }, number);
        frame.is_suspect = number == 1;
        scheduler.push_durable(frame, at(0));
    }
    let mut take = || taken(&mut scheduler, 8);
    // What comes behind the suspect in its source waits for it.
    assert_eq!(take(), ["a0", "b3", "b4"]);
    assert_eq!(take(), ["a1"]);
    assert_eq!(take(), ["a2"]);
}

#[test]
fn what_was_overtaken_is_owed() {
    let owed = |scheduler: &mut Scheduler<Shot>| {
        scheduler.keep_owed();
        let left = std::mem::take(&mut scheduler.durable);
        let left: Vec<Shot> = left.into_iter().map(|queued| queued.frame).collect();
        names(&left)
    };
    let full = || {
        let mut scheduler = new();
        for (source, number) in [("a", 1), ("b", 1), ("a", 2), ("c", 1), ("d", 1)] {
            let model = if source == "a" { "parts" } else { "other" };
            scheduler.push_durable(of_model(source, number, model), at(0));
        }
        scheduler.push_live(live("camera", 1), at(0));
        scheduler
    };
    assert!(owed(&mut full()).is_empty(), "nothing was taken");
    let take = taken;
    let mut scheduler = full();
    assert_eq!(take(&mut scheduler, 1), ["camera1"]);
    assert_eq!(take(&mut scheduler, 2), ["a1", "a2"]);
    assert_eq!(owed(&mut scheduler), ["b1"], "c and d lie behind both");
    let mut scheduler = full();
    take(&mut scheduler, 1);
    assert_eq!(take(&mut scheduler, 1), ["a1"]);
    // b1 and, over a2, c1 and d1.
    assert_eq!(take(&mut scheduler, 3), ["b1", "c1", "d1"]);
    assert_eq!(owed(&mut scheduler), ["a2"]);
    let mut scheduler = full();
    take(&mut scheduler, 1);
    take(&mut scheduler, 2);
    assert_eq!(take(&mut scheduler, 1), ["b1"]);
    assert!(owed(&mut scheduler).is_empty(), "the debt is paid");
}

#[test]
fn what_is_late_on_the_durable_lane_is_handed_out_and_owes_nothing() {
    let mut scheduler = new();
    for (source, number, model) in [("a", 1, "other"), ("b", 2, "parts"), ("c", 3, "parts")] {
        let mut frame = of_model(source, number, model);
        frame.deadline_ms = (source != "c").then_some(100);
        scheduler.push_durable(frame, at(0));
    }
    // b2 overtakes a1: at the end, a1 would be owed.
    scheduler.push_durable(of_model("d", 4, "other"), at(0));
    assert_eq!(taken(&mut scheduler, 1), ["a1"]);
    assert_eq!(names(&scheduler.take_late(at(200))), ["b2"]);
    assert_eq!(taken_at(&mut scheduler, at(200), &no_wait(8)), ["c3"]);
    assert_eq!(taken_at(&mut scheduler, at(200), &no_wait(8)), ["d4"]);
    assert_eq!(scheduler.owed, 0);
}

/// A minute of a model thread: 60 cameras' worth of live frames and a backlog of uploads, with a run
/// of each model as long as it is; gives the seconds that each lane was served.
fn a_minute(live_share: f64, (live_ms, durable_ms): (u64, u64)) -> (f64, f64) {
    let shares = Shares::new(live_share);
    let mut scheduler = Scheduler::new(ROOM, shares.clone());
    let (mut live_seconds, mut durable_seconds) = (0.0, 0.0);
    let mut ms = 0;
    while ms < 60_000 {
        let now = at(ms);
        for camera in ["cam-1", "cam-2"] {
            let mut frame = of_model(camera, ms as u32, "dear");
            frame.deadline_ms = Some(1000);
            scheduler.push_live(frame, now);
        }
        while scheduler.has_durable_room() {
            scheduler.push_durable(of_model("job", ms as u32, "cheap"), now);
        }
        let taken = scheduler.take(now, |_| no_wait(1)).unwrap();
        let is_live = taken.frames[0].deadline_ms.is_some();
        let took_ms = if is_live { live_ms } else { durable_ms };
        let took = Duration::from_millis(took_ms);
        let frames = [usize::from(!is_live), usize::from(is_live)];
        let charged = shares.charge(taken.frames[0].model(), frames, took);
        durable_seconds += charged[0];
        live_seconds += charged[1];
        ms += took_ms as i64;
    }
    (live_seconds, durable_seconds)
}

#[test]
fn cheap_frames_of_one_lane_steal_no_time_from_the_other() {
    for (share, costs) in [(0.5, (300, 10)), (0.5, (10, 300)), (0.75, (100, 20))] {
        let (live, durable) = a_minute(share, costs);
        let part = live / (live + durable);
        assert!((part - share).abs() < 0.03, "{share} {costs:?}: {part}");
    }
}

#[test]
fn cameras_share_fairly_beside_uploads_and_with_batches_of_two_models() {
    let shares = Shares::default();
    let mut scheduler = Scheduler::new(ROOM, shares.clone());
    // Each model's cameras, with what each was served.
    let mut served: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
    for ms in 0_u32..120_000 {
        let now = at(ms.into());
        for camera in 0_u32..9 {
            if ms.is_multiple_of(30 + 7 * camera) {
                let model = ["part-kind", "parts", "parts"][camera as usize % 3];
                let mut frame = of_model(&format!("cam-{camera}"), ms, model);
                frame.deadline_ms = Some(10_000);
                scheduler.push_live(frame, now);
            }
        }
        if scheduler.has_durable_room() {
            scheduler.push_durable(shot("job", ms), now);
        }
        if ms % 250 == 125 {
            let taken = scheduler.take(now, |_| no_wait(4)).unwrap();
            let model = taken.frames[0].model.clone();
            let is_live = |frame: &&Shot| frame.deadline_ms.is_some();
            let live = taken.frames.iter().filter(is_live).count();
            let frames = [taken.frames.len() - live, live];
            shares.charge(&model, frames, Duration::from_millis(250));
            let cameras = served.entry(model.to_string()).or_default();
            for frame in taken.frames.iter().filter(is_live) {
                *cameras.entry(frame.source.to_string()).or_default() += 1;
            }
        }
    }
    let bounds = |cameras: &BTreeMap<String, u32>| {
        let (least, most) = (cameras.values().min(), cameras.values().max());
        (f64::from(*least.unwrap()), f64::from(*most.unwrap()))
    };
    for cameras in served.values() {
        let (least, most) = bounds(cameras);
        assert!(most / least <= 1.1, "cameras of one model: {served:?}");
    }
    // Who fits into a batch goes with it, before those of another model, but not for ever.
    let (kind, parts) = (bounds(&served["part-kind"]), bounds(&served["parts"]));
    let (least, most) = (kind.0.min(parts.0), kind.1.max(parts.1));
    assert!(most / least <= 1.5, "cameras of both models: {served:?}");
}

#[test]
fn what_waits_is_told_by_lane_and_model() {
    let mut scheduler = new();
    scheduler.push_live(live("a", 1), at(0));
    scheduler.push_durable(shot("job", 1), at(0));
    scheduler.push_durable(of_model("job", 2, "parts@2"), at(0));
    scheduler.push_durable(shot("job", 3), at(0));
    let lengths = |lane| Vec::from_iter(scheduler.lengths(lane));
    assert_eq!(lengths(Lane::Live), [("parts".to_owned(), 1)]);
    let durable = [("parts".to_owned(), 2), ("parts@2".to_owned(), 1)];
    assert_eq!(lengths(Lane::Durable), durable);
}
