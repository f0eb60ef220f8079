//! Outputs made by hand, in a network that sees half the frame's size.

use super::*;
use crate::model::geometry::Placement;
use crate::model::manifest::{Label, Thresholds};
use crate::model::signature::{Dim, Element, Port};
use pipeline::detections::BBox;

/// A full mask of 2 x 2 cells on 10 x 10 pixels fades below 0.5 in three pixels of each corner.
const AREA: u32 = 100 - 4 * 3;

const FRAME: Size = Size {
    width: 40,
    height: 20,
};

/// Outputs that own their numbers, so that a test can change one.
struct Owned {
    boxes: Vec<f32>,
    classes: Vec<i64>,
    scores: Vec<f32>,
    masks: Vec<f32>,
    masks_shape: Vec<usize>,
    image_size: Option<Vec<i64>>,
}

impl Owned {
    /// A good instance, one that scores too little, one outside the frame.
    fn three() -> Self {
        Self {
            boxes: vec![
                2.0, 3.0, 7.0, 8.0, 0.0, 0.0, 5.0, 5.0, 19.0, 25.0, 22.0, 30.0,
            ],
            classes: vec![1, 0, 0],
            scores: vec![0.9, 0.4, 0.8],
            masks: vec![1.0; 3 * 4],
            masks_shape: vec![3, 1, 2, 2],
            image_size: None,
        }
    }

    fn none() -> Self {
        Self {
            boxes: vec![],
            classes: vec![],
            scores: vec![],
            masks: vec![],
            masks_shape: vec![0, 1, 28, 28],
            image_size: Some(vec![10, 20]),
        }
    }

    fn decode(&self) -> Result<Vec<Instance>, OutputError> {
        self.decode_as(Convention::Detectron2, true)
    }

    fn decode_as(
        &self,
        convention: Convention,
        has_masks: bool,
    ) -> Result<Vec<Instance>, OutputError> {
        let count = self.scores.len();
        let outputs = Outputs {
            boxes: Tensor::new([self.boxes.len() / 4, 4], &self.boxes),
            classes: Tensor::new([self.classes.len()], &self.classes),
            scores: Tensor::new([count], &self.scores),
            masks: has_masks
                .then(|| Masks::Floats(Tensor::new(self.masks_shape.clone(), &self.masks))),
            image_size: self
                .image_size
                .as_ref()
                .map(|size| Tensor::new([size.len()], size)),
        };
        let placement = Placement::stretched(Size {
            width: 20,
            height: 10,
        });
        let frame = PlacedFrame {
            frame: FRAME,
            placement,
        };
        InstanceDecoder::new(rules(has_masks), names(), convention).decode(&outputs, &frame)
    }
}

fn rules(has_masks: bool) -> InstanceRules {
    let label = |name: &str| Label {
        name: name.to_owned(),
        color: [0; 3],
    };
    InstanceRules {
        labels: ["bolt", "nut"].map(label).to_vec(),
        thresholds: Thresholds {
            score: 0.5,
            mask: 0.5,
            overlap: None,
        },
        max_detections: 100,
        has_masks,
    }
}

fn names() -> Names {
    let name = |name: &str| name.to_owned();
    Names {
        boxes: name("boxes"),
        classes: name("classes"),
        scores: name("scores"),
        masks: Some(name("masks")),
        image_size: Some(name("image_size")),
    }
}

#[test]
fn instances_come_in_frame_pixels() {
    let instances = Owned::three().decode().unwrap();
    assert_eq!(instances.len(), 1);
    let nut = &instances[0];
    assert_eq!((nut.label.as_str(), nut.category_id), ("nut", 2));
    assert!((nut.score - 0.9).abs() < f32::EPSILON);
    assert_eq!(
        nut.bbox,
        BBox {
            x: 4.0,
            y: 6.0,
            w: 10.0,
            h: 10.0
        }
    );
    assert_eq!(nut.area, AREA);
    let mask = nut.segmentation.as_ref().unwrap();
    assert_eq!(mask.size(), [20, 40]);
    assert_eq!(mask.bbox(), nut.bbox);
}

#[test]
fn no_detections_are_no_instances() {
    assert_eq!(Owned::none().decode(), Ok(vec![]));
    let mut without_mask_dimensions = Owned::none();
    without_mask_dimensions.masks_shape = vec![0, 1, 0, 0];
    assert_eq!(without_mask_dimensions.decode(), Ok(vec![]));
}

#[test]
fn boxes_follow_the_size_that_the_network_names() {
    let mut outputs = Owned::three();
    outputs.image_size = Some(vec![40, 80]);
    let instances = outputs.decode().unwrap();
    assert_eq!(
        instances[0].bbox,
        BBox {
            x: 1.0,
            y: 1.5,
            w: 2.5,
            h: 2.5
        }
    );
    outputs.image_size = Some(vec![0, 80]);
    assert_eq!(
        outputs.decode(),
        Err(OutputError::ImageSize {
            height: 0,
            width: 80
        })
    );
    outputs.image_size = Some(vec![40]);
    assert!(matches!(outputs.decode(), Err(OutputError::Shape { .. })));
}

#[test]
fn masks_may_come_without_their_channel() {
    let mut outputs = Owned::three();
    outputs.masks_shape = vec![3, 2, 2];
    assert_eq!(outputs.decode().unwrap()[0].area, AREA);
}

#[test]
fn a_class_without_a_label_is_an_error_that_counts_them() {
    for class in [2, -1] {
        let mut outputs = Owned::three();
        outputs.classes[0] = class;
        let error = outputs.decode().unwrap_err();
        let expected = OutputError::UnknownClass {
            class,
            first: 0,
            labels: 2,
        };
        assert_eq!(error, expected);
        assert!(error.to_string().contains("for classes 0 to 1"), "{error}");
    }
}

#[test]
fn outputs_that_do_not_belong_together_are_refused() {
    let mut short_boxes = Owned::three();
    short_boxes.boxes.truncate(8);
    let mut short_classes = Owned::three();
    short_classes.classes.pop();
    let mut flat_masks = Owned::three();
    flat_masks.masks_shape = vec![12];
    let mut wide_masks = Owned::three();
    wide_masks.masks_shape = vec![3, 2, 2, 2];
    for outputs in [short_boxes, short_classes, flat_masks, wide_masks] {
        assert!(matches!(outputs.decode(), Err(OutputError::Shape { .. })));
    }
}

#[test]
fn the_most_certain_comes_first() {
    let mut outputs = Owned::three();
    outputs.scores = vec![0.7, 0.95, 0.2];
    let scores: Vec<f32> = outputs
        .decode()
        .unwrap()
        .iter()
        .map(|instance| instance.score)
        .collect();
    assert_eq!(scores, [0.95, 0.7]);
    outputs.scores[0] = 3.0;
    assert!(matches!(outputs.decode(), Err(OutputError::Score { .. })));
}

#[test]
fn numbers_that_are_none_make_no_instances() {
    let mut outputs = Owned::three();
    outputs.scores[0] = f32::NAN;
    assert_eq!(outputs.decode(), Ok(vec![]));
    let mut outputs = Owned::three();
    outputs.boxes[0] = f32::NAN;
    assert_eq!(outputs.decode(), Ok(vec![]));
}

#[test]
fn torchvision_counts_its_classes_from_one() {
    let mut outputs = Owned::three();
    outputs.classes = vec![1; 3];
    let found = outputs.decode_as(Convention::Torchvision, true).unwrap();
    assert_eq!((found[0].label.as_str(), found[0].category_id), ("bolt", 1));
    outputs.classes[0] = 0;
    let error = outputs
        .decode_as(Convention::Torchvision, true)
        .unwrap_err();
    assert!(error.to_string().contains("for classes 1 to 2"), "{error}");
}

#[test]
fn without_masks_the_box_is_the_area() {
    let found = Owned::three()
        .decode_as(Convention::Detectron2, false)
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].area, &found[0].segmentation), (100, &None));
}

#[test]
fn masks_as_large_as_the_network_sees_are_pasted_already() {
    let mut outputs = Owned::three();
    outputs.masks_shape = vec![3, 1, 10, 20];
    outputs.masks = vec![0.0; 3 * 200];
    // Two columns and one row of the network, so four by two in the frame.
    for at in [5 * 20 + 3, 5 * 20 + 4] {
        outputs.masks[at] = 1.0;
    }
    let found = outputs.decode().unwrap();
    let mask = found[0].segmentation.as_ref().unwrap();
    let BBox { x, y, w, h } = mask.bbox();
    assert_eq!([x, y, w, h], [6.0, 10.0, 4.0, 2.0]);
    assert_eq!(found[0].area, 8);
}

#[test]
fn only_as_many_as_wanted_are_kept() {
    let mut outputs = Owned::three();
    outputs.boxes[8..].copy_from_slice(&[1.0, 1.0, 4.0, 4.0]);
    assert_eq!(outputs.decode().unwrap().len(), 2);
    let frame = PlacedFrame {
        frame: FRAME,
        placement: Placement::stretched(FRAME),
    };
    let mut decoder = InstanceDecoder::new(
        InstanceRules {
            max_detections: 1,
            ..rules(false)
        },
        names(),
        Convention::Detectron2,
    );
    let plain = Outputs {
        boxes: Tensor::new([3, 4], &outputs.boxes),
        classes: Tensor::new([3], &outputs.classes),
        scores: Tensor::new([3], &outputs.scores),
        masks: None,
        image_size: None,
    };
    let found = decoder.decode(&plain, &frame).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].label, "nut");
}

#[test]
fn outputs_are_found_by_detectron2_s_names_and_by_their_form() {
    let port = |name: &str, element: Element, lengths: &[usize]| Port {
        name: name.to_owned(),
        element,
        shape: Some(
            lengths
                .iter()
                .map(|&length| match length {
                    0 => Dim::Free(None),
                    _ => Dim::Fixed(length),
                })
                .collect(),
        ),
    };
    let signature = |names: [&str; 5]| Signature {
        inputs: Vec::new(),
        outputs: vec![
            port(names[0], Element::F32, &[0, 4]),
            port(names[1], Element::I64, &[0]),
            port(names[2], Element::Bool, &[0, 0, 0]),
            port(names[3], Element::F32, &[0]),
            port(names[4], Element::I64, &[2]),
        ],
    };
    for outputs in [
        [
            "pred_boxes",
            "pred_classes",
            "pred_masks",
            "scores",
            "image_size",
        ],
        ["301", "302", "303", "304", "305"],
    ] {
        let found = Names::find(&signature(outputs), &OutputNames::default(), true).unwrap();
        assert_eq!(
            [
                found.boxes,
                found.classes,
                found.masks.unwrap(),
                found.scores
            ],
            [outputs[0], outputs[1], outputs[2], outputs[3]]
        );
        assert_eq!(found.image_size.as_deref(), Some(outputs[4]));
    }
    let mut boxes_only = signature(["boxes", "classes", "masks", "scores", "image_size"]);
    boxes_only.outputs.remove(2);
    assert!(Names::find(&boxes_only, &OutputNames::default(), true).is_err());
    let found = Names::find(&boxes_only, &OutputNames::default(), false).unwrap();
    assert_eq!(found.masks, None);
}
