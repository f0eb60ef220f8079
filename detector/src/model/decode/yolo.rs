//! Instances from a YOLO export: a table of anchors, and prototypes that their masks are mixed of.
//!
//! The table is `[batch, 4 + classes + coefficients, anchors]` with boxes around their centres, in
//! pixels of the network's input, and scores after the sigmoid (v8, v11); boxes of one class that
//! lie on each other are sorted out here. Or, from exports that have done so themselves,
//! `[batch, instances, 6 + coefficients]`: corners, score and class of each.
//! A mask is the sigmoid of the prototypes `[batch, coefficients, rows, columns]` weighted by the
//! anchor's coefficients, cut to its box.

use pipeline::detections::Instance;
use pipeline::mask::Mask;

use super::instances::{Found, InstanceRules, logit};
use super::nms::{Candidate, sort_by_score, without_overlaps};
use super::ports::{Finder, Kind, Part, PortError};
use super::{OutputError, Tensor};
use crate::model::field::{Field, FieldPaster};
use crate::model::geometry::{Corners, FrameFromNetwork, PlacedFrame};
use crate::model::manifest::OutputNames;
use crate::model::signature::Signature;

/// The overlap from which one of two boxes goes, when the manifest does not say.
const DEFAULT_OVERLAP: f32 = 0.7;

/// Numbers of a box.
const BOX: usize = 4;

/// Corners, score and class.
const SORTED_OUT: usize = 6;

/// Far below every threshold, and far from infinity, which would spoil its neighbours.
const NOWHERE: f32 = -1e30;

const TABLE: Part = Part {
    part: "boxes",
    names: &["output0", "output", "predictions"],
    kind: Kind::Floats,
    shapes: &[&[None, None, None]],
    form: "floats [batch, 4 + classes + coefficients, anchors]",
};

const PROTOTYPES: Part = Part {
    part: "masks",
    names: &["output1", "proto", "protos", "prototypes"],
    kind: Kind::Floats,
    shapes: &[&[None, None, None, None]],
    form: "floats [batch, coefficients, rows, columns]",
};

/// The outputs' names in a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The table of anchors.
    pub table: String,
    /// The prototypes; a network without has boxes alone.
    pub prototypes: Option<String>,
}

impl Names {
    /// Finds the outputs; without masks wanted there may still be prototypes.
    pub fn find(
        signature: &Signature,
        given: &OutputNames,
        needs_masks: bool,
    ) -> Result<Self, PortError> {
        let mut finder = Finder::new(signature);
        let table = finder.find(TABLE, given.boxes.as_deref())?.name.clone();
        let masks = given.masks.as_deref();
        let prototypes = if needs_masks {
            Some(finder.find(PROTOTYPES, masks)?)
        } else {
            finder.find_if_any(PROTOTYPES, masks)?
        };
        Ok(Self {
            table,
            prototypes: prototypes.map(|port| port.name.clone()),
        })
    }
}

/// What the network answered for a batch, not yet checked.
#[derive(Clone, Debug)]
pub struct Outputs<'a> {
    /// See [`Names::table`].
    pub table: Tensor<'a, f32>,
    /// See [`Names::prototypes`].
    pub prototypes: Option<Tensor<'a, f32>>,
}

/// Reads the answers of one model, one after another.
#[derive(Debug)]
pub struct YoloDecoder {
    rules: InstanceRules,
    names: Names,
    /// The weighted sum of the prototypes for one instance.
    mixed: Vec<f32>,
}

/// How a table is laid out, for all images of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A column an anchor: box, score of every class, coefficients.
    Anchors { anchors: usize },
    /// A row an instance: corners, score, class, coefficients.
    SortedOut { instances: usize },
}

/// The prototypes of one image.
#[derive(Clone, Copy)]
struct Prototypes<'a> {
    values: &'a [f32],
    count: usize,
    width: usize,
    height: usize,
}

impl YoloDecoder {
    /// A decoder by these rules for the outputs of these names.
    pub fn new(rules: InstanceRules, names: Names) -> Self {
        Self {
            rules,
            names,
            mixed: Vec::new(),
        }
    }

    /// The outputs' names.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// For each frame the instances that score enough and have an area in it, the most certain
    /// first.
    pub fn decode(
        &mut self,
        outputs: &Outputs<'_>,
        frames: &[PlacedFrame],
    ) -> Result<Vec<Vec<Instance>>, OutputError> {
        let prototypes = self.check_prototypes(outputs, frames.len())?;
        let coefficients = prototypes.map_or(0, |[count, _, _]| count);
        let form = self.check_table(&outputs.table, frames.len(), coefficients)?;
        let table_length = outputs.table.values.len() / frames.len().max(1);
        let mut decoded = Vec::with_capacity(frames.len());
        for (image, frame) in frames.iter().enumerate() {
            let table = &outputs.table.values[image * table_length..][..table_length];
            let masks = match (&outputs.prototypes, prototypes) {
                (Some(tensor), Some([count, height, width])) if self.rules.has_masks => {
                    let length = count * height * width;
                    Some(Prototypes {
                        values: &tensor.values[image * length..][..length],
                        count,
                        width,
                        height,
                    })
                }
                _ => None,
            };
            decoded.push(self.decode_image(table, form, masks, frame)?);
        }
        Ok(decoded)
    }

    fn decode_image(
        &mut self,
        table: &[f32],
        form: Form,
        prototypes: Option<Prototypes<'_>>,
        frame: &PlacedFrame,
    ) -> Result<Vec<Instance>, OutputError> {
        let candidates = match form {
            Form::Anchors { anchors } => self.best_anchors(table, anchors),
            Form::SortedOut { instances } => self.rows(table, instances)?,
        };
        let way_back = frame.frame_from_network(None);
        let mut paster = prototypes
            .map(|prototypes| FieldPaster::new(way_back, prototypes.width, prototypes.height));
        let mut instances = Vec::with_capacity(candidates.len());
        for candidate in &candidates {
            let corners = way_back.box_in_frame(candidate.corners);
            if !corners.has_area() {
                continue;
            }
            let mask = match (&prototypes, &mut paster) {
                (Some(prototypes), Some(paster)) => {
                    let weights = coefficients_of(table, form, candidate.index, prototypes.count);
                    Some(self.mask(prototypes, &weights, paster, (candidate, &way_back)))
                }
                _ => None,
            };
            let found = Found {
                class: candidate.class,
                score: candidate.score,
                corners,
                mask,
            };
            instances.push(self.rules.instance(&self.names.table, found)?);
        }
        Ok(instances)
    }

    /// The best class of every anchor, where it scores enough and nothing better lies there.
    fn best_anchors(&self, table: &[f32], anchors: usize) -> Vec<Candidate> {
        let row = |index: usize| &table[index * anchors..][..anchors];
        let mut best = vec![(0, f32::NEG_INFINITY); anchors];
        for class in 0..self.rules.labels.len() {
            for (best, &score) in best.iter_mut().zip(row(BOX + class)) {
                if score > best.1 {
                    *best = (class, score);
                }
            }
        }
        let [x, y, width, height] = [0, 1, 2, 3].map(row);
        let mut candidates: Vec<Candidate> = best
            .into_iter()
            .enumerate()
            .filter(|&(_, (_, score))| self.rules.counts(score))
            .map(|(index, (class, score))| Candidate {
                corners: Corners::around(x[index], y[index], width[index], height[index]),
                class,
                score,
                index,
            })
            .collect();
        sort_by_score(&mut candidates);
        let max_overlap = self.rules.thresholds.overlap.unwrap_or(DEFAULT_OVERLAP);
        without_overlaps(&candidates, max_overlap, self.rules.max_detections)
    }

    /// The instances of a table that is sorted out.
    fn rows(&self, table: &[f32], instances: usize) -> Result<Vec<Candidate>, OutputError> {
        let mut candidates = Vec::new();
        let length = table.len() / instances.max(1);
        for (index, row) in table.chunks_exact(length.max(1)).enumerate() {
            let &[x0, y0, x1, y1, score, class, ..] = row else {
                continue;
            };
            if !self.rules.counts(score) {
                continue;
            }
            candidates.push(Candidate {
                corners: Corners { x0, y0, x1, y1 },
                class: self.rules.label_index(class.round() as i64, 0)?,
                score,
                index,
            });
        }
        sort_by_score(&mut candidates);
        candidates.truncate(self.rules.max_detections);
        Ok(candidates)
    }

    /// The mask of one instance, mixed only where its box lies.
    fn mask(
        &mut self,
        prototypes: &Prototypes<'_>,
        weights: &[f32],
        paster: &mut FieldPaster,
        (candidate, way_back): (&Candidate, &FrameFromNetwork),
    ) -> Mask {
        let &Prototypes { width, height, .. } = prototypes;
        let network = way_back.network();
        let columns = cells_under(
            candidate.corners.x0,
            candidate.corners.x1,
            (width, network.width),
        );
        let rows = cells_under(
            candidate.corners.y0,
            candidate.corners.y1,
            (height, network.height),
        );
        self.mixed.clear();
        self.mixed.resize(width * height, NOWHERE);
        for row in rows {
            let cells = &mut self.mixed[row * width..][..width][columns.clone()];
            cells.fill(0.0);
            for (prototype, weight) in weights.iter().enumerate() {
                let start = (prototype * height + row) * width;
                let values = &prototypes.values[start..][..width][columns.clone()];
                for (cell, value) in cells.iter_mut().zip(values) {
                    *cell += weight * value;
                }
            }
        }
        let field = Field {
            values: &self.mixed,
            width,
            height,
        };
        let within = way_back.box_in_frame(candidate.corners);
        paster.paste(field, logit(self.rules.thresholds.mask), Some(within))
    }

    /// The lengths of one image's prototypes, if there are any.
    fn check_prototypes(
        &self,
        outputs: &Outputs<'_>,
        images: usize,
    ) -> Result<Option<[usize; 3]>, OutputError> {
        let (Some(tensor), Some(name)) = (&outputs.prototypes, &self.names.prototypes) else {
            return Ok(None);
        };
        match tensor.shape[..] {
            [batch, count, height, width]
                if batch == images && height > 0 && width > 0 && tensor.is_complete() =>
            {
                Ok(Some([count, height, width]))
            }
            _ => Err(tensor.unexpected(name, format!("[{images}, coefficients, rows, columns]"))),
        }
    }

    fn check_table(
        &self,
        table: &Tensor<'_, f32>,
        images: usize,
        coefficients: usize,
    ) -> Result<Form, OutputError> {
        let labels = self.rules.labels.len();
        let numbers = BOX + labels + coefficients;
        match table.shape[..] {
            [batch, rows, anchors]
                if batch == images && rows == numbers && table.is_complete() =>
            {
                Ok(Form::Anchors { anchors })
            }
            [batch, instances, columns]
                if batch == images
                    && columns == SORTED_OUT + coefficients
                    && table.is_complete() =>
            {
                Ok(Form::SortedOut { instances })
            }
            _ => Err(table.unexpected(
                &self.names.table,
                format!(
                    "[{images}, {numbers}, anchors] for a box, {labels} labels and {coefficients} mask \
                     coefficients, or [{images}, instances, {}]",
                    SORTED_OUT + coefficients
                ),
            )),
        }
    }
}

/// The mask coefficients of an anchor or a row.
fn coefficients_of(table: &[f32], form: Form, index: usize, count: usize) -> Vec<f32> {
    match form {
        Form::Anchors { anchors } => {
            let first = table.len() / anchors - count;
            (first..first + count)
                .map(|row| table[row * anchors + index])
                .collect()
        }
        Form::SortedOut { instances } => {
            let length = table.len() / instances;
            table[index * length + SORTED_OUT..][..count].to_vec()
        }
    }
}

/// The cells that pixels between two edges are sampled from.
fn cells_under(near: f32, far: f32, (cells, network): (usize, u32)) -> std::ops::Range<usize> {
    let cells_per_pixel = cells as f32 / network as f32;
    let cell = |edge: f32| {
        let position = (edge * cells_per_pixel - 0.5).floor();
        position.clamp(0.0, cells as f32) as usize
    };
    cell(near)..(cell(far) + 2).min(cells)
}

#[cfg(test)]
mod tests;
