//! How a graph's answer is read: the decoder of its convention, and the outputs it reads.

use super::answer::Answer;
use super::model::LoadError;
use super::session::Graph;
use crate::model::decode::classifier::ClassifierDecoder;
use crate::model::decode::detectron2::{self, InstanceDecoder};
use crate::model::decode::detr::{self, DetrDecoder};
use crate::model::decode::semantic::{self, SemanticDecoder};
use crate::model::decode::yolo::{self, YoloDecoder};
use crate::model::decode::{InstanceRules, PortError};
use crate::model::geometry::PlacedFrame;
use crate::model::manifest::{Convention, Manifest};
use crate::model::{ModelError, Prediction};

/// How the answer is read.
#[derive(Debug)]
pub(super) enum Head {
    Finished(InstanceDecoder),
    Yolo(YoloDecoder),
    Detr(DetrDecoder),
    Semantic {
        decoder: SemanticDecoder,
        are_classes: bool,
    },
    Classes {
        decoder: ClassifierDecoder,
        output: String,
    },
}

impl Head {
    /// The head of this convention, after checking that the graph has its outputs.
    pub(super) fn of(
        graph: &Graph,
        manifest: &Manifest,
        convention: Convention,
    ) -> Result<Self, LoadError> {
        let rules = InstanceRules::of(manifest);
        let (signature, output) = (graph.signature(), &manifest.output);
        let unfit = |reason: PortError| LoadError::Outputs {
            path: graph.path().to_owned(),
            convention,
            reason,
            available: listed(graph),
        };
        match convention {
            Convention::Detectron2 | Convention::Torchvision => {
                let names = detectron2::Names::find(signature, &output.names, rules.has_masks)
                    .map_err(unfit)?;
                Ok(Self::Finished(InstanceDecoder::new(
                    rules, names, convention,
                )))
            }
            Convention::Yolo => {
                let names =
                    yolo::Names::find(signature, &output.names, rules.has_masks).map_err(unfit)?;
                Ok(Self::Yolo(YoloDecoder::new(rules, names)))
            }
            Convention::Detr => {
                let names =
                    detr::Names::find(signature, &output.names, rules.has_masks).map_err(unfit)?;
                Ok(Self::Detr(DetrDecoder::new(rules, names, output.scores)))
            }
            Convention::Semantic => {
                let (name, are_classes) =
                    semantic::find_output(signature, output.name.as_deref()).map_err(unfit)?;
                let is_last = manifest.input.layout.is_interleaved();
                Ok(Self::Semantic {
                    decoder: SemanticDecoder::new(rules, name, output.background, is_last),
                    are_classes,
                })
            }
            Convention::Logits | Convention::Probabilities => {
                Self::of_classifier(graph, manifest, convention)
            }
        }
    }

    fn of_classifier(
        graph: &Graph,
        manifest: &Manifest,
        convention: Convention,
    ) -> Result<Self, LoadError> {
        let output = match (&manifest.output.name, &graph.signature().outputs[..]) {
            (Some(name), _) => {
                graph.check_output(name)?;
                name.clone()
            }
            (None, [only]) => only.name.clone(),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|port| port.name.as_str()).collect();
                return Err(LoadError::AmbiguousOutput {
                    path: graph.path().to_owned(),
                    available: names.join(", "),
                });
            }
        };
        let labels = manifest.labels.clone();
        let decoder = ClassifierDecoder::new(labels, convention, manifest.thresholds.score);
        Ok(Self::Classes { decoder, output })
    }

    /// One prediction a frame, in order.
    pub(super) fn read(
        &mut self,
        answer: &Answer<'_>,
        frames: &[PlacedFrame],
    ) -> Result<Vec<Prediction>, ModelError> {
        let instances = match self {
            Self::Finished(decoder) => read_finished(decoder, answer, frames)?,
            Self::Yolo(decoder) => {
                let names = decoder.names().clone();
                let outputs = yolo::Outputs {
                    table: answer.floats(&names.table)?,
                    prototypes: match &names.prototypes {
                        Some(name) => Some(answer.floats(name)?),
                        None => None,
                    },
                };
                decoder.decode(&outputs, frames)?
            }
            Self::Detr(decoder) => {
                let names = decoder.names();
                let outputs = detr::Outputs {
                    logits: answer.floats(&names.logits)?,
                    boxes: answer.floats(&names.boxes)?,
                    masks: match &names.masks {
                        Some(name) => Some(answer.floats(name)?),
                        None => None,
                    },
                };
                decoder.decode(&outputs, frames)?
            }
            Self::Semantic {
                decoder,
                are_classes,
            } => {
                let output = if *are_classes {
                    semantic::Output::Classes(answer.integers(decoder.name())?)
                } else {
                    semantic::Output::Logits(answer.floats(decoder.name())?)
                };
                decoder.decode(&output, frames)?
            }
            Self::Classes { decoder, output } => {
                let scores = answer.floats(output)?;
                let rows = decoder.decode(output, frames.len(), &scores)?;
                return Ok(rows.into_iter().map(Prediction::Classes).collect());
            }
        };
        Ok(instances.into_iter().map(Prediction::Instances).collect())
    }
}

/// The manifest allows these conventions batches of one only.
fn read_finished(
    decoder: &mut InstanceDecoder,
    answer: &Answer<'_>,
    frames: &[PlacedFrame],
) -> Result<Vec<Vec<pipeline::detections::Instance>>, ModelError> {
    let names = decoder.names().clone();
    let outputs = detectron2::Outputs {
        boxes: answer.floats(&names.boxes)?,
        classes: answer.integers(&names.classes)?,
        scores: answer.floats(&names.scores)?,
        masks: match &names.masks {
            Some(name) => Some(answer.masks(name)?),
            None => None,
        },
        image_size: match &names.image_size {
            Some(name) => Some(answer.integers(name)?),
            None => None,
        },
    };
    let mut decoded = Vec::with_capacity(frames.len());
    for frame in frames {
        decoded.push(decoder.decode(&outputs, frame)?);
    }
    Ok(decoded)
}

/// The graph's outputs with their types and shapes.
fn listed(graph: &Graph) -> String {
    let outputs: Vec<String> = graph
        .signature()
        .outputs
        .iter()
        .map(ToString::to_string)
        .collect();
    outputs.join("; ")
}
