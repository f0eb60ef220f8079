//! What all conventions of detectors share: which answers count, and the instances made of them.

use pipeline::detections::{BBox, Instance, Rgb};
use pipeline::mask::Mask;

use super::{OutputError, checked_score};
use crate::model::geometry::Corners;
use crate::model::manifest::{Label, Manifest, Task, Thresholds};

/// Which answers count, and what their classes are called.
#[derive(Clone, Debug)]
pub struct InstanceRules {
    /// The classes, in the network's order.
    pub labels: Vec<Label>,
    /// From which scores on an answer counts.
    pub thresholds: Thresholds,
    /// Instances of one frame at most.
    pub max_detections: usize,
    /// Whether masks are read; boxes alone are left otherwise.
    pub has_masks: bool,
}

/// One answer, in frame pixels.
pub(super) struct Found {
    /// An index of the labels.
    pub(super) class: usize,
    pub(super) score: f32,
    pub(super) corners: Corners,
    pub(super) mask: Option<Mask>,
}

impl InstanceRules {
    /// The rules of a manifest.
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            labels: manifest.labels.clone(),
            thresholds: manifest.thresholds,
            max_detections: manifest.output.max_detections,
            has_masks: manifest.task != Task::ObjectDetection,
        }
    }

    /// Whether an answer of this score counts; never for what is not a number.
    pub(super) fn counts(&self, score: f32) -> bool {
        score >= self.thresholds.score
    }

    /// The index of a class's label; the network numbers its classes from `first` on.
    pub(super) fn label_index(&self, class: i64, first: i64) -> Result<usize, OutputError> {
        usize::try_from(class - first)
            .ok()
            .filter(|&index| index < self.labels.len())
            .ok_or(OutputError::UnknownClass {
                class,
                first,
                labels: self.labels.len(),
            })
    }

    /// The instance of an answer in the output of that name.
    pub(super) fn instance(&self, output: &str, found: Found) -> Result<Instance, OutputError> {
        let label = &self.labels[found.class];
        let Corners { x0, y0, x1, y1 } = found.corners;
        let area = match &found.mask {
            Some(mask) => mask.area(),
            None => found.corners.area().round() as u32,
        };
        Ok(Instance {
            label: label.name.clone(),
            // From one, as COCO numbers its categories.
            category_id: found.class as u32 + 1,
            score: checked_score(output, found.score)?,
            bbox: BBox {
                x: x0,
                y: y0,
                w: x1 - x0,
                h: y1 - y0,
            },
            area,
            segmentation: found.mask,
            class_color: Some(Rgb(label.color)),
            color: None,
        })
    }
}

/// The least logit whose sigmoid reaches a probability.
pub(super) fn logit(probability: f32) -> f32 {
    (probability / (1.0 - probability)).ln()
}

pub(in crate::model) fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}
