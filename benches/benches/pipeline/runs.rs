//! P10: run lengths as text, byte for byte those of pycocotools, from bitmaps of boxes as a detector has
//! them; against pycocotools with what it needs, a bitmap of the frame in column order. One thread each.

use benches::measure::{Finding, Turn, cpu::Stopwatch, goals::goal, rounds::take_turns};
use detector::model::{geometry::Size, paste::Paster};
use pipeline::mask::{Crop, Mask};
use serde_json::{Value, json};

use crate::{
    Stand,
    chores::{Chores, cpu_ms_each, text},
    mask_work::MaskWork,
};

const FRAME: Size = Size {
    width: 1920,
    height: 1080,
};

/// Masks that are compared and not timed: of odd sizes, full of noise.
const ODD_MASKS: u32 = 300;

/// Pixels of a box somewhere in a frame.
struct Bitmap {
    frame: Size,
    crop: Crop,
    pixels: Vec<u8>,
}

impl Bitmap {
    fn counts(&self) -> String {
        Mask::from_crop(self.frame.width, self.frame.height, self.crop, &self.pixels).counts()
    }

    /// Of a mask, its box with a pixel of margin.
    fn of(mask: &Mask) -> Self {
        let bounds = mask.bbox();
        let (x, y) = (bounds.x as u32, bounds.y as u32);
        let crop = Crop {
            x: x.saturating_sub(1),
            y: y.saturating_sub(1),
            width: (bounds.w as u32 + 2).min(mask.width() - x.saturating_sub(1)),
            height: (bounds.h as u32 + 2).min(mask.height() - y.saturating_sub(1)),
        };
        Self {
            frame: FRAME,
            crop,
            pixels: mask.crop_to_bitmap(crop),
        }
    }

    /// Of any size, somewhere, with pixels at random; every tenth empty and every tenth full.
    fn odd(number: u32) -> Self {
        let mut random = Random(u64::from(number) + 1);
        let frame = Size {
            width: random.up_to(90),
            height: random.up_to(90),
        };
        let width = random.up_to(frame.width);
        let height = random.up_to(frame.height);
        let crop = Crop {
            x: random.up_to(frame.width - width + 1) - 1,
            y: random.up_to(frame.height - height + 1) - 1,
            width,
            height,
        };
        let density = match number % 10 {
            0 => 0,
            1 => 1000,
            _ => random.up_to(1000),
        };
        let pixels = (0..width * height).map(|_| u8::from(random.up_to(1000) <= density));
        Self {
            frame,
            crop,
            pixels: pixels.collect(),
        }
    }
}

/// The same numbers in every run (xorshift).
struct Random(u64);

impl Random {
    /// One to `most`.
    fn up_to(&mut self, most: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % u64::from(most)) as u32 + 1
    }
}

pub(crate) fn measure(stand: &Stand) -> Vec<Finding> {
    let mut chores = Chores::start();
    let odd: Vec<Bitmap> = (0..ODD_MASKS).map(Bitmap::odd).collect();
    let request = request(&chores, &odd);
    assert_equal(&odd, &chores.ask(&request));
    let works = [
        ("10 things", MaskWork::spread(FRAME, 5, 2, 360)),
        ("100 things", MaskWork::spread(FRAME, 10, 10, 180)),
    ];
    let findings = works.map(|(name, work)| one_case(stand, &mut chores, (name, &work)));
    findings.into()
}

fn one_case(stand: &Stand, chores: &mut Chores, (name, work): (&str, &MaskWork)) -> Finding {
    let masks = work.paste(&mut Paster::new(0.5));
    let bitmaps: Vec<Bitmap> = masks.iter().map(Bitmap::of).collect();
    let mut request = request(chores, &bitmaps);
    assert_equal(&bitmaps, &chores.ask(&request));
    let counts = (stand.pick(3, 1), stand.pick(60, 1));
    request["count"] = json!(counts.0);
    let each_us = |each_ms: f64| each_ms * 1e3 / bitmaps.len() as f64;
    let by_python = || {
        let each_us = each_us(cpu_ms_each(&chores.ask(&request), counts.0));
        Turn::of(each_us).with("pycocotools_cpu_us_a_mask", each_us)
    };
    let whole: Vec<u8> = masks[0].to_bitmap();
    let by_kadr = || {
        let work = Stopwatch::of_thread();
        for _ in 0..counts.1 {
            for bitmap in &bitmaps {
                std::hint::black_box(bitmap.counts());
            }
        }
        let each_us = each_us(work.elapsed().as_secs_f64() * 1e3 / f64::from(counts.1));
        let work = Stopwatch::of_thread();
        let mask = Mask::from_bitmap(FRAME.width, FRAME.height, &whole);
        std::hint::black_box(mask.counts());
        let of_whole_us = work.elapsed().as_secs_f64() * 1e6;
        Turn::of(each_us)
            .with("kadr_cpu_us_a_mask", each_us)
            .with("kadr_cpu_us_of_a_whole_frame", of_whole_us)
    };
    Finding {
        goal: goal("P10").expect("a goal"),
        variant: Some(name.to_owned()),
        comparison: take_turns(stand.plan, &stand.ours, by_python, by_kadr),
    }
}

/// What the peer is asked to encode, once.
fn request(chores: &Chores, bitmaps: &[Bitmap]) -> Value {
    let places = bitmaps.iter().map(|bitmap| {
        let Crop {
            x,
            y,
            width,
            height,
        } = bitmap.crop;
        json!({"size": [bitmap.frame.width, bitmap.frame.height], "crop": [x, y, width, height]})
    });
    let places: Value = places.collect();
    let pixels: Vec<u8> = bitmaps
        .iter()
        .flat_map(|bitmap| &bitmap.pixels)
        .copied()
        .collect();
    let work = chores.hand_over("masks.json", places.to_string());
    let file = chores.hand_over("bitmaps", pixels);
    json!({"chore": "runs", "work": text(&work), "bitmaps": text(&file), "count": 1})
}

fn assert_equal(bitmaps: &[Bitmap], theirs: &Value) {
    let theirs = theirs["counts"].as_array().expect("run lengths");
    assert_eq!(bitmaps.len(), theirs.len(), "as many masks");
    for (bitmap, counts) in bitmaps.iter().zip(theirs) {
        let (frame, crop) = (bitmap.frame, bitmap.crop);
        assert_eq!(
            Some(bitmap.counts().as_str()),
            counts.as_str(),
            "{crop:?} of {frame:?}"
        );
    }
}
