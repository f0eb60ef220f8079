//! Masks agree with pycocotools, byte for byte, on every mask of `fixtures/masks/masks.jsonl`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pipeline::detections::BBox;
use pipeline::mask::{Crop, Mask};
use serde::Deserialize;

const FIXTURES: &str = include_str!("fixtures/masks/masks.jsonl");

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Mask(MaskFixture),
    Pair(PairFixture),
}

#[derive(Deserialize)]
struct MaskFixture {
    name: String,
    size: [u32; 2],
    #[serde(flatten)]
    source: Source,
    counts: String,
    area: u32,
    bbox: BBox,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Source {
    Bits(String),
    Draw(Vec<Step>),
}

#[derive(Deserialize)]
struct Step {
    shape: Shape,
    args: Vec<i64>,
    value: u8,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Shape {
    Rect,
    Ellipse,
    Columns,
    Rows,
    Checker,
}

#[derive(Deserialize)]
struct PairFixture {
    pair: [usize; 2],
    iou: f64,
    iou_crowd: f64,
    union: String,
}

fn fixtures() -> (Vec<MaskFixture>, Vec<PairFixture>) {
    let (mut masks, mut pairs) = (Vec::new(), Vec::new());
    for line in FIXTURES.lines() {
        match serde_json::from_str(line).unwrap() {
            Line::Mask(mask) => masks.push(mask),
            Line::Pair(pair) => pairs.push(pair),
        }
    }
    (masks, pairs)
}

impl MaskFixture {
    fn bitmap(&self) -> Vec<u8> {
        let [height, width] = self.size;
        match &self.source {
            Source::Bits(hex) => unpack(hex, (height * width) as usize),
            Source::Draw(steps) => {
                let mut bitmap = vec![0; (height * width) as usize];
                for step in steps {
                    step.draw(&mut bitmap, width, height);
                }
                bitmap
            }
        }
    }
}

fn unpack(hex: &str, pixels: usize) -> Vec<u8> {
    let nibbles = hex.chars().map(|digit| digit.to_digit(16).unwrap());
    let bits = nibbles.flat_map(|nibble| (0..4).rev().map(move |bit| (nibble >> bit & 1) as u8));
    bits.take(pixels).collect()
}

impl Step {
    fn draw(&self, bitmap: &mut [u8], width: u32, height: u32) {
        let args = &self.args;
        let [left, top, right, bottom] = match self.shape {
            Shape::Rect => [args[0], args[1], args[0] + args[2], args[1] + args[3]],
            Shape::Ellipse => {
                let (cx, cy, rx, ry) = (args[0], args[1], args[2], args[3]);
                [cx - rx, cy - ry, cx + rx + 1, cy + ry + 1]
            }
            _ => [0, 0, i64::from(width), i64::from(height)],
        };
        for y in top.max(0)..bottom.min(height.into()) {
            for x in left.max(0)..right.min(width.into()) {
                if self.covers(x, y) {
                    bitmap[(y * i64::from(width) + x) as usize] = self.value;
                }
            }
        }
    }

    fn covers(&self, x: i64, y: i64) -> bool {
        let args = &self.args;
        match self.shape {
            Shape::Rect => true,
            Shape::Ellipse => {
                let (dx, dy, rx, ry) = (x - args[0], y - args[1], args[2], args[3]);
                (dx * ry).pow(2) + (dy * rx).pow(2) <= (rx * ry).pow(2)
            }
            Shape::Columns => x % args[0] < args[1],
            Shape::Rows => y % args[0] < args[1],
            Shape::Checker => (x / args[0] + y / args[0]) % 2 == 1,
        }
    }
}

/// The smallest crop that holds every set pixel, and its pixels.
fn tight_crop(fixture: &MaskFixture, bitmap: &[u8]) -> (Crop, Vec<u8>) {
    let BBox { x, y, w, h } = fixture.bbox;
    let crop = Crop {
        x: x as u32,
        y: y as u32,
        width: w as u32,
        height: h as u32,
    };
    let stride = fixture.size[1] as usize;
    let rows = bitmap
        .chunks(stride)
        .skip(crop.y as usize)
        .take(crop.height as usize);
    let pixels = rows.flat_map(|row| &row[crop.x as usize..(crop.x + crop.width) as usize]);
    (crop, pixels.copied().collect())
}

#[test]
fn every_mask_equals_pycocotools() {
    let (masks, _) = fixtures();
    for fixture in &masks {
        let name = &fixture.name;
        let [height, width] = fixture.size;
        let bitmap = fixture.bitmap();

        let mask = Mask::from_bitmap(width, height, &bitmap);
        assert_eq!(mask.counts(), fixture.counts, "counts of {name}");
        assert_eq!(mask.area(), fixture.area, "area of {name}");
        assert_eq!(mask.bbox(), fixture.bbox, "bbox of {name}");
        assert_eq!(mask.size(), fixture.size, "size of {name}");

        let read = Mask::from_counts(fixture.size, &fixture.counts).unwrap();
        assert_eq!(read, mask, "reading {name}");
        assert!(read.to_bitmap() == bitmap, "pixels of {name}");

        let (crop, pixels) = tight_crop(fixture, &bitmap);
        assert!(mask.crop_to_bitmap(crop) == pixels, "crop of {name}");
        assert_eq!(
            Mask::from_crop(width, height, crop, &pixels),
            mask,
            "{name} from its crop"
        );
    }
    println!("{} masks equal pycocotools", masks.len());
    assert!(
        masks.len() >= 300,
        "only {} masks in the fixture file",
        masks.len()
    );
}

#[test]
fn every_pair_equals_pycocotools() {
    let (masks, pairs) = fixtures();
    let read = |index: usize| Mask::from_counts(masks[index].size, &masks[index].counts).unwrap();
    for fixture in &pairs {
        let [first, second] = fixture.pair;
        let names = [&masks[first].name, &masks[second].name];
        let (first, second) = (read(first), read(second));
        let same = |ours: f64, theirs: f64| ours.to_bits() == theirs.to_bits();
        assert!(
            same(first.iou(&second).unwrap(), fixture.iou),
            "iou of {names:?}"
        );
        let crowd_iou = first.iou_with_crowd(&second).unwrap();
        assert!(same(crowd_iou, fixture.iou_crowd), "crowd iou of {names:?}");
        assert_eq!(
            first.union(&second).unwrap().counts(),
            fixture.union,
            "union of {names:?}"
        );
    }
    println!("{} pairs equal pycocotools", pairs.len());
    assert!(
        pairs.len() >= 300,
        "only {} pairs in the fixture file",
        pairs.len()
    );
}

#[test]
fn every_outline_encloses_the_area_of_its_mask() {
    let (masks, _) = fixtures();
    for fixture in &masks {
        let mask = Mask::from_counts(fixture.size, &fixture.counts).unwrap();
        let enclosed: u64 = mask
            .polygons()
            .iter()
            .map(pipeline::mask::Polygon::area)
            .sum();
        assert_eq!(
            enclosed,
            u64::from(fixture.area),
            "outline of {}",
            fixture.name
        );
    }
}
