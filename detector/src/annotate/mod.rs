//! The annotated picture: what the model saw, drawn into the frame in the manner of Detectron2.
//!
//! In the order of painting: the rest of the picture turned grey if that is wanted, masks and boxes,
//! large ones first, then labels, so that no mask hides one. It comes down to mixing ink into pieces
//! of rows, within the box of each thing alone.
//!
//! - this file: the whole picture, and which of its pixels drawing may change
//! - `rest`: the picture where nothing was found
//! - `stamp`: one mask with its outline; `row_runs` says where its rows begin and end
//! - `label`: text on a dark box, and where it stands
//! - `text`: letters
//! - `surface`: what is drawn on

mod label;
mod rest;
mod row_runs;
mod stamp;
mod surface;
mod text;

use pipeline::catalogue::default_color;
use pipeline::detections::{BBox, Classification, Instance, Rgb};
use pipeline::draw::{ColorBy, Drawing, Rest};
use pipeline::mask::Mask;

use crate::image::RgbImage;
use crate::model::Prediction;
use label::{Extent, Label, Words, dodge, place};
use stamp::{Paint, Stamp};
use surface::{Footprint, Ink, Rectangle, Surface, fill};
use text::Typesetter;

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
    pub fn draw(&mut self, picture: &mut RgbImage, prediction: &Prediction, drawing: Drawing) {
        self.draw_on(picture, prediction, drawing);
    }

    /// The pixels of a picture of this size that [`Annotator::draw`] may change; all others stay.
    pub fn footprint(
        &mut self,
        [height, width]: [u32; 2],
        prediction: &Prediction,
        drawing: Drawing,
    ) -> Mask {
        let mut footprint = Footprint::new(width, height);
        self.draw_on(&mut footprint, prediction, drawing);
        footprint.into_mask()
    }

    fn draw_on(&mut self, surface: &mut impl Surface, prediction: &Prediction, drawing: Drawing) {
        match prediction {
            Prediction::Instances(instances) => self.draw_instances(surface, instances, drawing),
            Prediction::Classes(classes) => self.draw_caption(surface, classes, drawing),
        }
    }

    fn draw_instances(
        &mut self,
        surface: &mut impl Surface,
        instances: &[Instance],
        drawing: Drawing,
    ) {
        if drawing.rest == Rest::Grey {
            rest::turn_grey(surface, instances);
        }
        let mut things = things(instances, drawing);
        things.sort_by_key(|thing| std::cmp::Reverse(thing.instance.area));
        for thing in &things {
            self.draw_thing(surface, thing, drawing);
        }
        let mut labels = Vec::with_capacity(things.len());
        for thing in things {
            labels.extend(self.draw_label(surface, &thing, &labels));
        }
    }

    fn draw_thing(&mut self, surface: &mut impl Surface, thing: &Thing<'_>, drawing: Drawing) {
        let line_width = Measures::of(surface).line_width;
        let outline = Ink::new(darker(thing.color), OUTLINE_OPACITY);
        let mask = thing.instance.segmentation.as_ref();
        if let Some(mask) = mask.filter(|_| drawing.masks) {
            let opacity = f32::from(drawing.opacity_percent) / 100.0;
            let paint = Paint {
                fill: Ink::new(thing.color, opacity),
                outline,
                line_width,
            };
            self.stamp.paint(surface, mask, &paint);
        }
        if drawing.boxes || (drawing.masks && mask.is_none()) {
            frame_box(surface, thing.instance.bbox, line_width, outline);
        }
    }

    /// Where the label stands, if there is one.
    fn draw_label(
        &mut self,
        surface: &mut impl Surface,
        thing: &Thing<'_>,
        others: &[Rectangle],
    ) -> Option<Rectangle> {
        let measures = Measures::of(surface);
        let label = Label::new(thing.words, thing.color, measures.text_height)?;
        let extent = label.extent(&mut self.typesetter);
        let place = place(extent, thing.instance.bbox, measures.picture);
        let place = dodge(place, others, measures.picture);
        label.draw(surface, &mut self.typesetter, place);
        Some(place)
    }

    fn draw_caption(
        &mut self,
        surface: &mut impl Surface,
        classes: &[Classification],
        drawing: Drawing,
    ) {
        let measures = Measures::of(surface);
        let mut top = 0;
        for class in classes.iter().take(MAX_CAPTIONS) {
            let Rgb(color) = PLAIN;
            let words = Words::of(&class.label, class.score, drawing);
            let Some(label) = Label::new(words, color, measures.text_height) else {
                return;
            };
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

/// An instance, the colour it is drawn in and what its label says.
#[derive(Clone, Copy, Debug)]
struct Thing<'a> {
    instance: &'a Instance,
    color: [u8; 3],
    words: Words<'a>,
}

fn things(instances: &[Instance], drawing: Drawing) -> Vec<Thing<'_>> {
    let things = instances.iter().enumerate().map(|(index, instance)| {
        let Rgb(color) = match drawing.colors {
            ColorBy::Class => instance.class_color.unwrap_or(PLAIN),
            ColorBy::Instance => default_color(index),
        };
        Thing {
            instance,
            color,
            words: Words::of(&instance.label, instance.score, drawing),
        }
    });
    things.collect()
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
