//! The viewer between Kafka and a browser: what a detector publishes is shown live, joined by frame
//! id, and nothing else is. On the embedded broker, with the test in the detector's place.
#![expect(clippy::unwrap_used, reason = "helpers of a test fail it by panicking")]

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use broker::{Broker, BrokerConfig};
use bytes::Bytes;
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use pipeline::{
    detections::{BBox, Detections, Instance, ModelVersion, Rgb},
    frame::{Frame, SourceId},
    kafka::{KafkaConfig, ensure_topics, frame_topics},
    mask::Mask,
    record::{Record, encode_annotated, encode_result},
    service::{
        Bus, Context, Shutdown, Tasks,
        alone::WEB_LIMITS,
        http::{bind, serve_http},
        metrics::FRAMES_DROPPED_TOTAL,
    },
    topic::Topics,
};
use serde_json::Value;
use tempfile::TempDir;
use tests::kafka::{PATIENCE, until, within};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};
use viewer::ViewerConfig;

/// A detector's place: it publishes what it likes. The viewer starts when it is told to.
struct Stage {
    broker: Broker,
    bus: Bus,
    context: Context,
    tasks: Tasks,
    _data: TempDir,
}

impl Stage {
    async fn set() -> Self {
        let data = tempfile::tempdir().unwrap();
        let broker = Broker::start(BrokerConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            ..BrokerConfig::new(data.path())
        });
        let broker = broker.await.unwrap();
        let brokers = broker.addr().to_string();
        let kafka = KafkaConfig::from_settings(Some(&brokers), &[], &|_| None).unwrap();
        let topics = Topics::default();
        ensure_topics(&kafka, &frame_topics(&topics), PATIENCE)
            .await
            .unwrap();
        let context = Context::new("stage", Shutdown::new(Duration::from_secs(20))).unwrap();
        Self {
            bus: Bus::open(kafka, topics, &context).unwrap(),
            tasks: Tasks::new(&context.shutdown),
            broker,
            context,
            _data: data,
        }
    }

    async fn start_viewer(&mut self) -> SocketAddr {
        let config = ViewerConfig { max_watchers: 16 };
        let router = viewer::start(config, &self.bus, &self.context, &mut self.tasks);
        let router = router.await.unwrap();
        let listener = bind(([127, 0, 0, 1], 0).into(), "--listen").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = self.context.shutdown.token();
        self.tasks.spawn("web", async move {
            serve_http(listener, router, WEB_LIMITS, stop).await;
            Ok::<(), std::convert::Infallible>(())
        });
        address
    }

    async fn publish(&self, topic: &str, record: &Record) {
        let sent = self.bus.sink.send(topic, None, record).unwrap();
        within("an acknowledgement", sent).await.unwrap();
    }

    async fn picture(&self, frame: &Frame) {
        self.publish(&self.bus.topics.annotated(), &encode_annotated(frame))
            .await;
    }

    async fn result(&self, frame: &Frame) {
        let record = encode_result(&result_of(frame), &frame.carried).unwrap();
        self.publish(&self.bus.topics.results(), &record).await;
    }

    async fn show(&self, frame: &Frame) {
        self.picture(frame).await;
        self.result(frame).await;
    }

    fn dropped(&self, reason: &str) -> u64 {
        let labels = [("service", "viewer"), ("reason", reason)];
        self.context.metrics.sum(FRAMES_DROPPED_TOTAL, &labels) as u64
    }

    async fn strike(self) {
        self.context.shutdown.begin();
        within("the tasks end", self.tasks.drained()).await.unwrap();
        self.bus.close(PATIENCE).await.unwrap();
        self.broker.close().await;
    }
}

/// A live frame whose picture says which one it is.
fn live(source: &str, sequence: u64) -> Frame {
    let picture = format!("{source} number {sequence}");
    let jpeg = [&[0xff, 0xd8, 0xff], picture.as_bytes()].concat();
    let source = SourceId::new(source).unwrap();
    Frame {
        sequence: Some(sequence),
        deadline_ms: Some(60_000),
        ..Frame::new(source, Timestamp::now(), Bytes::from(jpeg))
    }
}

/// As many gears as the frame's number has digits, with masks.
fn result_of(frame: &Frame) -> Detections {
    let model = ModelVersion {
        name: "parts".to_owned(),
        version: 1,
    };
    let mut result = Detections::for_frame(frame, 64, 48, model);
    let gear = Instance {
        label: "gear".to_owned(),
        category_id: 4,
        score: 0.9,
        bbox: BBox::default(),
        area: 0,
        segmentation: Some(Mask::empty(64, 48)),
        class_color: Some(Rgb([67, 99, 216])),
        color: None,
    };
    let digits = frame.sequence.unwrap_or_default().to_string().len();
    result.instances = vec![gear; digits];
    result
}

struct Client(WebSocketStream<TcpStream>);

struct Shown {
    header: Value,
    jpeg: Vec<u8>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let handshake = client_async(format!("ws://{address}/api/live"), stream);
        let (socket, _) = within("a handshake", handshake).await.unwrap();
        Self(socket)
    }

    async fn next(&mut self) -> Message {
        let next = within("a message", self.0.next()).await;
        next.expect("more to come").unwrap()
    }

    async fn frame(&mut self) -> Shown {
        loop {
            if let Message::Binary(bytes) = self.next().await {
                let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
                return Shown {
                    header: serde_json::from_slice(&bytes[4..4 + length]).unwrap(),
                    jpeg: bytes[4 + length..].to_vec(),
                };
            }
        }
    }

    /// Reads on until the list of sources has one that fits.
    async fn source(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let Message::Text(text) = self.next().await else {
                continue;
            };
            let mut text: Value = serde_json::from_str(text.as_str()).unwrap();
            let sources = text["sources"].as_array_mut();
            if let Some(source) = sources.into_iter().flatten().find(|source| fits(source)) {
                return source.take();
            }
        }
    }
}

#[tokio::test]
async fn frames_are_shown_in_order_with_their_own_picture() {
    let mut stage = Stage::set().await;
    let address = stage.start_viewer().await;
    let mut client = Client::connect(address).await;
    let mut published = HashMap::new();
    for sequence in 1..=12 {
        let frame = live("belt-1", sequence);
        published.insert(frame.id.to_string(), frame.clone());
        // Either half first.
        if sequence % 2 == 0 {
            stage.show(&frame).await;
        } else {
            stage.result(&frame).await;
            stage.picture(&frame).await;
        }
        let shown = client.frame().await;
        assert_eq!(shown.header["sequence"], sequence);
        assert_eq!(shown.header["late"], false);
        let own = &published[shown.header["id"].as_str().unwrap()];
        assert_eq!(shown.jpeg, own.jpeg, "picture and result are of one frame");
        assert_eq!(shown.header["counts"][0]["color"], "#4363d8");
        let digits = sequence.to_string().len();
        assert_eq!(shown.header["counts"][0]["count"], digits);
    }
    stage.strike().await;
}

#[tokio::test]
async fn two_topics_apart_and_twice_still_join_by_id() {
    let mut stage = Stage::set().await;
    let address = stage.start_viewer().await;
    let mut client = Client::connect(address).await;
    let frames: Vec<Frame> = (1..=6).map(|n| live("belt-1", n)).collect();
    for frame in &frames {
        stage.picture(frame).await;
    }
    for frame in &frames {
        stage.result(frame).await;
    }
    // A detector that was killed before its commit sends everything again.
    for frame in &frames {
        stage.show(frame).await;
    }
    let last = live("belt-1", 7);
    stage.show(&last).await;
    let mut seen = Vec::new();
    while seen.last() != Some(&7) {
        let shown = client.frame().await;
        let sequence = shown.header["sequence"].as_u64().unwrap();
        assert!(
            shown
                .jpeg
                .ends_with(format!("number {sequence}").as_bytes())
        );
        seen.push(sequence);
    }
    assert!(
        seen.is_sorted_by(|a, b| a < b),
        "shown once and in order: {seen:?}"
    );
    stage.strike().await;
}

#[tokio::test]
async fn uploads_and_broken_records_leave_the_wall_alone() {
    let mut stage = Stage::set().await;
    let address = stage.start_viewer().await;
    let mut client = Client::connect(address).await;
    let upload = Frame {
        deadline_ms: None,
        ..live("upload-1", 1)
    };
    stage.show(&upload).await;
    let broken = Record {
        key: Some(Bytes::from_static(b"belt-1")),
        value: Bytes::from_static(b"neither JSON nor JPEG"),
        headers: Vec::new(),
    };
    stage.publish(&stage.bus.topics.results(), &broken).await;
    stage.publish(&stage.bus.topics.annotated(), &broken).await;
    until("both are counted", || stage.dropped("bad_record") == 2).await;
    // The partitions go on, and the upload never comes.
    stage.show(&live("belt-1", 1)).await;
    stage.show(&live("upload-1", 2)).await;
    assert_eq!(client.frame().await.header["source"], "belt-1");
    let second = client.frame().await.header;
    assert_eq!(
        (&second["source"], &second["sequence"]),
        (&"upload-1".into(), &2.into())
    );
    stage.strike().await;
}

#[tokio::test]
async fn a_source_that_stops_is_stale_and_recovers() {
    let mut stage = Stage::set().await;
    let address = stage.start_viewer().await;
    let mut client = Client::connect(address).await;
    let first = live("belt-1", 1);
    stage.show(&first).await;
    let fresh = client.source(|source| source["id"] == "belt-1").await;
    assert_eq!(fresh["stale"], false);
    assert_eq!(fresh["stale_since_ms"], Value::Null);
    let stale = client.source(|source| source["stale"] == true).await;
    assert_eq!(stale["stale_since_ms"], stale["last_joined_ms"]);
    assert_eq!(stale["fps"], 0.0);
    stage.show(&live("belt-1", 2)).await;
    let back = client.source(|source| source["stale"] == false).await;
    assert_eq!(back["frames"], 2);
    stage.strike().await;
}

#[tokio::test]
async fn a_wall_opened_anew_shows_what_was_last_seen_and_that_it_is_old() {
    let mut stage = Stage::set().await;
    let old = |sequence| Frame {
        deadline_ms: Some(1000),
        captured_at: Timestamp::now() - SignedDuration::from_hours(1),
        ..live("belt-1", sequence)
    };
    for sequence in 1..=40 {
        stage.show(&old(sequence)).await;
    }
    let address = stage.start_viewer().await;
    let mut client = Client::connect(address).await;
    loop {
        let shown = client.frame().await;
        assert_eq!(shown.header["late"], true);
        if shown.header["sequence"] == 40 {
            break;
        }
    }
    let source = client.source(|source| source["id"] == "belt-1").await;
    assert_eq!(source["stale"], true);
    assert_eq!(source["stale_since_ms"], source["last_captured_ms"]);
    // What lies before the backlog was never this viewer's to show.
    for reason in ["stale", "superseded", "queue_full"] {
        assert_eq!(stage.dropped(reason), 0, "{reason}");
    }
    stage.strike().await;
}

#[tokio::test]
async fn the_tail_is_ready_and_the_end_is_clean() {
    let mut stage = Stage::set().await;
    let address = stage.start_viewer().await;
    let mut client = Client::connect(address).await;
    let health = stage.context.health.clone();
    until("the tail is ready", || health.report().ready).await;
    stage.context.shutdown.begin();
    let farewell = async { while !matches!(client.next().await, Message::Close(_)) {} };
    within("a farewell", farewell).await;
    stage.strike().await;
}
