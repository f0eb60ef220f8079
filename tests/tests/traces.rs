//! One trace per frame across services, as a collector is told it; and none where none is asked for.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use jiff::Timestamp;
use pipeline::frame::{Frame, FrameId, Lane, SourceId, TraceContext};
use pipeline::record::encode_frame;
use tests::collector::{Collector, Span};
use tests::kafka::{acknowledged, sink, until, within};
use tests::spine::pictures::{corrupt_jpeg, small_jpeg};
use tests::spine::uploads::{Gateway, Upload};
use tests::spine::{On, Spine};

/// A client's own span, above all that Kadr does.
const CLIENT: &str = "00f067aa0ba902b7";
const STAGES: [&str; 8] = [
    "queue",
    "turn",
    "decode",
    "batch_wait",
    "infer",
    "annotate",
    "encode",
    "publish",
];
const CAMERA: [&str; 1] = ["belt-1=belt://?seed=1&fps=4&size=320x240"];

/// A spine whose services tell `endpoint`, and soon.
async fn traced(purpose: &str, endpoint: &str) -> Spine {
    let mut spine = Spine::with_quick_model(On::EmbeddedBroker, purpose).await;
    spine.set("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    spine.set("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer canary");
    spine.set("OTEL_BSP_SCHEDULE_DELAY", "100");
    spine
}

/// The `traceparent` of a client, and its trace.
fn client(number: u8, flags: &str) -> (String, String) {
    let trace = format!("0af7651916cd43dd8448eb211c8031{number:02x}");
    (format!("00-{trace}-{CLIENT}-{flags}"), trace)
}

async fn photo(gateway: &Gateway, traceparent: &str) -> (Upload, String) {
    let path = "/api/frames?wait=60s";
    let answer = gateway
        .web
        .post_traced(path, traceparent, small_jpeg(0))
        .await
        .expect(StatusCode::OK);
    let told = answer.header("traceparent").to_owned();
    (Upload(answer.json()), told)
}

fn named<'a>(spans: &'a [Span], name: &str) -> Option<&'a Span> {
    spans.iter().find(|span| span.name == name)
}

fn one<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found.next();
    let span = span.unwrap_or_else(|| panic!("no {name} in {spans:#?}"));
    assert_eq!(found.next(), None, "{name} is there twice");
    span
}

/// The detector's stages are below it, inside it and one after the other.
fn stages_are_told(spans: &[Span], detect: &Span) {
    let stages = STAGES.map(|name| one(spans, name));
    for stage in stages {
        assert_eq!(stage.service, "kadr-detector");
        assert_eq!(stage.parent, detect.id, "{stage:?}");
        assert!(stage.from_ns <= stage.to_ns, "{stage:?}");
        assert!(stage.from_ns >= detect.from_ns, "{stage:?}");
        assert!(stage.to_ns <= detect.to_ns, "{stage:?} {detect:?}");
    }
    for pair in stages.windows(2) {
        assert!(
            pair[0].to_ns <= pair[1].from_ns,
            "{} before {}: {pair:?}",
            pair[0].name,
            pair[1].name
        );
    }
}

#[tokio::test]
async fn a_photo_is_one_trace_from_its_client_to_its_answer() {
    let collector = Collector::start().await;
    let spine = traced("trace-photo", &collector.endpoint()).await;
    let gateway = spine.gateway().await;
    let detector = spine.detector(&[]).await;
    let (traceparent, trace) = client(1, "01");
    let (upload, told) = photo(&gateway, &traceparent).await;
    // What is on its way to the collector is sent before a service ends.
    detector.end().await;
    gateway.service.end().await;

    let spans = collector.trace(&trace);
    let posted = one(&spans, "POST /api/frames");
    assert_eq!(
        (&*posted.service, &*posted.parent),
        ("kadr-gateway", CLIENT)
    );
    assert_eq!(told, format!("00-{trace}-{}-01", posted.id));
    assert_eq!(posted.facts["http.response.status_code"], "200");
    assert_eq!(posted.facts["kadr.frame_id"], upload.id().to_string());
    for part in ["receive", "convert", "send"] {
        assert_eq!(one(&spans, part).parent, posted.id);
    }
    let detect = one(&spans, "detect");
    assert_eq!(
        (&*detect.service, &detect.parent),
        ("kadr-detector", &posted.id)
    );
    assert_eq!(detect.facts["kadr.frame_id"], upload.id().to_string());
    assert_eq!(detect.facts["kadr.lane"], "durable");
    assert_eq!(detect.facts["kadr.model"], "square");
    assert_eq!(detect.error, None);
    stages_are_told(&spans, detect);
    let answer = one(&spans, "answer");
    assert_eq!(
        (&*answer.service, &answer.parent),
        ("kadr-gateway", &detect.id)
    );
    assert_eq!(spans.len(), 14, "{spans:#?}");
    assert!(spans.iter().all(|span| span.bearer == "Bearer canary"));
    // What leaves bears the detector's span, for whoever reads on.
    let leaving = format!("00-{trace}-{}-01", detect.id);
    spine.recorder.caught_up().await;
    let annotated = &spine.recorder.annotated()[0].value;
    let borne = annotated.carried.trace.as_ref().unwrap();
    assert_eq!(borne.traceparent(), leaving);
}

#[tokio::test]
async fn a_live_frame_is_one_trace_from_its_camera_to_the_viewer() {
    let collector = Collector::start().await;
    let spine = traced("trace-live", &collector.endpoint()).await;
    let viewer = spine.viewer().await;
    let detector = spine.detector(&[]).await;
    let cameras = spine.cameras(&CAMERA).await;
    let is_shown = |span: &Span| span.name == "show" && span.error.is_none();
    until("a frame is shown", || {
        collector.spans().iter().any(is_shown)
    })
    .await;
    cameras.end().await;
    detector.end().await;
    viewer.end().await;

    let shown = collector.spans().into_iter().find(is_shown).unwrap();
    let spans = collector.trace(&shown.trace);
    let capture = one(&spans, "capture");
    assert_eq!((&*capture.service, &*capture.parent), ("kadr-camera", ""));
    assert_eq!(capture.facts["kadr.source"], "belt-1");
    assert_eq!(capture.facts["kadr.lane"], "live");
    assert_eq!(one(&spans, "send").parent, capture.id);
    let detect = one(&spans, "detect");
    assert_eq!(detect.parent, capture.id);
    assert!(detect.from_ns >= capture.from_ns);
    stages_are_told(&spans, detect);
    assert_eq!(
        (&*shown.service, &shown.parent),
        ("kadr-viewer", &detect.id)
    );
    assert_eq!(shown.facts["kadr.frame_id"], detect.facts["kadr.frame_id"]);
    assert_eq!(spans.len(), 12, "{spans:#?}");
}

#[tokio::test]
async fn what_is_not_sampled_at_its_root_is_recorded_nowhere() {
    let collector = Collector::start().await;
    let mut spine = traced("trace-none", &collector.endpoint()).await;
    spine.set("OTEL_TRACES_SAMPLER", "parentbased_always_off");
    let gateway = spine.gateway().await;
    let viewer = spine.viewer().await;
    let detector = spine.detector(&[]).await;
    let cameras = spine.cameras(&CAMERA).await;
    let (unsampled, _) = client(1, "00");
    let (sampled, trace) = client(2, "01");
    let (_, told) = photo(&gateway, &unsampled).await;
    assert_eq!(told, "", "there is no trace to look for");
    photo(&gateway, &sampled).await;
    let recorder = &spine.recorder;
    let is_live = |frame: &Frame| frame.source.as_str() == "belt-1";
    let live = || {
        let annotated = recorder.annotated().into_iter();
        let frames: Vec<Frame> = annotated.map(|read| read.value).filter(is_live).collect();
        frames
    };
    until("live frames are looked at", || live().len() >= 3).await;
    cameras.end().await;
    detector.end().await;
    viewer.end().await;
    gateway.service.end().await;

    let traces: BTreeSet<String> = collector
        .spans()
        .into_iter()
        .map(|span| span.trace)
        .collect();
    assert_eq!(traces, BTreeSet::from([trace]));
    for frame in live() {
        let trace = frame.carried.trace.expect("the decision travels");
        assert!(!trace.is_sampled(), "{trace:?}");
    }
}

#[tokio::test]
async fn a_frame_that_is_set_aside_says_why_in_its_trace() {
    let collector = Collector::start().await;
    let spine = traced("trace-dead", &collector.endpoint()).await;
    let detector = spine.detector(&[]).await;
    let (traceparent, trace) = client(1, "01");
    let source = SourceId::new(format!("upload-{}", FrameId::new())).unwrap();
    let mut corrupt = Frame::new(source, Timestamp::now(), corrupt_jpeg());
    corrupt.carried.trace = TraceContext::new(traceparent, None);
    let frames = spine.topics().of_lane(Lane::Durable);
    // Kept until the answer: a sink that is gone has none to give.
    let sink = sink(spine.kafka());
    let sent = sink.send(&frames, None, &encode_frame(&corrupt));
    acknowledged(sent.unwrap()).await;
    until("it is set aside", || !spine.recorder.dead().is_empty()).await;
    detector.end().await;

    let spans = collector.trace(&trace);
    let detect = one(&spans, "detect");
    assert_eq!(detect.parent, CLIENT);
    assert_eq!(detect.facts["kadr.drop_reason"], "undecodable");
    assert_eq!(detect.facts["error.type"], "bad_image");
    let letter = &spine.recorder.dead()[0].value;
    assert_eq!(detect.error.as_deref(), Some(&*letter.error));
    assert!(named(&spans, "infer").is_none(), "{spans:#?}");
}

#[tokio::test]
async fn a_collector_that_is_away_costs_its_spans_and_nothing_else() {
    // A port that was free a moment ago, and that nobody listens on.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let spine = traced("trace-away", &format!("http://{}", address.unwrap())).await;
    let gateway = spine.gateway().await;
    let detector = spine.detector(&[]).await;
    let jpeg: Bytes = small_jpeg(0);
    let upload = gateway.upload(&jpeg).await;
    gateway.done(upload.id()).await;
    let lost = [("reason", "not_taken")];
    let counted = async {
        while detector
            .metric("kadr_trace_spans_dropped_total", &lost)
            .await
            < 9.0
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within("the lost spans are counted", counted).await;
    // Ends well, and in time.
    detector.end().await;
    gateway.service.end().await;
}
