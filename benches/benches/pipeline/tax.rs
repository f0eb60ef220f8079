//! P6 and P7: what a frame costs the detector besides the network: from Kafka, decoded, drawn,
//! encoded, to Kafka and committed; against libjpeg-turbo on the same picture.

use std::time::Instant;

use benches::measure::{Finding, Turn, goals::goal, rounds::take_turns};
use pipeline::{detections::Detections, topic::Topics};
use rdkafka::Message as _;

use crate::{
    Stand,
    bus::{Reader, Sender},
    codec,
    pictures::Picture,
    same::{assert_annotated, assert_same, bare_model, predict},
    services::{Service, Surroundings},
    stages,
};

/// A detector and its topics.
pub(crate) struct Bench<'a> {
    pub(crate) detector: Service,
    sender: Sender,
    results: Reader,
    topics: Topics,
    pub(crate) surroundings: &'a Surroundings,
}

/// `model` finds always the same things, at once.
pub(crate) fn measure(stand: &Stand, id: &str, model: &'static str) -> Vec<Finding> {
    let surroundings = stand.surroundings(&format!("tax-{model}"), model);
    let bench = Bench::set_up(&surroundings);
    let (width, height) = stand.pick((1920, 1080), (320, 240));
    let picture = Picture::of_belt(width, height);
    let things = bench.check(&picture);
    let count = stand.pick(120, 2);
    let pay_tax = || bench.turn(&picture, (count, things));
    let mut comparison = take_turns(stand.plan, &stand.ours, pay_tax, || {
        codec::turn(&picture, count)
    });
    let mut model = bare_model(&surroundings);
    for (stage, each_ms) in stages::measure(&picture, &mut model, count) {
        comparison.detail.insert(stage.to_owned(), each_ms);
    }
    vec![Finding {
        goal: goal(id).expect("a goal"),
        variant: None,
        comparison,
    }]
}

impl<'a> Bench<'a> {
    /// Returns when the model is loaded.
    pub(crate) fn set_up(surroundings: &'a Surroundings) -> Self {
        let bootstrap = &surroundings.brokers;
        let topics = Topics::new(&surroundings.topic_prefix).expect("a prefix");
        Self {
            detector: Service::detector(surroundings),
            sender: Sender::open(bootstrap),
            results: Reader::open(bootstrap, &topics.results()),
            topics,
            surroundings,
        }
    }

    /// The service sees what the bare model sees. Returns how many things that are.
    pub(crate) fn check(&self, picture: &Picture) -> usize {
        let annotated = Reader::open(&self.surroundings.brokers, &self.topics.annotated());
        self.sender.send(&self.topics.frames(), &picture.jpeg, 1);
        let result: Detections = serde_json::from_slice(&self.results.one()).expect("a result");
        let original = picture.decoded();
        let bare = predict(&mut bare_model(self.surroundings), &original);
        assert_same(&result.instances, &bare);
        assert_annotated(&annotated.one(), &original);
        bare.len()
    }

    /// CPU milliseconds of the detector for each of `count` frames.
    pub(crate) fn turn(&self, picture: &Picture, (count, things): (usize, usize)) -> Turn {
        let begin = Instant::now();
        let before = self.detector.cpu();
        self.sender
            .send(&self.topics.frames(), &picture.jpeg, count);
        let mut last = Vec::new();
        self.results.take(count, |record| {
            last = record.payload().unwrap_or_default().to_vec();
        });
        let each_ms = self.detector.cpu_ms_each(before, count);
        let wall = begin.elapsed().as_secs_f64();
        let result: Detections = serde_json::from_slice(&last).expect("a result");
        assert_eq!(result.instances.len(), things);
        Turn::of(each_ms)
            .with("frame_cpu_ms", each_ms)
            .with("frames_per_s", count as f64 / wall)
            .with("detector_mib", self.detector.memory_mib())
            .with("picture_kb", picture.kilobytes())
            .with("result_kb", last.len() as f64 / 1e3)
    }
}
