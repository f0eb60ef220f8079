//! Detectors that answer with finished instances: boxes, classes, scores and perhaps masks.

use super::{Evidence, Finding};
use crate::model::manifest::{Convention, OutputNames, Task};
use crate::model::signature::{Dim, Element, Port};

/// Names of the boxes, in Kadr's and in Detectron2's words.
const BOXES: [&str; 2] = ["boxes", "pred_boxes"];
/// Names of classes that count from zero.
const CLASSES: [&str; 2] = ["classes", "pred_classes"];
/// Names of classes that count from one.
const LABELS: [&str; 1] = ["labels"];
const SCORES: [&str; 1] = ["scores"];
const MASKS: [&str; 2] = ["masks", "pred_masks"];
const IMAGE_SIZE: [&str; 1] = ["image_size"];

/// The outputs by their parts.
struct Parts<'a> {
    convention: Convention,
    boxes: &'a Port,
    classes: &'a Port,
    scores: &'a Port,
    masks: Option<&'a Port>,
    image_size: Option<&'a Port>,
    doubt: Option<&'static str>,
}

pub(super) fn find(evidence: &Evidence<'_>) -> Option<Finding> {
    let parts = by_name(evidence).or_else(|| by_shape(evidence))?;
    let name = |port: &Port| Some(port.name.clone());
    let first = match parts.convention {
        Convention::Torchvision => "one",
        _ => "zero",
    };
    let mut because = vec![format!(
        "outputs {}, {} and {}: finished boxes with scores, and classes that count from {first}",
        parts.boxes, parts.classes, parts.scores
    )];
    because.push(match parts.masks {
        Some(masks) => format!("output {masks}: a mask for each"),
        None => "no output holds masks".to_owned(),
    });
    Some(Finding {
        convention: Some(parts.convention),
        task: Some(if parts.masks.is_some() {
            Task::InstanceSegmentation
        } else {
            Task::ObjectDetection
        }),
        names: OutputNames {
            boxes: name(parts.boxes),
            classes: name(parts.classes),
            scores: name(parts.scores),
            masks: parts.masks.and_then(name),
            image_size: parts.image_size.and_then(name),
        },
        has_masks: parts.masks.is_some(),
        because,
        doubts: parts.doubt.map(str::to_owned).into_iter().collect(),
        ..Finding::default()
    })
}

/// Exporters that were asked for names give them away.
fn by_name<'a>(evidence: &Evidence<'a>) -> Option<Parts<'a>> {
    let signature = evidence.signature;
    let named = |names: &[&str]| names.iter().find_map(|name| signature.output(name));
    let (convention, classes) = match (named(&CLASSES), named(&LABELS)) {
        (Some(classes), _) => (Convention::Detectron2, classes),
        (None, Some(labels)) => (Convention::Torchvision, labels),
        (None, None) => return None,
    };
    let boxes = named(&BOXES).filter(|port| may_be(port, is_boxes))?;
    let scores = named(&SCORES).filter(|port| may_be(port, is_scores))?;
    // Queries of a DETR have float logits under the name of labels.
    if !may_be(classes, is_classes) {
        return None;
    }
    Some(Parts {
        convention,
        boxes,
        classes,
        scores,
        masks: named(&MASKS),
        image_size: named(&IMAGE_SIZE),
        doubt: None,
    })
}

/// Without names, outputs are numbered, and their order is that of the framework: Detectron2's is
/// the alphabet's, with the size of the picture behind it.
fn by_shape<'a>(evidence: &Evidence<'a>) -> Option<Parts<'a>> {
    let outputs = &evidence.signature.outputs;
    let only = |is_part: fn(&Port) -> bool| {
        let mut found = outputs
            .iter()
            .enumerate()
            .filter(|(_at, port)| is_part(port));
        match (found.next(), found.next()) {
            (Some(one), None) => Some(one),
            _ => None,
        }
    };
    let (_, boxes) = only(is_boxes)?;
    let (_, classes) = only(is_classes)?;
    let (scores_at, scores) = only(is_scores)?;
    let masks = only(is_masks);
    let image_size = only(is_image_size).map(|(_at, port)| port);
    let is_pasted = masks.is_some_and(|(_at, port)| port.element == Element::Bool);
    let masks_come_first = masks.is_some_and(|(at, _port)| at < scores_at);
    let is_detectron2 = image_size.is_some() || is_pasted || masks_come_first;
    let (convention, doubt) = if is_detectron2 {
        (
            Convention::Detectron2,
            "the outputs have no telling names; their order is Detectron2's, so that classes are taken to count from zero",
        )
    } else {
        (
            Convention::Torchvision,
            "the outputs have no telling names; their order is torchvision's, so that classes are taken to count from one",
        )
    };
    Some(Parts {
        convention,
        boxes,
        classes,
        scores,
        masks: masks.map(|(_at, port)| port),
        image_size,
        doubt: Some(doubt),
    })
}

/// What an exporter does not say counts for what its name says.
fn may_be(port: &Port, is_part: fn(&Port) -> bool) -> bool {
    if port.shape.is_none() {
        return port.is_float() || port.is_integer();
    }
    is_part(port)
}

fn is_boxes(port: &Port) -> bool {
    port.is_float() && port.rank() == Some(2) && port.fixed(1).is_none_or(|length| length == 4)
}

fn is_classes(port: &Port) -> bool {
    matches!(port.element, Element::I64 | Element::I32)
        && port.rank() == Some(1)
        && !is_image_size(port)
}

fn is_scores(port: &Port) -> bool {
    port.is_float() && port.rank() == Some(1)
}

fn is_masks(port: &Port) -> bool {
    let is_mask = port.is_float() || matches!(port.element, Element::Bool | Element::U8);
    is_mask && matches!(port.rank(), Some(3 | 4))
}

fn is_image_size(port: &Port) -> bool {
    port.is_integer() && port.shape.as_deref() == Some(&[Dim::Fixed(2)])
}
