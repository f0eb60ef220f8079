//! The admin port: `/healthz`, `/readyz` and `/metrics`, and what services add below `/admin`.
//!
//! It shows no secrets, but it is meant for operators: by default it listens on the loopback address
//! only. Who may change something through it, [`orders`](super::orders) says.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    health::{Health, Report},
    http::{HttpLimits, serve_http},
    metrics::Metrics,
    orders::Orders,
};

/// Probes and scrapers are few and quick.
const ADMIN_LIMITS: HttpLimits = HttpLimits {
    max_connections: 64,
    header_deadline: Duration::from_secs(5),
    write_stall: Duration::from_secs(5),
    grace: Duration::from_secs(1),
};

/// What the admin pages show.
#[derive(Clone, Debug)]
pub struct AdminState {
    /// For `/healthz` and `/readyz`.
    pub health: Health,
    /// For `/metrics`.
    pub metrics: Metrics,
    /// For what services add.
    pub orders: Orders,
}

/// The three routes, to serve on a port of their own or to merge into another web port.
pub fn admin_router(state: AdminState) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(state)
}

/// Serves the admin port until `stop`.
pub async fn serve_admin(listener: TcpListener, state: AdminState, stop: CancellationToken) {
    let orders = state.orders.clone();
    // Here alone: where the three routes are merged into a web port, no orders are taken.
    let added = Router::new()
        .route("/admin/{*path}", any(ordered))
        .with_state(orders);
    let routes = admin_router(state).merge(added);
    serve_http(listener, routes, ADMIN_LIMITS, stop).await;
}

async fn ordered(
    State(orders): State<Orders>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    orders.answer(peer.ip(), request).await
}

/// 200 while every loop turns; 503 asks for a restart.
async fn healthz(State(state): State<AdminState>) -> Response {
    let report = state.health.report();
    answer(report.live, &report)
}

/// 200 while work can be taken; 503 says which part cannot, since when and why.
async fn readyz(State(state): State<AdminState>) -> Response {
    let report = state.health.report();
    answer(report.ready, &report)
}

async fn metrics(State(state): State<AdminState>) -> Response {
    match state.metrics.to_text() {
        Ok(text) => {
            let content_type = (header::CONTENT_TYPE, prometheus::TEXT_FORMAT);
            ([content_type], text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "cannot write the metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn answer(is_well: bool, report: &Report) -> Response {
    let status = if is_well {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = serde_json::to_string(report).expect("a report has no maps and no fallible fields");
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
#[path = "admin_tests.rs"]
mod tests;
