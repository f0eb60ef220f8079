//! P23: what masks cost as there are more of them. Pasting, drawing and encoding within boxes grows with
//! the pixels of the boxes, not with the frame around them.

use benches::{
    curves::{Axis, Chart},
    measure::{Finding, Goal, cpu::Stopwatch, goals::goal, slope::slope, sweep::sweep},
};
use detector::{image::RgbImage, model::geometry::Size};

use crate::{
    Stand,
    mask_work::{Hand, MaskWork, plain_picture},
};

/// Pixels of a box's side; large enough that what a thing costs by itself is little.
const SIDE: u32 = 100;

/// Things in a frame: columns and rows.
const GRIDS: [(u32, u32); 5] = [(2, 1), (5, 2), (6, 5), (10, 10), (20, 15)];

/// In frames of all these sizes the same things are looked at: 2, 8 and 33 megapixels.
const FRAMES: [Size; 3] = [
    Size {
        width: 1920,
        height: 1080,
    },
    Size {
        width: 3840,
        height: 2160,
    },
    Size {
        width: 7680,
        height: 4320,
    },
];

/// CPU time of the largest frame ÷ the smallest, at the same boxes.
const BY_FRAME: (f64, f64) = (1.05, 1.01);

/// Work of one case and what it is done on.
struct Case {
    work: MaskWork,
    picture: RgbImage,
}

pub(crate) fn measure(stand: &Stand) -> Vec<Finding> {
    vec![by_objects(stand), by_frame(stand)]
}

/// CPU nanoseconds for each further pixel of boxes.
fn by_objects(stand: &Stand) -> Finding {
    let grids = stand.pick(&GRIDS[..], &GRIDS[..2]);
    let works = grids
        .iter()
        .map(|&(columns, rows)| MaskWork::spread(FRAMES[0], columns, rows, SIDE));
    let works: Vec<MaskWork> = works.collect();
    let mut picture = plain_picture(FRAMES[0]);
    let mut hand = Hand::new();
    let found = sweep(stand.plan, &stand.ours, works.len(), |case| {
        let work = &works[case];
        // Equally many things in every turn, so that all take equally long.
        let count = stand.pick(3000_usize.div_ceil(work.len()), 1);
        work_ms(&mut hand, work, (&mut picture, count))
    });
    let pixels: Vec<f64> = works.iter().map(MaskWork::box_pixels).collect();
    let mut comparison = found.compare(|round| {
        let points: Vec<_> = pixels
            .iter()
            .copied()
            .zip(round.iter().map(|ms| ms * 1e6))
            .collect();
        slope(&points)
    });
    let medians = found.medians(|ms| *ms);
    for (work, ms) in works.iter().zip(&medians) {
        comparison
            .detail
            .insert(format!("cpu_ms_of_{:03}_things", work.len()), *ms);
    }
    let megapixels = pixels.iter().map(|pixels| pixels / 1e6);
    let chart = Chart::new(
        "Masks pasted, drawn and encoded, in a frame of 1920x1080",
        Axis::linear("megapixels of boxes"),
        Axis::linear("CPU ms a frame"),
    );
    let line = format!("boxes of {SIDE}x{SIDE}");
    stand.keep_curve(
        "P23",
        "p23-objects",
        chart.series(line, megapixels.zip(medians).collect()),
    );
    Finding {
        goal: goal("P23").expect("a goal"),
        variant: Some("ns a box pixel".to_owned()),
        comparison,
    }
}

/// The same boxes in frames of several sizes.
fn by_frame(stand: &Stand) -> Finding {
    let frames = stand.pick(&FRAMES[..], &FRAMES[..1]);
    let work = MaskWork::spread(FRAMES[0], 10, 10, SIDE);
    let mut cases: Vec<Case> = frames
        .iter()
        .map(|&frame| Case {
            work: work.within(frame),
            picture: plain_picture(frame),
        })
        .collect();
    let mut hand = Hand::new();
    let found = sweep(stand.plan, &stand.ours, cases.len(), |case| {
        let Case { work, picture } = &mut cases[case];
        work_ms(&mut hand, work, (picture, stand.pick(60, 1)))
    });
    let mut comparison = found.compare(|round| round[round.len() - 1] / round[0]);
    let medians = found.medians(|ms| *ms);
    for (frame, ms) in frames.iter().zip(&medians) {
        comparison
            .detail
            .insert(format!("cpu_ms_in_{}x{}", frame.width, frame.height), *ms);
    }
    let megapixels = frames
        .iter()
        .map(|frame| f64::from(frame.width) * f64::from(frame.height) / 1e6);
    let chart = Chart::new(
        "The same 100 masks in larger frames",
        Axis::log("megapixels of the frame"),
        Axis::linear("CPU ms a frame"),
    );
    let line = format!("100 boxes of {SIDE}x{SIDE}");
    stand.keep_curve(
        "P23",
        "p23-frames",
        chart.series(line, megapixels.zip(medians).collect()),
    );
    let (pass, stretch) = BY_FRAME;
    Finding {
        goal: Goal {
            title: "CPU for the same masks in 33 megapixels / in 2 megapixels",
            pass,
            stretch,
            ..goal("P23").expect("a goal")
        },
        variant: Some("33 MP / 2 MP".to_owned()),
        comparison,
    }
}

/// CPU milliseconds of each of `count` times.
fn work_ms(hand: &mut Hand, work: &MaskWork, (picture, count): (&mut RgbImage, usize)) -> f64 {
    let stopwatch = Stopwatch::of_thread();
    for _ in 0..count {
        hand.work(work, picture);
    }
    stopwatch.elapsed().as_secs_f64() * 1e3 / count as f64
}
