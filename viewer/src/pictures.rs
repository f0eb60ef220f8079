//! Snapshot and moving picture of a source, for everything that is no WebSocket.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, stream};
use pipeline::service::{Problem, mjpeg::moving_picture};
use tokio::sync::watch;

use crate::{
    api::look_at,
    choice::Choice,
    viewer::{Seat, Viewer},
};

const CAPTURED_AT: HeaderName = HeaderName::from_static("x-kadr-captured-at");
const AGE_MS: HeaderName = HeaderName::from_static("x-kadr-age-ms");
const FRAME_ID: HeaderName = HeaderName::from_static("x-kadr-frame-id");

pub(crate) async fn show_snapshot(
    State(viewer): State<Viewer>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let (newest, now) = look_at(&viewer, &id, |_, source, now| {
        (Arc::clone(&source.newest), now)
    })?;
    let age_ms = now.wall.duration_since(newest.captured_at).as_millis();
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg".to_owned()),
        (CAPTURED_AT, format!("{:.6}", newest.captured_at)),
        (AGE_MS, age_ms.max(0).to_string()),
        (FRAME_ID, newest.id.to_string()),
    ];
    Ok((headers, newest.jpeg()).into_response())
}

pub(crate) async fn show_moving(
    State(viewer): State<Viewer>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let choice = look_at(&viewer, &id, |id, _, _| Choice::only(id.clone()))?;
    let watching = Watching {
        _seat: viewer.take_seat("mjpeg")?,
        bell: viewer.hub.frame_bell(),
        viewer,
        choice,
        sent_up_to: 0,
    };
    Ok(moving_picture(newest_pictures(watching)))
}

/// A client of a moving picture; its seat is free again when its stream is dropped.
struct Watching {
    viewer: Viewer,
    choice: Choice,
    bell: watch::Receiver<()>,
    sent_up_to: u64,
    _seat: Seat,
}

/// The newest picture each time the client has taken one; ends with the viewer.
fn newest_pictures(watching: Watching) -> impl Stream<Item = Bytes> {
    stream::unfold(watching, |mut watching| async move {
        let picture = watching.next().await?;
        Some((picture, watching))
    })
}

impl Watching {
    async fn next(&mut self) -> Option<Bytes> {
        // Looked at each time: where frames never cease, nothing would wait below.
        while !self.viewer.stop.is_cancelled() {
            self.bell.mark_unchanged();
            let (choice, after) = (&self.choice, self.sent_up_to);
            let next = self
                .viewer
                .hub
                .look(|wall, _| wall.next_frame(choice, after));
            if let Some((number, shown)) = next {
                self.sent_up_to = number;
                return Some(shown.jpeg());
            }
            tokio::select! {
                () = self.viewer.stop.cancelled() => return None,
                rung = self.bell.changed() => rung.ok()?,
            }
        }
        None
    }
}
