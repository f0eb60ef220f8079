//! What stands behind the question mark of an upload.

use std::time::Duration;

use axum::{
    extract::{Query, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
};
use pipeline::{
    draw::{DrawError, DrawWishes},
    frame::ModelRef,
    service::{Problem, units::parse_duration},
};
use serde::Deserialize;

/// Longer than this nobody waits on one connection.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// A picture that may wait longer than this may wait for ever.
const MAX_DEADLINE: Duration = Duration::from_hours(24);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UploadQuery {
    wait: Option<String>,
    deadline: Option<String>,
    model: Option<String>,
    draw: Option<String>,
}

/// What the client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wishes {
    /// How long to wait for the result.
    pub(super) wait: Option<Duration>,
    /// How long the picture may wait for its model; after that it is not looked at.
    pub(super) deadline_ms: Option<u32>,
    pub(super) model: Option<ModelRef>,
    /// How the annotated picture is to be drawn.
    pub(super) draw: DrawWishes,
    /// The annotated picture itself rather than JSON about it.
    pub(super) picture: bool,
}

impl Wishes {
    pub(super) fn of(
        query: Result<Query<UploadQuery>, QueryRejection>,
        headers: &HeaderMap,
    ) -> Result<Self, Problem> {
        let Query(query) = query.map_err(|rejection| {
            let reason = rejection.body_text();
            bad(
                "bad_query",
                reason,
                "the parameters are wait, deadline, model and draw, once each",
            )
        })?;
        Ok(Self {
            wait: query.wait.as_deref().map(wait_of).transpose()?,
            deadline_ms: query.deadline.as_deref().map(deadline_of).transpose()?,
            model: query.model.as_deref().map(model_of).transpose()?,
            draw: query
                .draw
                .as_deref()
                .map(draw_of)
                .transpose()?
                .unwrap_or_default(),
            picture: prefers_picture(headers),
        })
    }
}

fn wait_of(text: &str) -> Result<Duration, Problem> {
    let hint = "write wait=10s; the longest wait is 60s";
    let wait = parse_duration(text).map_err(|reason| bad("bad_wait", reason, hint))?;
    if wait > MAX_WAIT {
        return Err(bad(
            "bad_wait",
            format!("{text:?} is too long a wait"),
            hint,
        ));
    }
    Ok(wait)
}

fn deadline_of(text: &str) -> Result<u32, Problem> {
    let hint = "write deadline=5s; from 1ms to 24h";
    let deadline = parse_duration(text).map_err(|reason| bad("bad_deadline", reason, hint))?;
    let milliseconds = u32::try_from(deadline.as_millis()).ok();
    milliseconds
        .filter(|&milliseconds| milliseconds > 0 && deadline <= MAX_DEADLINE)
        .ok_or_else(|| bad("bad_deadline", format!("{text:?} is no deadline"), hint))
}

pub(super) fn model_of(text: &str) -> Result<ModelRef, Problem> {
    text.trim().parse().map_err(|error| {
        bad(
            "bad_model",
            format!("{text:?} does not name a model: {error}"),
            "write model=name, model=name@version or model=name@alias; GET /api/models lists them",
        )
    })
}

fn draw_of(text: &str) -> Result<DrawWishes, Problem> {
    let hint = "write words with commas between them, such as draw=no-labels,opacity:30,rest:grey";
    text.parse()
        .map_err(|error: DrawError| bad("bad_draw", error.to_string(), hint))
}

/// Whether a JPEG stands before JSON in what the client accepts.
fn prefers_picture(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter();
    let types = accepts
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|item| item.split(';').next().unwrap_or_default().trim());
    let mut known = types.filter_map(|media_type| match media_type {
        "image/jpeg" | "image/*" => Some(true),
        "application/json" | "application/*" | "*/*" => Some(false),
        _ => None,
    });
    known.next().unwrap_or(false)
}

fn bad(code: &'static str, message: impl Into<String>, hint: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, message, hint)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, Uri};

    use super::*;

    fn wishes(query: &str, accept: &str) -> Result<Wishes, Problem> {
        let uri: Uri = format!("/api/frames{query}").parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
        Wishes::of(Query::try_from_uri(&uri), &headers)
    }

    #[test]
    fn wishes_are_read() {
        let wanted = wishes(
            "?wait=1500ms&deadline=2s&model=parts@2&draw=boxes,opacity:9",
            "image/jpeg",
        )
        .unwrap();
        assert_eq!(wanted.wait, Some(Duration::from_millis(1500)));
        assert_eq!(wanted.deadline_ms, Some(2000));
        assert_eq!(wanted.model.unwrap().to_string(), "parts@2");
        assert_eq!(wanted.draw.to_string(), "boxes,opacity:9");
        assert!(wanted.picture);
        let none = wishes("", "*/*").unwrap();
        assert_eq!((none.wait, none.model, none.picture), (None, None, false));
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        for (query, code) in [
            ("?wait=10", "bad_wait"),
            ("?wait=61s", "bad_wait"),
            ("?deadline=5", "bad_deadline"),
            ("?deadline=0s", "bad_deadline"),
            ("?deadline=25h", "bad_deadline"),
            ("?model=a/b", "bad_model"),
            ("?draw=circles", "bad_draw"),
            ("?modle=parts", "bad_query"),
            ("?model=a&model=b", "bad_query"),
        ] {
            let problem = wishes(query, "*/*").unwrap_err();
            assert_eq!(
                (problem.status().as_u16(), problem.code()),
                (400, code),
                "{query}"
            );
        }
    }

    #[test]
    fn the_first_kind_that_is_there_wins() {
        for (accept, picture) in [
            ("image/jpeg, application/json;q=0.5", true),
            ("application/json, image/jpeg", false),
            ("text/html, image/*;q=0.8, */*;q=0.1", true),
            ("text/html", false),
        ] {
            assert_eq!(wishes("", accept).unwrap().picture, picture, "{accept}");
        }
    }
}
