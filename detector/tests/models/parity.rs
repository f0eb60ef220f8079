//! The shipped model in Rust against the same weights in Python, on the training recipe's fixtures.
//!
//! The pictures have the network's size already, so that no resize stands between the two.

use std::path::{Path, PathBuf};

use crate::common::{
    Expected, MAX_SCORE_DIFFERENCE, MIN_MASK_IOU, box_difference, instances, options, resolve,
    runtime,
};
use detector::image::RgbImage;
use detector::model::Model as _;
use detector::model::repository::Precision;
use detector::onnx::OnnxModel;
use pipeline::mask::Mask;
use serde::Deserialize;

const MAX_BOX_DIFFERENCE_PX: f32 = 0.1;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    /// A PNG beside the fixture.
    input: String,
    score_threshold: f32,
    detections: Vec<Expected>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parts")
}

fn read_png(path: &Path) -> RgbImage {
    let picture = image::open(path).unwrap().into_rgb8();
    let (width, height) = picture.dimensions();
    RgbImage::new(width, height, picture.into_raw()).unwrap()
}

#[test]
fn rust_sees_what_python_sees() {
    compare_with_python(Precision::Fp32);
}

#[test]
fn the_cut_form_sees_what_python_sees() {
    compare_with_python(Precision::Cut);
}

fn compare_with_python(precision: Precision) {
    let text = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    let fixture: Fixture = serde_json::from_str(&text).unwrap();
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let resolved = resolve(models, "parts");
    let mut model = OnnxModel::load(&runtime(), &resolved, &options(precision)).unwrap();
    assert_eq!(model.precision(), precision);
    let labels: Vec<String> = model
        .manifest()
        .labels
        .iter()
        .map(|label| label.name.clone())
        .collect();
    let (mut pictures_without, mut compared) = (0, 0);
    for case in &fixture.cases {
        let found = instances(&mut model, &read_png(&folder().join(&case.input)));
        pictures_without += usize::from(case.detections.is_empty());
        // A score beside the threshold may fall on either side of it.
        let is_certain = |score: f32| score >= case.score_threshold + MAX_SCORE_DIFFERENCE;
        for expected in &case.detections {
            let nearest = found
                .iter()
                .filter(|instance| instance.label == labels[expected.class])
                .min_by(|a, b| box_difference(a, expected).total_cmp(&box_difference(b, expected)));
            let Some(instance) = nearest else {
                assert!(
                    !is_certain(expected.score),
                    "{}: {} lost",
                    case.name,
                    expected.class
                );
                continue;
            };
            let difference = box_difference(instance, expected);
            assert!(
                difference <= MAX_BOX_DIFFERENCE_PX,
                "{}: box off by {difference}",
                case.name
            );
            let score_difference = (instance.score - expected.score).abs();
            assert!(
                score_difference <= MAX_SCORE_DIFFERENCE,
                "{}: score off by {score_difference}",
                case.name
            );
            let wanted = Mask::try_from(expected.mask.clone().unwrap()).unwrap();
            let iou = instance
                .segmentation
                .as_ref()
                .unwrap()
                .iou(&wanted)
                .unwrap();
            assert!(iou >= MIN_MASK_IOU, "{}: mask IoU {iou}", case.name);
            compared += 1;
        }
        let certain = found
            .iter()
            .filter(|instance| is_certain(instance.score))
            .count();
        assert!(
            certain <= case.detections.len(),
            "{}: {certain} found",
            case.name
        );
    }
    assert!(pictures_without > 0, "no fixture without detections");
    assert!(compared >= 10, "only {compared} detections in the fixtures");
}
