//! No record, however broken, makes a reader panic or print without bounds.

use bytes::Bytes;
use pipeline::record::{
    Record, RecordError, decode_annotated, decode_dead_letter, decode_frame, decode_result,
};
use pipeline::topic::Place;
use proptest::prelude::*;

const NAMES: &[&str] = &[
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_time",
    "content-type",
    "traceparent",
    "tracestate",
    "kadr_model",
    "kadr_sequence",
    "kadr_deadline_ms",
    "kadr_error",
    "kadr_error_kind",
    "kadr_topic",
    "kadr_partition",
    "kadr_offset",
    "kadr_attempts",
    "line",
];

fn bytes() -> impl Strategy<Value = Bytes> {
    let binary = prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from);
    let text = "[ -~]{0,40}".prop_map(Bytes::from);
    let number = any::<i64>().prop_map(|number| Bytes::from(number.to_string()));
    prop_oneof![binary, text, number]
}

fn value() -> impl Strategy<Value = Bytes> {
    let jpeg = bytes().prop_map(|tail| [&b"\xff\xd8"[..], &tail].concat().into());
    prop_oneof![bytes(), jpeg]
}

fn record() -> impl Strategy<Value = Record> {
    let headers = prop::collection::vec((prop::sample::select(NAMES), bytes()), 0..8);
    (prop::option::of(bytes()), value(), headers).prop_map(|(key, value, headers)| {
        let headers = headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        Record {
            key,
            value,
            headers,
        }
    })
}

fn place() -> impl Strategy<Value = Place> {
    (any::<i32>(), any::<i64>(), any::<i64>()).prop_map(|(partition, offset, timestamp_ms)| Place {
        topic: "kadr.frames".into(),
        partition,
        offset,
        timestamp_ms,
    })
}

fn is_bounded<T>(read: Result<T, RecordError>) -> bool {
    read.map_or_else(|error| error.to_string().len() < 1_000, |_| true)
}

proptest! {
    #[test]
    fn any_record_is_read_or_refused_in_a_few_words(record in record(), place in place()) {
        prop_assert!(is_bounded(decode_frame(record.clone(), &place)));
        prop_assert!(is_bounded(decode_annotated(record.clone(), &place)));
        prop_assert!(is_bounded(decode_result(record.clone())));
        prop_assert!(is_bounded(decode_dead_letter(record)));
    }
}
