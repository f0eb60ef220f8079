//! A moving picture for everything that shows images: multipart JPEG over one endless answer.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use pipeline::frame::Frame;
use tokio_util::sync::CancellationToken;

use crate::playback::Watched;

/// Separates the pictures; no JPEG contains it.
const BOUNDARY: &str = "kadr-frame";

/// One part per frame until `stop`; a client that reads slowly skips frames instead of lagging behind.
pub(crate) fn moving_picture(mut newest: Watched<Frame>, stop: CancellationToken) -> Response {
    let content_type = format!("multipart/x-mixed-replace; boundary={BOUNDARY}");
    // The frame that is there already shows at once.
    newest.mark_changed();
    // A boundary ends each part: browsers show a part only when they have seen its end.
    let opening = Ok(Bytes::from(format!("--{BOUNDARY}\r\n")));
    let parts = stream::once(async { opening }).chain(parts(newest, stop));
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    (headers, Body::from_stream(parts)).into_response()
}

fn parts(
    newest: Watched<Frame>,
    stop: CancellationToken,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((newest, stop), |(mut newest, stop)| async move {
        loop {
            let changed = stop.run_until_cancelled(newest.changed()).await?;
            changed.ok()?;
            let frame: Option<Arc<Frame>> = newest.borrow_and_update().clone();
            if let Some(frame) = frame {
                return Some((Ok(part_of(&frame.jpeg)), (newest, stop)));
            }
        }
    })
}

fn part_of(jpeg: &Bytes) -> Bytes {
    let head = format!(
        "Content-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        jpeg.len()
    );
    let end = format!("\r\n--{BOUNDARY}\r\n");
    [head.as_bytes(), jpeg, end.as_bytes()].concat().into()
}
