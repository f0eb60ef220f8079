//! Tests of the checks a batch must pass.

use bytes::Bytes;
use kafka_protocol::records::Compression;
use proptest::prelude::*;

use super::super::testing::Making;
use super::*;

fn parse(bytes: Vec<u8>) -> Result<Batches, BatchError> {
    Batches::parse(Bytes::from(bytes), 1 << 20)
}

fn with_crc(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = Header::crc_of(&bytes);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn changed(change: impl Fn(&mut Vec<u8>)) -> Result<Batches, BatchError> {
    let mut bytes = Making::records(3).bytes().to_vec();
    change(&mut bytes);
    parse(with_crc(bytes))
}

#[test]
fn takes_every_compression() {
    for compression in [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let making = Making {
            compression,
            ..Making::records(3)
        };
        let batch = parse(making.bytes().to_vec()).unwrap();
        assert_eq!(batch.header.record_count, 3);
    }
}

#[test]
fn refuses_damage_and_old_formats() {
    let good = Making::records(3).bytes().to_vec();
    let none = parse(Vec::new());
    assert!(matches!(none, Err(BatchError::InvalidRecord(_))));
    for cut in 1..good.len() {
        let refusal = parse(good[..cut].to_vec()).unwrap_err();
        let is_named = matches!(
            refusal,
            BatchError::Corrupt(_) | BatchError::InvalidRecord(_)
        );
        assert!(is_named, "{cut}: {refusal}");
    }
    for at in 21..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        assert!(parse(bytes).is_err(), "a flipped bit at {at} went unseen");
    }
    let old = changed(|bytes| bytes[16] = 1);
    assert!(matches!(old, Err(BatchError::OldFormat(1))));
}

#[test]
fn refuses_what_a_client_may_not_write() {
    let base_offset = changed(|bytes| bytes[7] = 1);
    assert!(matches!(base_offset, Err(BatchError::InvalidRecord(_))));
    let control = changed(|bytes| bytes[22] |= 1 << 5);
    assert!(matches!(control, Err(BatchError::InvalidRecord(_))));
    let transactional = changed(|bytes| bytes[22] |= 1 << 4);
    assert!(matches!(transactional, Err(BatchError::Transactional)));
    let log_append_time = changed(|bytes| bytes[22] |= 1 << 3);
    assert!(matches!(log_append_time, Err(BatchError::InvalidRecord(_))));
    let compression = changed(|bytes| bytes[22] |= 7);
    assert!(matches!(
        compression,
        Err(BatchError::UnsupportedCompression(7))
    ));
    let count = changed(|bytes| bytes[60] += 1);
    assert!(matches!(count, Err(BatchError::InvalidRecord(_))));
    let no_sequence = changed(|bytes| bytes[43..51].copy_from_slice(&7_i64.to_be_bytes()));
    assert!(matches!(no_sequence, Err(BatchError::InvalidRecord(_))));
}

#[test]
fn refuses_records_that_do_not_add_up() {
    let fewer_by_one = changed(|bytes| {
        bytes[26] -= 1;
        bytes[60] -= 1;
    });
    assert!(matches!(fewer_by_one, Err(BatchError::InvalidRecord(_))));
    let longer_record = changed(|bytes| bytes[61] += 2);
    assert!(matches!(longer_record, Err(BatchError::InvalidRecord(_))));
}

#[test]
fn refuses_two_batches_and_too_large_ones() {
    let one = Making::records(1).bytes();
    let two = parse([&one[..], &one[..]].concat());
    assert!(matches!(two, Err(BatchError::InvalidRecord(_))));
    let large = Batches::parse(one.clone(), one.len() - 1);
    assert!(matches!(large, Err(BatchError::TooLarge { .. })));
    assert!(Batches::parse(one.clone(), one.len()).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse(bytes).is_err());
    }

    #[test]
    fn no_records_break_it(body in prop::collection::vec(any::<u8>(), 0..60), count in 1_i32..4) {
        let mut bytes = Making::records(1).bytes()[..HEADER_BYTES].to_vec();
        bytes.extend(body);
        let length = (bytes.len() - 12) as u32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        // Random bytes can be right records; whatever passes must be countable again.
        if let Ok(batch) = parse(with_crc(bytes)) {
            prop_assert_eq!(batch.header.record_count, count);
            prop_assert!(records::find(&batch.header, &batch.body, |_| false).is_ok());
        }
    }
}
