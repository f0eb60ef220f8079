//! Instances from a DETR: a number of queries, each with logits for the classes, a box and perhaps
//! a mask. The network has sorted out what overlaps.
//!
//! Logits are `[batch, queries, classes]`, boxes `[batch, queries, 4]`: centre and size between
//! zero and one. Masks are logits `[batch, queries, rows, columns]` over all that the network sees.

use pipeline::detections::Instance;

use super::instances::{Found, InstanceRules, logit, sigmoid};
use super::nms::{Candidate, sort_by_score};
use super::ports::{Finder, Kind, Part, PortError};
use super::{OutputError, Tensor};
use crate::model::field::{Field, FieldPaster};
use crate::model::geometry::{Corners, PlacedFrame};
use crate::model::manifest::{OutputNames, ScoreFunction};
use crate::model::signature::Signature;

const BOXES: Part = Part {
    part: "boxes",
    names: &["pred_boxes", "dets", "boxes"],
    kind: Kind::Floats,
    shapes: &[&[None, None, Some(4)]],
    form: "floats [batch, queries, 4]",
};

const LOGITS: Part = Part {
    part: "scores",
    names: &["logits", "pred_logits", "labels", "scores"],
    kind: Kind::Floats,
    shapes: &[&[None, None, None]],
    form: "floats [batch, queries, classes]",
};

const MASKS: Part = Part {
    part: "masks",
    names: &["pred_masks", "masks"],
    kind: Kind::Floats,
    shapes: &[&[None, None, None, None]],
    form: "floats [batch, queries, rows, columns]",
};

/// The outputs' names in a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Logits, `[batch, queries, classes]`.
    pub logits: String,
    /// Boxes, `[batch, queries, 4]`.
    pub boxes: String,
    /// Masks, `[batch, queries, rows, columns]`, where they are wanted.
    pub masks: Option<String>,
}

impl Names {
    /// Finds the outputs by their names or their forms.
    pub fn find(
        signature: &Signature,
        given: &OutputNames,
        needs_masks: bool,
    ) -> Result<Self, PortError> {
        let mut finder = Finder::new(signature);
        let boxes = finder.find(BOXES, given.boxes.as_deref())?;
        let logits = finder.find(LOGITS, given.scores.as_deref())?;
        let masks = if needs_masks {
            Some(finder.find(MASKS, given.masks.as_deref())?)
        } else {
            None
        };
        Ok(Self {
            logits: logits.name.clone(),
            boxes: boxes.name.clone(),
            masks: masks.map(|port| port.name.clone()),
        })
    }
}

/// What the network answered for a batch, not yet checked.
#[derive(Clone, Debug)]
pub struct Outputs<'a> {
    /// See [`Names::logits`].
    pub logits: Tensor<'a, f32>,
    /// See [`Names::boxes`].
    pub boxes: Tensor<'a, f32>,
    /// See [`Names::masks`].
    pub masks: Option<Tensor<'a, f32>>,
}

/// Reads the answers of one model, one after another.
#[derive(Debug)]
pub struct DetrDecoder {
    rules: InstanceRules,
    names: Names,
    scores: Option<ScoreFunction>,
}

/// The lengths of an answer.
#[derive(Clone, Copy)]
struct Lengths {
    queries: usize,
    classes: usize,
    /// Rows and columns.
    mask: Option<(usize, usize)>,
}

impl DetrDecoder {
    /// A decoder by these rules for the outputs of these names. Without a score function, it is
    /// the sigmoid if there are as many classes as labels, and anything else is refused.
    pub fn new(rules: InstanceRules, names: Names, scores: Option<ScoreFunction>) -> Self {
        Self {
            rules,
            names,
            scores,
        }
    }

    /// The outputs' names.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// For each frame the instances that score enough and have an area in it, the most certain
    /// first.
    pub fn decode(
        &self,
        outputs: &Outputs<'_>,
        frames: &[PlacedFrame],
    ) -> Result<Vec<Vec<Instance>>, OutputError> {
        let lengths = self.check_shapes(outputs, frames.len())?;
        let function = self.score_function(&outputs.logits)?;
        let mut decoded = Vec::with_capacity(frames.len());
        for (image, frame) in frames.iter().enumerate() {
            let logits = slice_of(&outputs.logits, image, frames.len());
            let boxes = slice_of(&outputs.boxes, image, frames.len());
            let masks = outputs
                .masks
                .as_ref()
                .map(|masks| slice_of(masks, image, frames.len()));
            let candidates = self.candidates((logits, boxes), lengths, function);
            decoded.push(self.instances(&candidates, masks.zip(lengths.mask), frame)?);
        }
        Ok(decoded)
    }

    fn candidates(
        &self,
        (logits, boxes): (&[f32], &[f32]),
        lengths: Lengths,
        function: ScoreFunction,
    ) -> Vec<Candidate> {
        let labels = self.rules.labels.len();
        let mut candidates = Vec::new();
        for query in 0..lengths.queries {
            let row = &logits[query * lengths.classes..][..lengths.classes];
            let centre_and_size = &boxes[query * 4..][..4];
            let candidate = |class: usize, score: f32| Candidate {
                corners: Corners::around(
                    centre_and_size[0],
                    centre_and_size[1],
                    centre_and_size[2],
                    centre_and_size[3],
                ),
                class,
                score,
                index: query,
            };
            match function {
                // One query may stand for several classes, each with a chance of its own.
                ScoreFunction::Sigmoid => {
                    let scores = row[..labels]
                        .iter()
                        .map(|&logit| sigmoid(logit))
                        .enumerate();
                    candidates.extend(
                        scores
                            .filter(|&(_, score)| self.rules.counts(score))
                            .map(|(class, score)| candidate(class, score)),
                    );
                }
                ScoreFunction::Softmax => {
                    let (class, score) = best_of_softmax(row, labels);
                    if self.rules.counts(score) {
                        candidates.push(candidate(class, score));
                    }
                }
            }
        }
        sort_by_score(&mut candidates);
        candidates.truncate(self.rules.max_detections);
        candidates
    }

    fn instances(
        &self,
        candidates: &[Candidate],
        masks: Option<(&[f32], (usize, usize))>,
        frame: &PlacedFrame,
    ) -> Result<Vec<Instance>, OutputError> {
        let way_back = frame.frame_from_unit();
        let mut masks = masks.map(|(values, (height, width))| {
            let paster = FieldPaster::new(way_back, width, height);
            (values, (height, width), paster)
        });
        let threshold = logit(self.rules.thresholds.mask);
        let mut instances = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let corners = way_back.box_in_frame(candidate.corners);
            if !corners.has_area() {
                continue;
            }
            let mask = masks.as_mut().map(|(values, (height, width), paster)| {
                let length = *height * *width;
                let field = Field {
                    values: &values[candidate.index * length..][..length],
                    width: *width,
                    height: *height,
                };
                paster.paste(field, threshold, None)
            });
            let found = Found {
                class: candidate.class,
                score: candidate.score,
                corners,
                mask,
            };
            instances.push(self.rules.instance(&self.names.logits, found)?);
        }
        Ok(instances)
    }

    /// Whether the last class stands for nothing cannot be seen from its logits.
    fn score_function(&self, logits: &Tensor<'_, f32>) -> Result<ScoreFunction, OutputError> {
        let labels = self.rules.labels.len();
        let classes = logits.shape[2];
        match self.scores {
            Some(ScoreFunction::Sigmoid) if classes == labels || classes == labels + 1 => {
                Ok(ScoreFunction::Sigmoid)
            }
            Some(ScoreFunction::Softmax) if classes == labels + 1 => Ok(ScoreFunction::Softmax),
            None if classes == labels => Ok(ScoreFunction::Sigmoid),
            None if classes == labels + 1 => Err(OutputError::Unstated {
                output: self.names.logits.clone(),
                labels,
            }),
            _ => Err(logits.unexpected(
                &self.names.logits,
                format!(
                    "{} classes for {labels} labels and, with softmax or a background, one more",
                    labels + 1
                ),
            )),
        }
    }

    fn check_shapes(&self, outputs: &Outputs<'_>, images: usize) -> Result<Lengths, OutputError> {
        let Outputs {
            logits,
            boxes,
            masks,
        } = outputs;
        let names = &self.names;
        let (queries, classes) = match logits.shape[..] {
            [batch, queries, classes] if batch == images && logits.is_complete() => {
                (queries, classes)
            }
            _ => {
                let expected = format!("[{images}, queries, classes]");
                return Err(logits.unexpected(&names.logits, expected));
            }
        };
        boxes.expect_shape(&names.boxes, &[images, queries, 4])?;
        let mask = match (masks, &names.masks) {
            (Some(masks), Some(name)) => match masks.shape[..] {
                [batch, count, height, width]
                    if (batch, count) == (images, queries)
                        && height > 0
                        && width > 0
                        && masks.is_complete() =>
                {
                    Some((height, width))
                }
                _ => {
                    let expected = format!("[{images}, {queries}, rows, columns]");
                    return Err(masks.unexpected(name, expected));
                }
            },
            _ => None,
        };
        Ok(Lengths {
            queries,
            classes,
            mask,
        })
    }
}

fn slice_of<'a>(tensor: &'a Tensor<'_, f32>, image: usize, images: usize) -> &'a [f32] {
    let length = tensor.values.len() / images;
    &tensor.values[image * length..][..length]
}

/// The likeliest of the first `labels` classes and its share of all.
fn best_of_softmax(logits: &[f32], labels: usize) -> (usize, f32) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    let mut best = (0, f32::NEG_INFINITY);
    for (class, &logit) in logits[..labels].iter().enumerate() {
        if logit > best.1 {
            best = (class, logit);
        }
    }
    (best.0, (best.1 - largest).exp() / sum)
}

#[cfg(test)]
mod tests;
