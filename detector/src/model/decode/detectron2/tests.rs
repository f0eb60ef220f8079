//! Outputs made by hand, in a network that sees half the frame's size.

use super::*;

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
        let count = self.scores.len();
        let outputs = Outputs {
            boxes: Tensor {
                shape: vec![self.boxes.len() / 4, 4],
                values: &self.boxes,
            },
            classes: Tensor {
                shape: vec![self.classes.len()],
                values: &self.classes,
            },
            scores: Tensor {
                shape: vec![count],
                values: &self.scores,
            },
            masks: Tensor {
                shape: self.masks_shape.clone(),
                values: &self.masks,
            },
            image_size: self.image_size.as_ref().map(|size| Tensor {
                shape: vec![size.len()],
                values: size,
            }),
        };
        let labels = ["bolt", "nut"]
            .map(|name| Label {
                name: name.to_owned(),
                color: [0; 3],
            })
            .to_vec();
        let placement = Placement::stretched(Size {
            width: 20,
            height: 10,
        });
        InstanceDecoder::new(
            labels,
            Thresholds {
                score: 0.5,
                mask: 0.5,
                overlap: None,
            },
        )
        .decode(&outputs, &placement, FRAME)
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
        assert_eq!(error, OutputError::UnknownClass { class, labels: 2 });
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
