//! `/admin/models` on the admin port: how the models stand, and orders to load, unload, reload, roll
//! out and roll back. Who may give orders is the admin port's to say.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Router, extract::DefaultBodyLimit};
use pipeline::catalogue::{CatalogueError, rollout::Change, rollout_file::RolloutError};
use pipeline::frame::ModelSelector;
use pipeline::service::Problem;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::orders::{Command, Order, OrderError};
use super::overview::{MemoryTold, ModelState, Overseer};
use crate::model::repository::ModelReference;
use crate::worker::shelf::ShelfError;

/// An order that takes longer goes on; who asked may watch `/admin/models`.
const PATIENCE: Duration = Duration::from_secs(20);

/// Orders are a line of JSON.
const MAX_BODY_BYTES: usize = 64 << 10;

#[derive(Clone)]
struct Desk {
    overseer: Overseer,
    commands: mpsc::Sender<Command>,
}

#[derive(Serialize)]
struct Models {
    models: Vec<ModelState>,
    memory: MemoryTold,
}

/// The routes.
pub(crate) fn admin_routes(overseer: Overseer, commands: mpsc::Sender<Command>) -> Router {
    Router::new()
        .route("/admin/models", get(list))
        .route("/admin/models/{name}", get(show))
        .route("/admin/models/{name}/load", post(load))
        .route("/admin/models/{name}/unload", post(unload))
        .route("/admin/models/{name}/reload", post(reload))
        .route("/admin/models/{name}/rollout", post(roll_out))
        .route("/admin/models/{name}/rollback", post(roll_back))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Desk { overseer, commands })
}

async fn list(State(desk): State<Desk>) -> Result<Response, Problem> {
    let memory = desk.overseer.memory();
    let models = blocking(move || desk.overseer.models()).await?;
    let models = models.map_err(|error| of_catalogue(&error))?;
    Ok(json(StatusCode::OK, &Models { models, memory }))
}

async fn show(State(desk): State<Desk>, Path(name): Path<String>) -> Result<Response, Problem> {
    let found = desk.overseer.catalogue.clone();
    let asked = name.clone();
    match blocking(move || found.versions(&asked)).await? {
        Err(error @ CatalogueError::UnknownModel { .. }) => Err(of_catalogue(&error)),
        _ => desk.answer(StatusCode::OK, name).await,
    }
}

/// `name` or `name@version`: the version may be left out.
async fn load(State(desk): State<Desk>, Path(name): Path<String>) -> Result<Response, Problem> {
    let reference = reference(&name)?;
    let model = reference.name.clone();
    desk.give(Order::Load(reference), model).await
}

async fn unload(State(desk): State<Desk>, Path(name): Path<String>) -> Result<Response, Problem> {
    let reference = reference(&name)?;
    let model = reference.name.clone();
    desk.give(Order::Unload(reference), model).await
}

async fn reload(State(desk): State<Desk>, Path(name): Path<String>) -> Result<Response, Problem> {
    let reference = reference(&name)?;
    if reference.selector != ModelSelector::Default {
        return Err(bad("a model is reloaded with all its loaded versions"));
    }
    desk.give(Order::Reload(reference.name.clone()), reference.name)
        .await
}

async fn roll_out(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let change: Change =
        serde_json::from_slice(&body).map_err(|error| bad(&format!("the body: {error}")))?;
    let (catalogue, model) = (desk.overseer.catalogue.clone(), name.clone());
    let written = blocking(move || catalogue.roll_out(&model, &change)).await?;
    written.map_err(|error| of_catalogue(&error))?;
    desk.give(Order::Look, name).await
}

async fn roll_back(
    State(desk): State<Desk>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let (catalogue, model) = (desk.overseer.catalogue.clone(), name.clone());
    let written = blocking(move || catalogue.roll_back(&model)).await?;
    written.map_err(|error| of_catalogue(&error))?;
    desk.give(Order::Look, name).await
}

impl Desk {
    /// Gives an order and answers how the model stands then.
    async fn give(self, order: Order, model: String) -> Result<Response, Problem> {
        let (answer, answered) = oneshot::channel();
        let command = Command { order, answer };
        let obeyed = async {
            self.commands.send(command).await.ok()?;
            answered.await.ok()
        };
        match timeout(PATIENCE, obeyed).await {
            Err(_elapsed) => self.answer(StatusCode::ACCEPTED, model).await,
            Ok(Some(Ok(()))) => self.answer(StatusCode::OK, model).await,
            Ok(Some(Err(error))) => Err(of_order(&error)),
            Ok(None) => Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "ending",
                "the detector is ending",
                "ask again when it is back",
            )),
        }
    }

    async fn answer(self, status: StatusCode, model: String) -> Result<Response, Problem> {
        let state = blocking(move || self.overseer.model(&model)).await?;
        Ok(json(status, &state))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "looking at the models broke");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "looking at the models broke: a defect of ours",
            "try again; the log says more",
        )
    })
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let text = serde_json::to_string(body).expect("its maps have text keys");
    let content_type = (header::CONTENT_TYPE, "application/json");
    let never_cached = (header::CACHE_CONTROL, "no-store");
    (status, [content_type, never_cached], text).into_response()
}

fn reference(text: &str) -> Result<ModelReference, Problem> {
    text.parse()
        .map_err(|error: crate::model::repository::RepositoryError| bad(&error.to_string()))
}

fn bad(message: &str) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "bad_order",
        message,
        "models/README.md lists the orders",
    )
}

fn of_catalogue(error: &CatalogueError) -> Problem {
    let (status, code, hint) = match error {
        CatalogueError::Folder { .. } => (
            StatusCode::SERVICE_UNAVAILABLE,
            "models_unavailable",
            "see that the folder of models is there and can be read",
        ),
        CatalogueError::Rollout { reason, .. } => match reason {
            RolloutError::Plan(_) => (
                StatusCode::CONFLICT,
                "not_possible",
                "GET /admin/models tells how the model stands",
            ),
            RolloutError::Busy => (StatusCode::CONFLICT, "busy", "try again"),
            RolloutError::Unreadable { .. } | RolloutError::Unwritable { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "rollout_unavailable",
                "see to the file, then try again",
            ),
        },
        _ => (
            StatusCode::NOT_FOUND,
            "unknown_model",
            "GET /admin/models lists the models",
        ),
    };
    Problem::new(status, code, error.to_string(), hint)
}

fn of_order(error: &OrderError) -> Problem {
    let (status, code, hint) = match error {
        OrderError::Model(ShelfError::Unknown(_)) => (
            StatusCode::NOT_FOUND,
            "unknown_model",
            "GET /admin/models lists the models",
        ),
        OrderError::Model(ShelfError::Unusable(_)) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "unusable_model",
            "mend its files, then ask again; what served before serves on",
        ),
        OrderError::Default(_) => (
            StatusCode::CONFLICT,
            "default_model",
            "roll another version out instead",
        ),
        OrderError::NotLoaded(_) => (
            StatusCode::CONFLICT,
            "not_loaded",
            "GET /admin/models tells what is loaded",
        ),
    };
    Problem::new(status, code, error.to_string(), hint)
}

#[cfg(test)]
#[path = "admin_tests.rs"]
mod tests;
