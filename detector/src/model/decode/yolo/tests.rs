//! Tables made by hand: two classes, two coefficients, an input of 16 by 16 with the frame in the
//! middle rows.

use super::*;
use crate::model::geometry::{Placement, Size};
use crate::model::manifest::{Label, Thresholds};
use pipeline::detections::BBox;

const INPUT: Size = Size {
    width: 16,
    height: 16,
};

/// Twice the network's size and half as high as wide: four rows of padding above and below.
const FRAME: Size = Size {
    width: 32,
    height: 16,
};

fn decoder(has_masks: bool) -> YoloDecoder {
    let label = |name: &str| Label {
        name: name.to_owned(),
        color: [0; 3],
    };
    let rules = InstanceRules {
        labels: ["bolt", "nut"].map(label).to_vec(),
        thresholds: Thresholds {
            score: 0.5,
            mask: 0.5,
            overlap: Some(0.5),
        },
        max_detections: 10,
        has_masks,
    };
    let names = Names {
        table: "output0".to_owned(),
        prototypes: Some("output1".to_owned()),
    };
    YoloDecoder::new(rules, names)
}

fn frame() -> PlacedFrame {
    PlacedFrame {
        frame: FRAME,
        placement: Placement::letterboxed(FRAME, INPUT),
    }
}

/// Columns of a table: centre, size, two scores, two coefficients.
fn table(anchors: &[[f32; 8]]) -> Vec<f32> {
    (0..8)
        .flat_map(|row| anchors.iter().map(move |anchor| anchor[row]))
        .collect()
}

/// Two prototypes of 4 by 4 cells: one is set on the left, the other below.
fn prototypes() -> Vec<f32> {
    let left = (0..16).map(|cell| if cell % 4 < 2 { 1.0 } else { -1.0 });
    let below = (0..16).map(|cell| if cell / 4 >= 2 { 1.0 } else { -1.0 });
    left.chain(below).collect()
}

fn decode(anchors: &[[f32; 8]], has_masks: bool) -> Result<Vec<Instance>, OutputError> {
    let (table, prototypes) = (table(anchors), prototypes());
    let outputs = Outputs {
        table: Tensor::new([1, 8, anchors.len()], &table),
        prototypes: Some(Tensor::new([1, 2, 4, 4], &prototypes)),
    };
    let mut decoded = decoder(has_masks).decode(&outputs, &[frame()])?;
    Ok(decoded.remove(0))
}

#[test]
fn boxes_come_out_of_the_letterbox_into_the_frame() {
    let found = decode(&[[8.0, 8.0, 4.0, 2.0, 0.1, 0.9, 0.0, 0.0]], false).unwrap();
    assert_eq!(found.len(), 1);
    let nut = &found[0];
    assert_eq!((nut.label.as_str(), nut.category_id), ("nut", 2));
    let BBox { x, y, w, h } = nut.bbox;
    assert_eq!([x, y, w, h], [12.0, 6.0, 8.0, 4.0]);
    assert_eq!((nut.area, &nut.segmentation), (32, &None));
}

#[test]
fn masks_are_mixed_of_the_prototypes_and_cut_to_their_box() {
    // Everything of the frame; the first prototype alone, then the second, then both against.
    let anchor = |left: f32, below: f32| [8.0, 8.0, 16.0, 8.0, 0.9, 0.0, left, below];
    let mask_of = |left: f32, below: f32| {
        let found = decode(&[anchor(left, below)], true).unwrap();
        let bbox = found[0].segmentation.as_ref().unwrap().bbox();
        <[f32; 4]>::from(bbox)
    };
    assert_eq!(mask_of(1.0, 0.0), [0.0, 0.0, 16.0, 16.0]);
    assert_eq!(mask_of(0.0, 1.0), [0.0, 8.0, 32.0, 8.0]);
    assert_eq!(mask_of(-1.0, 0.0), [16.0, 0.0, 16.0, 16.0]);
    let inner = [8.0, 8.0, 8.0, 4.0, 0.9, 0.0, 1.0, 0.0];
    let found = decode(&[inner], true).unwrap();
    let mask = found[0].segmentation.as_ref().unwrap();
    assert_eq!(<[f32; 4]>::from(mask.bbox()), [8.0, 4.0, 8.0, 8.0]);
    assert_eq!(found[0].area, 64);
}

#[test]
fn of_boxes_on_each_other_one_a_class_is_left() {
    let anchors = [
        [8.0, 8.0, 4.0, 4.0, 0.6, 0.0, 0.0, 0.0],
        [8.5, 8.0, 4.0, 4.0, 0.9, 0.0, 0.0, 0.0],
        [8.0, 8.0, 4.0, 4.0, 0.0, 0.7, 0.0, 0.0],
        [3.0, 8.0, 4.0, 4.0, 0.3, 0.4, 0.0, 0.0],
    ];
    let found = decode(&anchors, false).unwrap();
    let scores: Vec<f32> = found.iter().map(|instance| instance.score).collect();
    assert_eq!(scores, [0.9, 0.7]);
}

#[test]
fn a_table_that_is_sorted_out_is_read_row_by_row() {
    let rows = [
        [4.0, 6.0, 8.0, 10.0, 0.6, 1.0, 1.0, 0.0],
        [0.0, 4.0, 16.0, 12.0, 0.9, 0.0, 1.0, 0.0],
        [0.0, 4.0, 16.0, 12.0, 0.2, 0.0, 1.0, 0.0],
    ];
    let (values, prototypes) = (rows.concat(), prototypes());
    let decode = |values: &[f32]| {
        let outputs = Outputs {
            table: Tensor::new([1, 3, 8], values),
            prototypes: Some(Tensor::new([1, 2, 4, 4], &prototypes)),
        };
        decoder(true).decode(&outputs, &[frame()])
    };
    let found = decode(&values).unwrap().remove(0);
    let labels: Vec<&str> = found.iter().map(|found| found.label.as_str()).collect();
    assert_eq!(labels, ["bolt", "nut"]);
    assert_eq!(<[f32; 4]>::from(found[1].bbox), [8.0, 4.0, 8.0, 8.0]);
    assert_eq!(found[0].area, 16 * 16);
    let mut strange = values.clone();
    strange[5] = 7.0;
    assert!(matches!(
        decode(&strange),
        Err(OutputError::UnknownClass { class: 7, .. })
    ));
}

#[test]
fn each_image_of_a_batch_has_its_own_answer() {
    let one = table(&[[8.0, 8.0, 4.0, 2.0, 0.9, 0.0, 1.0, 0.0]]);
    let two = table(&[[8.0, 8.0, 8.0, 4.0, 0.0, 0.8, 0.0, 1.0]]);
    let both = [one, two].concat();
    let prototypes = [prototypes(), vec![-1.0; 32]].concat();
    let outputs = Outputs {
        table: Tensor::new([2, 8, 1], &both),
        prototypes: Some(Tensor::new([2, 2, 4, 4], &prototypes)),
    };
    let found = decoder(true).decode(&outputs, &[frame(), frame()]).unwrap();
    assert_eq!((found[0][0].label.as_str(), found[0][0].area), ("bolt", 16));
    assert_eq!((found[1][0].label.as_str(), found[1][0].area), ("nut", 0));
}

#[test]
fn nothing_certain_is_nothing() {
    assert_eq!(
        decode(&[[8.0, 8.0, 4.0, 2.0, 0.1, 0.2, 0.0, 0.0]], true),
        Ok(vec![])
    );
    assert_eq!(decode(&[], true), Ok(vec![]));
    let broken = [f32::NAN, 8.0, 4.0, 2.0, 0.9, 0.2, 0.0, 0.0];
    assert_eq!(decode(&[broken], true), Ok(vec![]));
    let endless = [8.0, 8.0, f32::INFINITY, 2.0, 0.9, 0.2, 1.0, 0.0];
    assert_eq!(decode(&[endless], true).unwrap().len(), 1);
    let padding_only = [8.0, 1.0, 4.0, 2.0, 0.9, 0.2, 0.0, 0.0];
    assert_eq!(decode(&[padding_only], true), Ok(vec![]));
}

#[test]
fn a_table_for_other_labels_is_refused_and_says_how_many() {
    let outputs = Outputs {
        table: Tensor::new([1, 9, 5], vec![0.0; 45]),
        prototypes: Some(Tensor::new([1, 2, 4, 4], prototypes())),
    };
    let error = decoder(true).decode(&outputs, &[frame()]).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("[1, 9, 5], expected [1, 8, anchors]"),
        "{message}"
    );
    let logits = decode(&[[8.0, 8.0, 4.0, 2.0, 5.5, 0.0, 0.0, 0.0]], false).unwrap_err();
    assert!(matches!(logits, OutputError::Score { .. }));
}
