//! The detector between Kafka and Kafka, on the embedded broker with the models that are shipped:
//! what a frame becomes, what happens to one that cannot be looked at, and what is skipped.
#![expect(clippy::unwrap_used, reason = "helpers of a test fail it by panicking")]

use std::path::Path;
use std::time::Duration;

use belt::{Belt, BeltConfig};
use bytes::Bytes;
use detector::DetectorConfig;
use detector::annotate::Annotator;
use detector::image::{DEFAULT_MAX_PIXELS, JpegDecoder, RgbImage};
use detector::jpeg::JpegEncoder;
use detector::model::Prediction;
use detector::onnx::{LoadOptions, SessionOptions};
use jiff::Timestamp;
use pipeline::detections::Detections;
use pipeline::draw::Drawing;
use pipeline::frame::{Frame, SourceId};
use pipeline::kafka::{KafkaConfig, Seen, Tail, ensure_topics, frame_topics};
use pipeline::record::{
    DeadLetter, FailureKind, Record, decode_annotated, decode_dead_letter, decode_result,
    encode_frame,
};
use pipeline::service::{Bus, Context, Shutdown, Tasks};
use pipeline::topic::Topics;
use tests::kafka::{PATIENCE, unique, until, within};
use tests::process::BrokerProcess;

/// A detector, a broker of its own, and a look at all that it publishes.
struct Loop {
    bus: Bus,
    context: Context,
    tasks: Tasks,
    outputs: Tail,
    _broker: BrokerProcess,
}

async fn start(purpose: &str, default_model: &str) -> Loop {
    start_with(purpose, default_model, &[]).await
}

async fn start_with(purpose: &str, default_model: &str, properties: &[String]) -> Loop {
    let broker = BrokerProcess::start(purpose, &[]);
    let address = Some(broker.address());
    let kafka = KafkaConfig::from_settings(address, properties, &|_| None).unwrap();
    let topics = Topics::new(unique(purpose)).unwrap();
    ensure_topics(&kafka, &frame_topics(&topics), PATIENCE)
        .await
        .unwrap();
    let names = [topics.annotated(), topics.results(), topics.dead()];
    let outputs = Tail::open(&kafka, &names.each_ref().map(String::as_str), 0).await;
    let context = Context::new("test", Shutdown::new(PATIENCE)).unwrap();
    let bus = Bus::open(kafka, topics, &context).unwrap();
    let mut tasks = Tasks::new(&context.shutdown);
    let config = DetectorConfig {
        asked: <_>::default(),
        tuning: None,
        models: Path::new(env!("CARGO_MANIFEST_DIR")).join("../models"),
        default_model: default_model.parse().unwrap(),
        load: LoadOptions {
            session: SessionOptions {
                threads: 2,
                ..SessionOptions::default()
            },
            ..LoadOptions::default()
        },
        onnxruntime: None,
        max_loaded_models: 4,
        model_memory_budget: None,
        live_share: 0.5,
        annotated_quality: 95,
        max_pixels: DEFAULT_MAX_PIXELS,
        run_limit: None,
    };
    detector::start(config, &bus, &context, &mut tasks).unwrap();
    until("the detector is ready", || context.health.report().ready).await;
    Loop {
        bus,
        context,
        tasks,
        outputs: outputs.unwrap(),
        _broker: broker,
    }
}

impl Loop {
    async fn send(&self, topic: &str, record: &Record) {
        let delivery = self.bus.sink.send(topic, None, record).unwrap();
        within("an acknowledgement", delivery).await.unwrap();
    }

    async fn next(&self, topic: &str) -> Seen {
        let next = async {
            loop {
                let seen = self.outputs.recv().await;
                if *seen.place.topic == *topic {
                    return seen;
                }
            }
        };
        within(topic, next).await
    }

    async fn next_result(&self) -> Detections {
        let seen = self.next(&self.bus.topics.results()).await;
        validate(&seen.record.value);
        decode_result(seen.record).unwrap().0
    }

    async fn next_dead(&self) -> DeadLetter {
        decode_dead_letter(self.next(&self.bus.topics.dead()).await.record).unwrap()
    }

    fn dropped(&self, reason: &str) -> usize {
        let name = pipeline::service::metrics::FRAMES_DROPPED_TOTAL;
        self.context.metrics.sum(name, &[("reason", reason)]) as usize
    }

    async fn end(self) {
        self.context.shutdown.begin();
        within("a clean end", self.tasks.drained()).await.unwrap();
    }
}

fn validate(result: &Bytes) {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../pipeline/schema/result.v1.schema.json")).unwrap();
    let value = serde_json::from_slice(result).unwrap();
    jsonschema::validate(&schema, &value).unwrap();
}

fn belt_picture() -> RgbImage {
    let mut belt = Belt::new(BeltConfig::default()).unwrap();
    let image = belt.scene(30).image;
    RgbImage::new(image.width(), image.height(), image.into_raw()).unwrap()
}

fn jpeg(picture: &RgbImage) -> Bytes {
    JpegEncoder::new(95).unwrap().encode(picture).unwrap()
}

fn frame(source: &str, jpeg: &Bytes) -> Frame {
    let source = SourceId::new(source).unwrap();
    Frame::new(source, Timestamp::now(), jpeg.clone())
}

#[tokio::test]
async fn a_frame_comes_back_annotated_and_described() {
    let detector = start("detector", "parts").await;
    let before = jpeg(&belt_picture());
    let mut sent = frame("upload-1", &before);
    let mine = ("x-order".to_owned(), Bytes::from_static(b"17"));
    sent.carried.extra_headers.push(mine.clone());
    detector
        .send(&detector.bus.topics.frames(), &encode_frame(&sent))
        .await;

    let picture = detector.next(&detector.bus.topics.annotated()).await;
    let annotated = decode_annotated(picture.record, &picture.place).unwrap();
    assert_eq!((annotated.id, &annotated.source), (sent.id, &sent.source));
    assert!(annotated.carried.extra_headers.contains(&mine));
    assert_eq!(annotated.deadline_ms, None, "the durable lane has none");

    let result = detector.next_result().await;
    assert_eq!((result.id, &result.model.name[..]), (sent.id, "parts"));
    assert!(!result.instances.is_empty());
    let place = result.annotated.clone().unwrap();
    assert_eq!(
        (place.partition, place.offset),
        (picture.place.partition, picture.place.offset)
    );
    let timings = result.timings_ms;
    assert!(timings.infer > 0.0 && timings.decode > 0.0 && timings.total > timings.infer);

    assert_drawn_where_it_should(&before, &annotated.jpeg, &result);
    detector.end().await;
}

/// The annotated picture differs from the frame where something is drawn, and hardly elsewhere.
fn assert_drawn_where_it_should(before: &Bytes, after: &Bytes, result: &Detections) {
    let mut decoder = JpegDecoder::new(DEFAULT_MAX_PIXELS).unwrap();
    let (before, after) = (
        decoder.decode(before).unwrap(),
        decoder.decode(after).unwrap(),
    );
    let seen = Prediction::Instances(result.instances.clone());
    let drawn =
        Annotator::default().footprint([result.height, result.width], &seen, Drawing::default());
    let differences = before.pixels().chunks(3).zip(after.pixels().chunks(3));
    let (mut inside, mut outside) = ((0, 0), (0, 0));
    for ((before, after), is_drawn) in differences.zip(drawn.to_bitmap()) {
        let difference = before
            .iter()
            .zip(after)
            .map(|(a, b)| u32::from(a.abs_diff(*b)));
        let sums = if is_drawn == 1 {
            &mut inside
        } else {
            &mut outside
        };
        sums.0 += difference.sum::<u32>();
        sums.1 += 3;
    }
    let mean = |(sum, count): (u32, u32)| f64::from(sum) / f64::from(count);
    assert!(mean(inside) > 20.0, "{}", mean(inside));
    assert!(mean(outside) < 4.0, "{}", mean(outside));
}

#[tokio::test]
async fn a_frame_that_cannot_be_looked_at_is_buried_and_the_next_is_served() {
    let detector = start("dead", "part-kind").await;
    let frames = detector.bus.topics.frames();
    let good = jpeg(&belt_picture());
    let cut = good.slice(..good.len() / 2);
    let corrupt = encode_frame(&frame("job", &cut));
    let mut unknown = frame("job", &good);
    unknown.model = Some("part-sort".parse().unwrap());
    let unknown = encode_frame(&unknown);
    let foreign = Record {
        key: None,
        value: Bytes::from_static(b"hello"),
        headers: vec![("x-mine".to_owned(), Bytes::from_static(b"7"))],
    };
    for record in [&foreign, &corrupt, &unknown] {
        detector.send(&frames, record).await;
    }
    let fine = frame("job", &good);
    detector.send(&frames, &encode_frame(&fine)).await;

    let mut letters = Vec::new();
    for _ in 0..3 {
        letters.push(detector.next_dead().await);
    }
    let find = |kind| letters.iter().find(|letter| letter.kind == kind).unwrap();
    assert_eq!(find(FailureKind::BadRecord).original, foreign);
    let bad_image = find(FailureKind::BadImage);
    assert_eq!(bad_image.original, corrupt);
    assert_eq!((&bad_image.topic, bad_image.attempts), (&frames, 1));
    let no_model = find(FailureKind::UnknownModel);
    assert_eq!(no_model.original, unknown);
    let what_there_is = "there is part-kind and parts";
    assert!(no_model.error.contains(what_there_is), "{}", no_model.error);

    // Each frame its own model, the default one and another.
    let mut other = frame("job-2", &good);
    other.model = Some("parts@1".parse().unwrap());
    detector.send(&frames, &encode_frame(&other)).await;
    let outputs = Tail::open(&detector.bus.kafka, &[&detector.bus.topics.results()], 10).await;
    let outputs = outputs.unwrap();
    for _ in 0..2 {
        let seen = within("a result", outputs.recv()).await;
        let (result, _) = decode_result(seen.record).unwrap();
        if result.id == fine.id {
            assert_eq!(result.model.name, "part-kind");
            assert!(!result.classes.is_empty() && result.instances.is_empty());
        } else {
            assert_eq!((result.id, &result.model.name[..]), (other.id, "parts"));
        }
    }
    until("the losses are counted", || {
        detector.dropped("bad_record") == 2 && detector.dropped("undecodable") == 1
    })
    .await;
    detector.end().await;
}

#[tokio::test]
async fn a_stale_live_frame_is_skipped_and_a_fresh_one_bears_its_deadline() {
    let detector = start("live", "part-kind").await;
    let live = detector.bus.topics.live();
    let picture = jpeg(&belt_picture());
    let mut stale = frame("belt-1", &picture);
    stale.captured_at = "2026-01-01T00:00:00Z".parse().unwrap();
    stale.deadline_ms = Some(500);
    // The lane is read from its end, wherever that is when the partitions are handed out.
    let counted = async {
        while detector.dropped("stale") == 0 {
            detector.send(&live, &encode_frame(&stale)).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    within("the stale frame is counted", counted).await;

    let mut fresh = frame("belt-1", &picture);
    // A clock that is ahead, so that no pause makes the frame stale.
    fresh.captured_at = Timestamp::now() + 10 * PATIENCE;
    detector.send(&live, &encode_frame(&fresh)).await;
    let seen = detector.next(&detector.bus.topics.annotated()).await;
    let annotated = decode_annotated(seen.record, &seen.place).unwrap();
    assert_eq!(annotated.id, fresh.id, "the stale one was never shown");
    assert!(annotated.is_live());
    detector.end().await;
}

#[tokio::test]
async fn a_picture_that_is_too_big_for_kafka_goes_out_in_a_lower_quality() {
    let picture = belt_picture();
    let small = JpegEncoder::new(40).unwrap().encode(&picture).unwrap();
    // Between what comes in and what would go out.
    let mut decoder = JpegDecoder::new(DEFAULT_MAX_PIXELS).unwrap();
    let limit = usize::midpoint(small.len(), jpeg(&decoder.decode(&small).unwrap()).len());
    let property = format!("message.max.bytes={limit}");
    let detector = start_with("toobig", "part-kind", &[property]).await;
    let sent = frame("upload-1", &small);
    detector
        .send(&detector.bus.topics.frames(), &encode_frame(&sent))
        .await;
    let seen = detector.next(&detector.bus.topics.annotated()).await;
    let annotated = decode_annotated(seen.record, &seen.place).unwrap();
    assert_eq!(annotated.id, sent.id);
    assert!(annotated.jpeg.len() < limit);
    let refused = pipeline::kafka::metrics::SEND_ERRORS;
    let refused = detector
        .context
        .metrics
        .sum(refused, &[("kind", "too_big")]) as usize;
    assert_eq!(refused, 1, "the first picture was refused");
    assert_eq!(detector.next_result().await.id, sent.id);
    detector.end().await;
}
