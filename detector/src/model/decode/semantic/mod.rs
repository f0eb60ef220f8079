//! Instances from a semantic segmentation: the pixels of one class are one instance.
//!
//! The network answers logits `[batch, classes, rows, columns]`, which are blended between cells
//! before the largest is looked for, or the classes' numbers `[batch, rows, columns]`. A single
//! channel for a single label is the logit of being that at all.
//! An instance's score is the mean, over its pixels, of the class's share in the cell there.

mod cells;
mod class_map;

use pipeline::detections::Instance;

use super::instances::{Found, InstanceRules, logit};
use super::ports::{Finder, Kind, Part, PortError};
use super::{OutputError, Tensor};
use crate::model::geometry::{Corners, PlacedFrame};
use crate::model::signature::Signature;
use cells::{Cells, Logits, Strides};
use class_map::ClassMap;

const CLASSES: Part = Part {
    part: "classes",
    names: &["logits", "out", "output", "semantic", "classes"],
    kind: Kind::FloatsOrIntegers,
    shapes: &[
        &[None, None, None, None],
        &[None, None, None],
        &[None, None],
    ],
    form: "floats [batch, classes, rows, columns] or integers [batch, rows, columns]",
};

/// What the network answered for a batch, not yet checked.
#[derive(Clone, Debug)]
pub enum Output<'a> {
    /// A number for every class of every cell.
    Logits(Tensor<'a, f32>),
    /// The class of every cell.
    Classes(Tensor<'a, i64>),
}

/// Reads the answers of one model, one after another.
#[derive(Debug)]
pub struct SemanticDecoder {
    rules: InstanceRules,
    name: String,
    background: Option<usize>,
    are_classes_last: bool,
}

/// The output to read, and whether it holds the classes' numbers instead of logits.
pub fn find_output(
    signature: &Signature,
    given: Option<&str>,
) -> Result<(String, bool), PortError> {
    let port = Finder::new(signature).find(CLASSES, given)?;
    Ok((port.name.clone(), port.is_integer()))
}

impl SemanticDecoder {
    /// A decoder by these rules. `are_classes_last` is for `[batch, rows, columns, classes]`.
    pub fn new(
        rules: InstanceRules,
        name: String,
        background: Option<usize>,
        are_classes_last: bool,
    ) -> Self {
        Self {
            rules,
            name,
            background,
            are_classes_last,
        }
    }

    /// The output's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// For each frame one instance a class that is there, the most certain first.
    pub fn decode(
        &self,
        output: &Output<'_>,
        frames: &[PlacedFrame],
    ) -> Result<Vec<Vec<Instance>>, OutputError> {
        let images = frames.len();
        let mut decoded = Vec::with_capacity(images);
        for (image, frame) in frames.iter().enumerate() {
            let cells = match output {
                Output::Logits(tensor) => self.cells_of_logits(tensor, (image, images))?,
                Output::Classes(tensor) => self.cells_of_classes(tensor, (image, images))?,
            };
            let map = ClassMap::of(&cells, frame, self.rules.labels.len());
            decoded.push(self.instances(&map)?);
        }
        Ok(decoded)
    }

    fn cells_of_logits<'a>(
        &self,
        tensor: &'a Tensor<'_, f32>,
        (image, images): (usize, usize),
    ) -> Result<Cells<'a>, OutputError> {
        let labels = self.rules.labels.len();
        let lengths = match tensor.shape[..] {
            [batch, a, b, c] if batch == images => Some([a, b, c]),
            [a, b, c] if images == 1 => Some([a, b, c]),
            _ => None,
        };
        let lengths = lengths.map(|[a, b, c]| {
            if self.are_classes_last {
                ([c, a, b], Strides { class: 1, cell: c })
            } else {
                let strides = Strides {
                    class: b * c,
                    cell: 1,
                };
                ([a, b, c], strides)
            }
        });
        match lengths {
            Some(([classes, height, width], strides))
                if classes == labels && height > 0 && width > 0 && tensor.is_complete() =>
            {
                let length = classes * height * width;
                let logits = Logits {
                    values: &tensor.values[image * length..][..length],
                    classes,
                    strides,
                };
                let threshold = logit(self.rules.thresholds.mask);
                Ok(Cells::of_logits(logits, (width, height), threshold))
            }
            _ => Err(tensor.unexpected(
                &self.name,
                format!("[{images}, {labels}, rows, columns] for {labels} labels, the background among them"),
            )),
        }
    }

    fn cells_of_classes<'a>(
        &self,
        tensor: &Tensor<'_, i64>,
        (image, images): (usize, usize),
    ) -> Result<Cells<'a>, OutputError> {
        let (height, width) = match tensor.shape[..] {
            [batch, height, width] | [batch, 1, height, width] if batch == images => {
                (height, width)
            }
            [height, width] if images == 1 => (height, width),
            _ => (0, 0),
        };
        if height == 0 || width == 0 || !tensor.is_complete() {
            let expected = format!("[{images}, rows, columns]");
            return Err(tensor.unexpected(&self.name, expected));
        }
        let length = height * width;
        let classes = tensor.values[image * length..][..length]
            .iter()
            .map(|&class| Ok(self.rules.label_index(class, 0)? as u16))
            .collect::<Result<Vec<u16>, OutputError>>()?;
        Ok(Cells::of_classes(classes, (width, height)))
    }

    fn instances(&self, map: &ClassMap) -> Result<Vec<Instance>, OutputError> {
        let mut instances = Vec::new();
        for (class, region) in map.regions() {
            let score = region.mean_share();
            if Some(class) == self.background || !self.rules.counts(score) {
                continue;
            }
            let mask = map.mask_of(class, region);
            let bbox = mask.bbox();
            let found = Found {
                class,
                score,
                corners: Corners {
                    x0: bbox.x,
                    y0: bbox.y,
                    x1: bbox.x + bbox.w,
                    y1: bbox.y + bbox.h,
                },
                mask: Some(mask),
            };
            instances.push(self.rules.instance(&self.name, found)?);
        }
        instances.sort_by(|a, b| b.score.total_cmp(&a.score));
        instances.truncate(self.rules.max_detections);
        Ok(instances)
    }
}

#[cfg(test)]
mod tests;
