//! Small maps made by hand.

use super::*;
use crate::model::geometry::{Placement, Size};
use crate::model::manifest::{Label, Thresholds};

fn size(width: u32, height: u32) -> Size {
    Size { width, height }
}

fn rules(labels: &[&str]) -> InstanceRules {
    let label = |name: &&str| Label {
        name: (*name).to_owned(),
        color: [0; 3],
    };
    InstanceRules {
        labels: labels.iter().map(label).collect(),
        thresholds: Thresholds {
            score: 0.0,
            mask: 0.5,
            overlap: None,
        },
        max_detections: 10,
        has_masks: true,
    }
}

fn stretched(frame: Size) -> PlacedFrame {
    PlacedFrame {
        frame,
        placement: Placement::stretched(size(4, 4)),
    }
}

fn decode(decoder: &SemanticDecoder, output: &Output<'_>, frame: Size) -> Vec<Instance> {
    decoder
        .decode(output, &[stretched(frame)])
        .unwrap()
        .remove(0)
}

fn seen(instances: &[Instance]) -> Vec<(&str, u32, [f32; 4])> {
    instances
        .iter()
        .map(|found| (found.label.as_str(), found.area, found.bbox.into()))
        .collect()
}

#[test]
fn the_pixels_of_a_class_are_one_instance() {
    let decoder = SemanticDecoder::new(rules(&["road", "car", "tree"]), "out".into(), None, false);
    // Two cells of car in opposite corners of 4 by 4.
    let mut classes = vec![0; 16];
    (classes[0], classes[15]) = (1, 1);
    let output = Output::Classes(Tensor::new([1, 4, 4], classes));
    let found = decode(&decoder, &output, size(8, 4));
    assert_eq!(
        seen(&found),
        [
            ("road", 28, [0.0, 0.0, 8.0, 4.0]),
            ("car", 4, [0.0, 0.0, 8.0, 4.0])
        ]
    );
    assert!(
        found
            .iter()
            .all(|instance| (instance.score - 1.0).abs() < f32::EPSILON)
    );
    assert_eq!(found[1].segmentation.as_ref().unwrap().area(), 4);
}

#[test]
fn the_background_and_what_is_unlikely_are_left_out() {
    let mut rules = rules(&["road", "car"]);
    rules.thresholds.score = 0.8;
    let mut logits = vec![3.0; 16];
    logits.extend([2.0; 8].iter().chain(&[9.0; 8]));
    let output = Output::Logits(Tensor::new([1, 2, 4, 4], logits));
    let all = SemanticDecoder::new(rules.clone(), "out".into(), None, false);
    // The upper half is road by e of e + 1 only: 0.73.
    assert_eq!(
        seen(&decode(&all, &output, size(4, 4))),
        [("car", 8, [0.0, 2.0, 4.0, 2.0])]
    );
    let without = SemanticDecoder::new(rules, "out".into(), Some(1), false);
    assert!(decode(&without, &output, size(4, 4)).is_empty());
}

#[test]
fn between_cells_logits_are_blended_before_the_largest_is_taken() {
    let decoder = SemanticDecoder::new(rules(&["a", "b"]), "out".into(), None, false);
    // One row of two cells, a leads by 3 on the left and b by 1 on the right: even at 3/4 of the
    // way from one middle to the other.
    let output = Output::Logits(Tensor::new([1, 2, 1, 2], vec![3.0, 0.0, 0.0, 1.0]));
    let found = decode(&decoder, &output, size(16, 1));
    // Middles of cells at 4 and 12, so the change is at 10.
    assert_eq!(
        seen(&found),
        [
            ("a", 10, [0.0, 0.0, 10.0, 1.0]),
            ("b", 6, [10.0, 0.0, 6.0, 1.0])
        ]
    );
    // Two of a's pixels lie in the right cell, where it has 1 of e + 1; eight where it has e³.
    let (left, right) = (0.952_574, 0.268_941);
    assert!(
        (found[0].score - (8.0 * left + 2.0 * right) / 10.0).abs() < 1e-5,
        "{found:?}"
    );
}

#[test]
fn classes_may_come_last() {
    let last = SemanticDecoder::new(rules(&["a", "b"]), "out".into(), None, true);
    let output = Output::Logits(Tensor::new([1, 1, 2, 2], vec![3.0, 0.0, 0.0, 3.0]));
    let found = decode(&last, &output, size(2, 1));
    assert_eq!(
        seen(&found),
        [
            ("a", 1, [0.0, 0.0, 1.0, 1.0]),
            ("b", 1, [1.0, 0.0, 1.0, 1.0])
        ]
    );
}

#[test]
fn a_single_channel_says_whether_it_is_there_at_all() {
    let decoder = SemanticDecoder::new(rules(&["crack"]), "out".into(), None, false);
    let output = Output::Logits(Tensor::new([1, 1, 1, 2], vec![2.0, -2.0]));
    let found = decode(&decoder, &output, size(8, 1));
    assert_eq!(seen(&found), [("crack", 4, [0.0, 0.0, 4.0, 1.0])]);
    assert!((found[0].score - 0.880_797).abs() < 1e-5, "{found:?}");
    let nowhere = Output::Logits(Tensor::new([1, 1, 1, 2], vec![-2.0, -2.0]));
    assert!(decode(&decoder, &nowhere, size(8, 1)).is_empty());
}

#[test]
fn the_padding_of_a_letterbox_is_not_in_the_frame() {
    let decoder = SemanticDecoder::new(rules(&["a", "b"]), "out".into(), None, false);
    // The frame is the middle two rows of four; b is only in the padding.
    let classes = [1, 1, 0, 0, 0, 0, 1, 1].map(i64::from).to_vec();
    let frame = PlacedFrame {
        frame: size(8, 4),
        placement: Placement::letterboxed(size(8, 4), size(4, 4)),
    };
    let output = Output::Classes(Tensor::new([1, 4, 2], classes));
    let found = decoder.decode(&output, &[frame]).unwrap().remove(0);
    assert_eq!(seen(&found), [("a", 32, [0.0, 0.0, 8.0, 4.0])]);
}

#[test]
fn outputs_of_other_shapes_and_classes_are_refused() {
    let decoder = SemanticDecoder::new(rules(&["a", "b"]), "out".into(), None, false);
    let frames = [stretched(size(8, 4))];
    for output in [
        Output::Logits(Tensor::new([1, 3, 2, 2], vec![0.0; 12])),
        Output::Logits(Tensor::new([1, 2, 2, 2], vec![0.0; 7])),
        Output::Logits(Tensor::new([2, 2, 1, 1], vec![0.0; 4])),
        Output::Classes(Tensor::new([1, 0, 4], vec![])),
        Output::Classes(Tensor::new([3, 1, 1], vec![0; 3])),
    ] {
        let error = decoder.decode(&output, &frames).unwrap_err();
        assert!(matches!(error, OutputError::Shape { .. }), "{error}");
    }
    let unknown = Output::Classes(Tensor::new([1, 1, 1], vec![255]));
    let error = decoder.decode(&unknown, &frames).unwrap_err();
    assert!(matches!(
        error,
        OutputError::UnknownClass { class: 255, .. }
    ));
}

#[test]
fn numbers_that_are_none_make_no_instances() {
    let decoder = SemanticDecoder::new(rules(&["a", "b"]), "out".into(), None, false);
    let output = Output::Logits(Tensor::new([1, 2, 1, 1], vec![f32::NAN; 2]));
    assert!(decode(&decoder, &output, size(3, 3)).is_empty());
}
