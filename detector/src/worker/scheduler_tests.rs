//! Fairness, freshness, batches and order, with the time passed in.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::*;

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

    fn is_stale(&self, now: Timestamp) -> bool {
        self.deadline_ms
            .is_some_and(|ms| now > self.captured_at + SignedDuration::from_millis(ms))
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

fn taken(scheduler: &mut Scheduler<Shot>, max_batch: usize) -> Vec<String> {
    names(&scheduler.take(at(0), |_| max_batch).batch)
}

#[test]
fn a_newer_live_frame_takes_the_place_of_the_older() {
    let mut scheduler = Scheduler::new(ROOM);
    assert_eq!(scheduler.push_live(live("a", 1)), Pushed::Waits);
    assert_eq!(scheduler.push_live(live("b", 1)), Pushed::Waits);
    let pushed = scheduler.push_live(live("a", 2));
    assert_eq!(pushed, Pushed::Superseded(live("a", 1)));
    assert_eq!(taken(&mut scheduler, 1), ["a2"], "it kept its turn");
    assert_eq!(taken(&mut scheduler, 1), ["b1"]);
    assert!(scheduler.is_empty());
}

#[test]
fn every_camera_gets_the_same_share_however_fast_it_is() {
    let mut scheduler = Scheduler::new(ROOM);
    let mut served: BTreeMap<String, u32> = BTreeMap::new();
    let mut oldest_age = SignedDuration::ZERO;
    // Ten cameras with gaps of 20 to 110 ms, and a model that takes 300 ms a frame.
    for ms in 0_u32..60_000 {
        for camera in 0_u32..10 {
            if ms.is_multiple_of(20 + 10 * camera) {
                scheduler.push_live(live(&format!("cam-{camera}"), ms));
            }
        }
        if ms % 300 == 150 {
            let now = at(ms.into());
            for frame in scheduler.take(now, |_| 1).batch {
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
    let mut scheduler = Scheduler::new(ROOM);
    for number in 1..=3 {
        scheduler.push_durable(shot("job", number));
    }
    scheduler.push_live(live("a", 1));
    scheduler.push_live(live("b", 1));
    let order: Vec<_> = (0..5).flat_map(|_| taken(&mut scheduler, 1)).collect();
    assert_eq!(order, ["a1", "job1", "b1", "job2", "job3"]);
}

#[test]
fn a_camera_does_not_starve_the_durable_lane_nor_the_other_way_round() {
    let mut scheduler = Scheduler::new(ROOM);
    let (mut live_frames, mut durable_frames) = (0, 0);
    for number in 0..100 {
        scheduler.push_live(live("a", number));
        while scheduler.has_durable_room() {
            scheduler.push_durable(shot("job", number));
        }
        let batch = scheduler.take(at(0), |_| 1).batch;
        match batch[0].deadline_ms {
            Some(_) => live_frames += 1,
            None => durable_frames += 1,
        }
    }
    assert_eq!((live_frames, durable_frames), (50, 50));
}

#[test]
fn stale_frames_are_handed_out_apart_and_never_in_a_batch() {
    let mut scheduler = Scheduler::new(ROOM);
    scheduler.push_live(live("a", 0));
    scheduler.push_live(live("b", 500));
    scheduler.push_durable(shot("job", 0));
    let Taken { batch, stale } = scheduler.take(at(1001), |_| 8);
    assert_eq!(names(&stale), ["a0"]);
    assert_eq!(names(&batch), ["b500", "job0"]);
    scheduler.push_live(live("silent", 0));
    assert_eq!(names(&scheduler.take_stale(at(1001))), ["silent0"]);
    assert!(scheduler.is_empty());
}

#[test]
fn a_batch_grows_to_what_waits_and_the_model_takes() {
    let mut scheduler = Scheduler::new(ROOM);
    for number in 1..=3 {
        scheduler.push_durable(shot("job", number));
    }
    scheduler.push_live(live("a", 1));
    scheduler.push_live(live("b", 1));
    assert_eq!(taken(&mut scheduler, 4), ["a1", "job1", "b1", "job2"]);
    assert_eq!(taken(&mut scheduler, 4), ["job3"]);
    assert_eq!(taken(&mut scheduler, 4), [""; 0]);
}

#[test]
fn only_frames_of_the_same_model_share_a_batch_and_none_overtakes_its_source() {
    let mut scheduler = Scheduler::new(ROOM);
    scheduler.push_durable(of_model("x", 1, "parts"));
    scheduler.push_durable(of_model("y", 1, "part-kind"));
    scheduler.push_durable(of_model("y", 2, "parts"));
    scheduler.push_durable(of_model("z", 1, "parts"));
    scheduler.push_durable(of_model("x", 2, "parts@1"));
    scheduler.push_durable(of_model("x", 3, "parts"));
    let mut sizes = Vec::new();
    let mut take = || {
        let taken = scheduler.take(at(0), |model| {
            sizes.push(model.to_string());
            8
        });
        names(&taken.batch)
    };
    assert_eq!(take(), ["x1", "z1"], "y2 waits for y1, x3 for x2");
    assert_eq!(take(), ["y1"]);
    assert_eq!(take(), ["y2"], "x3 still waits for x2");
    assert_eq!(take(), ["x2"]);
    assert_eq!(take(), ["x3"]);
    assert_eq!(sizes, ["parts", "part-kind", "parts", "parts@1", "parts"]);
}

#[test]
fn room_is_bounded_on_both_lanes() {
    let mut scheduler = Scheduler::new(Room {
        live_sources: 1,
        durable_frames: 1,
    });
    scheduler.push_live(live("a", 1));
    assert_eq!(
        scheduler.push_live(live("b", 1)),
        Pushed::Refused(live("b", 1))
    );
    assert_eq!(
        scheduler.push_live(live("a", 2)),
        Pushed::Superseded(live("a", 1))
    );
    assert!(scheduler.has_durable_room());
    scheduler.push_durable(shot("job", 1));
    assert!(!scheduler.has_durable_room());
}

#[test]
fn the_oldest_frame_of_each_lane_is_known() {
    let mut scheduler = Scheduler::new(ROOM);
    assert_eq!(scheduler.oldest(Lane::Live), None);
    scheduler.push_live(live("a", 7));
    scheduler.push_live(live("b", 5));
    scheduler.push_durable(shot("job", 9));
    assert_eq!(scheduler.oldest(Lane::Live), Some(at(5)));
    assert_eq!(scheduler.oldest(Lane::Durable), Some(at(9)));
}

#[test]
fn a_suspect_is_a_batch_of_its_own_and_keeps_its_place() {
    let mut scheduler = Scheduler::new(ROOM);
    for number in 0..5 {
        let mut frame = shot(if number < 3 { "a" } else { "b" }, number);
        frame.is_suspect = number == 1;
        scheduler.push_durable(frame);
    }
    let mut take = || names(&scheduler.take(at(0), |_| 8).batch);
    // What comes behind the suspect in its source waits for it.
    assert_eq!(take(), ["a0", "b3", "b4"]);
    assert_eq!(take(), ["a1"]);
    assert_eq!(take(), ["a2"]);
}

#[test]
fn what_was_overtaken_is_owed() {
    let owed = |scheduler: &mut Scheduler<Shot>| {
        scheduler.keep_owed();
        names(&Vec::from(std::mem::take(&mut scheduler.durable)))
    };
    let full = || {
        let mut scheduler = Scheduler::new(ROOM);
        for (source, number) in [("a", 1), ("b", 1), ("a", 2), ("c", 1), ("d", 1)] {
            let model = if source == "a" { "parts" } else { "other" };
            scheduler.push_durable(of_model(source, number, model));
        }
        scheduler.push_live(live("camera", 1));
        scheduler
    };
    assert!(owed(&mut full()).is_empty(), "nothing was taken");
    let take =
        |scheduler: &mut Scheduler<Shot>, size| names(&scheduler.take(at(0), |_| size).batch);
    let mut scheduler = full();
    assert_eq!(take(&mut scheduler, 1), ["camera1"]);
    assert_eq!(take(&mut scheduler, 2), ["a1", "a2"]);
    assert_eq!(owed(&mut scheduler), ["b1"], "c and d lie behind both");
    let mut scheduler = full();
    take(&mut scheduler, 1);
    assert_eq!(take(&mut scheduler, 1), ["a1"]);
    // b1 and, over a2, c1 and d1.
    scheduler.next_lane = Lane::Durable;
    assert_eq!(take(&mut scheduler, 3), ["b1", "c1", "d1"]);
    assert_eq!(owed(&mut scheduler), ["a2"]);
    let mut scheduler = full();
    take(&mut scheduler, 1);
    take(&mut scheduler, 2);
    scheduler.next_lane = Lane::Durable;
    assert_eq!(take(&mut scheduler, 1), ["b1"]);
    assert!(owed(&mut scheduler).is_empty(), "the debt is paid");
}
