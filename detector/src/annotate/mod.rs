//! The annotated picture: what the model saw, drawn into the frame in the manner of Detectron2.
//!
//! In the order of painting: masks, large ones first, then labels, so that no mask hides one. It all
//! comes down to mixing ink into pieces of rows, within the box of each thing alone.
//!
//! - this file: the whole picture, and which of its pixels drawing may change
//! - `stamp`: one mask with its outline; `row_runs` says where its rows begin and end
//! - `label`: text on a dark box, and where it stands
//! - `text`: letters
//! - `surface`: what is drawn on

mod label;
mod row_runs;
mod stamp;
mod surface;
mod text;

use pipeline::detections::{BBox, Classification, Instance, Rgb};
use pipeline::mask::Mask;

use crate::image::RgbImage;
use crate::model::Prediction;
use label::{Extent, Label, dodge, place};
use stamp::{Paint, Stamp};
use surface::{Footprint, Ink, Rectangle, Surface, fill};
use text::Typesetter;

/// How much of a mask's colour covers the picture.
const MASK_OPACITY: f32 = 0.5;
const OUTLINE_OPACITY: f32 = 0.9;

/// Classes without a colour of their own.
const PLAIN: Rgb = Rgb([200, 200, 200]);

/// Lines of a classifier's caption.
const MAX_CAPTIONS: usize = 3;

/// Draws predictions into pictures, one after another with the same buffers.
#[derive(Debug, Default)]
pub struct Annotator {
    stamp: Stamp,
    typesetter: Typesetter,
}

impl Annotator {
    /// Draws what the model says about this picture into it.
    pub fn draw(&mut self, picture: &mut RgbImage, prediction: &Prediction) {
        self.draw_on(picture, prediction);
    }

    /// The pixels of a picture of this size that [`Annotator::draw`] may change; all others stay.
    pub fn footprint(&mut self, width: u32, height: u32, prediction: &Prediction) -> Mask {
        let mut footprint = Footprint::new(width, height);
        self.draw_on(&mut footprint, prediction);
        footprint.into_mask()
    }

    fn draw_on(&mut self, surface: &mut impl Surface, prediction: &Prediction) {
        match prediction {
            Prediction::Instances(instances) => self.draw_instances(surface, instances),
            Prediction::Classes(classes) => self.draw_caption(surface, classes),
        }
    }

    fn draw_instances(&mut self, surface: &mut impl Surface, instances: &[Instance]) {
        let measures = Measures::of(surface);
        let mut large_first: Vec<&Instance> = instances.iter().collect();
        large_first.sort_by_key(|instance| std::cmp::Reverse(instance.area));
        for instance in &large_first {
            let Rgb(color) = instance.class_color.unwrap_or(PLAIN);
            let outline = Ink::new(darker(color), OUTLINE_OPACITY);
            match &instance.segmentation {
                Some(mask) => {
                    let paint = Paint {
                        fill: Ink::new(color, MASK_OPACITY),
                        outline,
                        line_width: measures.line_width,
                    };
                    self.stamp.paint(surface, mask, &paint);
                }
                None => frame_box(surface, instance.bbox, measures.line_width, outline),
            }
        }
        let mut labels = Vec::with_capacity(large_first.len());
        for instance in large_first {
            let label = self.draw_label(surface, instance, &labels);
            labels.push(label);
        }
    }

    fn draw_label(
        &mut self,
        surface: &mut impl Surface,
        instance: &Instance,
        others: &[Rectangle],
    ) -> Rectangle {
        let measures = Measures::of(surface);
        let Rgb(color) = instance.class_color.unwrap_or(PLAIN);
        let label = Label::new(&instance.label, instance.score, color, measures.text_height);
        let extent = label.extent(&mut self.typesetter);
        let place = place(extent, instance.bbox, measures.picture);
        let place = dodge(place, others, measures.picture);
        label.draw(surface, &mut self.typesetter, place);
        place
    }

    fn draw_caption(&mut self, surface: &mut impl Surface, classes: &[Classification]) {
        let measures = Measures::of(surface);
        let mut top = 0;
        for class in classes.iter().take(MAX_CAPTIONS) {
            let Rgb(color) = PLAIN;
            let label = Label::new(&class.label, class.score, color, measures.text_height);
            let Extent { width, height } = label.extent(&mut self.typesetter);
            let place = Rectangle {
                left: 0,
                top,
                width,
                height,
            };
            label.draw(surface, &mut self.typesetter, place);
            top += height as i32;
        }
    }
}

/// Sizes that follow from the picture's.
#[derive(Clone, Copy, Debug)]
struct Measures {
    picture: Extent,
    text_height: u32,
    line_width: u32,
}

impl Measures {
    fn of(surface: &impl Surface) -> Self {
        let picture = Extent {
            width: surface.width(),
            height: surface.height(),
        };
        let side = (picture.width as f32 * picture.height as f32).sqrt();
        let tallest = (picture.height / 4).max(4);
        Self {
            picture,
            text_height: ((side / 40.0).round() as u32).max(14).min(tallest),
            line_width: ((side / 320.0).round() as u32).max(1),
        }
    }
}

/// A frame along the inside of a box, for an instance without a mask.
fn frame_box(surface: &mut impl Surface, bounds: BBox, line_width: u32, ink: Ink) {
    let (left, top) = (bounds.x.floor() as i32, bounds.y.floor() as i32);
    let width = bounds.w.ceil().max(0.0) as u32;
    let height = bounds.h.ceil().max(0.0) as u32;
    let line_width = line_width.min(width.div_ceil(2)).min(height.div_ceil(2));
    let bar = |left, top, width, height| Rectangle {
        left,
        top,
        width,
        height,
    };
    let inner_height = height.saturating_sub(2 * line_width);
    let below = top.saturating_add_unsigned(line_width);
    let bottom = top.saturating_add_unsigned(height - line_width.min(height));
    let right = left.saturating_add_unsigned(width - line_width.min(width));
    fill(surface, bar(left, top, width, line_width), ink);
    fill(surface, bar(left, bottom, width, line_width), ink);
    fill(surface, bar(left, below, line_width, inner_height), ink);
    fill(surface, bar(right, below, line_width, inner_height), ink);
}

fn darker(color: [u8; 3]) -> [u8; 3] {
    color.map(|channel| channel / 2)
}

#[cfg(test)]
mod tests;
