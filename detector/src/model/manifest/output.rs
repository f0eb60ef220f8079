//! How the network's answer is read, as `[output]` and `[thresholds]` of `model.toml` say it, and
//! what of it goes together.

use serde::Deserialize;

use super::Task;

/// How the network's answer is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSpec {
    /// Which outputs there are and what their numbers mean; without it, the graph's signature
    /// tells.
    pub convention: Option<Convention>,
    /// The output to read, for a classifier or a semantic segmentation with several.
    pub name: Option<String>,
    /// What the outputs of a detector are called, where the graph calls them in its own way.
    pub names: OutputNames,
    /// What makes scores of a DETR's logits; without it, the number of classes tells.
    pub scores: Option<ScoreFunction>,
    /// The class of a semantic segmentation that is not reported.
    pub background: Option<usize>,
    /// Instances reported for one frame at most.
    pub max_detections: usize,
}

/// Which outputs a network has and what their numbers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Convention {
    /// Boxes, classes from zero, scores, and masks in their boxes or as large as the picture.
    Detectron2,
    /// The same with classes from one, as torchvision's detectors answer.
    Torchvision,
    /// Boxes around centres, class scores and mask coefficients for every anchor, and prototypes
    /// of masks; what overlaps is sorted out here.
    Yolo,
    /// Logits, boxes and masks for each of a number of queries; nothing overlaps.
    Detr,
    /// A class for each pixel: logits, or the classes' numbers.
    Semantic,
    /// One output, a number a class; softmax makes scores of them.
    Logits,
    /// One output, a score a class.
    Probabilities,
}

impl Convention {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Detectron2,
        Self::Torchvision,
        Self::Yolo,
        Self::Detr,
        Self::Semantic,
        Self::Logits,
        Self::Probabilities,
    ];

    /// The word that `model.toml` uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detectron2 => "detectron2",
            Self::Torchvision => "torchvision",
            Self::Yolo => "yolo",
            Self::Detr => "detr",
            Self::Semantic => "semantic",
            Self::Logits => "logits",
            Self::Probabilities => "probabilities",
        }
    }

    /// Whether a network of this convention can do the task.
    pub fn answers(self, task: Task) -> bool {
        match self {
            Self::Detectron2 | Self::Torchvision | Self::Yolo | Self::Detr => {
                matches!(task, Task::InstanceSegmentation | Task::ObjectDetection)
            }
            Self::Semantic => task == Task::SemanticSegmentation,
            Self::Logits | Self::Probabilities => task == Task::Classification,
        }
    }

    /// Whether it answers for several frames at once.
    pub fn has_batch(self) -> bool {
        !matches!(self, Self::Detectron2 | Self::Torchvision)
    }
}

/// What makes scores of logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScoreFunction {
    /// Every class for itself, as in RF-DETR.
    Sigmoid,
    /// One class or nothing, as in DETR; the last slot stands for nothing.
    Softmax,
}

/// What a graph calls the outputs that its convention knows under other names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputNames {
    /// Boxes; for YOLO the whole table of anchors.
    pub boxes: Option<String>,
    /// Classes.
    pub classes: Option<String>,
    /// Scores; for DETR the logits.
    pub scores: Option<String>,
    /// Masks; for YOLO the prototypes.
    pub masks: Option<String>,
    /// The size that boxes refer to.
    pub image_size: Option<String>,
}

/// From which scores on an answer counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Instances and classes below are not reported.
    pub score: f32,
    /// A pixel belongs to the instance from this mask probability on.
    pub mask: f32,
    /// Of two boxes of one class, the less certain goes when they share more than this of what
    /// they cover (intersection over union). Only for networks that leave that to others.
    pub overlap: Option<f32>,
}

/// Why a manifest and a convention do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {advice}")]
pub struct Clash {
    pub(super) field: Field,
    pub(super) problem: String,
    pub(super) advice: String,
}

/// The field of `model.toml` that a clash is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Convention,
    MaxBatchSize,
    Scores,
    Overlap,
}

/// What of a manifest depends on the convention.
#[derive(Clone, Copy, Debug)]
pub(super) struct Combination {
    pub(super) task: Task,
    pub(super) max_batch_size: usize,
    pub(super) has_scores: bool,
    pub(super) has_overlap: bool,
}

impl Combination {
    /// Whether a network of this convention can be served in this way.
    pub(super) fn check(self, convention: Convention) -> Result<(), Clash> {
        let word = convention.as_str();
        let clash = |field: Field, problem: String, advice: String| {
            Err(Clash {
                field,
                problem,
                advice,
            })
        };
        if !convention.answers(self.task) {
            return clash(
                Field::Convention,
                format!(
                    "task {:?} cannot be answered in the convention {word:?}",
                    self.task.as_str()
                ),
                format!("write {}, or another task", conventions_of(self.task)),
            );
        }
        if self.max_batch_size > 1 && !convention.has_batch() {
            return clash(
                Field::MaxBatchSize,
                format!("the {word} convention answers for one image at a time"),
                "write max_batch_size = 1".to_owned(),
            );
        }
        if self.has_scores && convention != Convention::Detr {
            return clash(
                Field::Scores,
                format!("the {word} convention says itself what its scores are"),
                "remove scores, which is for convention = \"detr\"".to_owned(),
            );
        }
        if self.has_overlap && convention != Convention::Yolo {
            return clash(
                Field::Overlap,
                format!("the {word} convention has sorted out itself what overlaps"),
                "remove overlap, which is for convention = \"yolo\"".to_owned(),
            );
        }
        Ok(())
    }
}

/// The conventions that can do a task, as one writes them.
fn conventions_of(task: Task) -> String {
    let words: Vec<String> = Convention::ALL
        .into_iter()
        .filter(|convention| convention.answers(task))
        .map(|convention| format!("{:?}", convention.as_str()))
        .collect();
    format!("convention = {}", words.join(" or "))
}
