//! Tests of the streaming walk over compressed records.

use kafka_protocol::records::Compression;

use super::super::testing::Making;
use super::*;

fn find_in(bytes: &[u8], timestamp_ms: i64) -> io::Result<Option<RecordStamp>> {
    let header = Header::read(bytes).unwrap();
    find(&header, bytes, |it| it.timestamp_ms >= timestamp_ms)
}

#[test]
fn finds_a_record_in_every_compression() {
    for compression in [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let making = Making {
            compression,
            value_bytes: 50_000,
            ..Making::at(&[10, 30, 20, 40])
        };
        let found = find_in(&making.bytes(), 31).unwrap();
        let expected = RecordStamp {
            offset: 3,
            timestamp_ms: 40,
        };
        assert_eq!(found, Some(expected), "{compression:?}");
        assert_eq!(find_in(&making.bytes(), 41).unwrap(), None);
    }
}

#[test]
fn raw_snappy_is_read_too() {
    let plain = Making::at(&[5, 6]).bytes();
    let body = snap::raw::Encoder::new()
        .compress_vec(&plain[HEADER_BYTES..])
        .unwrap();
    let mut bytes = [&plain[..HEADER_BYTES], &body[..]].concat();
    bytes[22] = 2;
    assert_eq!(find_in(&bytes, 6).unwrap().unwrap().offset, 1);
}

#[test]
fn a_snappy_block_that_claims_gigabytes_is_refused_before_memory_is_taken() {
    let mut bytes = Making::records(1).bytes()[..HEADER_BYTES].to_vec();
    bytes[22] = 2;
    // The length 2^32 - 1 as a varint, then next to nothing.
    bytes.extend([0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0]);
    let refusal = find_in(&bytes, 0).unwrap_err();
    assert_eq!(refusal.kind(), io::ErrorKind::InvalidData);
}
