//! Halves meet by id and by nothing else, and the waiting room stays within its bounds.

use super::*;
use crate::testing::{live_frame, result_of, upload};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn joined(placed: Placed) -> FrameId {
    match placed {
        Placed::Joined(joined) => {
            assert_eq!(
                joined.picture.id, joined.result.id,
                "two ids are never mixed"
            );
            assert_eq!(joined.picture.source, joined.result.source);
            joined.picture.id
        }
        other => panic!("not joined: {other:?}"),
    }
}

fn reasons(room: &mut WaitingRoom) -> Vec<DropReason> {
    room.take_lost()
        .into_iter()
        .map(|lost| lost.reason)
        .collect()
}

#[test]
fn either_half_may_come_first() {
    let mut room = WaitingRoom::default();
    let (one, two) = (live_frame("a", 1), live_frame("a", 2));
    assert!(matches!(room.picture(one.clone(), secs(0)), Placed::Waits));
    assert_eq!(joined(room.result(result_of(&one), secs(0))), one.id);
    assert!(matches!(
        room.result(result_of(&two), secs(0)),
        Placed::Waits
    ));
    assert_eq!(joined(room.picture(two.clone(), secs(0))), two.id);
    assert!(room.take_lost().is_empty());
    assert_eq!(room.bytes, 0);
}

#[test]
fn halves_of_other_frames_and_sources_do_not_meet() {
    let mut room = WaitingRoom::default();
    let frame = live_frame("a", 1);
    let same_moment = live_frame("a", 1);
    let mut same_id_elsewhere = result_of(&live_frame("b", 1));
    same_id_elsewhere.id = frame.id;
    room.picture(frame.clone(), secs(0));
    assert!(matches!(
        room.result(result_of(&same_moment), secs(0)),
        Placed::Waits
    ));
    assert!(matches!(
        room.result(same_id_elsewhere, secs(0)),
        Placed::Waits
    ));
    assert_eq!(joined(room.result(result_of(&frame), secs(0))), frame.id);
}

#[test]
fn a_burst_of_one_topic_before_the_other_joins_the_newest() {
    let mut room = WaitingRoom::default();
    let frames: Vec<Frame> = (0..40).map(|n| live_frame("a", n)).collect();
    for frame in &frames {
        room.result(result_of(frame), secs(0));
    }
    assert_eq!(
        reasons(&mut room),
        [DropReason::QueueFull; 40 - MAX_WAITING]
    );
    let mut shown = 0;
    for frame in frames {
        shown += usize::from(matches!(room.picture(frame, secs(0)), Placed::Joined(_)));
    }
    assert_eq!(shown, MAX_WAITING);
    assert!(
        room.take_lost().is_empty(),
        "a frame is lost once, not once per half"
    );
}

#[test]
fn what_waits_from_before_a_joined_frame_is_given_up() {
    let mut room = WaitingRoom::default();
    let (older, newer, newest) = (live_frame("a", 1), live_frame("a", 2), live_frame("a", 3));
    room.picture(older.clone(), secs(0));
    room.result(result_of(&newest), secs(0));
    room.picture(newer.clone(), secs(0));
    joined(room.result(result_of(&newer), secs(0)));
    assert_eq!(reasons(&mut room), [DropReason::Superseded]);
    // Its result comes after all: too late, and not a second loss.
    assert!(matches!(
        room.result(result_of(&older), secs(0)),
        Placed::Repeated
    ));
    joined(room.picture(newest, secs(0)));
    assert!(room.take_lost().is_empty());
}

#[test]
fn what_is_delivered_twice_is_joined_once() {
    let mut room = WaitingRoom::default();
    let frame = live_frame("a", 1);
    room.picture(frame.clone(), secs(0));
    assert!(
        matches!(room.picture(frame.clone(), secs(0)), Placed::Repeated),
        "while it waits"
    );
    joined(room.result(result_of(&frame), secs(0)));
    assert!(matches!(
        room.picture(frame.clone(), secs(1)),
        Placed::Repeated
    ));
    assert!(matches!(
        room.result(result_of(&frame), secs(1)),
        Placed::Repeated
    ));
    assert!(room.take_lost().is_empty());
}

#[test]
fn uploads_are_left_alone_in_either_order() {
    let mut room = WaitingRoom::default();
    let (first, second) = (upload("upload-1", 1), upload("upload-2", 2));
    room.picture(first.clone(), secs(0));
    assert!(matches!(
        room.result(result_of(&first), secs(1)),
        Placed::NotLive
    ));
    room.result(result_of(&second), secs(0));
    assert!(matches!(room.picture(second, secs(1)), Placed::NotLive));
    // The mark of one whose result never comes takes no room and is no lost frame.
    room.picture(upload("upload-3", 3), secs(0));
    assert_eq!(room.bytes, 0);
    room.sweep(secs(100));
    assert!(room.take_lost().is_empty());
    assert!(room.rooms.is_empty());
}

#[test]
fn nothing_waits_for_ever() {
    let mut room = WaitingRoom::default();
    room.picture(live_frame("a", 1), secs(0));
    room.result(result_of(&live_frame("a", 2)), secs(5));
    room.sweep(MAX_WAIT);
    assert!(room.take_lost().is_empty());
    room.sweep(MAX_WAIT + secs(1));
    assert_eq!(reasons(&mut room), [DropReason::Stale]);
    room.sweep(secs(5) + MAX_WAIT + secs(1));
    assert_eq!(reasons(&mut room), [DropReason::Stale]);
    room.sweep(secs(1000));
    assert!(room.rooms.is_empty() && room.bytes == 0);
}

#[test]
fn the_number_of_rooms_is_bounded() {
    let mut room = WaitingRoom::default();
    let count = MAX_ROOMS + 10;
    for number in 0..count {
        let at = Duration::from_millis(number as u64);
        room.result(result_of(&upload(&format!("upload-{number}"), 1)), at);
    }
    assert_eq!(room.rooms.len(), MAX_ROOMS);
    assert_eq!(reasons(&mut room), [DropReason::QueueFull; 10]);
}

#[test]
fn the_bytes_that_wait_are_bounded() {
    let mut room = WaitingRoom::default();
    let picture = |source: &str| Frame {
        jpeg: vec![0; MAX_BYTES / 4].into(),
        ..live_frame(source, 1)
    };
    for (number, source) in ["a", "b", "c", "d"].into_iter().enumerate() {
        room.picture(picture(source), secs(number as u64));
    }
    assert!(room.take_lost().is_empty());
    room.picture(picture("e"), secs(9));
    assert_eq!(
        reasons(&mut room),
        [DropReason::QueueFull],
        "the longest waiting goes"
    );
    assert!(room.bytes <= MAX_BYTES);
    assert!(room.rooms[&crate::testing::source_id("a")].is_empty());
}
