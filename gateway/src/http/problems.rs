//! What went wrong, in the words of HTTP: the status says what the client should do next.

use std::time::Duration;

use axum::http::StatusCode;
use bytesize::ByteSize;
use pipeline::{
    catalogue::{CatalogueError, listed},
    frame::FrameId,
    kafka::SinkError,
    service::Problem,
};

use super::body::BodyFault;
use crate::{intake::IntakeError, outcomes::ArchiveError};

/// When to try again while Kafka is away or full.
const COME_BACK: Duration = Duration::from_secs(2);

pub(super) fn of_intake(error: &IntakeError) -> Problem {
    let (status, code) = match error {
        IntakeError::Empty => (StatusCode::BAD_REQUEST, "empty"),
        IntakeError::Format { .. } => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_format"),
        IntakeError::Unsupported { .. } => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_kind"),
        IntakeError::Truncated { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "truncated"),
        IntakeError::Damaged { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "damaged"),
        IntakeError::TooManyPixels { .. } | IntakeError::SideTooLong { .. } => {
            (StatusCode::PAYLOAD_TOO_LARGE, "too_many_pixels")
        }
        IntakeError::ResultTooBig { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "record_too_large"),
        IntakeError::Encode { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    };
    Problem::new(status, code, error.to_string(), error.advice())
}

pub(super) fn of_body(fault: &BodyFault) -> Problem {
    match fault {
        BodyFault::TooLarge { max_bytes } => too_large(*max_bytes),
        BodyFault::TooSlow { .. } => Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "too_slow",
            fault.to_string(),
            "send it again over a better connection",
        ),
        BodyFault::Broken(_) => Problem::new(
            StatusCode::BAD_REQUEST,
            "broken_body",
            fault.to_string(),
            "send the whole file again",
        ),
    }
}

pub(super) fn too_large(max_bytes: u64) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "upload_too_large",
        format!("the upload is larger than {}", ByteSize(max_bytes)),
        "send a smaller file; the operator can raise --max-upload-size",
    )
}

pub(super) fn of_sink(error: &SinkError) -> Problem {
    match error {
        SinkError::Full { .. } => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "kafka_full",
            "more is on its way to Kafka than there is room for",
            "send it again a little later",
        )
        .retry_after(COME_BACK),
        SinkError::TooBig { .. } => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "record_too_large",
            error.to_string(),
            "send it scaled down or with a lower JPEG quality",
        ),
        SinkError::Broken { .. } => kafka_away(error.to_string()),
    }
}

/// Nothing was sent.
pub(super) fn kafka_away(reason: String) -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "kafka_unavailable",
        reason,
        "send it again a little later; if this lasts, the operator should look at the brokers",
    )
    .retry_after(COME_BACK)
}

/// Sent, and not known to have arrived.
pub(super) fn no_acknowledgement(patience: Duration) -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "kafka_slow",
        format!("Kafka did not acknowledge the picture within {patience:?}"),
        "it may still arrive: sending it again may make a second result",
    )
    .retry_after(COME_BACK)
}

pub(super) fn of_catalogue(error: &CatalogueError) -> Problem {
    match error {
        CatalogueError::Folder { .. } => {
            tracing::error!(%error, "the models cannot be listed");
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "models_unavailable",
                "the models cannot be listed",
                "send it without a model for the default one; the operator finds the cause in \
                 the log",
            )
            .retry_after(COME_BACK)
        }
        CatalogueError::UnknownModel { available, .. } => unknown_model(
            error,
            format!(
                "ask for one of {}; GET /api/models tells more",
                listed(available)
            ),
        ),
        CatalogueError::NoVersions { name, .. } => Problem::new(
            StatusCode::NOT_FOUND,
            "unknown_model",
            format!("model {name:?} has no version yet"),
            "ask for another; GET /api/models lists them",
        ),
        CatalogueError::UnknownVersion { .. } | CatalogueError::Alias { .. } => unknown_model(
            error,
            "GET /api/models lists the versions and their aliases".to_owned(),
        ),
        CatalogueError::Rollout { name, .. } => {
            tracing::error!(%error, "a model's rollout cannot be read");
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "models_unavailable",
                format!("which version of model {name:?} serves cannot be told"),
                "ask for a model by another name; the operator finds the cause in the log",
            )
            .retry_after(COME_BACK)
        }
    }
}

fn unknown_model(error: &CatalogueError, hint: String) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "unknown_model",
        error.to_string(),
        hint,
    )
}

pub(super) fn of_archive(error: &ArchiveError) -> Problem {
    let (status, code, hint) = match error {
        ArchiveError::Lookup(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "kafka_unavailable",
            "ask again a little later",
        ),
        ArchiveError::GaveUp => (
            StatusCode::SERVICE_UNAVAILABLE,
            "search_gave_up",
            "ask again later, or read the topics with a Kafka client",
        ),
        ArchiveError::Record(_) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "unreadable_record",
            "send the picture again",
        ),
    };
    let problem = Problem::new(status, code, error.to_string(), hint);
    match status {
        StatusCode::SERVICE_UNAVAILABLE => problem.retry_after(COME_BACK),
        _ => problem,
    }
}

pub(super) fn unknown_frame(id: FrameId) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "unknown_frame",
        format!("nothing is known of {id}"),
        "check the id; frames are forgotten when their topics' retention is over",
    )
}

pub(super) fn internal(what: &str) -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        format!("{what}: a defect of ours"),
        "try again; if it happens again, report it with the picture",
    )
}
