//! Queries made by hand, for a frame twice as large as the network's input.

use super::*;
use crate::model::geometry::{Placement, Size};
use crate::model::manifest::{Label, Thresholds};

const FRAME: Size = Size {
    width: 32,
    height: 16,
};

fn decoder(scores: Option<ScoreFunction>, has_masks: bool) -> DetrDecoder {
    let label = |name: &str| Label {
        name: name.to_owned(),
        color: [0; 3],
    };
    let rules = InstanceRules {
        labels: ["bolt", "nut"].map(label).to_vec(),
        thresholds: Thresholds {
            score: 0.5,
            mask: 0.5,
            overlap: None,
        },
        max_detections: 10,
        has_masks,
    };
    let names = Names {
        logits: "logits".to_owned(),
        boxes: "pred_boxes".to_owned(),
        masks: Some("pred_masks".to_owned()),
    };
    DetrDecoder::new(rules, names, scores)
}

fn frame() -> PlacedFrame {
    PlacedFrame {
        frame: FRAME,
        placement: Placement::stretched(Size {
            width: 16,
            height: 8,
        }),
    }
}

/// Two queries with a box in the middle and one on the left.
const BOXES: [f32; 8] = [0.5, 0.5, 0.5, 0.5, 0.25, 0.5, 0.5, 1.0];

fn decode(
    scores: Option<ScoreFunction>,
    classes: usize,
    logits: &[f32],
) -> Result<Vec<Instance>, OutputError> {
    let outputs = Outputs {
        logits: Tensor::new([1, 2, classes], logits),
        boxes: Tensor::new([1, 2, 4], &BOXES),
        masks: None,
    };
    let mut decoded = decoder(scores, false).decode(&outputs, &[frame()])?;
    Ok(decoded.remove(0))
}

fn seen(instances: &[Instance]) -> Vec<(&str, [f32; 4])> {
    instances
        .iter()
        .map(|instance| (instance.label.as_str(), instance.bbox.into()))
        .collect()
}

#[test]
fn with_sigmoid_every_class_of_a_query_counts_for_itself() {
    let found = decode(None, 2, &[2.0, 1.0, -3.0, -3.0]).unwrap();
    let middle = [8.0, 4.0, 16.0, 8.0];
    assert_eq!(seen(&found), [("bolt", middle), ("nut", middle)]);
    assert!((found[0].score - 0.880_797).abs() < 1e-5, "{found:?}");
    // The background's own slot is no class.
    let sigmoid = Some(ScoreFunction::Sigmoid);
    let found = decode(sigmoid, 3, &[-3.0, -3.0, 9.0, 1.0, -3.0, 9.0]).unwrap();
    assert_eq!(seen(&found), [("bolt", [0.0, 0.0, 16.0, 16.0])]);
}

#[test]
fn with_softmax_a_query_is_one_thing_or_nothing() {
    let softmax = Some(ScoreFunction::Softmax);
    let found = decode(softmax, 3, &[3.0, 2.0, 0.0, 5.0, 0.0, 9.0]).unwrap();
    assert_eq!(seen(&found), [("bolt", [8.0, 4.0, 16.0, 8.0])]);
    // e³ of e³ + e² + 1.
    assert!((found[0].score - 0.705_384).abs() < 1e-5, "{found:?}");
}

#[test]
fn what_makes_scores_is_not_guessed() {
    let logits = [0.0; 6];
    let error = decode(None, 3, &logits).unwrap_err();
    assert!(
        error.to_string().contains("scores = \"softmax\""),
        "{error}"
    );
    for (scores, classes) in [
        (Some(ScoreFunction::Softmax), 2),
        (Some(ScoreFunction::Sigmoid), 4),
        (None, 5),
    ] {
        let logits = vec![0.0; classes * 2];
        let error = decode(scores, classes, &logits).unwrap_err();
        assert!(matches!(error, OutputError::Shape { .. }), "{error}");
    }
}

#[test]
fn masks_are_logits_over_the_whole_input_and_may_leave_the_box() {
    let mut masks = vec![-1.0; 2 * 8];
    // The second query's left half, of 4 by 2 cells.
    for cell in [8, 9, 12, 13] {
        masks[cell] = 1.0;
    }
    let outputs = Outputs {
        logits: Tensor::new([1, 2, 2], vec![-9.0, 2.0, -9.0, 1.0]),
        boxes: Tensor::new([1, 2, 4], vec![0.5, 0.5, 0.1, 0.1, 0.5, 0.5, 0.1, 0.1]),
        masks: Some(Tensor::new([1, 2, 2, 4], masks)),
    };
    let found = decoder(None, true).decode(&outputs, &[frame()]).unwrap();
    let areas: Vec<u32> = found[0].iter().map(|instance| instance.area).collect();
    assert_eq!(areas, [0, 16 * 16]);
    let mask = found[0][1].segmentation.as_ref().unwrap();
    assert_eq!(<[f32; 4]>::from(mask.bbox()), [0.0, 0.0, 16.0, 16.0]);
}

#[test]
fn images_of_a_batch_do_not_mix() {
    let outputs = Outputs {
        logits: Tensor::new([2, 1, 2], vec![2.0, -9.0, -9.0, 2.0]),
        boxes: Tensor::new([2, 1, 4], &BOXES),
        masks: None,
    };
    let found = decoder(None, false)
        .decode(&outputs, &[frame(), frame()])
        .unwrap();
    assert_eq!(seen(&found[0]), [("bolt", [8.0, 4.0, 16.0, 8.0])]);
    assert_eq!(seen(&found[1]), [("nut", [0.0, 0.0, 16.0, 16.0])]);
}

#[test]
fn broken_answers_are_refused_and_broken_numbers_left_out() {
    assert_eq!(decode(None, 2, &[f32::NAN; 4]), Ok(vec![]));
    let outputs = Outputs {
        logits: Tensor::new([1, 2, 2], vec![0.0; 4]),
        boxes: Tensor::new([1, 3, 4], vec![0.0; 12]),
        masks: None,
    };
    let error = decoder(None, false).decode(&outputs, &[frame()]);
    assert!(matches!(error, Err(OutputError::Shape { .. })));
    let nowhere = Outputs {
        logits: Tensor::new([1, 1, 2], vec![2.0, -9.0]),
        boxes: Tensor::new([1, 1, 4], vec![f32::NAN, 0.5, 0.5, 0.5]),
        masks: None,
    };
    let found = decoder(None, false).decode(&nowhere, &[frame()]).unwrap();
    assert!(found[0].is_empty());
}
