//! P16: what an upload waits for, beside its own decoding, predicting and encoding, when nothing else
//! is going on; in units of one bare hop of the same picture through the same broker. The uploader asks
//! for the result as JSON, or for the annotated picture, which the gateway then fetches from Kafka.

use std::time::Instant;

use benches::measure::{Finding, Turn, goals::goal, rounds::take_turns, spread::percentile};
use pipeline::topic::Topics;
use serde_json::Value;

use crate::{
    Stand,
    bus::{Reader, Sender, hop_topic},
    codec,
    pictures::Picture,
    same::{assert_same, bare_model, instances_of, predict},
    services::Service,
    uploads::{Answer, Client},
};

pub(crate) fn measure(stand: &Stand) -> Vec<Finding> {
    let surroundings = stand.surroundings("latency", "ten");
    let _detector = Service::detector(&surroundings);
    let gateway = Service::gateway(&surroundings);
    let client = Client::of(gateway.web);
    let mut model = bare_model(&surroundings);
    let topics = Topics::new(&surroundings.topic_prefix).expect("a prefix");
    let hop = hop_topic(&topics);
    let sender = Sender::open(&surroundings.brokers);
    let reader = Reader::open(&surroundings.brokers, &hop);
    let count = stand.pick(40, 2);

    let sizes = stand.pick(vec![(640, 480), (1920, 1080)], vec![(320, 240)]);
    let pictures: Vec<Picture> = sizes
        .into_iter()
        .map(|(w, h)| Picture::of_belt(w, h))
        .collect();
    let wishes = [(Answer::Json, "JSON"), (Answer::Picture, "JPEG")];
    let variants = pictures
        .iter()
        .flat_map(|picture| wishes.map(|(answer, name)| (picture, answer, name)));
    let findings = variants.map(|(picture, answer, name)| {
        let original = picture.decoded();
        let result = client.upload(&picture.jpeg, Answer::Json);
        assert_same(&instances_of(&result), &predict(&mut model, &original));
        let beyond = || {
            let mut answers = Vec::new();
            let end_to_end = median_ms(count, || {
                answers.push(client.upload(&picture.jpeg, answer));
            });
            let in_model = median_ms(count, || {
                predict(&mut model, &original);
            });
            let in_codec = codec::median_ms(picture, count);
            let mut turn = Turn::of(end_to_end - in_model - in_codec);
            if answer == Answer::Json {
                turn.detail.extend(in_detector(&answers));
            }
            turn.with("end_to_end_ms", end_to_end)
                .with("predict_ms", in_model)
                .with("codec_ms", in_codec)
                .with("picture_kb", picture.kilobytes())
        };
        let bare_hop = || {
            let hop_ms = median_ms(count, || {
                sender.send(&hop, &picture.jpeg, 1);
                reader.take(1, |_record| {});
            });
            Turn::of(hop_ms).with("hop_ms", hop_ms)
        };
        Finding {
            goal: goal("P16").expect("a goal"),
            variant: Some(format!("{} {name}", picture.size())),
            comparison: take_turns(stand.plan, &stand.ours, beyond, bare_hop),
        }
    });
    findings.collect()
}

/// Where the detector says that the time went, medians in milliseconds.
fn in_detector(answers: &[Vec<u8>]) -> Vec<(&'static str, f64)> {
    let answers = answers.iter().map(|json| serde_json::from_slice(json));
    let answers: Vec<Value> = answers.collect::<Result<_, _>>().expect("JSON");
    let stages = [
        ("detector_queue_ms", "queue"),
        ("detector_batch_wait_ms", "batch_wait"),
        ("detector_annotate_ms", "annotate"),
        ("detector_total_ms", "total"),
    ];
    let median = |stage: &str| {
        let timings = answers.iter().map(|answer| &answer["result"]["timings_ms"]);
        let values: Vec<f64> = timings.filter_map(|all| all[stage].as_f64()).collect();
        percentile(&values, 0.5)
    };
    stages.map(|(name, stage)| (name, median(stage))).to_vec()
}

fn median_ms(count: usize, mut work: impl FnMut()) -> f64 {
    let times: Vec<f64> = (0..count)
        .map(|_| {
            let begin = Instant::now();
            work();
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    percentile(&times, 0.5)
}
