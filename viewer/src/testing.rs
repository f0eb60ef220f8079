//! What the unit tests of this crate stand on: frames and results of a source, numbered, and a
//! viewer on a port whose wall is fed by hand.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use pipeline::{
    detections::{BBox, Detections, Instance, ModelVersion, Rgb, SchemaVersion, Timings},
    frame::{Frame, FrameId, SourceId},
    service::{
        Metrics, Traces,
        alone::WEB_LIMITS,
        http::{bind, serve_http},
    },
};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::tests::at_ms, hub::Hub, live::session::Patience, metrics::ViewerMetrics, pages::Pages,
    viewer::Viewer, web::viewer_router,
};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_mins(1);
pub(crate) const SEATS: usize = 64;

pub(crate) const DEADLINE_MS: u32 = 1000;

/// A frame of `source` captured at `captured_ms` of the tests' clock, with its number as sequence.
pub(crate) fn live_frame(source: &str, captured_ms: u64) -> Frame {
    Frame {
        sequence: Some(captured_ms),
        deadline_ms: Some(DEADLINE_MS),
        ..upload(source, captured_ms)
    }
}

/// The same without a deadline.
pub(crate) fn upload(source: &str, captured_ms: u64) -> Frame {
    let jpeg = Bytes::from(format!("\u{ff}{source} at {captured_ms}"));
    Frame::new(source_id(source), at_ms(captured_ms).wall, jpeg)
}

/// The result of a frame: one gear.
pub(crate) fn result_of(frame: &Frame) -> Detections {
    let model = ModelVersion {
        name: "parts".to_owned(),
        version: 1,
    };
    let mut result = Detections::for_frame(frame, 64, 48, model);
    result.instances = vec![instance("gear", 4)];
    result
}

/// A result of nothing in particular.
pub(crate) fn detections(source: &str) -> Detections {
    Detections {
        schema_version: SchemaVersion,
        id: FrameId::new(),
        source: source_id(source),
        captured_at: Timestamp::UNIX_EPOCH,
        width: 64,
        height: 48,
        model: ModelVersion {
            name: "parts".to_owned(),
            version: 1,
        },
        instances: Vec::new(),
        classes: Vec::new(),
        timings_ms: Timings::default(),
        annotated: None,
    }
}

pub(crate) fn instance(label: &str, category_id: u32) -> Instance {
    Instance {
        label: label.to_owned(),
        category_id,
        score: 0.9,
        bbox: BBox {
            x: 1.0,
            y: 2.0,
            w: 3.0,
            h: 4.0,
        },
        area: 12,
        segmentation: None,
        class_color: Some(Rgb([1, 2, 3])),
        color: None,
    }
}

pub(crate) fn source_id(text: &str) -> SourceId {
    SourceId::new(text).unwrap()
}

/// A frame captured just now.
pub(crate) fn fresh_frame(source: &str, sequence: u64) -> Frame {
    let jpeg = Bytes::from(format!("\u{ff}{source} number {sequence}"));
    Frame {
        sequence: Some(sequence),
        deadline_ms: Some(60_000),
        ..Frame::new(source_id(source), Timestamp::now(), jpeg)
    }
}

/// A viewer on a port of its own. It ends when dropped.
pub(crate) struct TestViewer {
    pub(crate) address: SocketAddr,
    viewer: Viewer,
}

impl TestViewer {
    pub(crate) async fn start() -> Self {
        Self::with(SEATS, Patience::DEFAULT).await
    }

    pub(crate) async fn with(seats: usize, patience: Patience) -> Self {
        let metrics = Metrics::new("viewer").unwrap();
        let viewer = Viewer {
            hub: Arc::new(Hub::new(
                ViewerMetrics::register(&metrics).unwrap(),
                Traces::default(),
            )),
            pages: Arc::new(Pages::load()),
            seats: Arc::new(Semaphore::new(seats)),
            max_watchers: seats,
            patience,
            clients: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        let listener = bind(([127, 0, 0, 1], 0).into(), "--listen").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (router, stop) = (viewer_router(viewer.clone()), viewer.stop.clone());
        tokio::spawn(serve_http(listener, router, WEB_LIMITS, stop));
        Self { address, viewer }
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.viewer.hub
    }

    pub(crate) fn free_seats(&self) -> usize {
        self.viewer.seats.available_permits()
    }

    pub(crate) fn stop(&self) {
        self.viewer.stop.cancel();
    }

    pub(crate) async fn until(&self, condition: impl Fn() -> bool) {
        let poll = async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        within(poll).await;
    }
}

impl Drop for TestViewer {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    let waited = tokio::time::timeout(PATIENCE, future).await;
    waited.expect("waited in vain")
}
