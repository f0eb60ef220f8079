//! The models this repository ships, on belts that no training has seen.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::common::{instances, load, options, plain_image, resolve, runtime};
use belt::{Belt, BeltConfig, Class, Truth};
use detector::image::RgbImage;
use detector::model::repository::Precision;
use detector::onnx::OnnxModel;
use pipeline::detections::{BBox, Instance};
use pipeline::mask::Mask;

/// Seeds of the training and evaluation sets are far below.
const UNSEEN_SEED: u64 = 7_000_001;

/// Parts hidden more than this are hard for people too and are not asked for.
const MIN_VISIBLE: f32 = 0.6;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

/// A frame of a belt of its own, and what is really in it.
fn unseen_frame(index: u64, size: (u32, u32)) -> (RgbImage, Vec<Truth>) {
    let (width, height) = size;
    let config = BeltConfig {
        seed: UNSEEN_SEED + index,
        width,
        height,
        ..BeltConfig::default()
    };
    let scene = Belt::new(config).unwrap().scene(index * 37);
    let image = RgbImage::new(width, height, scene.image.into_raw()).unwrap();
    (image, scene.instances)
}

fn mask_of(instance: &Instance) -> &Mask {
    instance
        .segmentation
        .as_ref()
        .expect("a segmentation model gives masks")
}

/// How the found parts match the true ones: each truth takes the best free instance of its class
/// whose mask overlaps it by half.
#[derive(Debug, Default)]
struct Tally {
    wanted: usize,
    found: usize,
    right: usize,
    reported: usize,
    iou_sum: f64,
}

impl Tally {
    fn add(&mut self, truths: &[Truth], found: &[Instance]) {
        let parts: Vec<&Instance> = found
            .iter()
            .filter(|instance| instance.label != Class::Defect.name())
            .collect();
        let mut is_taken = vec![false; parts.len()];
        for truth in truths.iter().filter(|truth| truth.class != Class::Defect) {
            let best = (0..parts.len())
                .filter(|&index| !is_taken[index] && parts[index].label == truth.class.name())
                .map(|index| (index, mask_of(parts[index]).iou(&truth.mask).unwrap()))
                .filter(|&(_, iou)| iou >= 0.5)
                .max_by(|a, b| a.1.total_cmp(&b.1));
            let is_wanted = truth.visible >= MIN_VISIBLE;
            self.wanted += usize::from(is_wanted);
            if let Some((index, iou)) = best {
                is_taken[index] = true;
                self.right += 1;
                if is_wanted {
                    self.found += 1;
                    self.iou_sum += iou;
                }
            }
        }
        self.reported += parts.len();
    }

    fn recall(&self) -> f64 {
        self.found as f64 / self.wanted as f64
    }

    fn precision(&self) -> f64 {
        self.right as f64 / self.reported as f64
    }

    fn mean_iou(&self) -> f64 {
        self.iou_sum / self.found as f64
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            wanted,
            found,
            right,
            reported,
            ..
        } = self;
        let (recall, precision, iou) = (self.recall(), self.precision(), self.mean_iou());
        write!(formatter, "recall {recall:.3} ({found} of {wanted}), ")?;
        write!(
            formatter,
            "precision {precision:.3} ({right} of {reported}), mask IoU {iou:.3}"
        )
    }
}

#[test]
fn parts_are_found_on_belts_never_seen() {
    let mut model = load(models(), "parts");
    let mut tally = Tally::default();
    for index in 0..12 {
        let (image, truths) = unseen_frame(index, (640, 480));
        tally.add(&truths, &instances(&mut model, &image));
    }
    println!("{tally}");
    assert!(
        tally.wanted >= 40,
        "the belts are too empty to tell: {tally}"
    );
    assert!(tally.recall() >= 0.93, "{tally}");
    assert!(tally.precision() >= 0.85, "{tally}");
    assert!(tally.mean_iou() >= 0.85, "{tally}");
}

#[test]
fn every_image_size_works_and_grey_holds_no_parts() {
    let mut model = load(models(), "parts");
    for (width, height) in [(1, 1), (3000, 40), (160, 120), (1920, 1080)] {
        let found = instances(&mut model, &plain_image(width, height, [96, 96, 96]));
        assert!(found.is_empty(), "{width}x{height}: {found:?}");
    }
    for size in [(160, 120), (1920, 1080)] {
        let (image, truths) = unseen_frame(50, size);
        let mut tally = Tally::default();
        tally.add(&truths, &instances(&mut model, &image));
        println!("{size:?}: {tally}");
        assert!(tally.recall() >= 0.5, "{size:?}: {tally}");
    }
}

#[test]
fn an_empty_belt_holds_no_parts() {
    let mut model = load(models(), "parts");
    let config = BeltConfig {
        seed: UNSEEN_SEED + 99,
        density: 0.0,
        ..BeltConfig::default()
    };
    let (width, height) = (config.width, config.height);
    let scene = Belt::new(config).unwrap().scene(5);
    let image = RgbImage::new(width, height, scene.image.into_raw()).unwrap();
    let found = instances(&mut model, &image);
    assert!(found.is_empty(), "{found:?}");
}

fn box_iou(a: BBox, b: BBox) -> f32 {
    let overlap = |near_a: f32, length_a: f32, near_b: f32, length_b: f32| {
        ((near_a + length_a).min(near_b + length_b) - near_a.max(near_b)).max(0.0)
    };
    let shared = overlap(a.x, a.w, b.x, b.w) * overlap(a.y, a.h, b.y, b.h);
    shared / (a.w * a.h + b.w * b.h - shared)
}

/// Certain instances of `of` that `others` have too, by label and box, and how many there are.
fn confirmed(of: &[Instance], others: &[Instance]) -> (usize, usize) {
    let certain = of.iter().filter(|instance| instance.score >= 0.7);
    certain.fold((0, 0), |(confirmed, all), instance| {
        let is_confirmed = others.iter().any(|other| {
            other.label == instance.label && box_iou(other.bbox, instance.bbox) >= 0.75
        });
        (confirmed + usize::from(is_confirmed), all + 1)
    })
}

#[test]
fn int8_sees_what_fp32_sees() {
    let runtime = runtime();
    let resolved = resolve(models(), "parts");
    let mut fp32 = OnnxModel::load(&runtime, &resolved, &options(Precision::Fp32)).unwrap();
    let mut int8 = OnnxModel::load(&runtime, &resolved, &options(Precision::Int8)).unwrap();
    let (mut agreed, mut all) = (0, 0);
    for index in 20..26 {
        let (image, _) = unseen_frame(index, (640, 480));
        let full = instances(&mut fp32, &image);
        let quantised = instances(&mut int8, &image);
        for (one, other) in [(&full, &quantised), (&quantised, &full)] {
            let (confirmed, certain) = confirmed(one, other);
            agreed += confirmed;
            all += certain;
        }
    }
    assert!(all >= 40, "the belts are too empty to tell: {all}");
    println!("{agreed} of {all} certain instances agree");
    assert!(
        agreed as f64 >= 0.95 * all as f64,
        "{agreed} of {all} agree"
    );
}
