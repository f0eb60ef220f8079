//! What the wall shows, in which order, and for how long; the time is the test's.

use super::*;
use crate::{
    clock::tests::at_ms,
    testing::{live_frame, result_of, source_id, upload},
};

/// Ids are remembered in the waiting room only so long.
const LONG_MS: u64 = 60_000;

fn wall() -> Wall {
    Wall::new(at_ms(0))
}

/// Both halves of a frame at once.
fn give(wall: &mut Wall, frame: &Frame, at: u64) -> Change {
    wall.picture(frame.clone(), at_ms(at));
    wall.result(result_of(frame), at_ms(at))
}

fn summary(wall: &Wall, source: &str, at: u64) -> Summary {
    let (id, source) = wall.source(source).expect("on the wall");
    source.summary(id, at_ms(at))
}

fn newest(wall: &Wall, source: &str) -> u64 {
    let (_, source) = wall.source(source).expect("on the wall");
    source.newest.sequence.expect("all frames here have one")
}

#[test]
fn a_whole_frame_is_shown_and_its_source_appears() {
    let mut wall = wall();
    let frame = live_frame("belt-1", 100);
    let half = wall.picture(frame.clone(), at_ms(150));
    assert!(half.shown.is_none() && wall.source("belt-1").is_none());
    let whole = wall.result(result_of(&frame), at_ms(180));
    assert_eq!(whole.shown.expect("whole").id, frame.id);
    assert!(whole.has_turned, "a source has appeared");
    let summary = summary(&wall, "belt-1", 200);
    assert!((summary.latency_ms - 80.0).abs() < 1e-6);
    assert!(!summary.stale && summary.stale_since_ms.is_none());
    assert_eq!(
        (summary.counts[0].label.as_str(), summary.counts[0].count),
        ("gear", 1)
    );
    let (_, points) = wall
        .source("belt-1")
        .unwrap()
        .1
        .history
        .points(0, at_ms(200).wall.as_millisecond());
    assert_eq!(points[0].frames, 1);
}

#[test]
fn uploads_are_not_on_the_wall() {
    let mut wall = wall();
    let change = give(&mut wall, &upload("upload-7", 100), 150);
    assert!(change.shown.is_none() && !change.has_turned);
    assert_eq!(wall.source_ids().count(), 0);
}

#[test]
fn an_older_frame_never_replaces_a_newer_one() {
    let mut wall = wall();
    give(&mut wall, &live_frame("a", 200), 210);
    let older = give(&mut wall, &live_frame("a", 150), 220);
    assert!(older.shown.is_none());
    assert_eq!(older.lost, [DropReason::Superseded]);
    assert_eq!(newest(&wall, "a"), 200);
    // Nor does one of the same moment with a smaller number; one with a larger number does.
    let mut twin = live_frame("a", 200);
    twin.sequence = Some(199);
    assert!(give(&mut wall, &twin, 230).shown.is_none());
    let mut next = live_frame("a", 200);
    next.sequence = Some(201);
    assert!(give(&mut wall, &next, 240).shown.is_some());
}

#[test]
fn a_frame_delivered_again_much_later_is_not_shown_again() {
    let mut wall = wall();
    let frame = live_frame("a", 100);
    give(&mut wall, &frame, 110);
    assert!(give(&mut wall, &frame, 120).is_repeated);
    give(&mut wall, &live_frame("a", LONG_MS), LONG_MS);
    wall.tick(at_ms(3 * LONG_MS));
    let again = give(&mut wall, &frame, 3 * LONG_MS);
    assert!(again.shown.is_none() && !again.has_turned);
    assert_eq!(newest(&wall, "a"), LONG_MS);
}

#[test]
fn a_camera_that_starts_anew_counts_from_zero_and_is_shown() {
    let mut wall = wall();
    give(&mut wall, &live_frame("a", 5000), 5010);
    let mut restarted = live_frame("a", 6000);
    restarted.sequence = Some(0);
    assert!(give(&mut wall, &restarted, 6010).shown.is_some());
}

#[test]
fn a_camera_whose_clock_was_set_back_is_shown_again() {
    let mut wall = wall();
    let hour_ahead = live_frame("a", 3_600_000);
    give(&mut wall, &hour_ahead, 1000);
    assert!(
        give(&mut wall, &live_frame("a", 2000), 2010)
            .shown
            .is_some()
    );
    assert_eq!(newest(&wall, "a"), 2000);
}

#[test]
fn a_source_goes_stale_and_recovers_and_says_so_once() {
    let mut wall = wall();
    for n in 0..10 {
        give(&mut wall, &live_frame("a", n * 100), n * 100 + 40);
    }
    assert!(!wall.tick(at_ms(940 + 2000)).has_turned);
    assert!(wall.tick(at_ms(940 + 2001)).has_turned);
    assert!(!wall.tick(at_ms(940 + 2500)).has_turned, "said once");
    let stale = summary(&wall, "a", 4000);
    assert!(stale.stale);
    let last_ms = crate::clock::unix_ms(at_ms(940).wall);
    assert!((stale.stale_since_ms.unwrap() - last_ms).abs() < 1e-3);
    assert_eq!(stale.fps.to_bits(), 0_f64.to_bits());

    assert!(
        give(&mut wall, &live_frame("a", 5000), 5040).has_turned,
        "recovered"
    );
    assert!(!summary(&wall, "a", 5050).stale);
    assert!(!give(&mut wall, &live_frame("a", 5100), 5140).has_turned);
}

#[test]
fn a_frame_past_its_deadline_is_what_was_last_seen_and_no_sign_of_life() {
    let mut wall = wall();
    let late = give(&mut wall, &live_frame("a", 0), 1001);
    assert!(late.shown.expect("the picture is shown").is_late);
    let first = summary(&wall, "a", 1001);
    assert!(first.stale, "nothing came in time yet");
    let captured_ms = crate::clock::unix_ms(at_ms(0).wall);
    assert!((first.stale_since_ms.unwrap() - captured_ms).abs() < 1e-3);
    // The same while frames that come in time make it live.
    assert!(give(&mut wall, &live_frame("a", 1100), 1200).has_turned);
    for n in 1..30 {
        give(
            &mut wall,
            &live_frame("a", 1100 + n * 100),
            1200 + n * 100 + 1001,
        );
    }
    assert!(
        summary(&wall, "a", 5200).stale,
        "only late frames for two seconds"
    );
    assert_eq!(
        newest(&wall, "a"),
        1100 + 2900,
        "and yet the newest picture is there"
    );
    let (_, points) = wall
        .source("a")
        .unwrap()
        .1
        .history
        .points(0, at_ms(9999).wall.as_millisecond());
    assert_eq!(
        points.iter().map(|point| point.frames).sum::<u32>(),
        1,
        "the one in time"
    );
}

#[test]
fn what_was_captured_before_the_start_is_not_counted_as_lost() {
    let mut wall = Wall::new(at_ms(1000));
    wall.picture(live_frame("a", 500), at_ms(1000));
    wall.picture(live_frame("a", 1500), at_ms(1500));
    let mut lost = Vec::new();
    for at in [5000, 20_000, 40_000] {
        lost.extend(wall.tick(at_ms(at)).lost);
    }
    assert_eq!(lost, [DropReason::Stale]);
}

#[test]
fn clients_are_given_every_source_in_turn_and_only_the_newest() {
    let mut wall = wall();
    for (source, at) in [("a", 100), ("b", 110), ("a", 120), ("a", 130), ("b", 140)] {
        give(&mut wall, &live_frame(source, at), at + 10);
    }
    let all = Choice::All;
    let (number, first) = wall.next_frame(&all, 0).unwrap();
    assert_eq!(first.sequence, Some(130), "the skipped ones are gone");
    // While this client was busy with it, its source moved on; the other's turn comes first.
    give(&mut wall, &live_frame("a", 150), 160);
    let (number, second) = wall.next_frame(&all, number).unwrap();
    assert_eq!(second.sequence, Some(140));
    let (number, third) = wall.next_frame(&all, number).unwrap();
    assert_eq!(third.sequence, Some(150));
    assert!(wall.next_frame(&all, number).is_none());

    let one = Choice::only(source_id("b"));
    let (number, only) = wall.next_frame(&one, 0).unwrap();
    assert_eq!(only.sequence, Some(140));
    assert!(wall.next_frame(&one, number).is_none());
    assert!(
        wall.next_frame(&Choice::named(Vec::new()).unwrap(), 0)
            .is_none()
    );
}

#[test]
fn the_least_recently_seen_source_makes_room() {
    let mut wall = wall();
    for n in 0..MAX_SOURCES as u64 {
        give(&mut wall, &live_frame(&format!("cam-{n}"), n), n + 1);
    }
    give(&mut wall, &live_frame("cam-0", 900), 901);
    let change = give(&mut wall, &live_frame("new", 902), 903);
    assert!(change.has_turned);
    assert_eq!(wall.source_ids().count(), MAX_SOURCES);
    assert!(wall.source("cam-0").is_some() && wall.source("new").is_some());
    assert!(wall.source("cam-1").is_none());
}

#[test]
fn huge_pictures_make_room_too() {
    let mut wall = wall();
    for n in 0..5_u64 {
        let jpeg = vec![0; MAX_PICTURE_BYTES / 4].into();
        let frame = Frame {
            jpeg,
            ..live_frame(&format!("cam-{n}"), n)
        };
        give(&mut wall, &frame, n + 1);
    }
    assert_eq!(
        wall.source_ids().count(),
        3,
        "each is a little more than a quarter"
    );
    assert!(wall.source("cam-4").is_some());
}

#[test]
fn a_camera_that_was_taken_down_leaves_after_a_day() {
    let mut wall = wall();
    give(&mut wall, &live_frame("a", 100), 110);
    wall.tick(at_ms(5000));
    let day = u64::try_from(FORGET_AFTER.as_millis()).unwrap();
    assert!(!wall.tick(at_ms(day)).has_turned);
    assert!(wall.tick(at_ms(day + 200)).has_turned);
    assert_eq!(wall.source_ids().count(), 0);
}
