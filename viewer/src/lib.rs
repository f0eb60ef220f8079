//! The viewer: joins annotated pictures with results and shows them in browsers, live.
//!
//! Layout, in the order in which a frame meets it:
//!
//! - `feed`: reads the two output topics from their end
//! - `join`: pictures and results by frame id, in a bounded waiting room
//! - `shown`: a frame as browsers are given it, encoded once
//! - `wall`: every source with its newest frame; `source`, `pace`, `history`, `results`, `counts`:
//!   what is kept of one; `clock`: the time that all of it is told
//! - `way`: what is recorded of a frame whose trace is sampled
//! - `hub`: the wall in the middle of its users; nobody waits for anybody
//! - `live`: the WebSocket; `pictures`: snapshot and moving picture; `api`: the rest as JSON;
//!   `choice`: what a client wants to see
//! - `pages`: HTML, CSS and modules; `web`: the routes
//! - `config`, `metrics`: how it is operated

mod api;
mod choice;
mod clock;
mod config;
mod counts;
mod feed;
mod history;
mod hub;
mod join;
mod live;
mod metrics;
mod pace;
mod pages;
mod pictures;
mod results;
mod shown;
mod source;
#[cfg(test)]
mod testing;
mod viewer;
mod wall;
mod way;
mod web;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::Router;
use pipeline::{
    kafka::TailError,
    service::{Bus, Context, Tasks, bus::report_link, metrics::MetricsError},
};
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::task::TaskTracker;

pub use self::{
    config::{ServiceArgs, ViewerArgs, ViewerConfig, run},
    metrics::{CAPTURE_TO_JOINED, CLIENTS, FRAMES, REFUSED, REPEATED, STALLED},
};
use self::{
    feed::Feed, hub::Hub, live::session::Patience, metrics::ViewerMetrics, pages::Pages,
    viewer::Viewer,
};

/// A link that says nothing for so long is stuck.
const LINK_DEADLINE: Duration = Duration::from_secs(15);
/// How long clients may take to hear that the viewer ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why the viewer did not start.
#[derive(Debug, thiserror::Error)]
pub enum ViewerError {
    /// The topics cannot be read.
    #[error(transparent)]
    Tail(#[from] TailError),
    /// A metric was registered twice: a mistake in our code.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// Starts reading among `tasks` and answers the routes: pages, `/api/live` and `/api/sources`. What
/// is published after this returns is seen. The topics must exist.
pub async fn start(
    config: ViewerConfig,
    bus: &Bus,
    context: &Context,
    tasks: &mut Tasks,
) -> Result<Router, ViewerError> {
    let context = context.for_service("viewer")?;
    let stop = context.shutdown.token();
    let metrics = ViewerMetrics::register(&context.metrics)?;
    let hub = Arc::new(Hub::new(metrics, context.traces.clone()));
    let feed = Feed::open(bus).await?;
    let part = context.health.register("tail", LINK_DEADLINE);
    let reporting = report_link(feed.tail().link(), part, stop.clone());
    tasks.spawn("viewer link", async {
        reporting.await;
        Ok::<_, Infallible>(())
    });
    tasks.spawn("viewer feed", feed.run(Arc::clone(&hub), stop.clone()));

    let viewer = Viewer {
        hub,
        pages: Arc::new(Pages::load()),
        seats: Arc::new(Semaphore::new(config.max_watchers)),
        max_watchers: config.max_watchers,
        patience: Patience::DEFAULT,
        clients: TaskTracker::new(),
        stop,
    };
    tasks.spawn("viewer clients", see_off(viewer.clone()));
    Ok(web::viewer_router(viewer))
}

/// Once the shutdown has begun, waits until the clients have been told.
async fn see_off(viewer: Viewer) -> Result<(), Infallible> {
    viewer.stop.cancelled().await;
    viewer.clients.close();
    if timeout(FAREWELL, viewer.clients.wait()).await.is_err() {
        tracing::debug!("some live clients did not take the farewell");
    }
    Ok(())
}
