//! A classification data set: one part in the middle of each picture, neighbours partly in view.

use std::path::PathBuf;

use fast_image_resize::Resizer;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use image::RgbImage;
use image::imageops::crop_imm;
use indicatif::ProgressBar;
use serde::Serialize;

use super::variety::{Split, varied_config};
use super::{
    DatasetError, JpegWriter, create_directory, out_of_range, prepare_directory, progress_bar,
    write_json,
};
use crate::belt::Belt;
use crate::paint::PaintColor;
use crate::random::Random;
use crate::truth::{Class, Scene, Truth};

/// What to export, and where to.
#[derive(Debug, Clone)]
pub struct CropOptions {
    pub directory: PathBuf,
    /// Pictures of all classes together.
    pub count: u64,
    pub seed: u64,
    /// Width and height of every picture, 16 to 512.
    pub side: u32,
    /// JPEG quality, 1 to 100.
    pub quality: i32,
    /// Replace a data set that is already there.
    pub force: bool,
}

#[derive(Debug, Serialize)]
struct Labels {
    classes: [&'static str; 6],
    items: Vec<Item>,
}

#[derive(Debug, Serialize)]
struct Item {
    file: String,
    class: Class,
    color: PaintColor,
    visible: f32,
    /// Whether a defect of this part can be seen.
    defect: bool,
}

/// Which picture shows what.
pub(super) const LABELS: &str = "labels.json";
/// Pictures that parts are cut from.
const SCENE_SIZE: (u32, u32) = (640, 480);
/// Parts that are hidden more than this are nobody's idea of "a picture of a part".
const MIN_VISIBLE: f32 = 0.8;

/// Writes `count` crops, the six classes as equal in number as can be.
pub fn export_crops(options: &CropOptions) -> Result<(), DatasetError> {
    if options.count == 0 || options.count > 1_000_000 {
        return Err(out_of_range("count", &options.count, "from 1 to 1000000"));
    }
    if !(16..=512).contains(&options.side) {
        return Err(out_of_range("size", &options.side, "from 16 to 512"));
    }
    let mut writer = CropWriter::new(options)?;
    prepare_directory(&options.directory, options.force)?;
    for class in Class::PARTS {
        create_directory(&options.directory.join(class.name()))?;
    }
    // Every class comes by sooner or later, so this ends.
    for index in 0.. {
        if writer.wanted.iter().all(|&left| left == 0) {
            break;
        }
        let (config, frame_index) = varied_config(options.seed, Split::Train, index, SCENE_SIZE);
        let mut random = Random::new(config.seed, 8);
        let scene = Belt::new(config)?.scene(frame_index);
        writer.cut_parts(&scene, &mut random)?;
    }
    writer.bar.finish_and_clear();
    write_json(&options.directory.join(LABELS), &writer.labels)
}

struct CropWriter<'a> {
    options: &'a CropOptions,
    cutter: Cutter,
    jpeg: JpegWriter,
    bar: ProgressBar,
    /// Pictures that each class still lacks, and those that it has.
    wanted: Vec<u64>,
    written: Vec<u64>,
    labels: Labels,
}

impl<'a> CropWriter<'a> {
    fn new(options: &'a CropOptions) -> Result<Self, DatasetError> {
        let classes = Class::PARTS.len() as u64;
        let (share, rest) = (options.count / classes, options.count % classes);
        Ok(Self {
            options,
            cutter: Cutter::new(options.side),
            jpeg: JpegWriter::new(options.quality)?,
            bar: progress_bar(options.count),
            wanted: (0..classes)
                .map(|class| share + u64::from(class < rest))
                .collect(),
            written: vec![0; classes as usize],
            labels: Labels {
                classes: Class::PARTS.map(Class::name),
                items: Vec::new(),
            },
        })
    }

    /// Writes the parts of a scene whose classes are still wanted.
    fn cut_parts(&mut self, scene: &Scene, random: &mut Random) -> Result<(), DatasetError> {
        for truth in scene
            .instances
            .iter()
            .filter(|truth| truth.class != Class::Defect)
        {
            let class = truth.class.index();
            let Some(square) = Square::around(truth, random) else {
                continue;
            };
            if self.wanted[class] == 0 {
                continue;
            }
            let file = format!("{}/{:06}.jpg", truth.class.name(), self.written[class]);
            let picture = self.cutter.cut(&scene.image, &square)?;
            self.jpeg
                .write(&picture, &self.options.directory.join(&file))?;
            self.labels.items.push(label(file, truth, scene));
            self.wanted[class] -= 1;
            self.written[class] += 1;
            self.bar.inc(1);
        }
        Ok(())
    }
}

fn label(file: String, truth: &Truth, scene: &Scene) -> Item {
    Item {
        file,
        class: truth.class,
        color: truth.color,
        visible: truth.visible,
        defect: scene
            .instances
            .iter()
            .any(|other| other.part_of == Some(truth.id)),
    }
}

/// A square of a scene.
struct Square {
    left: u32,
    top: u32,
    side: u32,
}

impl Square {
    /// A square with some context around a part, a little off its centre; none if the part is
    /// hidden or too near the frame's edge.
    fn around(truth: &Truth, random: &mut Random) -> Option<Self> {
        let context = random.range(1.1, 1.5);
        let (shift_x, shift_y) = (random.range(-0.05, 0.05), random.range(-0.05, 0.05));
        if truth.visible < MIN_VISIBLE {
            return None;
        }
        let side = (truth.bbox.w.max(truth.bbox.h) * context).round();
        let left = truth.bbox.x + truth.bbox.w / 2.0 + (shift_x - 0.5) * side;
        let top = truth.bbox.y + truth.bbox.h / 2.0 + (shift_y - 0.5) * side;
        let limit = (SCENE_SIZE.0 as f32 - side, SCENE_SIZE.1 as f32 - side);
        let slack = side * 0.2;
        let fits = |start: f32, limit: f32| (-slack..=limit + slack).contains(&start);
        if !fits(left, limit.0) || !fits(top, limit.1) {
            return None;
        }
        Some(Self {
            left: left.clamp(0.0, limit.0) as u32,
            top: top.clamp(0.0, limit.1) as u32,
            side: side as u32,
        })
    }
}

/// Cuts squares out of scenes and brings them to one size.
struct Cutter {
    side: u32,
    resizer: Resizer,
}

impl Cutter {
    fn new(side: u32) -> Self {
        Self {
            side,
            resizer: Resizer::new(),
        }
    }

    fn cut(&mut self, scene: &RgbImage, square: &Square) -> Result<RgbImage, DatasetError> {
        let crop = crop_imm(scene, square.left, square.top, square.side, square.side).to_image();
        // With the kind of pixel known, not for each kind there is: that is code, and minutes to build.
        let source = TypedImageRef::<U8x3>::from_buffer(square.side, square.side, crop.as_raw())
            .expect("a crop holds side * side * 3 bytes");
        let mut picture = RgbImage::new(self.side, self.side);
        let mut target = TypedImage::<U8x3>::from_buffer(self.side, self.side, &mut picture)
            .expect("a picture holds side * side * 3 bytes");
        self.resizer.resize_typed(&source, &mut target, None)?;
        Ok(picture)
    }
}
