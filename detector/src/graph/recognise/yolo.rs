//! Detectors that answer for every anchor: YOLO from version 8 on, and its elders, which are known
//! and not served.

use super::{Evidence, Finding};
use crate::model::manifest::{Convention, OutputNames, Task};
use crate::model::signature::Port;

/// Numbers of a box.
const BOX: usize = 4;

/// Pixels between anchors, and those of networks for large pictures.
const STRIDES: [usize; 3] = [8, 16, 32];
const LARGE_STRIDE: usize = 64;

/// Rows of a table that was sorted out inside the graph.
const MOST_SORTED: usize = 1000;

pub(super) fn find(evidence: &Evidence<'_>) -> Option<Finding> {
    let tables = evidence.floats(3);
    let [table] = tables[..] else {
        return None;
    };
    let maps = evidence.floats(4);
    let prototypes = match maps[..] {
        [] => None,
        [prototypes] => Some(prototypes),
        _ => return None,
    };
    let rows = table.fixed(1);
    let columns = table.fixed(2);
    match (rows, columns) {
        (Some(rows), Some(columns)) if rows > columns => Some(elder(table, evidence)),
        (None, Some(_)) => Some(elder(table, evidence)),
        (Some(numbers), _) => anchors(evidence, table, prototypes, numbers),
        (None, None) => None,
    }
}

/// `[batch, 4 + classes + coefficients, anchors]`.
fn anchors(
    evidence: &Evidence<'_>,
    table: &Port,
    prototypes: Option<&Port>,
    numbers: usize,
) -> Option<Finding> {
    let coefficients = match prototypes {
        Some(prototypes) => prototypes.fixed(1)?,
        None => 0,
    };
    let classes = numbers
        .checked_sub(BOX + coefficients)
        .filter(|&classes| classes > 0)?;
    let mask = match coefficients {
        0 => String::new(),
        coefficients => format!(" and {coefficients} coefficients of a mask"),
    };
    let mut doubts = Vec::new();
    let anchors = match (table.fixed(2), evidence.picture) {
        (Some(found), Some((height, width))) if is_grid(found, height, width) => {
            format!("each of the {found} anchors of a {width}x{height} picture")
        }
        (Some(found), Some((height, width))) => {
            doubts.push(format!(
                "{found} anchors are not those of YOLO for a {width}x{height} picture"
            ));
            format!("each of {found} anchors")
        }
        _ => "each anchor".to_owned(),
    };
    let mut because = vec![format!(
        "output {table}: {BOX} numbers of a box, {classes} classes{mask} for {anchors}"
    )];
    if let Some(prototypes) = prototypes {
        because.push(format!(
            "output {prototypes}: prototypes that the coefficients mix masks from"
        ));
    }
    Some(Finding {
        convention: Some(Convention::Yolo),
        task: Some(if prototypes.is_some() {
            Task::InstanceSegmentation
        } else {
            Task::ObjectDetection
        }),
        names: OutputNames {
            boxes: Some(table.name.clone()),
            masks: prototypes.map(|port| port.name.clone()),
            ..OutputNames::default()
        },
        has_masks: prototypes.is_some(),
        class_count: Some(classes),
        because,
        doubts,
        ..Finding::default()
    })
}

/// Tables with a row for each anchor or thing.
fn elder(table: &Port, evidence: &Evidence<'_>) -> Finding {
    let rows = table.fixed(1).unwrap_or(usize::MAX);
    let is_grid_of = |anchors: usize| {
        evidence
            .picture
            .is_some_and(|(height, width)| is_grid(anchors, height, width))
    };
    let (what, advice) = if rows <= MOST_SORTED {
        (
            "a row for each thing, sorted out inside the graph",
            "export it without nms=True or end2end, so that Kadr sorts out what overlaps",
        )
    } else if rows.is_multiple_of(3) && is_grid_of(rows / 3) {
        (
            "a row for each of three anchors a place, with an objectness, as YOLOv5 and v7 have",
            "export a YOLOv8 or later, or append NMS as models/export does",
        )
    } else if is_grid_of(rows) {
        (
            "a row for each anchor, as YOLOX has",
            "export a YOLOv8 or later, or append NMS as models/export does",
        )
    } else {
        (
            "a row for each anchor or thing, in an order that is not known",
            "export it in one of the conventions of models/README.md",
        )
    };
    Finding::unserved(format!(
        "output {table} has {what}, which is not served; {advice}"
    ))
}

/// Whether so many anchors are one for each place of the usual grids.
fn is_grid(anchors: usize, height: usize, width: usize) -> bool {
    let places = |stride: usize| height.div_ceil(stride) * width.div_ceil(stride);
    let usual: usize = STRIDES.into_iter().map(places).sum();
    anchors == usual || anchors == usual + places(LARGE_STRIDE)
}
