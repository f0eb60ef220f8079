//! A simulated camera on a real Kafka: frames go out as the contract says, and come back as pictures.
#![expect(clippy::unwrap_used, reason = "helpers of a test fail it by panicking")]

use std::time::Duration;

use camera::{CameraConfig, Outlet, camera_router};
use pipeline::frame::{Frame, SourceId};
use pipeline::kafka::{Tail, TopicSpec};
use pipeline::record::decode_frame;
use pipeline::service::{
    Context, Shutdown, Tasks,
    http::{HttpLimits, bind, serve_http},
};
use pipeline::topic::Topics;
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
    _topic: TestTopic,
    live: Tail,
    context: Context,
    tasks: Tasks,
    address: std::net::SocketAddr,
}

async fn start(name: &str) -> LiveCamera {
    let topics = Topics::new(unique("camera")).unwrap();
    let hour = Duration::from_hours(1);
    let topic = TestTopic::on(&config(), TopicSpec::new(&topics.live(), 4, hour)).await;
    let live = Tail::open(&config(), &[&topics.live()], 0).await.unwrap();
    let context = Context::new("camera", Shutdown::new(Duration::from_secs(20))).unwrap();
    let mut tasks = Tasks::new(&context.shutdown);
    let cameras = vec![CameraConfig {
        id: SourceId::new(name).unwrap(),
        address: "belt://?seed=3&fps=5&size=320x240".parse().unwrap(),
    }];
    let outlet = Outlet {
        kafka: config(),
        topics,
        sink: sink(&config()),
    };
    let playback = camera::start(cameras, &outlet, &context, &mut tasks)
        .await
        .unwrap();
    let listener = bind(([127, 0, 0, 1], 0).into(), "--listen").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = context.shutdown.token();
    let routes = camera_router(playback, stop.clone());
    tasks.spawn("web", async move {
        serve_http(listener, routes, LIMITS, stop).await;
        Ok::<(), std::convert::Infallible>(())
    });
    LiveCamera {
        _topic: topic,
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
}

fn text(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).into_owned()
}

#[tokio::test]
async fn frames_keep_the_contract_and_their_order() {
    let camera = start("line-3").await;
    let mut last_sequence = None;
    for _ in 0..5 {
        let frame = camera.next_frame().await;
        assert_eq!(frame.source.as_str(), "line-3");
        assert!(
            frame.sequence > last_sequence,
            "{:?} after {last_sequence:?}",
            frame.sequence
        );
        assert!(frame.deadline_ms.is_some(), "a live frame has a deadline");
        assert!(
            frame.jpeg.starts_with(&[0xff, 0xd8, 0xff]),
            "the value is a plain JPEG"
        );
        last_sequence = frame.sequence;
    }
    camera.context.shutdown.begin();
    camera.tasks.drained().await.unwrap();
}

#[tokio::test]
async fn the_operator_sees_what_kafka_gave_back() {
    let camera = start("line-4").await;
    camera.next_frame().await;
    let ready = async {
        while !text(&camera.get("/cameras/line-4/status", usize::MAX).await)
            .starts_with("HTTP/1.1 200")
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within("the first frame shows", ready).await;

    let snapshot = camera.get("/cameras/line-4/snapshot.jpg", usize::MAX).await;
    assert!(text(&snapshot).contains("content-type: image/jpeg"));
    assert!(snapshot.windows(3).any(|bytes| bytes == [0xff, 0xd8, 0xff]));

    // Two pictures one after the other on one connection are a moving picture.
    let mut wanted_bytes = 4096;
    let moving = loop {
        let answer = text(&camera.get("/cameras/line-4/live.mjpeg", wanted_bytes).await);
        if answer.matches("--kadr-frame").count() >= 2 {
            break answer;
        }
        wanted_bytes *= 2;
    };
    assert!(moving.contains("multipart/x-mixed-replace"));

    let unknown = text(&camera.get("/cameras/line-9/snapshot.jpg", usize::MAX).await);
    assert!(unknown.starts_with("HTTP/1.1 404"), "{unknown}");
    assert!(unknown.contains("there are: line-4"), "{unknown}");
}
