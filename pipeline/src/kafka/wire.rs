//! Between our records and librdkafka's messages.

use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};

use crate::record::Record;

/// Upper bound of what Kafka adds to a record alone in its batch: the batch header is 61 bytes,
/// the record's own lengths and deltas a few dozen.
const BATCH_OVERHEAD: usize = 128;
/// Upper bound of the lengths in front of a header's name and value.
const HEADER_OVERHEAD: usize = 10;

/// A message's bytes, copied out of librdkafka. A missing value or header value becomes empty.
pub(super) fn record_of(message: &BorrowedMessage<'_>) -> Record {
    let copy = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        let entry = |header: Header<'_, &[u8]>| {
            (
                header.key.to_owned(),
                copy(header.value).unwrap_or_default(),
            )
        };
        headers.iter().map(entry).collect()
    });
    Record {
        key: copy(message.key()),
        value: copy(message.payload()).unwrap_or_default(),
        headers,
    }
}

/// A record's size in memory.
pub(super) fn record_bytes(record: &Record) -> usize {
    let headers = record.headers.iter();
    record.key.as_ref().map_or(0, Bytes::len)
        + record.value.len()
        + headers
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>()
}

/// The most that a record can take as a batch of its own, which is what every size limit of Kafka
/// is about.
pub(super) fn batch_bytes(record: &Record) -> usize {
    record_bytes(record) + record.headers.len() * HEADER_OVERHEAD + BATCH_OVERHEAD
}

/// The headers as librdkafka wants them.
pub(super) fn owned_headers(record: &Record) -> OwnedHeaders {
    let empty = OwnedHeaders::new_with_capacity(record.headers.len());
    record.headers.iter().fold(empty, |headers, (name, value)| {
        headers.insert(Header {
            key: name,
            value: Some(value.as_ref()),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_count_key_value_and_headers() {
        let record = Record {
            key: Some(Bytes::from_static(b"cam-1")),
            value: Bytes::from_static(b"jpeg"),
            headers: vec![("ce_id".into(), Bytes::from_static(b"42"))],
        };
        assert_eq!(record_bytes(&record), 5 + 4 + 5 + 2);
        assert!(batch_bytes(&record) > record_bytes(&record) + 61);
    }
}
