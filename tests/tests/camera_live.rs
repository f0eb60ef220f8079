//! Cameras on a real Kafka: frames go out as the contract says, and what the detector makes of them
//! comes back to the operator.
#![expect(clippy::unwrap_used, reason = "helpers of a test fail it by panicking")]

use std::time::Duration;

use bytes::Bytes;
use camera::CameraArgs;
use pipeline::detections::{BBox, Detections, Instance, ModelVersion, Rgb};
use pipeline::frame::{Carried, Frame};
use pipeline::kafka::{KafkaMetrics, Tail, TopicSpec};
use pipeline::record::{Record, decode_frame, encode_annotated, encode_result};
use pipeline::service::{
    Bus, Context, Shutdown, Tasks,
    http::{HttpLimits, bind, serve_http},
};
use pipeline::topic::Topics;
use serde_json::Value;
use tests::kafka::{TestTopic, config, sink, unique, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LIMITS: HttpLimits = HttpLimits {
    max_connections: 8,
    header_deadline: Duration::from_secs(5),
    write_stall: Duration::from_secs(5),
    grace: Duration::from_secs(1),
};

struct LiveCamera {
    _topics: Vec<TestTopic>,
    bus: Bus,
    live: Tail,
    context: Context,
    tasks: Tasks,
    address: std::net::SocketAddr,
}

async fn start(source: &str) -> LiveCamera {
    let topics = Topics::new(unique("camera")).unwrap();
    let hour = Duration::from_hours(1);
    let mut kept = Vec::new();
    for name in [topics.live(), topics.annotated(), topics.results()] {
        kept.push(TestTopic::on(&config(), TopicSpec::new(&name, 4, hour)).await);
    }
    let live = Tail::open(&config(), &[&topics.live()], 0).await.unwrap();
    let context = Context::new("camera", Shutdown::new(Duration::from_secs(20))).unwrap();
    let mut tasks = Tasks::new(&context.shutdown);
    let bus = Bus {
        kafka: config(),
        topics,
        sink: sink(&config()),
        metrics: KafkaMetrics::register(context.metrics.registry()).unwrap(),
    };
    let sources = vec![source.to_owned()];
    let cameras = CameraArgs { sources }.config().unwrap();
    let routes = camera::start(cameras, &bus, &context, &mut tasks)
        .await
        .unwrap();
    let listener = bind(([127, 0, 0, 1], 0).into(), "--listen").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = context.shutdown.token();
    tasks.spawn("web", async move {
        serve_http(listener, routes, LIMITS, stop).await;
        Ok::<(), std::convert::Infallible>(())
    });
    LiveCamera {
        _topics: kept,
        bus,
        live,
        context,
        tasks,
        address,
    }
}

impl LiveCamera {
    async fn next_frame(&self) -> Frame {
        let seen = within("a live frame", self.live.recv()).await;
        decode_frame(seen.record, &seen.place).unwrap()
    }

    async fn send(&self, topic: &str, record: &Record) {
        let sent = self.bus.sink.send(topic, None, record).unwrap();
        within("an acknowledgement", sent).await.unwrap();
    }

    /// Status line and headers, and the first bytes of the body.
    async fn get(&self, path: &str, wanted_bytes: usize) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: kadr\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while answer.len() < wanted_bytes {
            let read = within("an answer", stream.read_buf(&mut answer))
                .await
                .unwrap();
            if read == 0 {
                break;
            }
        }
        answer
    }

    async fn status(&self, id: &str) -> Value {
        let path = format!("/cameras/{id}/status");
        let answer = text(&self.get(&path, usize::MAX).await);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    /// Asks for the status until it is as wished.
    async fn status_where(&self, id: &str, wished: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let status = self.status(id).await;
                if wished(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        within("the wished status", asking).await
    }

    /// Asks until the answer begins with 200.
    async fn get_when_there(&self, path: &str) -> Vec<u8> {
        let asking = async {
            loop {
                let answer = self.get(path, usize::MAX).await;
                if answer.starts_with(b"HTTP/1.1 200") {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        within("a first frame", asking).await
    }

    async fn end(self) {
        self.context.shutdown.begin();
        self.tasks.drained().await.unwrap();
    }
}

/// A grey PNG.
const ONE_PIXEL: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU\x00\x00\x00\x0aIDATx\x9cch\x00\x00\x00\x82\x00\x81w\xcdr\xb6\x00\x00\x00\x00IEND\xaeB`\x82";

fn text(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).into_owned()
}

/// What a detector that sees two nuts makes of a frame.
fn result_of(frame: &Frame) -> Detections {
    let model = ModelVersion {
        name: "parts".to_owned(),
        version: 1,
    };
    let nut = Instance {
        label: "nut".to_owned(),
        category_id: 2,
        score: 0.9,
        bbox: BBox::from([10.0, 10.0, 20.0, 20.0]),
        area: 300,
        segmentation: None,
        color: None,
        class_color: Some(Rgb([255, 0, 0])),
    };
    let mut detections = Detections::for_frame(frame, 320, 240, model);
    detections.instances = vec![nut.clone(), nut];
    detections
}

#[tokio::test]
async fn frames_keep_the_contract_and_their_order() {
    let camera = start("line-3=belt://?seed=3&fps=5&size=320x240").await;
    let mut last_sequence = None;
    for _ in 0..5 {
        let frame = camera.next_frame().await;
        assert_eq!(frame.source.as_str(), "line-3");
        assert!(
            frame.sequence > last_sequence,
            "{:?} after {last_sequence:?}",
            frame.sequence
        );
        assert!(frame.is_live(), "a live frame has a deadline");
        assert!(
            frame.jpeg.starts_with(&[0xff, 0xd8, 0xff]),
            "the value is a plain JPEG"
        );
        last_sequence = frame.sequence;
    }
    camera.end().await;
}

#[tokio::test]
async fn the_operator_sees_what_kafka_gave_back() {
    let camera = start("line-4=belt://?seed=3&fps=5&size=320x240").await;
    let snapshot = camera
        .get_when_there("/cameras/line-4/snapshot.jpg?raw")
        .await;
    assert!(text(&snapshot).contains("content-type: image/jpeg"));
    assert!(snapshot.windows(3).any(|bytes| bytes == [0xff, 0xd8, 0xff]));

    // Two pictures one after the other on one connection are a moving picture.
    let mut wanted_bytes = 4096;
    let moving = loop {
        let answer = text(&camera.get("/cameras/line-4/live.mjpeg", wanted_bytes).await);
        if answer.matches("Content-Type: image/jpeg").count() >= 2 {
            break answer;
        }
        wanted_bytes *= 2;
    };
    assert!(moving.contains("multipart/x-mixed-replace"));

    let unknown = text(&camera.get("/cameras/line-9/status", usize::MAX).await);
    assert!(unknown.starts_with("HTTP/1.1 404"), "{unknown}");
    assert!(unknown.contains("there are: line-4"), "{unknown}");
    camera.end().await;
}

#[tokio::test]
async fn what_the_detector_drew_comes_back_with_its_latency() {
    let camera = start("line-5=belt://?seed=5&fps=5&size=320x240").await;
    let frame = camera.next_frame().await;
    let status = camera
        .status_where("line-5", |status| status["fps"]["published"] != 0.0)
        .await;
    assert_eq!(status["state"], "starting", "{status}");
    let missing = camera.get("/cameras/line-5/snapshot.jpg", usize::MAX).await;
    assert!(text(&missing).starts_with("HTTP/1.1 503"));

    let topics = camera.bus.topics.clone();
    // Another jpeg than any belt's: recognised when it comes back.
    let drawn = frame.with_jpeg(Bytes::from_static(b"\xff\xd8\xff drawn \xff\xd9"));
    let result = encode_result(&result_of(&frame), &Carried::default()).unwrap();
    camera.send(&topics.results(), &result).await;
    camera
        .send(&topics.annotated(), &encode_annotated(&drawn))
        .await;

    let snapshot = camera.get_when_there("/cameras/line-5/snapshot.jpg").await;
    assert!(snapshot.ends_with(&drawn.jpeg));
    assert!(
        text(&snapshot).contains(&format!("kadr-captured-at: {}", frame.captured_at)),
        "{}",
        text(&snapshot)
    );
    let moving = camera.get("/cameras/line-5/annotated.mjpeg", 300).await;
    assert!(text(&moving).contains(" drawn "), "it shows at once");

    let status = camera
        .status_where("line-5", |status| status["result"] != Value::Null)
        .await;
    assert!(
        status["latency_ms"]["p99"].as_f64().unwrap() > 0.0,
        "{status}"
    );
    assert_eq!(status["result"]["id"], frame.id.to_string());
    let count = &status["result"]["counts"][0];
    assert_eq!(
        (&count["label"], &count["count"]),
        (&"nut".into(), &2.into())
    );
    assert_eq!(count["color"], "#ff0000");

    // Nothing else comes back: the picture on the page is old, and the status says so.
    let status = camera
        .status_where("line-5", |status| status["state"] == "stale")
        .await;
    assert_eq!(status["stale_since"], status["last_annotated_at"]);
    camera.end().await;
}

#[tokio::test]
async fn a_camera_without_pictures_says_why_and_heals() {
    let root = tempfile::tempdir().unwrap();
    let photos = root.path().join("photos");
    let camera_of = |photos: &std::path::Path| format!("hall=dir://{}?fps=20", photos.display());
    std::fs::create_dir(&photos).unwrap();
    let camera = start(&camera_of(&photos)).await;
    let status = camera
        .status_where("hall", |status| status["state"] == "not_ready")
        .await;
    let reason = status["reason"].as_str().unwrap();
    assert!(
        reason.contains("put JPEG, PNG or WebP files there"),
        "{reason}"
    );
    let report = camera.context.health.report();
    let part = report.parts.iter().find(|part| part.part == "camera hall");
    assert!(
        part.unwrap().reason.as_deref() == Some(reason),
        "{report:?}"
    );

    std::fs::write(photos.join("1.png"), ONE_PIXEL).unwrap();
    let frame = camera.next_frame().await;
    assert!(frame.jpeg.starts_with(&[0xff, 0xd8, 0xff]), "now a JPEG");
    camera
        .status_where("hall", |status| status["state"] == "starting")
        .await;
    camera.end().await;
}
