//! Networks that say of every pixel what it shows.

use super::{Evidence, Finding};
use crate::model::manifest::{Convention, Task};
use crate::model::signature::{Element, Port};

/// Pixels of the picture that one number of the answer may stand for, each way; features that no
/// person reads are coarser.
const COARSEST: usize = 8;

/// More classes than anyone tells apart by pixel; features have as many numbers.
const MOST_CLASSES: usize = 512;

/// Names of the answer, where there is an auxiliary one beside it.
const NAMES: [&str; 4] = ["out", "output", "logits", "seg"];

pub(super) fn find(evidence: &Evidence<'_>) -> Option<Finding> {
    if let Some(map) = evidence.outputs().find(|port| is_class_map(port)) {
        return Some(Finding {
            because: vec![format!(
                "output {map}: the number of a class for each pixel"
            )],
            ..served(map, None)
        });
    }
    let maps = evidence.floats(4);
    let map = match maps[..] {
        [] => return None,
        [map] => map,
        _ => maps
            .iter()
            .find(|map| NAMES.contains(&map.name.as_str()))
            .copied()?,
    };
    Some(logits(evidence, map))
}

fn served(map: &Port, class_count: Option<usize>) -> Finding {
    Finding {
        convention: Some(Convention::Semantic),
        task: Some(Task::SemanticSegmentation),
        output: Some(map.name.clone()),
        has_masks: true,
        class_count,
        ..Finding::default()
    }
}

/// `[batch, h, w]` or `[batch, 1, h, w]` of whole numbers.
fn is_class_map(port: &Port) -> bool {
    let is_map = match port.rank() {
        Some(3) => true,
        Some(4) => port.fixed(1) == Some(1),
        _ => false,
    };
    is_map && matches!(port.element, Element::I64 | Element::I32 | Element::U8)
}

/// `[batch, classes, h, w]` of floats.
fn logits(evidence: &Evidence<'_>, map: &Port) -> Finding {
    let (height, width) = (map.fixed(2), map.fixed(3));
    let classes_come_last = evidence
        .picture
        .is_some_and(|(picture_height, picture_width)| {
            map.fixed(1) == Some(picture_height) && height == Some(picture_width) && width.is_some()
        });
    if classes_come_last && map.fixed(3) < map.fixed(1) {
        return Finding::unserved(format!(
            "output {map} has its classes last; export it with the classes second, or with an \
             argmax behind it"
        ));
    }
    let classes = match map.fixed(1) {
        Some(classes) if (1..=MOST_CLASSES).contains(&classes) => classes,
        _ => return features(map),
    };
    if let (Some(picture), Some(height), Some(width)) = (evidence.picture, height, width)
        && !is_picture(picture, (height, width))
    {
        return features(map);
    }
    let doubt = if classes == 1 {
        "one number a pixel is taken for the logit of a single class; maps of depth look the same"
    } else {
        "if class 0 stands for nothing, write background = 0 under [output]"
    };
    Finding {
        because: vec![format!(
            "output {map}: a number for each pixel and class, {classes} of them"
        )],
        doubts: vec![doubt.to_owned()],
        ..served(map, Some(classes))
    }
}

fn features(map: &Port) -> Finding {
    Finding::unserved(format!(
        "output {map} looks like features and not like classes of pixels; export the network with \
         its head"
    ))
}

/// Whether a map covers the picture finely enough to be an answer.
fn is_picture(picture: (usize, usize), map: (usize, usize)) -> bool {
    let covers = |pixels: usize, cells: usize| cells > 0 && pixels.div_ceil(cells) <= COARSEST;
    covers(picture.0, map.0) && covers(picture.1, map.1)
}
