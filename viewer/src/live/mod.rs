//! `/api/live`: the WebSocket through which browsers watch.
//!
//! - this file: who is let in
//! - `origin`: pages of other sites are not
//! - `session`: the conversation with one client
//! - `messages`: the texts in it
//! - `window`: how far a client may lag behind

mod messages;
mod origin;
pub(crate) mod session;
mod window;

use std::time::Duration;

use axum::{
    extract::{
        Query, State, WebSocketUpgrade, rejection::QueryRejection,
        ws::rejection::WebSocketUpgradeRejection,
    },
    http::{HeaderMap, StatusCode},
    response::Response,
};
use pipeline::service::Problem;

use self::session::{Ended, Session};
use crate::{choice::Choice, viewer::Viewer};

/// A list of all sources by their longest names fits.
const MAX_HEARD_BYTES: usize = 64 << 10;
/// When a full house may have a free seat.
pub(crate) const COME_BACK_AFTER: Duration = Duration::from_secs(5);

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;
type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

pub(crate) async fn watch_live(
    State(viewer): State<Viewer>,
    headers: HeaderMap,
    query: Pairs,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    let metrics = viewer.hub.metrics().clone();
    if !origin::is_ours(&headers) {
        metrics.refused.with_label_values(&["cross_origin"]).inc();
        return Err(cross_origin());
    }
    let choice = choice_of(query)?;
    let upgrade = upgrade.map_err(|_not_a_websocket| no_websocket())?;
    let seat = viewer.take_seat("websocket")?;
    let upgrade = upgrade
        .max_message_size(MAX_HEARD_BYTES)
        .max_frame_size(MAX_HEARD_BYTES)
        .on_failed_upgrade(|error| tracing::debug!(%error, "a live client was lost on the way in"));
    Ok(upgrade.on_upgrade(move |socket| {
        let conversing = async move {
            let _until_the_end = seat;
            let session = Session::new(viewer.hub.clone(), socket, choice, viewer.patience);
            let ended = session.run(&viewer.stop).await;
            if matches!(ended, Ended::Stalled) {
                metrics.stalled.with_label_values(&["websocket"]).inc();
            }
            tracing::debug!(%ended, "a live client has left");
        };
        viewer.clients.track_future(conversing)
    }))
}

fn choice_of(query: Pairs) -> Result<Choice, Problem> {
    let bad = |message: String| {
        let hint = "name sources as ?source=belt-1&source=belt-2, or none for all of them";
        Problem::new(StatusCode::BAD_REQUEST, "bad_source", message, hint)
    };
    let Query(pairs) = query.map_err(|error| bad(error.body_text()))?;
    let names = pairs.into_iter().filter(|(name, _)| name == "source");
    let names: Vec<String> = names.map(|(_, value)| value).collect();
    if names.is_empty() {
        return Ok(Choice::All);
    }
    Choice::named(names).map_err(|error| bad(error.to_string()))
}

fn cross_origin() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "cross_origin",
        "a page of another site may not watch",
        "open the wall itself; behind a proxy, let it pass the Host header on unchanged",
    )
}

fn no_websocket() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "not_a_websocket",
        "this address speaks WebSocket",
        "connect with ws:// or wss://; for plain HTTP there is /api/sources/{id}/annotated.mjpeg",
    )
}

#[cfg(test)]
mod live_tests;
