//! What the tests with a real ONNX Runtime share.

use std::path::{Path, PathBuf};

use detector::image::RgbImage;
use detector::model::repository::{Precision, Repository, ResolvedModel};
use detector::model::{Model as _, Prediction};
use detector::onnx::{LoadOptions, OnnxModel, Runtime, SessionOptions};
use pipeline::detections::{Classification, Instance};
use pipeline::mask::Segmentation;
use serde::Deserialize;

/// How far a score may be from the framework's.
pub(crate) const MAX_SCORE_DIFFERENCE: f32 = 5e-3;

/// How much of a mask and of the framework's must be the same.
pub(crate) const MIN_MASK_IOU: f64 = 0.99;

/// An instance that the framework finds.
#[derive(Deserialize)]
pub(crate) struct Expected {
    pub(crate) class: usize,
    pub(crate) score: f32,
    #[serde(rename = "box")]
    corners: [f32; 4],
    #[serde(alias = "mask_rle")]
    pub(crate) mask: Option<Segmentation>,
}

/// The runtime that script/setup installs; a test without one fails and says so.
pub(crate) fn runtime() -> Runtime {
    Runtime::load(None).unwrap_or_else(|error| panic!("{error}"))
}

/// The tiny graphs made by `fixtures/make_graphs.py`.
pub(crate) fn graphs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/graphs")
}

pub(crate) fn resolve(root: impl Into<PathBuf>, reference: &str) -> ResolvedModel {
    Repository::new(root)
        .resolve(&reference.parse().unwrap())
        .unwrap()
}

/// Two threads, whatever machine this is: more would disturb other tests.
pub(crate) fn options(precision: Precision) -> LoadOptions {
    LoadOptions {
        precision: Some(precision),
        session: SessionOptions {
            threads: 2,
            ..SessionOptions::default()
        },
    }
}

pub(crate) fn load(root: impl Into<PathBuf>, reference: &str) -> OnnxModel {
    OnnxModel::load(
        &runtime(),
        &resolve(root, reference),
        &options(Precision::Fp32),
    )
    .unwrap()
}

pub(crate) fn plain_image(width: u32, height: u32, rgb: [u8; 3]) -> RgbImage {
    RgbImage::new(width, height, rgb.repeat(width as usize * height as usize)).unwrap()
}

pub(crate) fn instances(model: &mut OnnxModel, image: &RgbImage) -> Vec<Instance> {
    match model.predict(&[image]).unwrap().pop() {
        Some(Prediction::Instances(instances)) => instances,
        other => panic!("expected instances, got {other:?}"),
    }
}

pub(crate) fn classes(model: &mut OnnxModel, images: &[&RgbImage]) -> Vec<Vec<Classification>> {
    let predictions = model.predict(images).unwrap();
    let classes = predictions.into_iter().map(|prediction| match prediction {
        Prediction::Classes(classes) => classes,
        other @ Prediction::Instances(_) => panic!("expected classes, got {other:?}"),
    });
    classes.collect()
}

pub(crate) fn corners(instance: &Instance) -> [f32; 4] {
    let [x, y, width, height] = <[f32; 4]>::from(instance.bbox);
    [x, y, x + width, y + height]
}

/// The largest distance between edges, in frame pixels.
pub(crate) fn box_difference(instance: &Instance, expected: &Expected) -> f32 {
    corners(instance)
        .into_iter()
        .zip(expected.corners)
        .map(|(edge, wanted)| (edge - wanted).abs())
        .fold(0.0, f32::max)
}
