//! A picture for people: the scene with its truth drawn on it, and a legend below.

mod font;

use image::{Rgb, RgbImage, imageops};
use pipeline::mask::Crop;

use crate::truth::{Class, Scene, Truth};
use font::{draw_text, text_width};

/// How much of the class's colour covers the mask, out of 256.
const TINT: u32 = 60;
const OUTLINE: u32 = 230;
const INK: Rgb<u8> = Rgb([236, 239, 243]);
const DARK_INK: Rgb<u8> = Rgb([14, 17, 22]);
const LEGEND_GROUND: Rgb<u8> = Rgb([20, 24, 31]);

/// The colour that stands for a class in previews.
const fn class_color(class: Class) -> Rgb<u8> {
    match class {
        Class::Bolt => Rgb([255, 112, 92]),
        Class::Nut => Rgb([88, 214, 141]),
        Class::Washer => Rgb([92, 170, 255]),
        Class::Gear => Rgb([255, 206, 84]),
        Class::Bracket => Rgb([196, 140, 255]),
        Class::Spring => Rgb([72, 219, 222]),
        Class::Defect => Rgb([255, 64, 160]),
    }
}

/// Draws masks, outlines and labels on a scene, and a legend under it.
pub fn preview(scene: &Scene) -> RgbImage {
    let (width, height) = scene.image.dimensions();
    let zoom = (width.min(height) / 400).max(1);
    let legend = draw_legend(scene, width, zoom);
    let mut picture = RgbImage::new(width, height + legend.height());
    imageops::replace(&mut picture, &scene.image, 0, 0);
    imageops::replace(&mut picture, &legend, 0, i64::from(height));
    for truth in &scene.instances {
        draw_mask(&mut picture, truth, zoom);
    }
    let mut labels: Vec<Label> = Vec::new();
    // Small things first: a large one has more places where its label can go.
    let mut by_size: Vec<&Truth> = scene.instances.iter().collect();
    by_size.sort_by_key(|truth| truth.area);
    for truth in by_size {
        let label = Label::place(truth, (width, height), zoom, &labels);
        label.draw(&mut picture, zoom);
        labels.push(label);
    }
    picture
}

/// Tints the instance and draws a line along the inside of its edge.
fn draw_mask(picture: &mut RgbImage, truth: &Truth, zoom: u32) {
    let pixels = Pixels::of(truth);
    let color = class_color(truth.class);
    let reach = i64::from(zoom);
    for y in 0..pixels.height {
        for x in 0..pixels.width {
            if !pixels.contains(x, y) {
                continue;
            }
            let inner = [(reach, 0), (-reach, 0), (0, reach), (0, -reach)]
                .iter()
                .all(|(dx, dy)| pixels.contains(x + dx, y + dy));
            let share = if inner { TINT } else { OUTLINE };
            let pixel = picture.get_pixel_mut((pixels.left + x) as u32, (pixels.top + y) as u32);
            for (level, ink) in pixel.0.iter_mut().zip(color.0) {
                *level = ((u32::from(*level) * (256 - share) + u32::from(ink) * share) >> 8) as u8;
            }
        }
    }
}

/// The pixels of an instance's box.
struct Pixels {
    left: i64,
    top: i64,
    width: i64,
    height: i64,
    set: Vec<u8>,
}

impl Pixels {
    fn of(truth: &Truth) -> Self {
        let bbox = truth.bbox;
        let crop = Crop {
            x: bbox.x as u32,
            y: bbox.y as u32,
            width: bbox.w as u32,
            height: bbox.h as u32,
        };
        Self {
            left: i64::from(crop.x),
            top: i64::from(crop.y),
            width: i64::from(crop.width),
            height: i64::from(crop.height),
            set: truth.mask.crop_to_bitmap(crop),
        }
    }

    fn contains(&self, x: i64, y: i64) -> bool {
        let inside = (0..self.width).contains(&x) && (0..self.height).contains(&y);
        inside && self.set[(y * self.width + x) as usize] != 0
    }
}

/// A line of text on a coloured ground.
struct Label {
    text: String,
    color: Rgb<u8>,
    left: i64,
    top: i64,
    width: i64,
    height: i64,
}

impl Label {
    /// Above the instance, below it or inside it: wherever no other label is.
    fn place(truth: &Truth, frame: (u32, u32), zoom: u32, others: &[Self]) -> Self {
        let text = match truth.defect_kind {
            Some(kind) => kind.name().to_owned(),
            None => format!("{} {}", truth.color.name(), truth.class.name()),
        };
        let pad = i64::from(zoom) * 2;
        let width = i64::from(text_width(&text, zoom)) + 2 * pad;
        let height = i64::from(font::HEIGHT * zoom) + 2 * pad;
        let (x, y) = (truth.bbox.x as i64, truth.bbox.y as i64);
        let (box_width, box_height) = (truth.bbox.w as i64, truth.bbox.h as i64);
        let centred = x + (box_width - width) / 2;
        let corners = [
            (centred, y - height - pad),
            (centred, y + box_height + pad),
            (x + box_width + pad, y + (box_height - height) / 2),
            (x - width - pad, y + (box_height - height) / 2),
            (centred, y + (box_height - height) / 2),
        ];
        let limit = (i64::from(frame.0) - width, i64::from(frame.1) - height);
        let at = |corner: (i64, i64)| Self {
            text: text.clone(),
            color: class_color(truth.class),
            left: corner.0.clamp(0, limit.0.max(0)),
            top: corner.1.clamp(0, limit.1.max(0)),
            width,
            height,
        };
        let free = corners
            .into_iter()
            .map(at)
            .find(|label| !others.iter().any(|other| label.meets(other)));
        free.unwrap_or_else(|| at(corners[0]))
    }

    fn meets(&self, other: &Self) -> bool {
        self.left < other.left + other.width
            && other.left < self.left + self.width
            && self.top < other.top + other.height
            && other.top < self.top + self.height
    }

    fn draw(&self, picture: &mut RgbImage, zoom: u32) {
        for y in self.top..self.top + self.height {
            for x in self.left..self.left + self.width {
                if let Some(pixel) = picture.get_pixel_mut_checked(x as u32, y as u32) {
                    *pixel = self.color;
                }
            }
        }
        let pad = i64::from(zoom) * 2;
        let corner = (self.left + pad, self.top + pad);
        draw_text(picture, &self.text, corner, (zoom, DARK_INK));
    }
}

/// Classes, their colours and how many of each are in the picture, in as many lines as they need.
fn draw_legend(scene: &Scene, width: u32, zoom: u32) -> RgbImage {
    let (pad, swatch) = (6 * zoom, font::HEIGHT * zoom);
    let line_height = swatch + pad;
    let mut entries = Vec::new();
    let (mut left, mut top) = (pad, pad);
    for class in Class::ALL {
        let count = scene
            .instances
            .iter()
            .filter(|truth| truth.class == class)
            .count();
        let text = format!("{} {count}", class.name());
        let entry_width = swatch + pad / 2 + text_width(&text, zoom) + 2 * pad;
        if left > pad && left + entry_width > width {
            (left, top) = (pad, top + line_height);
        }
        entries.push((class, text, left, top));
        left += entry_width;
    }
    let mut legend = RgbImage::from_pixel(width, top + line_height, LEGEND_GROUND);
    for (class, text, left, top) in entries {
        for (x, y) in (0..swatch * swatch).map(|dot| (left + dot % swatch, top + dot / swatch)) {
            if let Some(pixel) = legend.get_pixel_mut_checked(x, y) {
                *pixel = class_color(class);
            }
        }
        let corner = (i64::from(left + swatch + pad / 2), i64::from(top));
        draw_text(&mut legend, &text, corner, (zoom, INK));
    }
    legend
}
