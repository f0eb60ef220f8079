//! P8: from a JPEG to the numbers that a network is fed, decoded, resized and normalised; against
//! Pillow and numpy on the same JPEG, one thread each.

use std::fs;

use benches::measure::{Finding, Turn, cpu::Stopwatch, goals::goal, rounds::take_turns};
use detector::{
    image::{DEFAULT_MAX_PIXELS, JpegDecoder},
    model::{
        manifest::{Channels, InputSpec, Layout, Range, Resize},
        preprocess::Preprocessor,
        tensor::TensorBuffer,
    },
};
use serde_json::{Value, json};

use crate::{
    Stand,
    chores::{Chores, cpu_ms_each, text},
    pictures::Picture,
};

const SHORTEST: u32 = 800;
const LONGEST: u32 = 1333;

/// What torchvision's models were trained with.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// Levels of 255 by which a value may differ: both round the same sums to whole levels.
const MOST_LEVELS: f32 = 1.01;

/// Our side.
struct Ours {
    decoder: JpegDecoder,
    preprocessor: Preprocessor,
    tensor: TensorBuffer,
}

impl Ours {
    fn new() -> Self {
        let spec = InputSpec {
            name: "image".to_owned(),
            layout: Layout::Nchw,
            channels: Channels::Rgb,
            range: Range::Unit,
            mean: MEAN,
            std: STD,
            resize: Resize::ShortestEdge {
                shortest: SHORTEST,
                longest: LONGEST,
            },
            antialias: true,
        };
        Self {
            decoder: JpegDecoder::new(DEFAULT_MAX_PIXELS).expect("a decoder"),
            preprocessor: Preprocessor::new(&spec),
            tensor: TensorBuffer::default(),
        }
    }

    fn run(&mut self, jpeg: &[u8]) -> &[f32] {
        let picture = self.decoder.decode(jpeg).expect("a good picture");
        self.tensor.clear();
        self.preprocessor.append(&picture, &mut self.tensor);
        self.tensor.values()
    }
}

pub(crate) fn measure(stand: &Stand) -> Vec<Finding> {
    let mut chores = Chores::start();
    let sizes = stand.pick(
        vec![(640, 480), (1920, 1080), (3840, 2160)],
        vec![(320, 240)],
    );
    let findings = sizes.into_iter().map(|(width, height)| {
        let picture = Picture::of_belt(width, height);
        one_size(stand, &mut chores, &picture)
    });
    findings.collect()
}

fn one_size(stand: &Stand, chores: &mut Chores, picture: &Picture) -> Finding {
    let mut ours = Ours::new();
    let jpeg = chores.hand_over("picture.jpg", &picture.jpeg);
    let out = chores.file("tensor");
    let request = |count: usize| -> Value {
        json!({
            "chore": "tensor", "jpeg": text(&jpeg), "out": text(&out), "count": count,
            "resize": {"shortest": SHORTEST, "longest": LONGEST}, "mean": MEAN, "std": STD,
        })
    };
    chores.ask(&request(1));
    let theirs = fs::read(&out).expect("the peer's numbers");
    let differing = assert_alike(ours.run(&picture.jpeg), &theirs);
    // A second of theirs, about.
    let count = stand.pick(((40.0 / picture.megapixels()) as usize).clamp(6, 20), 1);
    let by_python = || {
        let each_ms = cpu_ms_each(&chores.ask(&request(count)), count);
        Turn::of(each_ms).with("python_cpu_ms", each_ms)
    };
    let by_kadr = || {
        // As much CPU time as theirs, about.
        let count = count * stand.pick(4, 1);
        let work = Stopwatch::of_thread();
        for _ in 0..count {
            ours.run(&picture.jpeg);
        }
        let each_ms = work.elapsed().as_secs_f64() * 1e3 / count as f64;
        Turn::of(each_ms)
            .with("kadr_cpu_ms", each_ms)
            .with("picture_kb", picture.kilobytes())
            .with("values_that_differ_percent", differing * 100.0)
    };
    Finding {
        goal: goal("P8").expect("a goal"),
        variant: Some(picture.size()),
        comparison: take_turns(stand.plan, &stand.ours, by_python, by_kadr),
    }
}

/// Fails unless both tensors are the same but for rounding; the share of values that differ.
fn assert_alike(ours: &[f32], theirs: &[u8]) -> f64 {
    let theirs: Vec<f32> = theirs
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    assert_eq!(ours.len(), theirs.len(), "tensors of one size");
    let plane = ours.len() / 3;
    let mut differing = 0_usize;
    for (index, (one, other)) in ours.iter().zip(&theirs).enumerate() {
        let levels = (one - other).abs() * STD[index / plane] * 255.0;
        assert!(levels <= MOST_LEVELS, "{levels} levels apart at {index}");
        differing += usize::from(levels > 0.5);
    }
    differing as f64 / ours.len() as f64
}
