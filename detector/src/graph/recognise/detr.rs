//! Detectors that answer for a number of queries: logits and boxes for each, and perhaps masks.

use super::{Evidence, Finding};
use crate::model::manifest::{Convention, OutputNames, ScoreFunction, Task};
use crate::model::signature::Port;

/// The first DETR's number of queries.
const QUERIES_OF_THE_FIRST: usize = 100;

pub(super) fn find(evidence: &Evidence<'_>) -> Option<Finding> {
    let tables = evidence.floats(3);
    let [first, second] = tables[..] else {
        return queries_without_boxes(evidence);
    };
    let (boxes, logits) = boxes_and_logits(first, second)?;
    if !may_be_equal(boxes.fixed(1), logits.fixed(1)) {
        return None;
    }
    let masks = evidence.floats(4).into_iter().find(|port| {
        boxes.fixed(1).is_some() && may_be_equal(port.fixed(1), boxes.fixed(1))
            || port.name.contains("mask")
    });
    let slots = logits.fixed(2);
    let (scores, doubt) = score_function(evidence, logits);
    let mut finding = Finding {
        convention: Some(Convention::Detr),
        task: Some(if masks.is_some() {
            Task::InstanceSegmentation
        } else {
            Task::ObjectDetection
        }),
        names: OutputNames {
            boxes: Some(boxes.name.clone()),
            classes: None,
            scores: Some(logits.name.clone()),
            masks: masks.map(|port| port.name.clone()),
            image_size: None,
        },
        has_masks: masks.is_some(),
        class_count: match scores {
            ScoreFunction::Sigmoid => slots,
            ScoreFunction::Softmax => slots.map(|slots| slots.saturating_sub(1)),
        },
        scores: Some(scores),
        because: vec![format!(
            "outputs {boxes} and {logits}: a box and a number a class for each of a number of queries"
        )],
        doubts: vec![doubt],
        ..Finding::default()
    };
    if let Some(masks) = masks {
        let because = format!("output {masks}: a mask for each query");
        finding.because.push(because);
    }
    Some(finding)
}

/// The boxes have four numbers; where both could, their names tell.
fn boxes_and_logits<'a>(first: &'a Port, second: &'a Port) -> Option<(&'a Port, &'a Port)> {
    let has_four = |port: &Port| port.fixed(2) == Some(4);
    let is_named = |port: &Port| port.name.contains("box") || port.name.contains("det");
    match (has_four(first), has_four(second)) {
        (false, true) => Some((second, first)),
        (true, true) if is_named(second) && !is_named(first) => Some((second, first)),
        (true, false | true) => Some((first, second)),
        (false, false) => None,
    }
}

/// Whether classes stand for themselves or beside each other and nothing cannot be seen; nearly
/// all networks since the first DETR do the former.
fn score_function(evidence: &Evidence<'_>, logits: &Port) -> (ScoreFunction, String) {
    const SLOTS_OF_THE_FIRST: [usize; 2] = [92, 251];
    let slots = logits.fixed(2);
    let is_first = slots.is_some_and(|slots| SLOTS_OF_THE_FIRST.contains(&slots))
        || logits.fixed(1) == Some(QUERIES_OF_THE_FIRST) && !evidence.has_dets();
    let last = "remove the last label if that slot stands for nothing";
    if is_first {
        let doubt = "scores = \"softmax\" is a guess from the first DETR's numbers of queries and \
                     classes; write \"sigmoid\" for Deformable, RT- or RF-DETR";
        return (ScoreFunction::Softmax, doubt.to_owned());
    }
    let doubt = format!(
        "scores = \"sigmoid\" is what Deformable, RT- and RF-DETR have, {last}; write \"softmax\" \
         for the first DETR"
    );
    (ScoreFunction::Sigmoid, doubt)
}

/// `MaskFormer` and its kin: masks and classes, no boxes.
fn queries_without_boxes(evidence: &Evidence<'_>) -> Option<Finding> {
    let tables = evidence.floats(3);
    let maps = evidence.floats(4);
    let ([classes], [masks]) = (&tables[..], &maps[..]) else {
        return None;
    };
    let is_known = classes.name.contains("class") && masks.name.contains("mask");
    is_known.then(|| {
        Finding::unserved(format!(
            "outputs {classes} and {masks} are queries with masks and no boxes, as in MaskFormer, \
             which is not served; export it with boxes, or as a semantic segmentation"
        ))
    })
}

fn may_be_equal(one: Option<usize>, other: Option<usize>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

impl Evidence<'_> {
    /// RF-DETR's word for boxes.
    fn has_dets(&self) -> bool {
        self.signature.output("dets").is_some()
    }
}
