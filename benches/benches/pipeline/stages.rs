//! Where the CPU time of a frame goes: the detector's own stages, in this process, one after another.
//! What a frame costs in the service beyond their sum is Kafka and the way from stage to stage.

use std::time::Duration;

use benches::measure::cpu::Stopwatch;
use detector::{
    annotate::Annotator,
    image::{DEFAULT_MAX_PIXELS, JpegDecoder},
    jpeg::{DEFAULT_QUALITY, JpegEncoder},
    model::{Model as _, Prediction},
    onnx::OnnxModel,
};
use jiff::Timestamp;
use pipeline::{
    detections::{Detections, ModelVersion},
    draw::Drawing,
    frame::{Frame, SourceId},
    record::encode_result,
};

use crate::pictures::Picture;

/// CPU milliseconds a frame and stage, by name.
pub(crate) fn measure(
    picture: &Picture,
    model: &mut OnnxModel,
    count: usize,
) -> Vec<(&'static str, f64)> {
    let mut decoder = JpegDecoder::new(DEFAULT_MAX_PIXELS).expect("a decoder");
    let mut annotator = Annotator::default();
    let mut encoder = JpegEncoder::new(DEFAULT_QUALITY).expect("an encoder");
    let source = SourceId::new("camera-1").expect("a name");
    let frame = Frame::new(source, Timestamp::now(), picture.jpeg.clone().into());
    let mut used = Used::default();
    for _ in 0..count {
        let mut image = used.of("decode_cpu_ms", || decoder.decode(&picture.jpeg));
        let image = image.as_mut().expect("a good picture");
        let mut predictions = used.of("predict_cpu_ms", || model.predict(&[image]));
        let predictions = predictions.as_mut().expect("a prediction");
        let prediction = predictions.pop().expect("one a picture");
        used.of("annotate_cpu_ms", || {
            annotator.draw(image, &prediction, Drawing::default());
        });
        let annotated = used.of("encode_cpu_ms", || encoder.encode(image));
        annotated.expect("a picture that fits");
        let Prediction::Instances(instances) = prediction else {
            panic!("not instances");
        };
        let result = Detections {
            instances,
            ..Detections::for_frame(&frame, picture.width, picture.height, version(model))
        };
        let record = used.of("json_cpu_ms", || encode_result(&result, &frame.carried));
        record.expect("a valid result");
    }
    used.each_ms(count)
}

fn version(model: &OnnxModel) -> ModelVersion {
    ModelVersion {
        name: model.manifest().name.clone(),
        version: model.version(),
    }
}

/// CPU time by stage.
#[derive(Default)]
struct Used(Vec<(&'static str, Duration)>);

impl Used {
    fn of<T>(&mut self, stage: &'static str, work: impl FnOnce() -> T) -> T {
        let stopwatch = Stopwatch::of_process();
        let done = work();
        let spent = stopwatch.elapsed();
        match self.0.iter_mut().find(|(known, _)| *known == stage) {
            Some((_, so_far)) => *so_far += spent,
            None => self.0.push((stage, spent)),
        }
        done
    }

    fn each_ms(self, count: usize) -> Vec<(&'static str, f64)> {
        let stages = self.0.into_iter();
        stages
            .map(|(stage, spent)| (stage, spent.as_secs_f64() * 1e3 / count as f64))
            .collect()
    }
}
