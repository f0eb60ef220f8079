//! The history's means, window and bounds.

use super::*;

const START_MS: i64 = 1_772_366_400_000;
const RED: Rgb = Rgb([255, 0, 0]);
const WINDOW_MS: i64 = MAX_BUCKETS as i64 * BUCKET_MS;

fn counts(pairs: &[(&str, u32)]) -> Vec<ClassCount> {
    let count = |&(label, count): &(&str, u32)| ClassCount {
        label: label.to_owned(),
        count,
        color: Some(RED),
    };
    pairs.iter().map(count).collect()
}

fn labels_of(history: &History, now_ms: i64) -> Vec<String> {
    let (labels, _) = history.points(0, now_ms);
    labels.into_iter().map(|label| label.label).collect()
}

#[test]
fn a_second_holds_the_mean_of_its_frames() {
    let mut history = History::default();
    history.add(START_MS, &counts(&[("gear", 2)]));
    history.add(START_MS + 999, &counts(&[("gear", 3), ("bolt", 1)]));
    history.add(START_MS + 1000, &counts(&[]));
    let (labels, points) = history.points(START_MS, START_MS + 1500);
    assert_eq!(labels.len(), 2);
    assert_eq!(labels[0].color, Some(RED));
    assert_eq!(points.len(), 2);
    assert_eq!((points[0].t_ms, points[0].frames), (START_MS, 2));
    assert!((points[0].counts["gear"] - 2.5).abs() < 1e-9);
    assert!((points[0].counts["bolt"] - 0.5).abs() < 1e-9);
    assert_eq!(points[1].frames, 1, "a frame with nothing on it is a frame");
    assert!(points[1].counts.is_empty());
}

#[test]
fn seconds_without_frames_are_left_out_and_old_ones_leave() {
    let mut history = History::default();
    history.add(START_MS, &counts(&[("gear", 1)]));
    history.add(START_MS + 5000, &counts(&[("gear", 1)]));
    let now = START_MS + 5000;
    let (_, both) = history.points(0, now);
    assert_eq!(both.len(), 2);
    let (_, last) = history.points(START_MS + 1000, now);
    assert_eq!(last.len(), 1);
    let (_, later) = history.points(0, START_MS + WINDOW_MS + 4000);
    assert_eq!(later.len(), 1, "the first second has left the window");
    let (labels, none) = history.points(0, START_MS + 2 * WINDOW_MS);
    assert!(none.is_empty() && labels.is_empty());
}

#[test]
fn the_ring_turns_over_and_keeps_order() {
    let mut history = History::default();
    for second in 0..2 * MAX_BUCKETS as i64 {
        history.add(START_MS + second * BUCKET_MS, &counts(&[("gear", 1)]));
    }
    let now = START_MS + (2 * MAX_BUCKETS as i64 - 1) * BUCKET_MS;
    let (_, points) = history.points(0, now);
    assert_eq!(points.len(), MAX_BUCKETS);
    assert!(
        points
            .windows(2)
            .all(|pair| pair[0].t_ms + BUCKET_MS == pair[1].t_ms)
    );
    assert_eq!(points.last().unwrap().t_ms, now);
}

#[test]
fn labels_are_bounded_and_the_rest_counts_together() {
    let mut history = History::default();
    for number in 0..500 {
        history.add(START_MS, &counts(&[(&format!("class {number}"), 1)]));
    }
    let (labels, points) = history.points(0, START_MS);
    assert_eq!(labels.len(), MAX_LABELS);
    assert_eq!(labels.last().unwrap().label, OTHERS);
    let total: f64 = points[0].counts.values().sum();
    assert!(
        (total * 500.0 - 500.0).abs() < 1e-6,
        "nothing is lost: {total}"
    );
}

#[test]
fn a_label_that_left_the_window_makes_room_and_leaves_no_trace() {
    let mut history = History::default();
    for number in 0..MAX_LABELS - 1 {
        history.add(START_MS, &counts(&[(&format!("old {number}"), 7)]));
    }
    let later = START_MS + WINDOW_MS + 2 * BUCKET_MS;
    history.add(later, &counts(&[("new", 1)]));
    assert_eq!(labels_of(&history, later), ["new"]);
    let (_, points) = history.points(0, later);
    assert_eq!(points.len(), 1);
    assert!((points[0].counts["new"] - 1.0).abs() < 1e-9);
}
