//! The admin port over real HTTP.

use super::*;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::service::{DropReason, http::bind};

const PATIENCE: Duration = Duration::from_mins(1);

struct TestAdmin {
    address: SocketAddr,
    state: AdminState,
    /// Seconds on the registry's clock.
    clock: Arc<AtomicU64>,
    stop: CancellationToken,
}

impl TestAdmin {
    async fn start() -> Self {
        let clock = Arc::new(AtomicU64::new(0));
        let seconds = Arc::clone(&clock);
        let health = Health::with_clock("detector", move || {
            Duration::from_secs(seconds.load(Ordering::SeqCst))
        });
        let state = AdminState {
            health,
            metrics: Metrics::new("detector").unwrap(),
            orders: Orders::default(),
        };
        let listener = bind(([127, 0, 0, 1], 0).into(), "--admin-listen")
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(serve_admin(listener, state.clone(), stop.clone()));
        Self {
            address,
            state,
            clock,
            stop,
        }
    }

    /// Status line, headers and body.
    async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: kadr\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
        read.expect("an answer well before the deadline").unwrap();
        answer
    }

    async fn status(&self, path: &str) -> u16 {
        let answer = self.get(path).await;
        answer
            .split(' ')
            .nth(1)
            .expect("a status line")
            .parse()
            .expect("a number")
    }

    async fn report(&self, path: &str) -> serde_json::Value {
        let answer = self.get(path).await;
        let (_, body) = answer.split_once("\r\n\r\n").expect("headers end");
        serde_json::from_str(body).expect("a json body")
    }
}

impl Drop for TestAdmin {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn a_ready_service_answers_200_to_both() {
    let admin = TestAdmin::start().await;
    let part = admin.state.health.register("kafka", Duration::from_secs(5));
    part.ready();
    assert_eq!(admin.status("/healthz").await, 200);
    assert_eq!(admin.status("/readyz").await, 200);
}

#[tokio::test]
async fn an_unready_part_is_listed_with_state_since_and_reason() {
    let admin = TestAdmin::start().await;
    let part = admin.state.health.register("model", Duration::from_secs(5));
    part.not_ready("model parts@1 is missing: copy it to models/parts/1");
    assert_eq!(
        admin.status("/healthz").await,
        200,
        "a restart would not help"
    );
    assert_eq!(admin.status("/readyz").await, 503);
    let report = admin.report("/readyz").await;
    let listed = &report["parts"][0];
    assert_eq!(report["ready"], false);
    assert_eq!(listed["part"], "model");
    assert_eq!(listed["service"], "detector");
    assert_eq!(listed["state"], "not_ready");
    assert_eq!(
        listed["reason"],
        "model parts@1 is missing: copy it to models/parts/1"
    );
    let since = listed["since"].as_str().expect("a date");
    assert!(since.parse::<jiff::Timestamp>().is_ok(), "{since}");
}

#[tokio::test]
async fn a_stalled_part_turns_both_red() {
    let admin = TestAdmin::start().await;
    let part = admin.state.health.register("kafka", Duration::from_secs(5));
    part.ready();
    admin.clock.store(6, Ordering::SeqCst);
    assert_eq!(admin.status("/healthz").await, 503);
    assert_eq!(admin.status("/readyz").await, 503);
    assert_eq!(
        admin.report("/healthz").await["parts"][0]["state"],
        "stalled"
    );
}

#[tokio::test]
async fn a_draining_service_is_live_and_not_ready() {
    let admin = TestAdmin::start().await;
    let part = admin.state.health.register("kafka", Duration::from_secs(5));
    part.ready();
    admin.state.health.drain();
    assert_eq!(admin.status("/healthz").await, 200);
    assert_eq!(admin.status("/readyz").await, 503);
    assert_eq!(admin.report("/readyz").await["draining"], true);
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let admin = TestAdmin::start().await;
    admin.state.metrics.frame_dropped(DropReason::Stale);
    let answer = admin.get("/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("content-type: text/plain; version=0.0.4\r\n"),
        "{answer}"
    );
    let line = "kadr_frames_dropped_total{reason=\"stale\",service=\"detector\"} 1\n";
    assert!(answer.contains(line), "{answer}");
    let build = format!(
        "kadr_build_info{{version=\"{}\"}} 1\n",
        env!("CARGO_PKG_VERSION")
    );
    assert!(answer.contains(&build), "{answer}");
}

#[tokio::test]
async fn the_routes_merge_into_another_port() {
    let health = Health::new("kadr");
    health.register("launcher", Duration::from_secs(5)).ready();
    let state = AdminState {
        health,
        metrics: Metrics::new("kadr").unwrap(),
        orders: Orders::default(),
    };
    let added = Router::new().route("/admin/lamp", get(async || "on"));
    state.orders.add(added);
    let router = Router::new()
        .route("/", get(async || "a page"))
        .merge(admin_router(state));
    let listener = bind(([127, 0, 0, 1], 0).into(), "--listen").await.unwrap();
    let mut admin = TestAdmin::start().await;
    admin.address = listener.local_addr().unwrap();
    let serving = tokio::spawn(serve_http(
        listener,
        router,
        ADMIN_LIMITS,
        admin.stop.clone(),
    ));
    assert!(admin.get("/").await.ends_with("a page"));
    assert_eq!(admin.status("/metrics").await, 200);
    assert_eq!(admin.status("/admin/lamp").await, 404, "not on a web port");
    // The launcher part's handle was dropped above.
    assert_eq!(admin.status("/healthz").await, 503);
    admin.stop.cancel();
    timeout(PATIENCE, serving)
        .await
        .expect("a prompt stop")
        .unwrap();
}

#[tokio::test]
async fn services_add_routes_while_the_port_is_open() {
    let admin = TestAdmin::start().await;
    assert_eq!(admin.status("/admin/lamp").await, 404);
    let added = Router::new().route("/admin/lamp", get(async || "on"));
    admin.state.orders.add(added);
    assert!(admin.get("/admin/lamp").await.ends_with("on"));
    assert_eq!(admin.status("/admin/bell").await, 404);
}
