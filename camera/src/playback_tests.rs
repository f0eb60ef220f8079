//! Records of our cameras and of others.

use jiff::{SignedDuration, Timestamp};
use pipeline::{
    detections::ModelVersion,
    frame::{Carried, FrameId},
    record::{Record, encode_annotated, encode_frame, encode_result},
    service::Metrics,
    topic::Place,
};

use super::*;
use crate::stats::FrameCounters;

const JPEG: &[u8] = &[0xff, 0xd8, 0xff, 0xd9];

fn playback() -> Playback {
    let counters = FrameCounters::register(&Metrics::new("camera").unwrap()).unwrap();
    let id = SourceId::new("line-3").unwrap();
    let stats = Arc::new(counters.for_camera(&id));
    let camera = Camera::new("belt://".parse().unwrap(), stats);
    Playback::new(BTreeMap::from([(id, camera)]), Topics::default())
}

fn frame(source: &str, age_ms: i64) -> Frame {
    let captured_at = Timestamp::now() - SignedDuration::from_millis(age_ms);
    let source = SourceId::new(source).unwrap();
    Frame::new(source, captured_at, Bytes::from_static(JPEG))
}

fn seen(topic: String, record: Record) -> Seen {
    let place = Place {
        topic: topic.into(),
        partition: 0,
        offset: 0,
        timestamp_ms: 0,
    };
    Seen { record, place }
}

fn shown(newest: &Watched<Frame>) -> Option<FrameId> {
    newest.borrow().as_ref().map(|frame| frame.id)
}

#[test]
fn each_topic_has_its_place() {
    let (playback, topics) = (playback(), Topics::default());
    let (_, camera) = playback.camera("line-3").unwrap();
    let frame = frame("line-3", 40);
    let live = seen(topics.live(), encode_frame(&frame));
    playback.take_in(live).unwrap();
    assert_eq!(shown(&camera.live()), Some(frame.id));
    assert_eq!(shown(&camera.annotated()), None);

    let annotated = seen(topics.annotated(), encode_annotated(&frame));
    playback.take_in(annotated).unwrap();
    assert_eq!(shown(&camera.annotated()), Some(frame.id));
    let status = serde_json::to_value(camera.stats.report()).unwrap();
    assert_eq!(status["state"], "live");
    assert!(
        status["latency_ms"]["p50"].as_f64().unwrap() >= 40.0,
        "{status}"
    );

    let model = ModelVersion {
        name: "parts".into(),
        version: 1,
    };
    let detections = Detections::for_frame(&frame, 64, 48, model);
    let result = encode_result(&detections, &Carried::default()).unwrap();
    playback.take_in(seen(topics.results(), result)).unwrap();
    assert_eq!(*camera.result().unwrap(), detections);
}

#[test]
fn what_comes_again_after_a_restart_replaces_nothing_newer() {
    let (playback, topics) = (playback(), Topics::default());
    let (newer, older) = (frame("line-3", 10), frame("line-3", 500));
    for frame in [&newer, &older] {
        let record = encode_annotated(frame);
        playback.take_in(seen(topics.annotated(), record)).unwrap();
    }
    let (_, camera) = playback.camera("line-3").unwrap();
    assert_eq!(shown(&camera.annotated()), Some(newer.id));
}

#[test]
fn records_of_others_are_not_even_decoded() {
    let (playback, topics) = (playback(), Topics::default());
    let broken = |key: &'static str| Record {
        key: Some(Bytes::from_static(key.as_bytes())),
        value: Bytes::from_static(b"no picture"),
        headers: Vec::new(),
    };
    let others = seen(topics.annotated(), broken("line-9"));
    playback.take_in(others).expect("not ours");
    let ours = seen(topics.annotated(), broken("line-3"));
    playback.take_in(ours).expect_err("ours, and broken");
}
