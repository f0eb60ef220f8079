//! Frames as records: every header, what passes through, foreign producers, and readable refusals.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use pipeline::frame::{Carried, Frame, FrameId, SourceId, TraceContext};
use pipeline::record::{Record, decode_annotated, decode_frame, encode_annotated, encode_frame};
use pipeline::topic::Place;

const JPEG: &[u8] = b"\xff\xd8\xff\xe0 picture";
const ID: &str = "0195515c-9b3c-7000-8000-0123456789ab";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn place() -> Place {
    // 2026-03-01T12:00:00.123Z
    Place {
        topic: "kadr.frames".into(),
        partition: 3,
        offset: 42,
        timestamp_ms: 1_772_366_400_123,
    }
}

fn header(name: &str, value: &str) -> (String, Bytes) {
    (name.to_owned(), Bytes::copy_from_slice(value.as_bytes()))
}

/// What curl into a Kafka client sends: a key and a JPEG.
fn bare_record() -> Record {
    Record {
        key: Some(Bytes::from_static(b"cam-1")),
        value: Bytes::from_static(JPEG),
        headers: vec![],
    }
}

fn record_with(name: &str, value: &str) -> Record {
    Record {
        headers: vec![header(name, value)],
        ..bare_record()
    }
}

fn full_frame() -> Frame {
    Frame {
        id: ID.parse().unwrap(),
        source: SourceId::new("cam-1").unwrap(),
        captured_at: "2026-03-01T12:00:00.5Z".parse().unwrap(),
        model: Some("parts@2".parse().unwrap()),
        sequence: Some(7),
        deadline_ms: Some(500),
        draw: "no-labels,opacity:30".parse().unwrap(),
        carried: Carried {
            trace: TraceContext::new(TRACEPARENT, Some("vendor=1".to_owned())),
            extra_headers: vec![
                header("line", "A"),
                header("line", "B"),
                header("shift", "night"),
            ],
        },
        jpeg: Bytes::from_static(JPEG),
    }
}

fn refusal(record: Record) -> String {
    decode_frame(record, &place()).unwrap_err().to_string()
}

#[test]
fn a_frame_is_written_with_every_header() {
    let record = encode_frame(&full_frame());
    assert_eq!(record.key.as_deref(), Some(&b"cam-1"[..]));
    assert_eq!(record.value, JPEG);
    assert_eq!(
        record.headers,
        [
            header("ce_specversion", "1.0"),
            header("ce_id", ID),
            header("ce_source", "cam-1"),
            header("ce_type", "kadr.frame.v1"),
            header("ce_time", "2026-03-01T12:00:00.500000Z"),
            header("content-type", "image/jpeg"),
            header("kadr_model", "parts@2"),
            header("kadr_sequence", "7"),
            header("kadr_deadline_ms", "500"),
            header("kadr_draw", "no-labels,opacity:30"),
            header("traceparent", TRACEPARENT),
            header("tracestate", "vendor=1"),
            header("line", "A"),
            header("line", "B"),
            header("shift", "night"),
        ]
    );
}

#[test]
fn a_frame_survives_the_round_trip() {
    let minimal = Frame::new(
        SourceId::new("upload-1").unwrap(),
        "2026-03-01T12:00:00.123456789Z".parse().unwrap(),
        Bytes::from_static(JPEG),
    );
    for frame in [full_frame(), minimal] {
        assert_eq!(decode_frame(encode_frame(&frame), &place()).unwrap(), frame);
        assert_eq!(
            decode_annotated(encode_annotated(&frame), &place()).unwrap(),
            frame
        );
    }
}

#[test]
fn an_annotated_frame_differs_in_its_type_alone() {
    let captured = encode_frame(&full_frame());
    let annotated = encode_annotated(&full_frame());
    assert_eq!(annotated.header("ce_type").unwrap(), "kadr.annotated.v1");
    let without_type = |record: Record| {
        record
            .headers
            .into_iter()
            .filter(|(name, _)| name != "ce_type")
            .collect::<Vec<_>>()
    };
    assert_eq!(without_type(annotated), without_type(captured));
}

#[test]
fn a_bare_jpeg_with_a_key_is_a_frame() {
    let frame = decode_frame(bare_record(), &place()).unwrap();
    assert_eq!(frame.source.as_str(), "cam-1");
    assert_eq!(frame.captured_at.to_string(), "2026-03-01T12:00:00.123Z");
    assert_eq!(frame.jpeg, JPEG);
    assert_eq!(
        (&frame.model, frame.sequence, frame.deadline_ms),
        (&None, None, None)
    );
    assert_eq!(frame.carried, Carried::default());
    assert_eq!(uuid::Uuid::from(frame.id).get_version_num(), 7);
}

#[test]
fn a_redelivered_record_without_an_id_keeps_its_id() {
    let id_at = |place: &Place| decode_frame(bare_record(), place).unwrap().id;
    assert_eq!(id_at(&place()), id_at(&place()));
    assert_ne!(
        id_at(&place()),
        id_at(&Place {
            offset: 43,
            ..place()
        })
    );
    assert_ne!(
        id_at(&place()),
        id_at(&Place {
            partition: 4,
            ..place()
        })
    );
    assert_ne!(
        id_at(&place()),
        id_at(&Place {
            topic: "kadr.live".into(),
            ..place()
        })
    );
}

#[test]
fn without_a_key_the_source_is_ce_source() {
    let record = Record {
        key: None,
        ..record_with("ce_source", "cam-2")
    };
    assert_eq!(
        decode_frame(record, &place()).unwrap().source.as_str(),
        "cam-2"
    );
    let record = record_with("ce_source", "urn:acme/line 1");
    assert_eq!(
        decode_frame(record, &place()).unwrap().source.as_str(),
        "cam-1"
    );
}

#[test]
fn a_record_without_a_timestamp_needs_ce_time() {
    let place = Place {
        timestamp_ms: 0,
        ..place()
    };
    let record = record_with("ce_time", "2026-03-01T14:00:00+02:00");
    let frame = decode_frame(record, &place).unwrap();
    assert_eq!(frame.captured_at.to_string(), "2026-03-01T12:00:00Z");
    assert_eq!(
        decode_frame(bare_record(), &place).unwrap_err().to_string(),
        "the record has neither a ce_time header nor a timestamp"
    );
}

#[test]
fn other_ids_and_types_of_foreign_producers_are_accepted() {
    let version_4 = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
    let headers = vec![
        header("CE_ID", version_4),
        header("ce_type", "com.acme.picture"),
        header("Content-Type", "Image/JPEG; quality=90"),
        header("ce_specversion", "1.0.2"),
        header("kadr_model", ""),
        header("ce_subject", "inspection"),
    ];
    let frame = decode_frame(
        Record {
            headers,
            ..bare_record()
        },
        &place(),
    )
    .unwrap();
    assert_eq!(frame.id, version_4.parse::<FrameId>().unwrap());
    assert_eq!(frame.model, None);
    assert_eq!(
        frame.carried.extra_headers,
        [header("ce_subject", "inspection")]
    );
}

#[test]
fn the_last_of_repeated_headers_counts() {
    let headers = vec![header("kadr_sequence", "1"), header("kadr_sequence", "2")];
    let frame = decode_frame(
        Record {
            headers,
            ..bare_record()
        },
        &place(),
    )
    .unwrap();
    assert_eq!(frame.sequence, Some(2));
    assert_eq!(frame.carried.extra_headers, []);
}

#[test]
fn a_malformed_trace_is_dropped() {
    for broken in ["not-a-trace", ""] {
        let headers = vec![
            header("traceparent", broken),
            header("tracestate", "vendor=1"),
        ];
        let frame = decode_frame(
            Record {
                headers,
                ..bare_record()
            },
            &place(),
        )
        .unwrap();
        assert_eq!(frame.carried, Carried::default());
    }
}

#[test]
fn a_dead_letter_sent_in_again_starts_a_new_life() {
    let record = record_with("kadr_error", "model failed");
    assert_eq!(
        decode_frame(record, &place()).unwrap().carried,
        Carried::default()
    );
}

#[test]
fn a_broken_header_is_named_with_its_value() {
    for (name, value, message) in [
        (
            "ce_specversion",
            "0.3",
            r#"header ce_specversion holds "0.3": expected version 1.0"#,
        ),
        (
            "ce_type",
            "kadr.result.v1",
            r#"header ce_type holds "kadr.result.v1": expected kadr.frame.v1 on this topic"#,
        ),
        (
            "content-type",
            "image/png",
            r#"header content-type holds "image/png": expected image/jpeg"#,
        ),
        (
            "kadr_sequence",
            "-1",
            r#"header kadr_sequence holds "-1": expected a whole number (invalid digit found in string)"#,
        ),
        (
            "kadr_model",
            "../etc",
            r#"header kadr_model holds "../etc": expected name, name@version or name@alias (the model name must be 1 to 64 ASCII letters, digits and `. _ -`, beginning with a letter or a digit)"#,
        ),
    ] {
        assert_eq!(refusal(record_with(name, value)), message);
    }
    // These end in the words of the library that reads them.
    for (name, value, start) in [
        (
            "ce_id",
            "17",
            r#"header ce_id holds "17": expected a UUID ("#,
        ),
        (
            "ce_time",
            "yesterday",
            r#"header ce_time holds "yesterday": expected a time such as 2026-03-01T12:00:00.000000Z ("#,
        ),
        (
            "kadr_deadline_ms",
            "4294967296",
            r#"header kadr_deadline_ms holds "4294967296": expected whole milliseconds ("#,
        ),
    ] {
        let message = refusal(record_with(name, value));
        assert!(message.starts_with(start), "{message}");
    }
}

#[test]
fn long_and_binary_values_are_shortened_in_messages() {
    let message = refusal(record_with("ce_id", &"x".repeat(100_000)));
    let value = format!("\"{}…\"", "x".repeat(48));
    assert!(
        message.starts_with(&format!("header ce_id holds {value}: ")),
        "{message}"
    );
    assert!(message.len() < 300, "{message}");

    let headers = vec![("kadr_model".to_owned(), Bytes::from_static(b"\xfe\n"))];
    assert_eq!(
        refusal(Record {
            headers,
            ..bare_record()
        }),
        "header kadr_model holds \"\u{fffd}\\n\": it is not UTF-8 text"
    );
}

#[test]
fn records_that_are_no_frame_are_refused() {
    assert_eq!(
        refusal(Record {
            key: None,
            ..bare_record()
        }),
        "the record has neither a key nor a ce_source header; set the key to the source id"
    );
    assert_eq!(
        refusal(Record {
            key: Some(Bytes::new()),
            ..bare_record()
        }),
        "the record has neither a key nor a ce_source header; set the key to the source id"
    );
    let key_message = refusal(Record {
        key: Some(Bytes::from_static(b"cam 1")),
        ..bare_record()
    });
    assert!(
        key_message.starts_with(r#"the key "cam 1" is not a source id: "#),
        "{key_message}"
    );
    assert_eq!(
        refusal(Record {
            key: Some(Bytes::from_static(b"\xff")),
            ..bare_record()
        }),
        "the key \"\u{fffd}\" is not a source id: it is not UTF-8 text"
    );
    assert_eq!(
        refusal(Record {
            value: Bytes::new(),
            ..bare_record()
        }),
        "the record has no value; expected the JPEG file"
    );
    assert_eq!(
        refusal(Record {
            value: Bytes::from_static(b"\x89PNG\r\n"),
            ..bare_record()
        }),
        "the value is not a JPEG: it begins with 89 50 4e 47, not with ff d8"
    );
}
