//! Header names and values, and reading them one by one until only foreign ones are left.

use super::RecordError;
use super::error::{reason_of, shorten};
use crate::frame::{Carried, FrameId, SourceId, TraceContext, time};
use bytes::Bytes;
use jiff::Timestamp;
use std::fmt::Display;

/// The version of `CloudEvents`.
pub const CE_SPECVERSION: &str = "ce_specversion";
/// The frame id.
pub const CE_ID: &str = "ce_id";
/// The source id.
pub const CE_SOURCE: &str = "ce_source";
/// What the record is.
pub const CE_TYPE: &str = "ce_type";
/// When the picture was taken.
pub const CE_TIME: &str = "ce_time";
/// The media type of the value.
pub const CONTENT_TYPE: &str = "content-type";
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// What tracing vendors add to it.
pub const TRACESTATE: &str = "tracestate";
/// The model that a frame asks for.
pub const MODEL: &str = "kadr_model";
/// The source's own count of its frames.
pub const SEQUENCE: &str = "kadr_sequence";
/// How long after capture a frame is worth looking at.
pub const DEADLINE_MS: &str = "kadr_deadline_ms";
/// How the annotated picture is to be drawn.
pub const DRAW: &str = "kadr_draw";
/// Dead letters: the reason in words.
pub const ERROR: &str = "kadr_error";
/// Dead letters: the reason as a word for machines.
pub const ERROR_KIND: &str = "kadr_error_kind";
/// Dead letters: the topic that the record came from.
pub const TOPIC: &str = "kadr_topic";
/// Dead letters: the partition that the record came from.
pub const PARTITION: &str = "kadr_partition";
/// Dead letters: the offset that the record came from.
pub const OFFSET: &str = "kadr_offset";
/// Dead letters: how often it was tried.
pub const ATTEMPTS: &str = "kadr_attempts";

/// `ce_type` of a captured frame.
pub const FRAME_TYPE: &str = "kadr.frame.v1";
/// `ce_type` of an annotated frame.
pub const ANNOTATED_TYPE: &str = "kadr.annotated.v1";
/// `ce_type` of a result.
pub const RESULT_TYPE: &str = "kadr.result.v1";

pub(super) const DEAD_LETTER_HEADERS: [&str; 6] =
    [ERROR, ERROR_KIND, TOPIC, PARTITION, OFFSET, ATTEMPTS];

const OWN_TYPE_PREFIX: &str = "kadr.";
const SPECVERSION: &str = "1.0";

/// The headers of a record while it is read: what was taken is gone.
pub(super) struct HeaderReader {
    rest: Vec<(String, Bytes)>,
}

impl HeaderReader {
    pub(super) fn new(headers: Vec<(String, Bytes)>) -> Self {
        Self { rest: headers }
    }

    /// Removes every header of this name; the last value, unless it is empty.
    pub(super) fn take_bytes(&mut self, name: &str) -> Option<Bytes> {
        let is_named = |(header, _): &mut (String, Bytes)| header.eq_ignore_ascii_case(name);
        let last = self.rest.extract_if(.., is_named).last();
        last.map(|(_, value)| value)
            .filter(|value| !value.is_empty())
    }

    pub(super) fn take_text(&mut self, name: &'static str) -> Result<Option<String>, RecordError> {
        let Some(value) = self.take_bytes(name) else {
            return Ok(None);
        };
        match std::str::from_utf8(&value) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(RecordError::Header {
                name,
                value: shorten(&value),
                reason: "it is not UTF-8 text".to_owned(),
            }),
        }
    }

    /// Takes a header and reads it with `parse`; `expected` says what the value should have been.
    pub(super) fn take<T, E: Display>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, RecordError> {
        let Some(text) = self.take_text(name)? else {
            return Ok(None);
        };
        match parse(&text) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(RecordError::Header {
                name,
                value: shorten(text.as_bytes()),
                reason: format!("expected {expected} ({})", reason_of(&error)),
            }),
        }
    }

    /// Takes what says which kind of record this is, and refuses what says that it is another.
    pub(super) fn expect(&mut self, kind: &RecordKind) -> Result<(), RecordError> {
        let mut refuse_unless =
            |name, reason: String, is_right: &dyn Fn(&str) -> bool| match self.take_text(name)? {
                Some(text) if !is_right(&text) => Err(RecordError::Header {
                    name,
                    value: shorten(text.as_bytes()),
                    reason,
                }),
                _ => Ok(()),
            };
        let major_version_1 = |text: &str| text == "1" || text.starts_with("1.");
        refuse_unless(
            CE_SPECVERSION,
            "expected version 1.0".to_owned(),
            &major_version_1,
        )?;
        let is_right_type = |text: &str| text == kind.ce_type || !text.starts_with(OWN_TYPE_PREFIX);
        refuse_unless(
            CE_TYPE,
            format!("expected {} on this topic", kind.ce_type),
            &is_right_type,
        )?;
        let is_right_media = |text: &str| {
            let media_type = text.split(';').next().unwrap_or_default().trim();
            kind.accepted_media_types
                .iter()
                .any(|known| media_type.eq_ignore_ascii_case(known))
        };
        refuse_unless(
            CONTENT_TYPE,
            format!("expected {}", kind.media_type()),
            &is_right_media,
        )
    }

    pub(super) fn take_id(&mut self) -> Result<Option<FrameId>, RecordError> {
        self.take(CE_ID, "a UUID", str::parse::<FrameId>)
    }

    pub(super) fn take_time(&mut self) -> Result<Option<Timestamp>, RecordError> {
        self.take(
            CE_TIME,
            "a time such as 2026-03-01T12:00:00.000000Z",
            time::from_rfc3339,
        )
    }

    /// The source: the key, or without one `ce_source`.
    pub(super) fn take_source(
        &mut self,
        key: Option<&Bytes>,
    ) -> Result<Option<SourceId>, RecordError> {
        let from_header = self.take_bytes(CE_SOURCE);
        let (value, is_key) = match (key.filter(|key| !key.is_empty()), &from_header) {
            (Some(key), _) => (key, true),
            (None, Some(header)) => (header, false),
            (None, None) => return Ok(None),
        };
        let reason = match std::str::from_utf8(value).map(SourceId::new) {
            Ok(Ok(source)) => return Ok(Some(source)),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it is not UTF-8 text".to_owned(),
        };
        let value = shorten(value);
        if is_key {
            return Err(RecordError::Key { value, reason });
        }
        Err(RecordError::Header {
            name: CE_SOURCE,
            value,
            reason,
        })
    }

    /// What is left, untouched.
    pub(super) fn into_rest(self) -> Vec<(String, Bytes)> {
        self.rest
    }

    /// What is left: the trace and the headers that nobody here knows.
    pub(super) fn into_carried(mut self) -> Carried {
        let mut text = |name| {
            let value = self.take_bytes(name)?;
            std::str::from_utf8(&value).map(str::to_owned).ok()
        };
        let (traceparent, tracestate) = (text(TRACEPARENT), text(TRACESTATE));
        let trace = traceparent.and_then(|parent| TraceContext::new(parent, tracestate));
        // A dead letter that was sent in again starts a new life.
        self.rest.retain(|(name, _)| !is_dead_letter_header(name));
        Carried {
            trace,
            extra_headers: self.rest,
        }
    }
}

pub(super) fn is_dead_letter_header(name: &str) -> bool {
    DEAD_LETTER_HEADERS
        .iter()
        .any(|header| name.eq_ignore_ascii_case(header))
}

/// What distinguishes the kinds of records.
pub(super) struct RecordKind {
    pub(super) ce_type: &'static str,
    /// The first is the one that is written.
    pub(super) accepted_media_types: &'static [&'static str],
}

impl RecordKind {
    fn media_type(&self) -> &'static str {
        self.accepted_media_types[0]
    }
}

/// Who, what and when: the headers that all records share.
pub(super) fn common_headers(
    kind: &RecordKind,
    id: FrameId,
    source: &SourceId,
    captured_at: Timestamp,
) -> Vec<(String, Bytes)> {
    let mut headers = Vec::with_capacity(16);
    push(&mut headers, CE_SPECVERSION, SPECVERSION);
    push(&mut headers, CE_ID, id);
    push(&mut headers, CE_SOURCE, source);
    push(&mut headers, CE_TYPE, kind.ce_type);
    push(&mut headers, CE_TIME, time::to_rfc3339(captured_at));
    push(&mut headers, CONTENT_TYPE, kind.media_type());
    headers
}

pub(super) fn push(headers: &mut Vec<(String, Bytes)>, name: &str, value: impl Display) {
    headers.push((name.to_owned(), Bytes::from(value.to_string())));
}

pub(super) fn push_carried(headers: &mut Vec<(String, Bytes)>, carried: &Carried) {
    if let Some(trace) = &carried.trace {
        push(headers, TRACEPARENT, trace.traceparent());
        if let Some(tracestate) = trace.tracestate() {
            push(headers, TRACESTATE, tracestate);
        }
    }
    headers.extend(carried.extra_headers.iter().cloned());
}
