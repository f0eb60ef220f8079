//! What the routes share: the wall, the seats and the end.

use std::sync::Arc;

use axum::http::StatusCode;
use pipeline::service::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    hub::Hub,
    live::{COME_BACK_AFTER, session::Patience},
    metrics::ClientHere,
    pages::Pages,
};

/// The state of all routes. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    pub(crate) hub: Arc<Hub>,
    pub(crate) pages: Arc<Pages>,
    /// One for each client that watches.
    pub(crate) seats: Arc<Semaphore>,
    pub(crate) max_watchers: usize,
    pub(crate) patience: Patience,
    /// The conversations under way; they end by themselves once `stop` is called.
    pub(crate) clients: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// A seat, given back when the client leaves.
#[derive(Debug)]
pub(crate) struct Seat {
    _permit: OwnedSemaphorePermit,
    _here: ClientHere,
}

impl Viewer {
    /// A seat for a client that stays, if one is free.
    pub(crate) fn take_seat(&self, kind: &str) -> Result<Seat, Problem> {
        let metrics = self.hub.metrics();
        let Ok(permit) = Arc::clone(&self.seats).try_acquire_owned() else {
            metrics.refused.with_label_values(&["full"]).inc();
            let problem = Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_watchers",
                format!("all {} seats are taken", self.max_watchers),
                "come back later, or raise --max-watchers",
            );
            return Err(problem.retry_after(COME_BACK_AFTER));
        };
        Ok(Seat {
            _permit: permit,
            _here: metrics.client(kind),
        })
    }
}
