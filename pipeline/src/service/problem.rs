//! The one shape of an HTTP error: `{"error":{"code","message","hint"}}`.
//!
//! The status groups errors by what the client should do next: 400, 415 and 422 mend the request, 413
//! send less, 404 ask for something else, 429 and 503 come back after `Retry-After`.

use std::time::Duration;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// A request that could not be answered as wished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    body: Body,
    retry_after: Option<Duration>,
}

/// What clients read of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Body {
    error: Words,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Words {
    code: String,
    message: String,
    hint: String,
}

impl Problem {
    /// `code` is for programs and never changes, `message` says what is wrong, `hint` what to do.
    pub fn new(
        status: StatusCode,
        code: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let error = Words {
            code: code.to_owned(),
            message: message.into(),
            hint: hint.into(),
        };
        Self {
            status,
            body: Body { error },
            retry_after: None,
        }
    }

    /// Tells the client when to come back, in whole seconds rounded up.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The word for programs.
    pub fn code(&self) -> &str {
        &self.body.error.code
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let json = serde_json::to_string(&self.body).expect("three strings are plain JSON");
        let content_type = (header::CONTENT_TYPE, "application/json");
        let mut response = (self.status, [content_type], json).into_response();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let value = HeaderValue::from(seconds);
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn it_says_what_is_wrong_and_what_to_do() {
        let problem = Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "busy",
            "all hands are full",
            "come back later",
        );
        assert_eq!(problem.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(problem.code(), "busy");
        let problem = problem.retry_after(Duration::from_millis(1_001));
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        assert_eq!(
            body,
            r#"{"error":{"code":"busy","message":"all hands are full","hint":"come back later"}}"#
        );
    }

    #[test]
    fn without_a_wait_there_is_no_retry_after() {
        let response = Problem::new(StatusCode::NOT_FOUND, "a", "b", "c").into_response();
        assert!(!response.headers().contains_key(header::RETRY_AFTER));
    }
}
