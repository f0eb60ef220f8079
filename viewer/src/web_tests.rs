//! The routes as a client sees them: status, headers and bodies over a real port.

use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    live::session::Patience,
    testing::{SEATS, TestViewer, fresh_frame, result_of, within},
};

const ODD: &str = "hall_2:cam.3@plant";
const ODD_IN_URLS: &str = "hall_2%3Acam.3%40plant";

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json");
        assert_eq!(self.headers["cache-control"], "no-store");
        serde_json::from_slice(&self.body).unwrap()
    }

    fn error_code(&self) -> String {
        let error = self.json()["error"].take();
        assert!(!error["message"].as_str().unwrap().is_empty());
        assert!(!error["hint"].as_str().unwrap().is_empty());
        error["code"].as_str().unwrap().to_owned()
    }
}

async fn send(viewer: &TestViewer, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(viewer.address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: kadr\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn get(viewer: &TestViewer, path: &str) -> Answer {
    let mut stream = send(viewer, path).await;
    let mut bytes = Vec::new();
    within(stream.read_to_end(&mut bytes)).await.unwrap();
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap()[9..12].parse().unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        let name: axum::http::HeaderName = name.parse().unwrap();
        (name, value.parse().unwrap())
    });
    let answer = Answer {
        status,
        headers: headers.collect(),
        body: bytes.split_off(end + 4),
    };
    assert_eq!(
        answer.headers["x-content-type-options"], "nosniff",
        "{path}"
    );
    answer
}

fn show(viewer: &TestViewer, source: &str, sequence: u64) -> pipeline::frame::Frame {
    let frame = fresh_frame(source, sequence);
    viewer.hub().picture(frame.clone());
    viewer.hub().result(result_of(&frame));
    frame
}

#[tokio::test]
async fn a_source_is_described_by_its_own_address() {
    let viewer = TestViewer::start().await;
    show(&viewer, ODD, 1);
    let newest = show(&viewer, ODD, 2);
    let list = get(&viewer, "/api/sources").await.json();
    assert!(list["server_ms"].is_f64());
    assert_eq!(list["sources"][0]["id"], ODD);
    let path = format!("/api/sources/{ODD_IN_URLS}");
    let summary = get(&viewer, &path).await.json();
    assert_eq!(
        (&summary["id"], &summary["frames"]),
        (&ODD.into(), &2.into())
    );
    assert_eq!(
        (&summary["width"], &summary["height"]),
        (&64.into(), &48.into())
    );

    let history = get(&viewer, &format!("{path}/history?minutes=1"))
        .await
        .json();
    assert_eq!(
        (&history["source"], &history["bucket_ms"]),
        (&ODD.into(), &1000.into())
    );
    assert_eq!(history["labels"][0]["label"], "gear");
    assert_eq!(history["labels"][0]["color"], "#010203");
    let points = history["points"].as_array().unwrap();
    let frames: u64 = points
        .iter()
        .map(|point| point["frames"].as_u64().unwrap())
        .sum();
    assert_eq!(frames, 2);
    assert_eq!(points[0]["counts"]["gear"], 1.0);

    let results = get(&viewer, &format!("{path}/results?limit=1"))
        .await
        .json();
    let results = results["results"].as_array().unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!(results[0]["id"], newest.id.to_string());
    assert!(results[0]["instances"][0].get("segmentation").is_none());
}

#[tokio::test]
async fn a_snapshot_is_the_newest_picture_with_its_age() {
    let viewer = TestViewer::start().await;
    show(&viewer, "belt-1", 1);
    let newest = show(&viewer, "belt-1", 2);
    let snapshot = get(&viewer, "/api/sources/belt-1/snapshot.jpg").await;
    assert_eq!(snapshot.status, StatusCode::OK);
    assert_eq!(snapshot.body, newest.jpeg);
    assert_eq!(snapshot.headers["content-type"], "image/jpeg");
    assert_eq!(snapshot.headers["cache-control"], "no-store");
    assert_eq!(
        snapshot.headers["x-kadr-frame-id"],
        newest.id.to_string().as_str()
    );
    let captured_at = snapshot.headers["x-kadr-captured-at"].to_str().unwrap();
    assert_eq!(
        captured_at.parse::<jiff::Timestamp>().unwrap(),
        newest.captured_at
    );
    let age_ms = snapshot.headers["x-kadr-age-ms"].to_str().unwrap();
    assert!(age_ms.parse::<u64>().is_ok(), "{age_ms}");
}

#[tokio::test]
async fn a_moving_picture_goes_on_until_the_viewer_ends() {
    let viewer = TestViewer::start().await;
    show(&viewer, "belt-1", 1);
    let mut stream = send(&viewer, "/api/sources/belt-1/annotated.mjpeg").await;
    let mut seen = Vec::new();
    for number in 1..=3 {
        let wanted = format!("belt-1 number {number}");
        while !seen
            .windows(wanted.len())
            .any(|part| part == wanted.as_bytes())
        {
            assert_ne!(
                within(stream.read_buf(&mut seen)).await.unwrap(),
                0,
                "ended early"
            );
        }
        show(&viewer, "belt-1", number + 1);
    }
    assert!(String::from_utf8_lossy(&seen).contains("multipart/x-mixed-replace"));
    assert_eq!(viewer.free_seats(), SEATS - 1);
    viewer.stop();
    within(stream.read_to_end(&mut seen)).await.unwrap();
    viewer.until(|| viewer.free_seats() == SEATS).await;
}

#[tokio::test]
async fn a_moving_picture_needs_a_seat() {
    let viewer = TestViewer::with(0, Patience::DEFAULT).await;
    show(&viewer, "belt-1", 1);
    let refused = get(&viewer, "/api/sources/belt-1/annotated.mjpeg").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.error_code(), "too_many_watchers");
    assert!(refused.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn an_unknown_source_is_told_which_there_are() {
    let viewer = TestViewer::start().await;
    show(&viewer, "belt-1", 1);
    for path in [
        "",
        "/history",
        "/results",
        "/snapshot.jpg",
        "/annotated.mjpeg",
    ] {
        let path = format!("/api/sources/%3Cb%3E{path}");
        let unknown = get(&viewer, &path).await;
        assert_eq!(unknown.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(unknown.error_code(), "unknown_source");
        let hint = unknown.json()["error"]["hint"].to_string();
        assert!(hint.contains("there are: belt-1"), "{hint}");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_answered_with_what_can() {
    let viewer = TestViewer::start().await;
    show(&viewer, "a", 1);
    for (path, code) in [
        ("/api/sources/a/history?minutes=ten", "bad_query"),
        ("/api/sources/a/results?limit=-1", "bad_query"),
        ("/api/live", "not_a_websocket"),
        ("/api/live?source=..", "bad_source"),
    ] {
        let answer = get(&viewer, path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(answer.error_code(), code, "{path}");
    }
    let unknown = get(&viewer, "/api/souces").await;
    assert_eq!(
        (unknown.status, unknown.error_code()),
        (StatusCode::NOT_FOUND, "not_found".into())
    );
    // Outside the bounds is not wrong: as much as there is.
    let all = get(&viewer, "/api/sources/a/history?minutes=99999").await;
    assert_eq!(all.status, StatusCode::OK);
}

#[tokio::test]
async fn pages_are_served_at_their_addresses() {
    let viewer = TestViewer::start().await;
    let wall = get(&viewer, "/").await;
    let upload = get(&viewer, "/upload").await;
    let source = get(&viewer, &format!("/sources/{ODD_IN_URLS}")).await;
    for page in [&wall, &upload, &source] {
        assert_eq!(page.status, StatusCode::OK);
        assert_eq!(page.headers["cache-control"], "no-cache");
        assert!(page.headers.contains_key("content-security-policy"));
    }
    assert!(wall.body != upload.body && wall.body != source.body);
    let result = get(&viewer, "/frames/01890a5d-ac96-774b-bcce-b302099a8057").await;
    assert_eq!(result.body, upload.body);
    let icon = get(&viewer, "/favicon.ico").await;
    assert_eq!(icon.headers["content-type"], "image/svg+xml; charset=utf-8");
    assert_eq!(get(&viewer, "/assets/icon.svg").await.body, icon.body);
    for path in ["/nowhere", "/assets/nothing.js", "/assets/..%2Fwall.html"] {
        let missing = get(&viewer, path).await;
        assert_eq!(missing.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(missing.headers["content-type"], "text/html; charset=utf-8");
    }
}
