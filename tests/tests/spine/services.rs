//! Four services in processes of their own on one Kafka: what a camera films is seen in the viewer.

use std::collections::{BTreeMap, BTreeSet};

use hyper::StatusCode;
use serde_json::Value;
use tests::spine::invariants::{every_durable_frame_ended, order_is_kept};
use tests::spine::live::{Heard, Live};
use tests::spine::pictures::{Picture, belt_photo};
use tests::spine::{On, Spine};

const CAMERAS: [&str; 2] = [
    "belt-1=belt://?seed=1&fps=4&size=320x240",
    "belt-2=belt://?seed=2&fps=4&size=320x240",
];

/// Frames of each source that are looked at.
const FRAMES: usize = 5;

/// Looks at pictures until there are enough of each source.
async fn watch(live: &mut Live) -> BTreeMap<String, Vec<Value>> {
    let mut seen: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    while seen.len() < CAMERAS.len() || seen.values().any(|frames| frames.len() < FRAMES) {
        let (header, jpeg) = live.next_frame().await;
        let picture = Picture::decode(&jpeg);
        let size = [picture.width, picture.height];
        assert_eq!(size, [320, 240]);
        assert_eq!(header["width"], size[0]);
        assert_eq!(header["height"], size[1]);
        assert_eq!(header["model"]["name"], "parts");
        let source = header["source"].as_str().unwrap().to_owned();
        seen.entry(source).or_default().push(header);
    }
    seen
}

#[tokio::test]
async fn four_services_show_what_the_cameras_film() {
    let spine = Spine::with_parts(On::ApacheKafka, "services").await;
    let gateway = spine.gateway().await;
    let viewer = spine.viewer().await;
    let detector = spine.detector(&[]).await;
    let cameras = spine.cameras(&CAMERAS).await;

    let mut live = Live::connect(viewer.web().await).await;
    let Heard::Note(hello) = live.next().await else {
        panic!("a picture before the greeting");
    };
    assert_eq!(hello["type"], "hello");
    let seen = watch(&mut live).await;
    let names: Vec<&str> = seen.keys().map(String::as_str).collect();
    assert_eq!(names, ["belt-1", "belt-2"]);
    for frames in seen.values() {
        let captured = frames
            .iter()
            .map(|frame| frame["captured_ms"].as_f64().unwrap());
        assert!(
            captured.is_sorted_by(|a, b| a < b),
            "newer ones only: {frames:?}"
        );
    }
    // A photo gets through meanwhile, and is none of the viewer's live pictures.
    let (jpeg, _) = belt_photo(7_300_011, 5);
    let photo = gateway.upload(&jpeg).await;
    gateway.done(photo.id()).await;
    let listed = viewer
        .web()
        .await
        .get("/api/sources")
        .await
        .expect(StatusCode::OK)
        .json();
    let listed: Vec<&str> = listed["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| source["id"].as_str().unwrap())
        .collect();
    assert_eq!(listed, ["belt-1", "belt-2"]);

    cameras.end().await;
    detector.end().await;
    viewer.end().await;
    gateway.service.end().await;
    spine.recorder.caught_up().await;
    assert_eq!(every_durable_frame_ended(&spine.recorder).results.len(), 1);
    order_is_kept(&spine.recorder);
    let results: BTreeSet<String> = spine
        .recorder
        .results()
        .iter()
        .map(|result| result.value.id.to_string())
        .collect();
    for frame in seen.values().flatten() {
        assert!(
            results.contains(frame["id"].as_str().unwrap()),
            "{frame} has no result"
        );
    }
}
