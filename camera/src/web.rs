//! Snapshot, moving picture and status of each camera.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use futures::{Stream, stream};
use jiff::Timestamp;
use pipeline::frame::{Frame, SourceId};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::playback::Playback;

/// Separates the pictures of a moving picture; no JPEG contains it.
const BOUNDARY: &str = "kadr-frame";

#[derive(Clone)]
struct Cameras {
    playback: Arc<Playback>,
    stop: CancellationToken,
}

/// The camera routes, to merge into a web port. Moving pictures end with `stop`.
pub fn camera_router(playback: Arc<Playback>, stop: CancellationToken) -> Router {
    Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/cameras", get(list_cameras))
        .route("/cameras/{id}/status", get(show_status))
        .route("/cameras/{id}/snapshot.jpg", get(show_snapshot))
        .route("/cameras/{id}/live.mjpeg", get(show_live))
        .with_state(Cameras { playback, stop })
}

async fn list_cameras(State(cameras): State<Cameras>) -> Json<Value> {
    Json(json!({ "cameras": cameras.playback.sources().collect::<Vec<_>>() }))
}

async fn show_status(State(cameras): State<Cameras>, Path(id): Path<String>) -> Response {
    let Some(newest) = cameras.playback.watch(&id) else {
        return unknown(&cameras, &id);
    };
    let newest = newest.borrow();
    let Some(frame) = newest.as_deref() else {
        return no_frame_yet(&id);
    };
    Json(json!({
        "source": frame.source,
        "sequence": frame.sequence,
        "captured_at": frame.captured_at,
        "age_ms": frame.age(Timestamp::now()).as_millis(),
        "stale": frame.is_stale(Timestamp::now()),
        "bytes": frame.jpeg.len(),
    }))
    .into_response()
}

async fn show_snapshot(State(cameras): State<Cameras>, Path(id): Path<String>) -> Response {
    let Some(newest) = cameras.playback.watch(&id) else {
        return unknown(&cameras, &id);
    };
    let Some(jpeg) = newest.borrow().as_ref().map(|frame| frame.jpeg.clone()) else {
        return no_frame_yet(&id);
    };
    (
        [
            (header::CONTENT_TYPE, "image/jpeg"),
            (header::CACHE_CONTROL, "no-store"),
        ],
        jpeg,
    )
        .into_response()
}

async fn show_live(State(cameras): State<Cameras>, Path(id): Path<String>) -> Response {
    let Some(newest) = cameras.playback.watch(&id) else {
        return unknown(&cameras, &id);
    };
    let content_type = format!("multipart/x-mixed-replace; boundary={BOUNDARY}");
    let pictures = Body::from_stream(moving_picture(newest, cameras.stop));
    (
        [
            (header::CONTENT_TYPE, content_type),
            (header::CACHE_CONTROL, "no-store".to_owned()),
        ],
        pictures,
    )
        .into_response()
}

/// One part per frame; a client that reads slowly skips frames instead of lagging behind.
fn moving_picture(
    newest: watch::Receiver<Option<Arc<Frame>>>,
    stop: CancellationToken,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((newest, stop), |(mut newest, stop)| async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return None,
                changed = newest.changed() => changed.ok()?,
            }
            let part = newest
                .borrow_and_update()
                .as_ref()
                .map(|frame| part_of(&frame.jpeg));
            if let Some(part) = part {
                return Some((Ok(part), (newest, stop)));
            }
        }
    })
}

fn part_of(jpeg: &Bytes) -> Bytes {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        jpeg.len()
    );
    [head.as_bytes(), jpeg, b"\r\n"].concat().into()
}

fn unknown(cameras: &Cameras, id: &str) -> Response {
    let known: Vec<&str> = cameras.playback.sources().map(SourceId::as_str).collect();
    problem(
        StatusCode::NOT_FOUND,
        "unknown_camera",
        &format!("there is no camera {id:?}; there are: {}", known.join(", ")),
    )
}

fn no_frame_yet(id: &str) -> Response {
    problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "no_frame_yet",
        &format!("camera {id:?} has sent nothing yet; ask again in a second"),
    )
}

fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    (
        status,
        Json(json!({ "error": { "code": code, "message": message } })),
    )
        .into_response()
}
