//! `GET /api/models`: what may be asked for.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use pipeline::{catalogue::Entry, service::Problem};
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::{Gateway, answer, problems};

#[derive(Serialize)]
struct Models<'a> {
    default: &'a str,
    models: Vec<Entry>,
}

pub(super) async fn list_models(State(gateway): State<Arc<Gateway>>) -> Result<Response, Problem> {
    let catalogue = gateway.catalogue.clone();
    let listed = spawn_blocking(move || catalogue.list()).await;
    let models = match listed {
        Ok(listed) => listed.map_err(|error| problems::of_catalogue(&error))?,
        Err(_panic) => return Err(problems::internal("listing the models broke")),
    };
    let default = &gateway.default_model;
    Ok(answer::json(StatusCode::OK, &Models { default, models }))
}
