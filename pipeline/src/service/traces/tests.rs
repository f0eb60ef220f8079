//! What is recorded and what is lost.

use std::net::TcpListener;

use super::*;
use crate::frame::FrameId;

const STEP: Step = Step::producer("capture");
const PATIENCE: Duration = Duration::from_mins(1);

fn traces(endpoint: &str, env: &[(&str, &str)]) -> (Traces, Metrics) {
    let env = |name: &str| {
        let found = env.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let settings = TraceSettings::read(Some(endpoint), &env).unwrap();
    let metrics = Metrics::new("camera").unwrap();
    let process = Traces::new(settings);
    (process.for_service("camera", &metrics).unwrap(), metrics)
}

/// Where nobody listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn sampled() -> TraceContext {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
    TraceContext::new(parent, Some("vendor=1".to_owned())).unwrap()
}

fn unsampled() -> TraceContext {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00";
    TraceContext::new(parent, None).unwrap()
}

fn lost(metrics: &Metrics, reason: &str) -> u64 {
    metrics.sum(SPANS_DROPPED_TOTAL, &[("reason", reason)]) as u64
}

#[tokio::test]
async fn without_an_endpoint_frames_keep_what_they_bear() {
    let metrics = Metrics::new("camera").unwrap();
    let traces = Traces::new(None).for_service("camera", &metrics).unwrap();
    for parent in [None, Some(sampled())] {
        let span = traces.begin(STEP, parent.as_ref(), SystemTime::now());
        assert!(!span.is_recording());
        assert_eq!(span.trace(), parent.as_ref());
    }
    assert!(!metrics.to_text().unwrap().contains(SPANS_DROPPED_TOTAL));
    traces.close(PATIENCE).await;
}

#[tokio::test]
async fn the_decision_is_made_at_the_root_and_kept() {
    let ratio = [
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0"),
    ];
    let (traces, _) = traces(&nowhere(), &ratio);
    let root = traces.begin(STEP, None, SystemTime::now());
    assert!(!root.is_recording());
    let borne = root.trace().expect("others must know of the decision");
    assert!(!borne.is_sampled());

    let above = sampled();
    let span = traces.begin(STEP, Some(&above), SystemTime::now());
    assert!(span.is_recording());
    let borne = span.trace().unwrap();
    assert!(borne.is_sampled());
    assert_eq!(borne.traceparent()[..36], above.traceparent()[..36]);
    assert_ne!(borne.traceparent(), above.traceparent());
    assert_eq!(borne.tracestate(), above.tracestate());

    let below = traces.begin(STEP, Some(&unsampled()), SystemTime::now());
    assert!(!below.is_recording());
    assert!(!below.trace().unwrap().is_sampled());
    traces.close(PATIENCE).await;
}

#[tokio::test]
async fn who_only_follows_begins_nothing() {
    let (traces, _) = traces(&nowhere(), &[]);
    for parent in [None, Some(unsampled())] {
        let span = traces.follow(STEP, parent.as_ref(), SystemTime::now());
        assert!(!span.is_recording());
        assert_eq!(span.trace(), parent.as_ref());
    }
    let above = sampled();
    let span = traces.follow(STEP, Some(&above), SystemTime::now());
    assert!(span.is_recording());
    drop(span);
    traces.close(PATIENCE).await;
}

#[tokio::test]
async fn what_nobody_takes_is_counted() {
    let (traces, metrics) = traces(&nowhere(), &[]);
    for _ in 0..3 {
        let mut span = traces.begin(STEP, None, SystemTime::now());
        let source = "belt-1".parse().unwrap();
        span.set_frame(FrameId::new(), &source, crate::frame::Lane::Live);
        span.child("send", SystemTime::now(), SystemTime::now());
        span.end();
    }
    traces.close(PATIENCE).await;
    assert_eq!(
        (lost(&metrics, "not_taken"), lost(&metrics, "queue_full")),
        (6, 0)
    );
    let late = traces.begin(STEP, Some(&sampled()), SystemTime::now());
    assert!(!late.is_recording(), "all traces are closed");
    assert_eq!(late.trace(), Some(&sampled()));
}

#[tokio::test]
async fn a_collector_that_hangs_fills_the_queue_and_holds_nobody_up() {
    // It listens, and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let long = [("OTEL_EXPORTER_OTLP_TIMEOUT", "600000")];
    let (traces, metrics) = traces(&endpoint, &long);
    let (room, more) = (2048, 100);
    for _ in 0..room + more {
        traces.begin(STEP, None, SystemTime::now()).end();
    }
    assert_eq!(lost(&metrics, "queue_full"), more);
    traces.close(Duration::ZERO).await;
}

#[test]
fn a_service_has_one_set_of_spans_however_often_it_asks() {
    let (traces, metrics) = traces(&nowhere(), &[]);
    assert!(traces.for_service("camera", &metrics).is_ok());
    let other = metrics.for_service("viewer").unwrap();
    assert!(traces.for_service("viewer", &other).is_ok());
}
