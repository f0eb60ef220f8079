//! The gateway on an embedded broker, with the test in the detector's place.
#![expect(clippy::unwrap_used, reason = "helpers of a test fail it by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use broker::{Broker, BrokerConfig};
use bytes::Bytes;
use gateway::{GatewayArgs, GatewayConfig};
use pipeline::detections::{AnnotatedPlace, Detections, ModelVersion};
use pipeline::frame::{Carried, Frame, FrameId};
use pipeline::kafka::{KafkaConfig, Tail, ensure_topics, frame_topics};
use pipeline::record::{
    DeadLetter, FailureKind, Record, decode_frame, encode_annotated, encode_dead_letter,
    encode_result,
};
use pipeline::service::alone::WEB_LIMITS;
use pipeline::service::http::{bind, serve_http};
use pipeline::service::{Bus, Context, Shutdown, Tasks};
use pipeline::topic::Topics;
use serde_json::Value;
use tests::kafka::{acknowledged, until, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A broker of the test's own.
struct Kafka {
    _data: tempfile::TempDir,
    broker: Broker,
    config: KafkaConfig,
    topics: Topics,
}

impl Kafka {
    async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let settings = BrokerConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            ..BrokerConfig::new(data.path())
        };
        let broker = Broker::start(settings).await.unwrap();
        let config = KafkaConfig::new(&broker.addr().to_string()).unwrap();
        let topics = Topics::default();
        let specs = frame_topics(&topics);
        ensure_topics(&config, &specs, Duration::from_secs(20))
            .await
            .unwrap();
        Self {
            _data: data,
            broker,
            config,
            topics,
        }
    }
}

/// A gateway, and the test's own ends of the topics.
struct App {
    address: SocketAddr,
    bus: Bus,
    frames: Tail,
    context: Context,
    tasks: Tasks,
}

impl App {
    async fn start(kafka: &Kafka) -> Self {
        let context = Context::new("gateway-test", Shutdown::new(Duration::from_secs(20))).unwrap();
        let bus = Bus::open(kafka.config.clone(), kafka.topics.clone(), &context).unwrap();
        let frames = Tail::open(&kafka.config, &[&kafka.topics.frames()], 0)
            .await
            .unwrap();
        let mut tasks = Tasks::new(&context.shutdown);
        let config = GatewayConfig {
            uploads: GatewayArgs {
                max_upload_size: 4 << 20,
                max_pixels: 1_000_000,
                max_in_flight: 64 << 20,
                max_waiting: 8,
                publish_timeout: Duration::from_secs(2),
            },
            models: tests::kafka::root().join("models"),
            default_model: "parts".parse().unwrap(),
        };
        let router = gateway::start(config, &bus, &context, &mut tasks)
            .await
            .unwrap();
        let listener = bind(([127, 0, 0, 1], 0).into(), "--listen").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = context.shutdown.token();
        tasks.spawn("web", async move {
            serve_http(listener, router, WEB_LIMITS, stop).await;
            Ok::<(), std::convert::Infallible>(())
        });
        Self {
            address,
            bus,
            frames,
            context,
            tasks,
        }
    }

    async fn stop(self) {
        self.context.shutdown.begin();
        within("the tasks end", self.tasks.drained()).await.unwrap();
    }

    async fn request(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let head = format!(
            "{head}\r\nhost: kadr\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut bytes = Vec::new();
        within("an answer", stream.read_to_end(&mut bytes))
            .await
            .unwrap();
        Answer::read(&bytes)
    }

    async fn get(&self, path: &str) -> Answer {
        self.request(&format!("GET {path} HTTP/1.1"), b"").await
    }

    async fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.request(&format!("POST {path} HTTP/1.1"), body).await
    }

    async fn next_record(&self) -> (Record, Frame) {
        let seen = within("a frame", self.frames.recv()).await;
        let frame = decode_frame(seen.record.clone(), &seen.place).unwrap();
        (seen.record, frame)
    }

    async fn send(&self, topic: &str, record: &Record) -> (i32, i64) {
        let delivered = acknowledged(self.bus.sink.send(topic, None, record).unwrap()).await;
        (delivered.partition, delivered.offset)
    }

    /// What a detector does with a frame.
    async fn detect(&self, frame: &Frame, model_version: u32) {
        let annotated = frame.with_jpeg(annotated_of(frame.id));
        let topic = self.bus.topics.annotated();
        let (partition, offset) = self.send(&topic, &encode_annotated(&annotated)).await;
        let model = ModelVersion {
            name: "parts".to_owned(),
            version: model_version,
        };
        let mut detections = Detections::for_frame(frame, 24, 16, model);
        detections.annotated = Some(AnnotatedPlace {
            topic,
            partition,
            offset,
        });
        let record = encode_result(&detections, &Carried::default()).unwrap();
        self.send(&self.bus.topics.results(), &record).await;
    }

    async fn give_up(&self, original: Record) {
        let letter = DeadLetter {
            original,
            error: "the picture is upside down".to_owned(),
            kind: FailureKind::BadImage,
            topic: self.bus.topics.frames(),
            partition: 0,
            offset: 0,
            attempts: 1,
        };
        self.send(&self.bus.topics.dead(), &encode_dead_letter(letter))
            .await;
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Bytes,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.expect("a whole head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            status,
            head: head.to_ascii_lowercase(),
            body: Bytes::copy_from_slice(&bytes[end + 4..]),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }
}

fn photo() -> Vec<u8> {
    let image = turbojpeg::Image {
        pixels: vec![90_u8; 24 * 16 * 3],
        width: 24,
        pitch: 24 * 3,
        height: 16,
        format: turbojpeg::PixelFormat::RGB,
    };
    let jpeg = turbojpeg::compress(image.as_deref(), 90, turbojpeg::Subsamp::Sub2x2);
    jpeg.unwrap().to_vec()
}

fn annotated_of(id: FrameId) -> Bytes {
    let mut jpeg = photo();
    jpeg.extend(id.to_string().as_bytes());
    jpeg.into()
}

#[tokio::test]
async fn an_upload_stands_on_the_topic_as_the_contract_says() {
    let kafka = Kafka::start().await;
    let app = App::start(&kafka).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let head = format!("POST /api/frames?model=part-kind HTTP/1.1\r\ntraceparent: {trace}");
    let answer = app.request(&head, &photo()).await;
    assert_eq!(answer.status, 202, "{}", answer.head);
    let json = answer.json();
    let this = json["links"]["self"].as_str().unwrap();
    assert!(
        answer.head.contains(&format!("location: {this}")),
        "{}",
        answer.head
    );

    let (record, frame) = app.next_record().await;
    let id = json["id"].as_str().unwrap();
    let header = |name| String::from_utf8(record.header(name).unwrap().to_vec()).unwrap();
    assert_eq!(record.key.clone().unwrap(), format!("upload-{id}"));
    for (name, value) in [
        ("ce_specversion", "1.0"),
        ("ce_id", id),
        ("ce_source", &format!("upload-{id}")),
        ("ce_type", "kadr.frame.v1"),
        ("ce_time", json["submitted_at"].as_str().unwrap()),
        ("content-type", "image/jpeg"),
        ("kadr_model", "part-kind"),
        ("traceparent", trace),
    ] {
        assert_eq!(header(name), value, "{name}");
    }
    assert!(
        record.header("kadr_deadline_ms").is_none(),
        "an upload waits for ever"
    );
    assert_eq!(frame.jpeg, photo());
    let original = app.get(json["links"]["original"].as_str().unwrap()).await;
    assert_eq!((original.status, &original.body[..]), (200, &photo()[..]));
    let annotated = app.get(json["links"]["annotated"].as_str().unwrap()).await;
    assert_eq!(
        (annotated.status, annotated.code().as_str()),
        (404, "not_done_yet")
    );
    app.stop().await;
    kafka.broker.close().await;
}

#[tokio::test]
async fn a_client_that_waits_gets_the_result_or_the_picture_and_never_a_second_one() {
    let kafka = Kafka::start().await;
    let app = App::start(&kafka).await;
    for (accept, wants_picture) in [("application/json", false), ("image/jpeg", true)] {
        let head = format!("POST /api/frames?wait=60s HTTP/1.1\r\naccept: {accept}");
        let photo = photo();
        let detector = async {
            let (_, frame) = app.next_record().await;
            app.detect(&frame, 1).await;
            // A detector that was killed before its commit does all of it again.
            app.detect(&frame, 2).await;
            frame
        };
        let (answer, frame) = tokio::join!(app.request(&head, &photo), detector);
        assert_eq!(answer.status, 200, "{}", answer.head);
        let told = app.get(&format!("/api/frames/{}", frame.id)).await.json();
        if wants_picture {
            assert_eq!(answer.body, annotated_of(frame.id));
            assert!(answer.head.contains("content-type: image/jpeg"));
        } else {
            assert_eq!(answer.json(), told);
        }
        assert_eq!(told["status"], "done");
        assert_eq!(
            told["result"]["model"]["version"], 1,
            "the first result stays"
        );
    }
    app.stop().await;
    kafka.broker.close().await;
}

#[tokio::test]
async fn a_dead_letter_is_a_failure_with_its_reason() {
    let kafka = Kafka::start().await;
    let app = App::start(&kafka).await;
    let photo = photo();
    let detector = async {
        let (record, frame) = app.next_record().await;
        app.give_up(record).await;
        frame.id
    };
    let (answer, id) = tokio::join!(app.post("/api/frames?wait=60s", &photo), detector);
    assert_eq!((answer.status, answer.code().as_str()), (422, "bad_image"));
    assert_eq!(
        answer.json()["error"]["message"],
        "the picture is upside down"
    );
    let told = app.get(&format!("/api/frames/{id}")).await.json();
    assert_eq!(
        (&told["status"], &told["width"]),
        (&"failed".into(), &24.into())
    );
    let picture = app.get(&format!("/api/frames/{id}/annotated.jpg")).await;
    assert_eq!(
        (picture.status, picture.code().as_str()),
        (422, "bad_image")
    );
    app.stop().await;
    kafka.broker.close().await;
}

#[tokio::test]
async fn another_gateway_knows_what_became_of_older_uploads() {
    let kafka = Kafka::start().await;
    let first = App::start(&kafka).await;
    let mut ids = Vec::new();
    for fate in ["done", "failed", "queued"] {
        assert_eq!(first.post("/api/frames", &photo()).await.status, 202);
        let (record, frame) = first.next_record().await;
        match fate {
            "done" => {
                first.detect(&frame, 1).await;
                first.detect(&frame, 2).await;
            }
            "failed" => first.give_up(record).await,
            _ => {}
        }
        ids.push((fate, frame.id));
    }
    first.stop().await;

    let second = App::start(&kafka).await;
    for (fate, id) in &ids {
        let told = second.get(&format!("/api/frames/{id}")).await;
        assert_eq!(told.status, 200, "{fate}: {}", told.head);
        let json = told.json();
        assert_eq!(json["status"], *fate);
        assert_eq!(
            (&json["width"], &json["height"]),
            (&24.into(), &16.into()),
            "{fate}"
        );
        let original = second.get(&format!("/api/frames/{id}/original.jpg")).await;
        assert_eq!(
            (original.status, &original.body[..]),
            (200, &photo()[..]),
            "{fate}"
        );
    }
    let done = ids[0].1;
    let json = second.get(&format!("/api/frames/{done}")).await.json();
    assert_eq!(
        json["result"]["model"]["version"], 1,
        "the first result, as before"
    );
    let picture = second
        .get(&format!("/api/frames/{done}/annotated.jpg"))
        .await;
    assert_eq!((picture.status, picture.body), (200, annotated_of(done)));
    let unknown = second.get(&format!("/api/frames/{}", FrameId::new())).await;
    assert_eq!(
        (unknown.status, unknown.code().as_str()),
        (404, "unknown_frame")
    );

    // What is found queued is followed like an upload of its own.
    let queued = ids[2].1;
    let frame = Frame {
        id: queued,
        ..Frame::new(
            pipeline::frame::SourceId::new(format!("upload-{queued}")).unwrap(),
            jiff::Timestamp::now(),
            photo().into(),
        )
    };
    second.detect(&frame, 3).await;
    let done = async {
        let path = format!("/api/frames/{queued}");
        while second.get(&path).await.json()["status"] != "done" {
            tokio::task::yield_now().await;
        }
    };
    within("the queued one is done", done).await;
    second.stop().await;
    kafka.broker.close().await;
}

#[tokio::test]
async fn while_the_broker_is_away_uploads_are_asked_to_come_back() {
    let kafka = Kafka::start().await;
    let app = App::start(&kafka).await;
    assert_eq!(app.post("/api/frames", &photo()).await.status, 202);
    until("gateway is ready", || app.context.health.report().ready).await;
    kafka.broker.close().await;
    let answer = app.post("/api/frames", &photo()).await;
    assert_eq!(answer.status, 503, "{}", answer.head);
    assert!(answer.head.contains("retry-after: "), "{}", answer.head);
    until("the gateway is not ready", || {
        !app.context.health.report().ready
    })
    .await;
    app.stop().await;
}
