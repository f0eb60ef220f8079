//! P9: small masks pasted into their boxes, blended into the picture and written as run lengths; against
//! numpy and pycocotools on the same masks, one thread each. The peer does it twice: with care, within
//! the boxes, and as it is usually written, with a bitmap of the picture's size for every mask.

use std::fs;

use benches::measure::{Finding, Turn, cpu::Stopwatch, goals::goal, rounds::take_turns};
use detector::{image::RgbImage, model::geometry::Size};
use pipeline::mask::Mask;
use serde_json::{Value, json};

use crate::{
    Stand,
    chores::{Chores, cpu_ms_each, text},
    mask_work::{Hand, MaskWork, plain_picture},
};

/// Two masks of the same thing share at least this much.
const LEAST_OVERLAP: f64 = 0.99;

/// Pixels of the picture that may differ: only we draw outlines.
const MOST_DIFFERENCE: f64 = 0.1;

const FRAME: Size = Size {
    width: 1920,
    height: 1080,
};

pub(crate) fn measure(stand: &Stand) -> Vec<Finding> {
    let mut chores = Chores::start();
    let works = [
        ("10 things", MaskWork::spread(FRAME, 5, 2, 360)),
        ("100 things", MaskWork::spread(FRAME, 10, 10, 100)),
    ];
    let ways = [("boxes", "in boxes"), ("frames", "in whole frames")];
    let cases = works.iter().flat_map(|(things, work)| {
        ways.map(|(way, words)| (format!("{things}, {words}"), work, way))
    });
    let findings = cases.map(|(name, work, way)| {
        let comparison = one_case(stand, &mut chores, (work, way));
        Finding {
            goal: goal("P9").expect("a goal"),
            variant: Some(name),
            comparison,
        }
    });
    findings.collect()
}

fn one_case(
    stand: &Stand,
    chores: &mut Chores,
    (work, way): (&MaskWork, &str),
) -> benches::measure::Comparison {
    let mut picture = plain_picture(FRAME);
    let json = chores.hand_over("work.json", work.as_json().to_string());
    let before = chores.hand_over("picture", picture.pixels());
    let out = chores.file("drawn");
    let request = |count: usize| -> Value {
        json!({"chore": "masks", "work": text(&json), "picture": text(&before), "way": way, "count": count})
    };
    let mut hand = Hand::new();
    let ours = hand.work(work, &mut picture);
    let mut first = request(1);
    first["out"] = json!(text(&out));
    let theirs = chores.ask(&first);
    assert_same_masks(&ours, &theirs["counts"]);
    assert_alike(&picture, &fs::read(&out).expect("the peer's picture"));
    let counts = (stand.pick(3, 1), stand.pick(40, 1));
    let by_python = || {
        let each_ms = cpu_ms_each(&chores.ask(&request(counts.0)), counts.0);
        Turn::of(each_ms).with("python_cpu_ms", each_ms)
    };
    let by_kadr = || {
        let stopwatch = Stopwatch::of_thread();
        for _ in 0..counts.1 {
            hand.work(work, &mut picture);
        }
        let each_ms = stopwatch.elapsed().as_secs_f64() * 1e3 / f64::from(counts.1);
        Turn::of(each_ms)
            .with("kadr_cpu_ms", each_ms)
            .with("box_megapixels", work.box_pixels() / 1e6)
    };
    take_turns(stand.plan, &stand.ours, by_python, by_kadr)
}

fn assert_same_masks(ours: &[String], theirs: &Value) {
    let theirs = theirs.as_array().expect("run lengths");
    assert_eq!(ours.len(), theirs.len(), "as many masks");
    let read = |counts: &str| {
        Mask::from_counts([FRAME.height, FRAME.width], counts).expect("run lengths of the frame")
    };
    for (one, other) in ours.iter().zip(theirs) {
        let (one, other) = (read(one), read(other.as_str().expect("text")));
        let overlap = one.iou(&other).expect("masks of one frame");
        assert!(overlap >= LEAST_OVERLAP, "{overlap}");
        assert!(!one.is_empty(), "a mask of nothing proves nothing");
    }
}

fn assert_alike(ours: &RgbImage, theirs: &[u8]) {
    assert_eq!(ours.pixels().len(), theirs.len(), "pictures of one size");
    let untouched = plain_picture(FRAME);
    let apart = |one: &[u8], other: &[u8]| {
        let bytes = one.iter().zip(other);
        let differing = bytes
            .filter(|(one, other)| one.abs_diff(**other) > 2)
            .count();
        differing as f64 / one.len() as f64
    };
    let drawn = apart(theirs, untouched.pixels());
    let share = apart(ours.pixels(), theirs);
    assert!(
        share < MOST_DIFFERENCE && share < drawn / 2.0,
        "{share} of the picture differ, {drawn} was drawn on"
    );
}
