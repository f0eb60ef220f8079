//! The routes, on a folder of models made for the purpose, with a keeper that is pretended.

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use serde_json::{Value, json};
use tower_service::Service as _;

use pipeline::catalogue::Catalogue;
use pipeline::detections::ModelVersion;

use super::super::board::Board;
use super::super::routes::Routes;
use super::super::shadow::tests::shadows;
use super::*;

struct Bench {
    root: tempfile::TempDir,
    routes: Router,
    commands: mpsc::Receiver<Command>,
    board: Board,
}

/// `parts` in versions 1 and 2.
fn bench() -> Bench {
    let root = tempfile::tempdir().unwrap();
    for version in ["parts/1", "parts/2"] {
        std::fs::create_dir_all(root.path().join(version)).unwrap();
    }
    std::fs::write(root.path().join("parts/model.toml"), "task = \"t\"").unwrap();
    let board = Board::default();
    let overseer = Overseer {
        catalogue: Catalogue::new(root.path()),
        board: board.clone(),
        routes: Routes::default(),
        shadows: shadows(),
    };
    let (orders, commands) = mpsc::channel(4);
    Bench {
        root,
        routes: admin_routes(overseer, orders),
        commands,
        board,
    }
}

impl Bench {
    async fn ask(&self, method: Method, path: &str, body: &str) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let answer = self.routes.clone().call(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Gives an order that the keeper answers so; tells which order it was.
    async fn order(
        &mut self,
        (path, body): (&str, &str),
        obeyed: Result<(), OrderError>,
    ) -> (u16, Value, Order) {
        let (mut commands, none) = (mpsc::channel(1).1, &mut self.commands);
        std::mem::swap(&mut commands, none);
        let keeper = async {
            let Command { order, answer } = commands.recv().await.unwrap();
            answer.send(obeyed).unwrap();
            order
        };
        let ((status, value), order) = tokio::join!(self.ask(Method::POST, path, body), keeper);
        self.commands = commands;
        (status, value, order)
    }
}

#[tokio::test]
async fn models_are_listed_as_they_stand() {
    let bench = bench();
    let second = ModelVersion {
        name: "parts".to_owned(),
        version: 2,
    };
    bench.board.fail(second, "cut short".to_owned());
    let (status, list) = bench.ask(Method::GET, "/admin/models", "").await;
    assert_eq!(status, 200);
    let parts = &list["models"][0];
    assert_eq!(parts["versions"], json!([1, 2]));
    assert_eq!(parts["aliases"]["stable"], 2);
    assert_eq!(parts["failed"][0]["reason"], "cut short");
    let (status, one) = bench.ask(Method::GET, "/admin/models/parts", "").await;
    assert_eq!((status, &one), (200, parts));
    let (status, none) = bench.ask(Method::GET, "/admin/models/pants", "").await;
    assert_eq!(
        (status, &none["error"]["code"]),
        (404, &json!("unknown_model"))
    );
    std::fs::write(bench.root.path().join("parts/rollout.toml"), "?").unwrap();
    let (status, torn) = bench.ask(Method::GET, "/admin/models/parts", "").await;
    assert_eq!(status, 200);
    assert!(torn["trouble"].as_str().unwrap().contains("rollout.toml"));
}

#[tokio::test]
async fn orders_reach_the_keeper_and_its_refusals_the_operator() {
    let mut bench = bench();
    let (status, _, order) = bench
        .order(("/admin/models/parts@2/load", ""), Ok(()))
        .await;
    assert_eq!(
        (status, order),
        (200, Order::Load("parts@2".parse().unwrap()))
    );
    let refused = Err(OrderError::Default("parts@2".to_owned()));
    let (status, body, order) = bench
        .order(("/admin/models/parts/unload", ""), refused)
        .await;
    assert_eq!(
        (status, order),
        (409, Order::Unload("parts".parse().unwrap()))
    );
    assert_eq!(body["error"]["code"], "default_model");
    let refused = ShelfError::Unusable("cut short".to_owned()).into();
    let (status, body, _) = bench
        .order(("/admin/models/parts/reload", ""), Err(refused))
        .await;
    assert_eq!(
        (status, &body["error"]["message"]),
        (422, &json!("cut short"))
    );
}

#[tokio::test]
async fn rollouts_are_written_and_taken_back() {
    let mut bench = bench();
    let path = "/admin/models/parts/rollout";
    let (status, body, order) = bench.order((path, r#"{"serve":1}"#), Ok(())).await;
    assert_eq!((status, order), (200, Order::Look));
    assert_eq!(
        (&body["plan"]["current"], &body["aliases"]["stable"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(body["last_change"], "serve version 1");
    let back = ("/admin/models/parts/rollback", "");
    let (status, body, _) = bench.order(back, Ok(())).await;
    assert_eq!((status, &body["aliases"]["stable"]), (200, &json!(2)));
    for (path, body, status) in [
        (path, r#"{"serve":7}"#, 409),
        (path, r#"{"serv":1}"#, 400),
        (path, "", 400),
        ("/admin/models/parts/rollback", "", 409),
        ("/admin/models/pants/rollout", r#"{"serve":1}"#, 404),
        ("/admin/models/parts@1/reload", "", 400),
    ] {
        let (answered, problem) = bench.ask(Method::POST, path, body).await;
        assert_eq!(answered, status, "{path} {body}: {problem}");
        assert!(problem["error"]["hint"].is_string());
    }
}

#[tokio::test]
async fn a_detector_that_is_ending_says_so() {
    let mut bench = bench();
    bench.commands.close();
    let (status, _) = bench
        .ask(Method::POST, "/admin/models/parts/load", "")
        .await;
    assert_eq!(status, 503);
}
