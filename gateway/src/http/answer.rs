//! The JSON of a frame, and the pictures.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use jiff::Timestamp;
use pipeline::{
    frame::{FrameId, rfc3339_micros},
    record::FailureKind,
    service::Problem,
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::outcomes::{Failure, Fate, Submission, source_of};

/// How a frame stands, as clients read it.
#[derive(Debug, Serialize)]
struct FrameAnswer<'a> {
    id: FrameId,
    source: String,
    status: &'static str,
    model: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    submitted_at: Option<Micros>,
    links: Links,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Words<'a>>,
}

#[derive(Debug, Serialize)]
struct Links {
    #[serde(rename = "self")]
    this: String,
    annotated: String,
    original: String,
    page: String,
}

#[derive(Debug, Serialize)]
struct Words<'a> {
    code: &'a str,
    message: &'a str,
    hint: &'static str,
}

#[derive(Debug, Serialize)]
struct Micros(#[serde(with = "rfc3339_micros")] Timestamp);

impl<'a> FrameAnswer<'a> {
    fn new(id: FrameId, fate: &'a Fate) -> Self {
        let blank = Self {
            id,
            source: source_of(id).to_string(),
            status: "queued",
            model: None,
            width: None,
            height: None,
            submitted_at: None,
            links: Links::of(id),
            result: None,
            error: None,
        };
        match fate {
            Fate::Queued(submission) => blank.with(submission),
            Fate::Done(done) => Self {
                status: "done",
                model: Some(done.model.name.clone()),
                width: Some(done.width),
                height: Some(done.height),
                submitted_at: Some(Micros(done.submitted_at)),
                result: serde_json::from_slice(&done.json).ok(),
                ..blank
            },
            Fate::Failed(failure) => Self {
                status: "failed",
                error: Some(Words {
                    code: &failure.kind,
                    message: &failure.message,
                    hint: hint_for(&failure.kind),
                }),
                ..match &failure.submission {
                    Some(submission) => blank.with(submission),
                    None => blank,
                }
            },
        }
    }

    fn with(self, submission: &Submission) -> Self {
        Self {
            model: submission.model.as_ref().map(ToString::to_string),
            width: Some(submission.width),
            height: Some(submission.height),
            submitted_at: Some(Micros(submission.submitted_at)),
            ..self
        }
    }
}

impl Links {
    fn of(id: FrameId) -> Self {
        let this = path_of(id);
        Self {
            annotated: format!("{this}/annotated.jpg"),
            original: format!("{this}/original.jpg"),
            page: format!("/frames/{id}"),
            this,
        }
    }
}

pub(super) fn path_of(id: FrameId) -> String {
    format!("/api/frames/{id}")
}

/// What to do about a dead letter of this kind.
fn hint_for(kind: &str) -> &'static str {
    match kind {
        "bad_image" => "open the picture in an editor, save it anew and send that",
        "too_big" => "send it scaled down",
        "unknown_model" => "GET /api/models lists the models; send it again with one of them",
        "model_failed" => "send it again, or with another model",
        "deadline" => {
            "the detector is behind: send it again later, or with a longer deadline or none"
        }
        _ => "send the picture again; if it fails again, report it",
    }
}

/// How a frame stands.
pub(super) fn frame(status: StatusCode, id: FrameId, fate: &Fate) -> Response {
    json(status, &FrameAnswer::new(id, fate))
}

/// The same answer with the address of the frame, for whoever has just sent it.
pub(super) fn located(mut response: Response, id: FrameId) -> Response {
    if let Ok(location) = HeaderValue::from_str(&path_of(id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// A frame that ended as a dead letter, for a client that waited for its result.
pub(super) fn failure(failure: &Failure) -> Problem {
    let status = if failure.kind == FailureKind::Deadline.as_str() {
        StatusCode::GATEWAY_TIMEOUT
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    Problem::new(
        status,
        &failure.kind,
        failure.message.clone(),
        hint_for(&failure.kind),
    )
}

pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let text = serde_json::to_vec(value).expect("answers have no maps and no fallible fields");
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// A picture never changes under its address.
pub(super) fn jpeg(bytes: Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg"),
        (header::CACHE_CONTROL, "private, max-age=86400, immutable"),
    ];
    (headers, bytes).into_response()
}
