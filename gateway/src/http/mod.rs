//! The routes.
//!
//! Layout, in the order a request meets it:
//!
//! - `query`, `body`, `form`: what the client sent, under limits
//! - `upload`: `POST /api/frames`
//! - `frames`: `GET /api/frames/{id}` and its two pictures
//! - `models`: `GET /api/models`
//! - `answer`: the JSON of a frame
//! - `problems`: what went wrong, in the words of HTTP

mod answer;
mod body;
mod form;
mod frames;
mod models;
mod problems;
mod query;
#[cfg(test)]
mod tests;
mod upload;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use pipeline::{catalogue::Catalogue, service::Traces, topic::Topics};

use self::body::LeastRate;
use crate::{
    admission::Admission,
    intake::Limits,
    metrics::GatewayMetrics,
    outcomes::{Archive, Outcomes},
    outlet::Outlet,
};

/// What the handlers need.
pub(crate) struct Gateway {
    pub(crate) topics: Topics,
    pub(crate) outlet: Box<dyn Outlet>,
    pub(crate) outcomes: Outcomes,
    pub(crate) archive: Archive,
    pub(crate) catalogue: Catalogue,
    pub(crate) default_model: String,
    pub(crate) admission: Admission,
    pub(crate) metrics: GatewayMetrics,
    pub(crate) traces: Traces,
    pub(crate) limits: Limits,
    pub(crate) max_upload_bytes: u64,
    pub(crate) publish_timeout: Duration,
    pub(crate) least_rate: LeastRate,
}

pub(crate) use body::LEAST_RATE;

/// The routes of the gateway, to serve alone or to merge with others.
pub(crate) fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/api/frames", post(upload::post_frame))
        .route("/api/frames/{id}", get(frames::show_frame))
        .route(
            "/api/frames/{id}/annotated.jpg",
            get(frames::show_annotated),
        )
        .route("/api/frames/{id}/original.jpg", get(frames::show_original))
        .route("/api/models", get(models::list_models))
        // Bodies are limited where they are read.
        .layer(DefaultBodyLimit::disable())
        .with_state(gateway)
}
