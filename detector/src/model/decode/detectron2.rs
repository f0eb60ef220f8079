//! Instances in frame pixels from a network that ends in finished detections, as Detectron2's and
//! torchvision's exports do.
//!
//! Boxes are `x0, y0, x1, y1` in the network's coordinates, one class and one score each. Masks are
//! small grids of probabilities in their boxes, or already pasted: as large as what the network
//! sees. Detectron2 counts classes from zero, torchvision from one.
//! The geometry is undone here, so that nobody downstream sees a network coordinate.

use pipeline::detections::Instance;
use pipeline::mask::Mask;

use super::instances::{Found, InstanceRules};
use super::ports::{Finder, Kind, Part, PortError};
use super::{Masks, OutputError, Tensor};
use crate::model::field::{Field, FieldPaster};
use crate::model::geometry::{Corners, FrameFromNetwork, PlacedFrame, Size};
use crate::model::manifest::{Convention, OutputNames};
use crate::model::paste::{MaskGrid, Paster};
use crate::model::signature::Signature;

const BOXES: Part = Part {
    part: "boxes",
    names: &["boxes", "pred_boxes"],
    kind: Kind::Floats,
    shapes: &[&[None, Some(4)]],
    form: "floats [n, 4]",
};

const CLASSES: Part = Part {
    part: "classes",
    names: &["classes", "pred_classes", "labels"],
    kind: Kind::Integers,
    shapes: &[&[None]],
    form: "integers [n]",
};

const SCORES: Part = Part {
    part: "scores",
    names: &["scores"],
    kind: Kind::Floats,
    shapes: &[&[None]],
    form: "floats [n]",
};

const MASKS: Part = Part {
    part: "masks",
    names: &["masks", "pred_masks"],
    kind: Kind::Masks,
    shapes: &[&[None, None, None], &[None, Some(1), None, None]],
    form: "floats or truth values [n, 1, rows, columns]",
};

const IMAGE_SIZE: Part = Part {
    part: "image_size",
    names: &["image_size"],
    kind: Kind::Integers,
    shapes: &[&[Some(2)]],
    form: "integers [2]: height and width that boxes refer to",
};

/// The outputs' names in a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Boxes, `[n, 4]`.
    pub boxes: String,
    /// Classes, `[n]`, whole numbers.
    pub classes: String,
    /// Scores, `[n]`.
    pub scores: String,
    /// Masks, `[n, 1, rows, columns]` or `[n, rows, columns]`, where they are wanted.
    pub masks: Option<String>,
    /// Height and width that boxes refer to; may be missing.
    pub image_size: Option<String>,
}

impl Names {
    /// Finds the outputs by their names or their forms.
    pub fn find(
        signature: &Signature,
        given: &OutputNames,
        needs_masks: bool,
    ) -> Result<Self, PortError> {
        let mut finder = Finder::new(signature);
        // First, as it could be taken for the classes of two instances.
        let image_size = finder.find_if_any(IMAGE_SIZE, given.image_size.as_deref())?;
        let masks = if needs_masks {
            Some(finder.find(MASKS, given.masks.as_deref())?)
        } else {
            None
        };
        let boxes = finder.find(BOXES, given.boxes.as_deref())?;
        Ok(Self {
            boxes: boxes.name.clone(),
            classes: finder.find(CLASSES, given.classes.as_deref())?.name.clone(),
            scores: finder.find(SCORES, given.scores.as_deref())?.name.clone(),
            masks: masks.map(|port| port.name.clone()),
            image_size: image_size.map(|port| port.name.clone()),
        })
    }
}

/// What the network answered for one image, not yet checked.
#[derive(Clone, Debug)]
pub struct Outputs<'a> {
    /// See [`Names::boxes`].
    pub boxes: Tensor<'a, f32>,
    /// See [`Names::classes`].
    pub classes: Tensor<'a, i64>,
    /// See [`Names::scores`].
    pub scores: Tensor<'a, f32>,
    /// See [`Names::masks`].
    pub masks: Option<Masks<'a>>,
    /// See [`Names::image_size`].
    pub image_size: Option<Tensor<'a, i64>>,
}

/// Reads the answers of one model, one after another.
#[derive(Debug)]
pub struct InstanceDecoder {
    rules: InstanceRules,
    names: Names,
    first_class: i64,
    paster: Paster,
}

/// What the masks of an answer are.
enum MaskForm<'a> {
    /// There are none.
    Absent,
    /// Each is spread over its box.
    InBox {
        masks: &'a Masks<'a>,
        width: usize,
        height: usize,
    },
    /// Each covers all that the network sees.
    Pasted {
        masks: &'a Masks<'a>,
        width: usize,
        height: usize,
        paster: Box<FieldPaster>,
    },
}

impl InstanceDecoder {
    /// A decoder by these rules for the outputs of these names.
    pub fn new(rules: InstanceRules, names: Names, convention: Convention) -> Self {
        Self {
            paster: Paster::new(rules.thresholds.mask),
            rules,
            names,
            first_class: i64::from(convention == Convention::Torchvision),
        }
    }

    /// The outputs' names.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The instances that score enough and have an area in the frame, the most certain first.
    pub fn decode(
        &mut self,
        outputs: &Outputs<'_>,
        frame: &PlacedFrame,
    ) -> Result<Vec<Instance>, OutputError> {
        self.check_shapes(outputs)?;
        let network = self.network_size(outputs)?;
        let way_back = frame.frame_from_network(network);
        let mut masks = self.mask_form(outputs, &way_back)?;
        let mut instances = Vec::new();
        for (index, score) in self.ranked(&outputs.scores) {
            let class = outputs.classes.values[index];
            let class = self.rules.label_index(class, self.first_class)?;
            let corners =
                way_back.box_in_frame(corners_of(&outputs.boxes.values[index * 4..][..4]));
            if !corners.has_area() {
                continue;
            }
            let found = Found {
                class,
                score,
                corners,
                mask: self.mask(&mut masks, index, corners, way_back.frame()),
            };
            instances.push(self.rules.instance(&self.names.scores, found)?);
        }
        Ok(instances)
    }

    /// The answers that score enough, the most certain first.
    fn ranked(&self, scores: &Tensor<'_, f32>) -> Vec<(usize, f32)> {
        let mut ranked: Vec<(usize, f32)> = scores
            .values
            .iter()
            .copied()
            .enumerate()
            .filter(|&(_, score)| self.rules.counts(score))
            .collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranked.truncate(self.rules.max_detections);
        ranked
    }

    fn mask(
        &mut self,
        masks: &mut MaskForm<'_>,
        index: usize,
        corners: Corners,
        frame: Size,
    ) -> Option<Mask> {
        match masks {
            MaskForm::Absent => None,
            &mut MaskForm::InBox {
                masks,
                width,
                height,
            } => {
                let cells = masks.cells(index * width * height..(index + 1) * width * height);
                let grid = MaskGrid {
                    probabilities: &cells,
                    width,
                    height,
                };
                Some(self.paster.paste(grid, corners, frame))
            }
            MaskForm::Pasted {
                masks,
                width,
                height,
                paster,
            } => {
                let length = *width * *height;
                let field = Field {
                    values: &masks.cells(index * length..(index + 1) * length),
                    width: *width,
                    height: *height,
                };
                Some(paster.paste(field, self.rules.thresholds.mask, None))
            }
        }
    }

    /// Checks that boxes, classes and scores speak of the same instances.
    fn check_shapes(&self, outputs: &Outputs<'_>) -> Result<(), OutputError> {
        let names = &self.names;
        let count = outputs.scores.values.len();
        outputs.scores.expect_shape(&names.scores, &[count])?;
        outputs.boxes.expect_shape(&names.boxes, &[count, 4])?;
        outputs.classes.expect_shape(&names.classes, &[count])
    }

    fn mask_form<'a>(
        &self,
        outputs: &'a Outputs<'_>,
        way_back: &FrameFromNetwork,
    ) -> Result<MaskForm<'a>, OutputError> {
        let (Some(masks), Some(name)) = (&outputs.masks, &self.names.masks) else {
            return Ok(MaskForm::Absent);
        };
        let count = outputs.scores.values.len();
        if count == 0 {
            return Ok(MaskForm::Absent);
        }
        let (height, width) = match *masks.shape() {
            [_, rows, columns] | [_, 1, rows, columns] => (rows, columns),
            _ => (0, 0),
        };
        let fits = masks.shape().first() == Some(&count) && masks.is_complete();
        if height == 0 || width == 0 || !fits {
            return Err(OutputError::Shape {
                output: name.clone(),
                shape: masks.shape().to_vec(),
                expected: format!("[{count}, 1, rows, columns] for {count} scores"),
            });
        }
        let network = way_back.network();
        if (width, height) == (network.width as usize, network.height as usize) {
            return Ok(MaskForm::Pasted {
                masks,
                width,
                height,
                paster: Box::new(FieldPaster::new(*way_back, width, height)),
            });
        }
        Ok(MaskForm::InBox {
            masks,
            width,
            height,
        })
    }

    /// The size that the network says its coordinates refer to, if it says so.
    fn network_size(&self, outputs: &Outputs<'_>) -> Result<Option<Size>, OutputError> {
        let (Some(image_size), Some(name)) = (&outputs.image_size, &self.names.image_size) else {
            return Ok(None);
        };
        image_size.expect_shape(name, &[2])?;
        let (height, width) = (image_size.values[0], image_size.values[1]);
        match (u32::try_from(width), u32::try_from(height)) {
            (Ok(width), Ok(height)) if width > 0 && height > 0 => Ok(Some(Size { width, height })),
            _ => Err(OutputError::ImageSize { height, width }),
        }
    }
}

fn corners_of(edges: &[f32]) -> Corners {
    Corners {
        x0: edges[0],
        y0: edges[1],
        x1: edges[2],
        y1: edges[3],
    }
}

#[cfg(test)]
mod tests;
