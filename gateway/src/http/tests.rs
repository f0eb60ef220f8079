//! The routes with a way to Kafka that does as it is told.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, Response, StatusCode, header},
};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture, stream};
use pipeline::{
    catalogue::Catalogue,
    frame::FrameId,
    kafka::{Delivered, KafkaConfig, Lookup, SinkError},
    record::{FailureKind, Record, decode_frame},
    service::{Metrics, Traces},
    topic::{Place, Topics},
};
use serde_json::Value;
use tower::ServiceExt;

use super::{Gateway, LeastRate, router};
use crate::{
    admission::{Admission, Bounds},
    intake::Limits,
    metrics::GatewayMetrics,
    outcomes::{Archive, Failure, Fate, Outcomes},
    outlet::Outlet,
};

const BOUNDARY: &str = "kadr-test";

/// How the pretended Kafka behaves.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Full,
    Broken,
    Silent,
    Away,
}

struct PretendedKafka {
    mood: Mood,
    sent: Arc<Mutex<Vec<Record>>>,
}

impl Outlet for PretendedKafka {
    fn send(
        &self,
        topic: &str,
        record: &Record,
    ) -> Result<BoxFuture<'static, Result<Delivered, SinkError>>, SinkError> {
        assert_eq!(topic, "kadr.frames");
        if self.mood == Mood::Full {
            return Err(SinkError::Full { bytes: 1, limit: 1 });
        }
        self.sent.lock().unwrap().push(record.clone());
        let delivered = Delivered {
            partition: 0,
            offset: 7,
        };
        let broken = SinkError::Broken {
            reason: "no answer".to_owned(),
        };
        Ok(match self.mood {
            Mood::Silent => std::future::pending().boxed(),
            Mood::Broken => std::future::ready(Err(broken)).boxed(),
            _ => std::future::ready(Ok(delivered)).boxed(),
        })
    }

    fn trouble(&self) -> Option<String> {
        (self.mood == Mood::Away).then(|| "no broker answers".to_owned())
    }

    fn max_record_bytes(&self) -> usize {
        1 << 20
    }
}

struct TestGateway {
    routes: Router,
    outcomes: Outcomes,
    metrics: Metrics,
    sent: Arc<Mutex<Vec<Record>>>,
}

fn gateway(mood: Mood) -> TestGateway {
    let topics = Topics::default();
    let nowhere = KafkaConfig::new("127.0.0.1:1").unwrap();
    let outcomes = Outcomes::new(1 << 20);
    let metrics = Metrics::new("gateway").unwrap();
    let sent = Arc::default();
    let outlet = PretendedKafka {
        mood,
        sent: Arc::clone(&sent),
    };
    let gateway = Gateway {
        outlet: Box::new(outlet),
        outcomes: outcomes.clone(),
        archive: Archive::new(Lookup::new(&nowhere), topics.clone()),
        topics,
        catalogue: Catalogue::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")),
        default_model: "parts".to_owned(),
        admission: Admission::new(Bounds {
            max_in_flight_bytes: 4 << 20,
            max_waiting: 1,
        }),
        metrics: GatewayMetrics::register(&metrics).unwrap(),
        traces: Traces::default(),
        limits: Limits {
            max_pixels: 10_000,
            max_jpeg_bytes: 1 << 20,
        },
        max_upload_bytes: 1 << 20,
        publish_timeout: Duration::from_millis(50),
        least_rate: LeastRate {
            bytes: 1 << 10,
            within: Duration::from_millis(100),
        },
    };
    TestGateway {
        routes: router(Arc::new(gateway)),
        outcomes,
        metrics,
        sent,
    }
}

struct Answer {
    status: StatusCode,
    retry_after: Option<String>,
    json: Value,
}

impl Answer {
    async fn of(response: Response<Body>) -> Self {
        let headers = response.headers();
        let retry_after = headers.get(header::RETRY_AFTER);
        let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        Self {
            status,
            retry_after,
            json: serde_json::from_slice(&body).unwrap(),
        }
    }

    /// The status and the code of a problem, which says what to do.
    fn problem(&self) -> (u16, &str) {
        let error = &self.json["error"];
        assert!(!error["message"].as_str().unwrap().is_empty());
        assert!(!error["hint"].as_str().unwrap().is_empty());
        (self.status.as_u16(), error["code"].as_str().unwrap())
    }
}

impl TestGateway {
    async fn answer(&self, request: Request<Body>) -> Answer {
        Answer::of(self.routes.clone().oneshot(request).await.unwrap()).await
    }

    async fn post(&self, query: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(format!("/api/frames{query}"));
        self.answer(request.body(body.into()).unwrap()).await
    }

    async fn post_form(&self, parts: &[(&str, &[u8])]) -> Answer {
        let mut body = Vec::new();
        for (disposition, content) in parts {
            let head =
                format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
            body.extend([head.as_bytes(), content, b"\r\n"].concat());
        }
        body.extend(format!("--{BOUNDARY}--\r\n").as_bytes());
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        let request = Request::post("/api/frames").header(header::CONTENT_TYPE, content_type);
        self.answer(request.body(body.into()).unwrap()).await
    }

    fn frame_sent(&self) -> pipeline::frame::Frame {
        let record = self.sent.lock().unwrap().pop().expect("a record");
        let place = Place {
            topic: "kadr.frames".into(),
            partition: 0,
            offset: 7,
            timestamp_ms: 1,
        };
        decode_frame(record, &place).unwrap()
    }
}

fn jpeg(width: usize, height: usize) -> Vec<u8> {
    let image = turbojpeg::Image {
        pixels: vec![90_u8; width * height * 3],
        width,
        pitch: width * 3,
        height,
        format: turbojpeg::PixelFormat::RGB,
    };
    turbojpeg::compress(image.as_deref(), 90, turbojpeg::Subsamp::Sub2x2)
        .unwrap()
        .to_vec()
}

#[tokio::test]
async fn a_picture_is_accepted_with_its_links_once_kafka_has_it() {
    let gateway = gateway(Mood::Well);
    let answer = gateway.post("?model=parts@1", jpeg(20, 10)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let frame = gateway.frame_sent();
    assert_eq!(frame.source.as_str(), format!("upload-{}", frame.id));
    assert_eq!(frame.model.as_ref().unwrap().to_string(), "parts@1");
    assert_eq!(
        (frame.deadline_ms, &frame.jpeg[..]),
        (None, &jpeg(20, 10)[..])
    );
    let json = &answer.json;
    let this = format!("/api/frames/{}", frame.id);
    assert_eq!(json["status"], "queued");
    assert_eq!((&json["width"], &json["height"]), (&20.into(), &10.into()));
    assert_eq!(json["links"]["self"], this);
    assert_eq!(json["links"]["page"], format!("/frames/{}", frame.id));
    let again = gateway
        .answer(Request::get(this).body(Body::empty()).unwrap())
        .await;
    assert_eq!((again.status, &again.json), (StatusCode::OK, json));
    let accepted = [("outcome", "accepted")];
    assert!(
        (gateway
            .metrics
            .sum(crate::metrics::UPLOADS_TOTAL, &accepted)
            - 1.0)
            .abs()
            < 1e-9
    );
}

#[tokio::test]
async fn a_form_holds_one_file_and_maybe_a_model() {
    let gateway = gateway(Mood::Well);
    let picture = jpeg(8, 8);
    let file = ("name=\"photo\"; filename=\"a.jpg\"", &picture[..]);
    let model = ("name=\"model\"", &b"part-kind"[..]);
    let answer = gateway.post_form(&[model, file]).await;
    assert_eq!(
        (answer.status, &answer.json["model"]),
        (StatusCode::ACCEPTED, &"part-kind".into())
    );
    assert_eq!(gateway.frame_sent().jpeg, picture);
    let unchosen = ("name=\"model\"", &b""[..]);
    let answer = gateway.post_form(&[file, unchosen]).await;
    assert_eq!(
        (answer.status, &answer.json["model"]),
        (StatusCode::ACCEPTED, &Value::Null)
    );
    for parts in [&[file, file][..], &[model], &[]] {
        assert_eq!(gateway.post_form(parts).await.problem(), (400, "bad_form"));
    }
    let wrong = ("name=\"model\"", &b"../x"[..]);
    assert_eq!(
        gateway.post_form(&[wrong, file]).await.problem(),
        (400, "bad_model")
    );
}

#[tokio::test]
async fn what_the_client_can_mend_is_told_and_nothing_is_sent() {
    let gateway = gateway(Mood::Well);
    let good = jpeg(16, 16);
    for (query, body, expected) in [
        ("", Vec::new(), (400, "empty")),
        ("?wait=soon", good.clone(), (400, "bad_wait")),
        ("?model=a/b", good.clone(), (400, "bad_model")),
        ("?speed=9", good.clone(), (400, "bad_query")),
        ("?model=pants", good.clone(), (404, "unknown_model")),
        ("?model=parts@99", good.clone(), (404, "unknown_model")),
        ("?model=parts@night", good.clone(), (404, "unknown_model")),
        ("", b"GIF89a.......".to_vec(), (415, "unsupported_format")),
        ("", good[..good.len() - 9].to_vec(), (422, "truncated")),
        ("", jpeg(101, 100), (413, "too_many_pixels")),
        ("", vec![0xff; (1 << 20) + 1], (413, "upload_too_large")),
    ] {
        let answer = gateway.post(query, body).await;
        assert_eq!(answer.problem(), expected);
        assert_eq!(answer.retry_after, None, "coming back later would not help");
    }
    assert!(gateway.sent.lock().unwrap().is_empty());
    let unknown = gateway.post("?model=pants", good).await;
    let message = unknown.json["error"]["message"].as_str().unwrap();
    assert!(message.contains("part-kind and parts"), "{message}");
}

#[tokio::test]
async fn what_only_time_mends_is_told_with_a_time() {
    for (mood, code) in [
        (Mood::Full, "kafka_full"),
        (Mood::Broken, "kafka_unavailable"),
        (Mood::Away, "kafka_unavailable"),
        (Mood::Silent, "kafka_slow"),
    ] {
        let answer = gateway(mood).post("", jpeg(16, 16)).await;
        assert_eq!(answer.problem(), (503, code));
        assert!(answer.retry_after.is_some());
    }
    let answer = gateway(Mood::Silent).post("", jpeg(16, 16)).await;
    let hint = answer.json["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("second result"), "{hint}");
}

#[tokio::test]
async fn a_body_that_never_comes_is_cut_off_and_gives_its_room_back() {
    let gateway = gateway(Mood::Well);
    let silent = || Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    // Without a length each may be as large as allowed: four fill the room.
    let four = (0..4).map(|_| gateway.post("", silent()));
    let slow = futures::future::join_all(four);
    let too_many = async {
        // Polled after the four have entered.
        tokio::task::yield_now().await;
        gateway.post("", silent()).await
    };
    let (slow, too_many) = tokio::join!(slow, too_many);
    assert!(
        slow.iter()
            .all(|answer| answer.problem() == (408, "too_slow"))
    );
    assert_eq!(too_many.problem(), (429, "busy"));
    assert!(too_many.retry_after.is_some());
    assert_eq!(
        gateway.post("", jpeg(8, 8)).await.status,
        StatusCode::ACCEPTED
    );
}

#[tokio::test]
async fn a_client_that_waits_learns_of_a_failure_and_only_so_many_wait() {
    let gateway = gateway(Mood::Well);
    let waiting = gateway.post("?wait=60s", jpeg(8, 8));
    let meanwhile = async {
        while gateway.sent.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let second = gateway.post("?wait=60s", jpeg(8, 8)).await;
        let id = gateway.frame_sent().id;
        let failure = |message: &str| {
            Fate::Failed(Failure {
                submission: None,
                kind: "bad_image".to_owned(),
                message: message.to_owned(),
                trace: None,
            })
        };
        gateway.outcomes.note(id, failure("the first end"));
        gateway.outcomes.note(id, failure("another end"));
        (second, id)
    };
    let (first, (second, id)) = tokio::join!(waiting, meanwhile);
    assert_eq!(first.problem(), (422, "bad_image"));
    assert_eq!(second.problem(), (429, "too_many_waiting"));
    let request = Request::get(format!("/api/frames/{id}"));
    let told = gateway.answer(request.body(Body::empty()).unwrap()).await;
    assert_eq!(told.json["status"], "failed");
    assert_eq!(told.json["error"]["message"], "the first end");
}

#[tokio::test]
async fn a_deadline_goes_with_the_picture_and_its_end_is_told_to_who_waits() {
    let gateway = gateway(Mood::Well);
    let waiting = gateway.post("?wait=60s&deadline=1500ms", jpeg(8, 8));
    let meanwhile = async {
        while gateway.sent.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let frame = gateway.frame_sent();
        let failure = Failure {
            submission: None,
            kind: FailureKind::Deadline.to_string(),
            message: "it was to be looked at within 1s 500ms".to_owned(),
            trace: None,
        };
        gateway.outcomes.note(frame.id, Fate::Failed(failure));
        frame.deadline_ms
    };
    let (answer, deadline_ms) = tokio::join!(waiting, meanwhile);
    assert_eq!(deadline_ms, Some(1500));
    assert_eq!(answer.problem(), (504, "deadline"));
    let hint = answer.json["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("longer deadline"), "{hint}");
}

#[tokio::test]
async fn a_wait_that_is_too_short_ends_as_any_upload() {
    let answer = gateway(Mood::Well).post("?wait=1ms", jpeg(8, 8)).await;
    assert_eq!(
        (answer.status, &answer.json["status"]),
        (StatusCode::ACCEPTED, &"queued".into())
    );
}

#[tokio::test]
async fn the_models_are_listed_with_their_colours() {
    let gateway = gateway(Mood::Well);
    let request = Request::get("/api/models").body(Body::empty()).unwrap();
    let models = gateway.answer(request).await.json;
    assert_eq!(models["default"], "parts");
    let parts = models["models"]
        .as_array()
        .unwrap()
        .iter()
        .find(|model| model["name"] == "parts");
    let parts = parts.expect("the model that ships with Kadr");
    assert_eq!(parts["task"], "instance-segmentation");
    assert_eq!(parts["versions"], serde_json::json!([1]));
    assert_eq!(parts["aliases"]["stable"], 1);
    assert_eq!(
        parts["labels"][3],
        serde_json::json!({"name": "gear", "color": "#f58231"})
    );
}

#[tokio::test]
async fn ids_that_cannot_be_are_told_at_once() {
    let gateway = gateway(Mood::Well);
    let get = |id: &str| {
        Request::get(format!("/api/frames/{id}"))
            .body(Body::empty())
            .unwrap()
    };
    assert_eq!(gateway.answer(get("42")).await.problem(), (400, "bad_id"));
    let foreign = "d9428888-122b-41e1-b85c-61d4e4a0a8ab";
    assert_eq!(
        gateway.answer(get(foreign)).await.problem(),
        (404, "unknown_frame")
    );
    gateway.outcomes.forget(FrameId::new());
}
