//! Dead letters: the original as it was, and every header that says why it is here.

use bytes::Bytes;
use pipeline::record::{
    DeadLetter, FailureKind, MAX_ERROR_LENGTH, Record, decode_dead_letter, encode_dead_letter,
};

fn header(name: &str, value: &str) -> (String, Bytes) {
    (name.to_owned(), Bytes::copy_from_slice(value.as_bytes()))
}

fn letter() -> DeadLetter {
    DeadLetter {
        original: Record {
            key: Some(Bytes::from_static(b"cam-1")),
            value: Bytes::from_static(b"\xff\xd8 broken"),
            headers: vec![
                header("ce_id", "not-a-uuid"),
                header("line", "A"),
                header("line", "B"),
            ],
        },
        error: "the picture ends after 2 of 480 lines".to_owned(),
        kind: FailureKind::BadImage,
        topic: "kadr.live".to_owned(),
        partition: 3,
        offset: 42,
        attempts: 2,
    }
}

#[test]
fn a_dead_letter_keeps_the_original_and_says_why() {
    let letter = letter();
    let record = encode_dead_letter(letter.clone());
    assert_eq!(record.key, letter.original.key);
    assert_eq!(record.value, letter.original.value);
    assert_eq!(
        record.headers,
        [
            header("ce_id", "not-a-uuid"),
            header("line", "A"),
            header("line", "B"),
            header("kadr_error", "the picture ends after 2 of 480 lines"),
            header("kadr_error_kind", "bad_image"),
            header("kadr_topic", "kadr.live"),
            header("kadr_partition", "3"),
            header("kadr_offset", "42"),
            header("kadr_attempts", "2"),
        ]
    );
    assert_eq!(decode_dead_letter(record).unwrap(), letter);
}

#[test]
fn a_second_death_replaces_the_first() {
    let first = encode_dead_letter(letter());
    let second = DeadLetter {
        original: first,
        error: "no model is named gears".to_owned(),
        kind: FailureKind::UnknownModel,
        offset: 77,
        ..letter()
    };
    let read = decode_dead_letter(encode_dead_letter(second.clone())).unwrap();
    assert_eq!(
        read,
        DeadLetter {
            original: letter().original,
            ..second
        }
    );
}

#[test]
fn every_kind_of_failure_is_read_back() {
    for (kind, word) in [
        (FailureKind::BadRecord, "bad_record"),
        (FailureKind::BadImage, "bad_image"),
        (FailureKind::TooBig, "too_big"),
        (FailureKind::UnknownModel, "unknown_model"),
        (FailureKind::ModelFailed, "model_failed"),
        (FailureKind::Deadline, "deadline"),
        (FailureKind::Other("cosmic_ray".to_owned()), "cosmic_ray"),
    ] {
        let record = encode_dead_letter(DeadLetter {
            kind: kind.clone(),
            ..letter()
        });
        assert_eq!(record.header("kadr_error_kind").unwrap(), word);
        assert_eq!(decode_dead_letter(record).unwrap().kind, kind);
    }
}

#[test]
fn the_reason_is_one_line_of_bounded_length() {
    let error = format!("first\nsecond {}", "ü".repeat(MAX_ERROR_LENGTH));
    let record = encode_dead_letter(DeadLetter { error, ..letter() });
    let written = str::from_utf8(record.header("kadr_error").unwrap()).unwrap();
    assert!(written.starts_with("first second üü"), "{written}");
    // "first second " is 13 bytes long, so a whole ü would end at 2001.
    assert_eq!(written.len(), MAX_ERROR_LENGTH - 1);
}

#[test]
fn a_record_that_is_no_dead_letter_is_refused_by_the_missing_header() {
    for name in [
        "kadr_error",
        "kadr_error_kind",
        "kadr_topic",
        "kadr_partition",
        "kadr_offset",
        "kadr_attempts",
    ] {
        let mut record = encode_dead_letter(letter());
        record.headers.retain(|(header, _)| header != name);
        let message = decode_dead_letter(record).unwrap_err().to_string();
        assert_eq!(message, format!("header {name} is missing"));
    }
}
