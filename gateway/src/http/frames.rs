//! `GET /api/frames/{id}` and its two pictures.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use pipeline::{frame::FrameId, service::Problem};

use super::{Gateway, answer, problems};
use crate::outcomes::Fate;

/// When to ask again for what is queued.
const ASK_AGAIN: Duration = Duration::from_secs(1);

pub(super) async fn show_frame(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    let fate = gateway.fate_of(id).await?;
    Ok(answer::frame(StatusCode::OK, id, &fate))
}

pub(super) async fn show_annotated(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    let fate = gateway.fate_of(id).await?;
    Ok(answer::jpeg(gateway.annotated(id, &fate).await?))
}

pub(super) async fn show_original(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
) -> Response {
    match gateway.original(&id).await {
        Ok(picture) => answer::jpeg(picture),
        Err(problem) => problem.into_response(),
    }
}

impl Gateway {
    /// How an upload stands, from memory or from the topics.
    async fn fate_of(&self, id: FrameId) -> Result<Fate, Problem> {
        if let Some(fate) = self.outcomes.get(id) {
            return Ok(fate);
        }
        let found = self.archive.fate_of(id).await;
        let fate = found
            .map_err(|error| problems::of_archive(&error))?
            .ok_or_else(|| problems::unknown_frame(id))?;
        self.outcomes.note(id, fate.clone());
        // Its end may have come while the topics were read.
        Ok(self.outcomes.get(id).unwrap_or(fate))
    }

    /// The annotated picture of an upload that is done.
    pub(super) async fn annotated(&self, id: FrameId, fate: &Fate) -> Result<Bytes, Problem> {
        let done = match fate {
            Fate::Queued(_) => return Err(not_yet(id)),
            Fate::Failed(failure) => return Err(answer::failure(failure)),
            Fate::Done(done) => done,
        };
        let place = done.annotated.as_ref();
        let place = place.filter(|place| place.topic == self.topics.annotated());
        let place = place.ok_or_else(|| {
            Problem::new(
                StatusCode::NOT_FOUND,
                "no_annotated_picture",
                format!("no annotated picture of {id} was made"),
                "its detector makes none; the result is in the JSON",
            )
        })?;
        let read = self.archive.annotated(id, (place.partition, place.offset));
        read.await
            .map_err(|error| problems::of_archive(&error))?
            .ok_or_else(|| expired(id))
    }

    async fn original(&self, id: &str) -> Result<Bytes, Problem> {
        let id = parse_id(id)?;
        let place = match self.outcomes.get(id) {
            Some(Fate::Queued(submission)) => submission.place,
            _ => None,
        };
        let read = self.archive.original(id, place).await;
        read.map_err(|error| problems::of_archive(&error))?
            .ok_or_else(|| problems::unknown_frame(id))
    }
}

fn parse_id(text: &str) -> Result<FrameId, Problem> {
    text.parse().map_err(|_not_a_uuid| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "bad_id",
            "this is not the id of a frame",
            "an id looks like 0197c5a0-8f3e-7b6a-9d21-5f0e6a3b7c18; the answer to the upload \
             names it",
        )
    })
}

fn not_yet(id: FrameId) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not_done_yet",
        format!("{id} has not been looked at yet"),
        "ask again in a second",
    )
    .retry_after(ASK_AGAIN)
}

fn expired(id: FrameId) -> Problem {
    Problem::new(
        StatusCode::GONE,
        "expired",
        format!("the annotated picture of {id} is no longer kept"),
        "send the picture again",
    )
}
