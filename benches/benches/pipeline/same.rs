//! P0: what is timed gives the same answers as what it is compared with.

use detector::{
    image::{DEFAULT_MAX_PIXELS, JpegDecoder, RgbImage},
    model::{
        Model as _, Prediction,
        repository::{Precision, Repository},
    },
    onnx::{LoadOptions, OnnxModel, Runtime, SessionOptions},
};
use pipeline::detections::Instance;
use serde_json::Value;

use crate::services::Surroundings;

/// Two masks of the same thing share at least this much.
const LEAST_OVERLAP: f64 = 0.99;

/// The same model in this process, with one thread a core as in the service.
pub(crate) fn bare_model(surroundings: &Surroundings) -> OnnxModel {
    let reference = surroundings.model.parse().expect("a model's name");
    let repository = Repository::new(&surroundings.models);
    let resolved = repository.resolve(&reference).expect("a model");
    let runtime = Runtime::load(None).expect("run script/setup: ONNX Runtime");
    let options = LoadOptions {
        precision: Some(Precision::Fp32),
        session: SessionOptions::default(),
    };
    OnnxModel::load(&runtime, &resolved, &options).expect("a model that loads")
}

/// What the model says in this process.
pub(crate) fn predict(model: &mut OnnxModel, picture: &RgbImage) -> Vec<Instance> {
    let mut predictions = model.predict(&[picture]).expect("a prediction");
    match predictions.pop() {
        Some(Prediction::Instances(instances)) => instances,
        other => panic!("not instances: {other:?}"),
    }
}

/// The things in the gateway's answer.
pub(crate) fn instances_of(answer: &[u8]) -> Vec<Instance> {
    let mut answer: Value = serde_json::from_slice(answer).expect("JSON");
    let instances = answer["result"]["instances"].take();
    serde_json::from_value(instances).expect("instances")
}

/// Fails unless both found the same things.
pub(crate) fn assert_same(from_service: &[Instance], bare: &[Instance]) {
    assert_eq!(from_service.len(), bare.len(), "as many things");
    assert!(!bare.is_empty(), "a picture of nothing proves nothing");
    for (one, other) in from_service.iter().zip(bare) {
        assert_eq!(one.label, other.label);
        let (Some(mask), Some(other)) = (&one.segmentation, &other.segmentation) else {
            panic!("a {} without a mask", one.label);
        };
        let overlap = mask.iou(other).expect("masks of one frame");
        assert!(overlap >= LEAST_OVERLAP, "{}: {overlap}", one.label);
    }
}

/// Its pixels.
pub(crate) fn decoded(jpeg: &[u8]) -> RgbImage {
    let mut decoder = JpegDecoder::new(DEFAULT_MAX_PIXELS).expect("a decoder");
    decoder.decode(jpeg).expect("a JPEG")
}

/// Fails unless it is a picture of the same size on which something was drawn.
pub(crate) fn assert_annotated(jpeg: &[u8], original: &RgbImage) {
    let annotated = decoded(jpeg);
    let size = (annotated.width(), annotated.height());
    assert_eq!(size, (original.width(), original.height()));
    let pairs = annotated.pixels().iter().zip(original.pixels());
    let drawn = pairs.filter(|(one, other)| one.abs_diff(**other) > 64);
    assert!(drawn.count() > 100, "nothing was drawn");
}
