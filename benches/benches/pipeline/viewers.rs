//! P25: what one more viewer of a stream costs, and what a viewer who has stopped reading costs the
//! others. The stream is made here, frame by frame, so that the viewer alone is measured; clients
//! speak WebSocket, as the wall's page does.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use benches::{
    curves::{Axis, Chart},
    measure::{
        Finding, Turn,
        goals::{Direction, goal},
        rounds::take_turns,
        spread::percentile,
    },
};
use bytes::Bytes;
use detector::jpeg::{DEFAULT_QUALITY, JpegEncoder};
use futures::StreamExt as _;
use jiff::Timestamp;
use pipeline::{
    detections::{Detections, ModelVersion},
    frame::{DEFAULT_LIVE_DEADLINE_MS, Frame, SourceId},
    record::{encode_annotated, encode_result},
    topic::Topics,
};
use serde_json::Value;
use tokio::{net::TcpStream, runtime::Runtime, task::JoinHandle};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use crate::{Stand, bus::Sender, codec, pictures::Picture, services::Service};

const FRAMES_PER_S: u32 = 20;

/// Viewers of the curve; the first and the last are compared.
const VIEWERS: [usize; 4] = [1, 10, 25, 50];

/// Viewers beside the one who has stopped reading.
const OTHERS: usize = 10;

/// Longer than a first frame should take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A viewer service and the stream that it shows.
struct Theatre {
    viewer: Service,
    sender: Sender,
    topics: Topics,
    picture: Picture,
    jpeg: Bytes,
    runtime: Runtime,
    lasting: Duration,
}

/// Milliseconds from each frame's capture to when a client had it.
type Seen = Vec<f64>;

type Notes = Arc<Mutex<Seen>>;

pub(crate) fn measure(stand: &Stand) -> Vec<Finding> {
    let surroundings = stand.surroundings("viewers", "ten");
    let picture = as_annotated(&Picture::of_belt(1280, 720));
    let theatre = Theatre {
        viewer: Service::viewer(&surroundings),
        sender: Sender::open(&surroundings.brokers),
        topics: Topics::new(&surroundings.topic_prefix).expect("a prefix"),
        jpeg: picture.jpeg.clone().into(),
        picture,
        runtime: Runtime::new().expect("a runtime"),
        lasting: stand.pick(Duration::from_secs(3), Duration::from_millis(500)),
    };
    theatre.check();
    vec![
        more_viewers(stand, &theatre),
        a_stalled_one(stand, &theatre),
    ]
}

/// As fine as the detector makes annotated pictures.
fn as_annotated(picture: &Picture) -> Picture {
    let mut encoder = JpegEncoder::new(DEFAULT_QUALITY).expect("an encoder");
    let jpeg = encoder
        .encode(&picture.decoded())
        .expect("a picture that fits");
    Picture {
        width: picture.width,
        height: picture.height,
        jpeg: jpeg.to_vec(),
    }
}

fn more_viewers(stand: &Stand, theatre: &Theatre) -> Finding {
    let [few, .., many] = VIEWERS;
    let one_more = || {
        let ((few_ms, few_seen), (many_ms, many_seen)) = (theatre.cost(few), theatre.cost(many));
        // What each frame costs anyway is the same in both.
        let more_ms = (many_ms - few_ms) / (many_seen - few_seen).max(1.0);
        Turn::of(more_ms)
            .with("more_cpu_ms", more_ms)
            .with("frames_to_few", few_seen)
            .with("frames_to_many", many_seen)
            .with("picture_kb", theatre.picture.kilobytes())
    };
    let count = stand.pick(200, 2);
    let encode = || {
        let encode_ms = codec::encode_ms(&theatre.picture, count);
        Turn::of(encode_ms).with("encode_ms", encode_ms)
    };
    let comparison = take_turns(stand.plan, &stand.ours, one_more, encode);
    let frames = f64::from(FRAMES_PER_S) * theatre.lasting.as_secs_f64();
    let curve = VIEWERS.map(|viewers| (viewers as f64, theatre.cost(viewers).0 / frames));
    let chart = Chart::new(
        "CPU a frame of the viewer, 1280x720",
        Axis::linear("viewers"),
        Axis::linear("milliseconds"),
    );
    stand.keep_curve(
        "P25",
        "p25-viewers",
        chart.series("WebSocket", curve.to_vec()),
    );
    Finding {
        goal: goal("P25").expect("a goal"),
        variant: Some("CPU".to_owned()),
        comparison,
    }
}

fn a_stalled_one(stand: &Stand, theatre: &Theatre) -> Finding {
    let with = || {
        let stalled = theatre.runtime.block_on(connect(theatre.viewer.web));
        let late_ms = percentile(&theatre.show(OTHERS), 0.99);
        drop(stalled);
        Turn::of(late_ms).with("p99_with_ms", late_ms)
    };
    let without = || {
        let late_ms = percentile(&theatre.show(OTHERS), 0.99);
        Turn::of(late_ms).with("p99_without_ms", late_ms)
    };
    let title = "p99 of ten viewers beside a stalled one / without";
    Finding {
        goal: goal("P25")
            .expect("a goal")
            .about(title, Direction::AtMost, (1.05, 1.0)),
        variant: Some("stalled".to_owned()),
        comparison: take_turns(stand.plan, &stand.ours, with, without),
    }
}

impl Theatre {
    /// What is shown is what was sent.
    fn check(&self) {
        let shown = self.runtime.block_on(async {
            let mut client = connect(self.viewer.web).await;
            let first = async {
                loop {
                    self.send();
                    let next = tokio::time::timeout(Duration::from_millis(100), client.next());
                    if let Ok(Some(Ok(Message::Binary(message)))) = next.await {
                        return message;
                    }
                }
            };
            tokio::time::timeout(PATIENCE, first).await
        });
        let message = shown.expect("the stream is shown");
        assert!(split(&message).1 == self.jpeg, "another picture is shown");
    }

    /// CPU milliseconds that the viewer takes to show the stream to so many, and frames seen by them.
    fn cost(&self, viewers: usize) -> (f64, f64) {
        let before = self.viewer.cpu();
        let seen = self.show(viewers).len();
        (self.viewer.cpu_ms_each(before, 1), seen as f64)
    }

    /// Shows the stream to so many.
    fn show(&self, viewers: usize) -> Seen {
        let notes = Notes::default();
        let clients: Vec<JoinHandle<()>> = self.runtime.block_on(async {
            let mut clients = Vec::new();
            for _ in 0..viewers {
                let client = connect(self.viewer.web).await;
                clients.push(tokio::spawn(watch(client, Arc::clone(&notes))));
            }
            clients
        });
        let begin = Instant::now();
        let gap = Duration::from_secs(1) / FRAMES_PER_S;
        let count = (self.lasting.as_secs_f64() * f64::from(FRAMES_PER_S)) as u32;
        for number in 0..count {
            let due = begin + gap * number;
            std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
            self.send();
        }
        // The last one has time to come; what comes later is seen by nobody in any run.
        std::thread::park_timeout(gap * 4);
        for client in clients {
            client.abort();
        }
        let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut notes)
    }

    fn send(&self) {
        let source = SourceId::new("camera-1").expect("a name");
        let frame = Frame {
            deadline_ms: Some(DEFAULT_LIVE_DEADLINE_MS),
            ..Frame::new(source, Timestamp::now(), self.jpeg.clone())
        };
        let (width, height) = (self.picture.width, self.picture.height);
        let model = ModelVersion {
            name: "ten".to_owned(),
            version: 1,
        };
        let result = Detections::for_frame(&frame, width, height, model);
        let result = encode_result(&result, &frame.carried).expect("a valid result");
        self.sender
            .send_record(&self.topics.annotated(), &encode_annotated(&frame));
        self.sender.send_record(&self.topics.results(), &result);
    }
}

type Client = WebSocketStream<TcpStream>;

async fn connect(address: SocketAddr) -> Client {
    let stream = TcpStream::connect(address).await.expect("a viewer");
    let url = format!("ws://{address}/api/live?source=camera-1");
    let request = url.into_client_request().expect("a plain address");
    let (client, _answer) = client_async(request, stream).await.expect("a seat");
    client
}

/// Reads all that comes; pings are answered by the library.
async fn watch(mut client: Client, notes: Notes) {
    let mut first = true;
    while let Some(Ok(message)) = client.next().await {
        let Message::Binary(message) = message else {
            continue;
        };
        let now_ms = Timestamp::now().as_microsecond() as f64 / 1e3;
        let (header, _jpeg) = split(&message);
        let captured_ms = header["captured_ms"].as_f64().expect("a time");
        // The first is what was on the wall before.
        if !std::mem::take(&mut first) {
            let mut seen = notes.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(now_ms - captured_ms);
        }
    }
}

/// Header and picture of a message.
fn split(message: &[u8]) -> (Value, &[u8]) {
    let (length, rest) = message.split_first_chunk().expect("a length");
    let (header, jpeg) = rest.split_at(u32::from_be_bytes(*length) as usize);
    (serde_json::from_slice(header).expect("JSON"), jpeg)
}
