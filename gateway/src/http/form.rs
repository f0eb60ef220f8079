//! The picture out of a request: the raw body, or the one file of a form.

use axum::{
    body::Body,
    extract::{FromRequest, Multipart, Request, multipart::Field, multipart::MultipartError},
    http::{HeaderMap, StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use pipeline::{frame::ModelRef, service::Problem};

use super::{
    body::{BodyLimits, Fault, GuardedBody},
    problems,
    query::model_of,
};

/// The text of a form's `model`.
const MAX_MODEL_BYTES: usize = 256;
/// What is set aside for a body before its first byte.
const MAX_RESERVED_BYTES: u64 = 1 << 20;

/// What a client sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) picture: Bytes,
    /// From a form's field; the query may name one too.
    pub(super) model: Option<ModelRef>,
}

/// The length that the request claims.
pub(super) fn claimed_bytes(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Reads the body under its limits.
pub(super) async fn read(request: Request, limits: BodyLimits) -> Result<Sent, Problem> {
    let (head, body) = request.into_parts();
    let reserve = claimed_bytes(&head.headers)
        .unwrap_or(0)
        .min(MAX_RESERVED_BYTES);
    let is_form = is_form(&head.headers);
    let (body, fault) = GuardedBody::new(body, limits);
    let body = Body::new(body);
    if is_form {
        let request = Request::from_parts(head, body);
        return read_form(request, &fault, limits).await;
    }
    let picture = read_raw(body, reserve as usize).await;
    Ok(Sent {
        picture: picture.map_err(|reason| broken(&fault, &reason))?,
        model: None,
    })
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    content_type
        .trim_start()
        .to_ascii_lowercase()
        .starts_with("multipart/form-data")
}

async fn read_raw(mut body: Body, reserve: usize) -> Result<Bytes, String> {
    let mut bytes = BytesMut::with_capacity(reserve);
    while let Some(frame) = next_frame(&mut body).await {
        let frame = frame.map_err(|error| error.to_string())?;
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.freeze())
}

async fn next_frame(body: &mut Body) -> Option<Result<http_body::Frame<Bytes>, axum::Error>> {
    std::future::poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context)).await
}

async fn read_form(request: Request, fault: &Fault, limits: BodyLimits) -> Result<Sent, Problem> {
    let failed = |error: MultipartError| broken(fault, &error.body_text());
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|rejection| malformed(rejection.body_text()))?;
    let (mut picture, mut model) = (None, None);
    while let Some(mut field) = form.next_field().await.map_err(failed)? {
        if field.file_name().is_none() && field.name() == Some("model") {
            let text = read_field(&mut field, MAX_MODEL_BYTES)
                .await
                .map_err(failed)?;
            let text = String::from_utf8_lossy(text.as_deref().unwrap_or_default()).into_owned();
            // A picker without a choice sends an empty text.
            if !text.trim().is_empty() {
                model = Some(model_of(&text)?);
            }
            continue;
        }
        let max_bytes = limits.max_bytes as usize;
        let bytes = read_field(&mut field, max_bytes).await.map_err(failed)?;
        let bytes = bytes.ok_or_else(|| problems::too_large(limits.max_bytes))?;
        if picture.replace(bytes).is_some() {
            return Err(malformed("the form holds more than one file".to_owned()));
        }
    }
    let picture = picture.ok_or_else(|| malformed("the form holds no file".to_owned()))?;
    Ok(Sent {
        picture: picture.into(),
        model,
    })
}

/// The bytes of a field; `None` when they are too many.
async fn read_field(
    field: &mut Field<'_>,
    max_bytes: usize,
) -> Result<Option<Vec<u8>>, MultipartError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await? {
        if bytes.len() + chunk.len() > max_bytes {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

/// The body's own fault where it has one, for whoever read it only knows that it ended.
fn broken(fault: &Fault, reason: &str) -> Problem {
    match fault.get() {
        Some(fault) => problems::of_body(&fault),
        None => malformed(reason.to_owned()),
    }
}

fn malformed(reason: String) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "bad_form",
        reason,
        "send the picture as the raw body, or as the only file of a multipart form, with the \
         model as a text field named model",
    )
}
