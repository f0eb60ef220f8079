//! Snapshot, moving picture and status of each camera, and the small page of a camera service that
//! runs alone.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use futures::{Stream, stream};
use jiff::Timestamp;
use pipeline::{
    detections::{Classification, Detections, ModelVersion, Rgb},
    frame::{Frame, FrameId, SourceId, rfc3339_micros},
    service::{Problem, mjpeg::moving_picture},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    playback::{Camera, Playback, Watched},
    stats::StatsReport,
};

const POLICY: (HeaderName, &str) = (
    header::CONTENT_SECURITY_POLICY,
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; \
     frame-ancestors 'none'",
);
/// When the picture was taken; a snapshot may be old.
const CAPTURED_AT: HeaderName = HeaderName::from_static("kadr-captured-at");

/// How soon a camera that shows nothing yet is worth another look.
const COME_BACK: Duration = Duration::from_secs(1);

#[derive(Clone)]
struct Web {
    playback: Arc<Playback>,
    stop: CancellationToken,
}

/// The routes below `/cameras`. Moving pictures end with `stop`.
pub(crate) fn camera_routes(playback: Arc<Playback>, stop: CancellationToken) -> Router {
    Router::new()
        .route("/cameras", get(list_cameras))
        .route("/cameras/{id}/status", get(show_status))
        .route("/cameras/{id}/snapshot.jpg", get(show_snapshot))
        .route("/cameras/{id}/live.mjpeg", get(show_live))
        .route("/cameras/{id}/annotated.mjpeg", get(show_annotated))
        .with_state(Web { playback, stop })
}

/// The page at `/`, where no other service has one.
pub(crate) fn page_routes() -> Router {
    let file = |content_type: &'static str, content: &'static str| {
        let content_type = (header::CONTENT_TYPE, content_type);
        get(move || async move { ([content_type, POLICY], content) })
    };
    let page = file("text/html; charset=utf-8", include_str!("page.html"));
    let script = file("text/javascript; charset=utf-8", include_str!("page.js"));
    let style = file("text/css; charset=utf-8", include_str!("page.css"));
    Router::new()
        .route("/", page)
        .route("/cameras.js", script)
        .route("/cameras.css", style)
}

async fn list_cameras(State(web): State<Web>) -> Response {
    let cameras: Vec<&SourceId> = web.playback.sources().collect();
    let cameras: Value = json!({ "cameras": cameras });
    Json(cameras).into_response()
}

async fn show_status(State(web): State<Web>, Path(id): Path<String>) -> Result<Response, Problem> {
    let (id, camera) = web.find(&id)?;
    let status = Status {
        id,
        address: camera.address.to_string(),
        stats: camera.stats.report(),
        result: camera.result().map(|result| ResultSummary::of(&result)),
    };
    Ok(Json(status).into_response())
}

#[derive(Deserialize)]
struct SnapshotQuery {
    /// The live picture instead of the annotated one; says so by being there.
    raw: Option<String>,
}

async fn show_snapshot(
    State(web): State<Web>,
    Path(id): Path<String>,
    Query(query): Query<SnapshotQuery>,
) -> Result<Response, Problem> {
    let (id, camera) = web.find(&id)?;
    let (newest, kind) = match query.raw {
        Some(_) => (camera.live(), "live"),
        None => (camera.annotated(), "annotated"),
    };
    let frame = newest.borrow().clone();
    frame.map_or_else(|| Err(no_frame_yet(id, kind)), |frame| Ok(snapshot(&frame)))
}

fn snapshot(frame: &Frame) -> Response {
    let captured_at = frame.captured_at.to_string();
    let captured_at = HeaderValue::try_from(captured_at).expect("digits and letters");
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg")),
        (CAPTURED_AT, captured_at),
    ];
    (headers, frame.jpeg.clone()).into_response()
}

async fn show_live(State(web): State<Web>, Path(id): Path<String>) -> Result<Response, Problem> {
    let (_, camera) = web.find(&id)?;
    Ok(web.moving_picture(camera.live()))
}

async fn show_annotated(
    State(web): State<Web>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let (_, camera) = web.find(&id)?;
    Ok(web.moving_picture(camera.annotated()))
}

impl Web {
    fn moving_picture(&self, newest: Watched<Frame>) -> Response {
        moving_picture(pictures(newest, self.stop.clone()))
    }

    fn find(&self, id: &str) -> Result<(&SourceId, &Camera), Problem> {
        self.playback.camera(id).ok_or_else(|| {
            let known: Vec<&str> = self.playback.sources().map(SourceId::as_str).collect();
            Problem::new(
                StatusCode::NOT_FOUND,
                "unknown_camera",
                format!("there is no camera {id:?}"),
                format!("there are: {}", known.join(", ")),
            )
        })
    }
}

/// The newest picture, each time there is one; the first at once where it is there already.
fn pictures(mut newest: Watched<Frame>, stop: CancellationToken) -> impl Stream<Item = Bytes> {
    newest.mark_changed();
    stream::unfold((newest, stop), |(mut newest, stop)| async move {
        loop {
            stop.run_until_cancelled(newest.changed()).await?.ok()?;
            let jpeg = newest
                .borrow_and_update()
                .as_ref()
                .map(|frame| frame.jpeg.clone());
            if let Some(jpeg) = jpeg {
                return Some((jpeg, (newest, stop)));
            }
        }
    })
}

fn no_frame_yet(id: &SourceId, kind: &str) -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "no_frame_yet",
        format!("no {kind} frame of camera {id} has come back from Kafka yet"),
        format!("ask again in a second, and look at /cameras/{id}/status if that does not help"),
    )
    .retry_after(COME_BACK)
}

/// What `/cameras/{id}/status` says.
#[derive(Serialize)]
struct Status<'a> {
    id: &'a SourceId,
    address: String,
    #[serde(flatten)]
    stats: StatsReport,
    result: Option<ResultSummary>,
}

/// The newest result without its masks.
#[derive(Debug, PartialEq, Serialize)]
struct ResultSummary {
    id: FrameId,
    #[serde(with = "rfc3339_micros")]
    captured_at: Timestamp,
    model: ModelVersion,
    counts: Vec<LabelCount>,
    classes: Vec<Classification>,
}

#[derive(Debug, PartialEq, Serialize)]
struct LabelCount {
    label: String,
    count: u32,
    color: Option<Rgb>,
}

impl ResultSummary {
    fn of(detections: &Detections) -> Self {
        let mut counts: BTreeMap<&str, LabelCount> = BTreeMap::new();
        for instance in &detections.instances {
            let of_label = counts.entry(&instance.label).or_insert_with(|| LabelCount {
                label: instance.label.clone(),
                count: 0,
                color: instance.class_color,
            });
            of_label.count += 1;
        }
        Self {
            id: detections.id,
            captured_at: detections.captured_at,
            model: detections.model.clone(),
            counts: counts.into_values().collect(),
            classes: detections.classes.clone(),
        }
    }
}

#[cfg(test)]
#[path = "web_tests.rs"]
mod tests;
