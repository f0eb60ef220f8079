//! Answers for cameras that are there, and for those that are not.

use axum::body::to_bytes;
use bytes::Bytes;
use pipeline::{
    detections::{BBox, Instance},
    kafka::Seen,
    record::encode_annotated,
    service::Metrics,
    topic::{Place, Topics},
};

use super::*;
use crate::stats::FrameCounters;

fn web() -> Web {
    let counters = FrameCounters::register(&Metrics::new("camera").unwrap()).unwrap();
    let id = SourceId::new("line-3").unwrap();
    let camera = Camera::new(
        "belt://?seed=3".parse().unwrap(),
        Arc::new(counters.for_camera(&id)),
    );
    Web {
        playback: Arc::new(Playback::new(
            BTreeMap::from([(id, camera)]),
            Topics::default(),
        )),
        stop: CancellationToken::new(),
    }
}

fn frame() -> Frame {
    let jpeg = Bytes::from_static(&[0xff, 0xd8, 0xff, 0xd9]);
    Frame::new(SourceId::new("line-3").unwrap(), Timestamp::now(), jpeg)
}

async fn body(response: Response) -> Bytes {
    to_bytes(response.into_body(), 1 << 20).await.unwrap()
}

async fn snapshot_of(web: &Web, id: &str, raw: bool) -> Result<Response, Problem> {
    let raw = raw.then(String::new);
    let query = Query(SnapshotQuery { raw });
    show_snapshot(State(web.clone()), Path(id.to_owned()), query).await
}

#[tokio::test]
async fn an_unknown_camera_is_told_the_known_ones() {
    let problem = snapshot_of(&web(), "line-9", false).await.unwrap_err();
    assert_eq!(problem.status(), StatusCode::NOT_FOUND);
    let text = body(problem.into_response()).await;
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("there are: line-3"), "{text}");
}

#[tokio::test]
async fn a_camera_without_a_frame_asks_to_come_back() {
    for raw in [true, false] {
        let problem = snapshot_of(&web(), "line-3", raw).await.unwrap_err();
        assert_eq!(problem.code(), "no_frame_yet");
        let response = problem.into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
}

#[tokio::test]
async fn a_snapshot_says_when_it_was_taken() {
    let (web, frame) = (web(), frame());
    let place = Place {
        topic: Topics::default().annotated().into(),
        partition: 0,
        offset: 0,
        timestamp_ms: 0,
    };
    let record = encode_annotated(&frame);
    web.playback.take_in(Seen { record, place }).unwrap();
    let response = snapshot_of(&web, "line-3", false).await.unwrap();
    let captured_at = frame.captured_at.to_string();
    assert_eq!(response.headers()[CAPTURED_AT], captured_at.as_str());
    assert_eq!(body(response).await, frame.jpeg);
}

#[tokio::test]
async fn a_status_names_the_source_and_how_it_stands() {
    let status = show_status(State(web()), Path("line-3".to_owned())).await;
    let json: Value = serde_json::from_slice(&body(status.unwrap()).await).unwrap();
    assert_eq!(json["id"], "line-3");
    assert_eq!(json["address"], "belt with seed 3, 640x480");
    assert_eq!(json["state"], "starting");
    assert_eq!(json["fps"]["annotated"], 0.0);
    assert_eq!(json["result"], Value::Null);
}

#[test]
fn a_result_is_counted_by_label() {
    let model = ModelVersion {
        name: "parts".into(),
        version: 1,
    };
    let mut detections = Detections::for_frame(&frame(), 64, 48, model);
    for label in ["nut", "gear", "nut"] {
        detections.instances.push(Instance {
            label: label.to_owned(),
            category_id: 1,
            score: 0.9,
            bbox: BBox {
                x: 1.0,
                y: 1.0,
                w: 4.0,
                h: 4.0,
            },
            area: 16,
            segmentation: None,
            color: None,
            class_color: Some(Rgb([1, 2, 3])),
        });
    }
    let json = serde_json::to_value(ResultSummary::of(&detections)).unwrap();
    let expected = json!([
        { "label": "gear", "count": 1, "color": "#010203" },
        { "label": "nut", "count": 2, "color": "#010203" },
    ]);
    assert_eq!(json["counts"], expected);
}
