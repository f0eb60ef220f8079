//! `/api/sources`: what the wall knows, as JSON.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use pipeline::{frame::SourceId, service::Problem};
use serde::{Deserialize, Serialize};

use crate::{
    choice::Choice,
    clock::Moment,
    history::{BUCKET_MS, LabelInfo, MAX_BUCKETS, Point},
    results::MAX_RESULTS,
    source::{Source, Summary},
    viewer::Viewer,
    wall::Wall,
};

const MINUTE_MS: i64 = 60_000;
const MAX_MINUTES: i64 = MAX_BUCKETS as i64 * BUCKET_MS / MINUTE_MS;
const DEFAULT_RESULTS: usize = 50;
/// An error names no more sources than a person reads.
const MAX_LISTED: usize = 20;

#[derive(Serialize)]
pub(crate) struct SourcesAnswer {
    server_ms: f64,
    sources: Vec<Summary>,
}

#[derive(Serialize)]
pub(crate) struct HistoryAnswer {
    source: SourceId,
    bucket_ms: i64,
    labels: Vec<LabelInfo>,
    points: Vec<Point>,
}

#[derive(Deserialize)]
pub(crate) struct HistoryQuery {
    minutes: Option<i64>,
}

#[derive(Deserialize)]
pub(crate) struct ResultsQuery {
    limit: Option<usize>,
}

pub(crate) async fn list_sources(State(viewer): State<Viewer>) -> Json<SourcesAnswer> {
    Json(viewer.hub.look(|wall, now| SourcesAnswer {
        server_ms: now.unix_ms(),
        sources: wall.summaries(&Choice::All, now),
    }))
}

pub(crate) async fn show_source(
    State(viewer): State<Viewer>,
    Path(id): Path<String>,
) -> Result<Json<Summary>, Problem> {
    let summary = look_at(&viewer, &id, |id, source, now| source.summary(id, now))?;
    Ok(Json(summary))
}

pub(crate) async fn show_history(
    State(viewer): State<Viewer>,
    Path(id): Path<String>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Json<HistoryAnswer>, Problem> {
    let query = query.map_err(|error| bad_query(&error))?;
    let minutes = query.minutes.unwrap_or(MAX_MINUTES).clamp(1, MAX_MINUTES);
    let answer = look_at(&viewer, &id, |id, source, now| {
        let now_ms = now.wall.as_millisecond();
        let (labels, points) = source.history.points(now_ms - minutes * MINUTE_MS, now_ms);
        HistoryAnswer {
            source: id.clone(),
            bucket_ms: BUCKET_MS,
            labels,
            points,
        }
    })?;
    Ok(Json(answer))
}

pub(crate) async fn show_results(
    State(viewer): State<Viewer>,
    Path(id): Path<String>,
    query: Result<Query<ResultsQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let query = query.map_err(|error| bad_query(&error))?;
    let limit = query.limit.unwrap_or(DEFAULT_RESULTS).min(MAX_RESULTS);
    let results = look_at(&viewer, &id, |_, source, _| source.results.newest(limit))?;
    // They are kept as the JSON that they go out as.
    let json = format!(r#"{{"results":[{}]}}"#, results.join(","));
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// Looks at one source, or says which ones there are.
pub(crate) fn look_at<T>(
    viewer: &Viewer,
    id: &str,
    look: impl FnOnce(&SourceId, &Source, Moment) -> T,
) -> Result<T, Problem> {
    viewer.hub.look(|wall, now| match wall.source(id) {
        Some((id, source)) => Ok(look(id, source, now)),
        None => Err(unknown_source(wall, id)),
    })
}

fn unknown_source(wall: &Wall, id: &str) -> Problem {
    let known: Vec<&str> = wall
        .source_ids()
        .map(SourceId::as_str)
        .take(MAX_LISTED + 1)
        .collect();
    let hint = match known.len() {
        0 => "nothing was seen yet: does a camera send, and does a detector work?".to_owned(),
        1..=MAX_LISTED => format!("there are: {}", known.join(", ")),
        _ => format!(
            "there are: {}, …; /api/sources lists them all",
            known[..MAX_LISTED].join(", ")
        ),
    };
    let shown: String = id.chars().take(SourceId::MAX_LENGTH).collect();
    let message = format!("no live source is called {shown:?}");
    Problem::new(StatusCode::NOT_FOUND, "unknown_source", message, hint)
}

fn bad_query(error: &QueryRejection) -> Problem {
    let hint = "?minutes=10 and ?limit=50 take whole numbers";
    Problem::new(
        StatusCode::BAD_REQUEST,
        "bad_query",
        error.body_text(),
        hint,
    )
}
