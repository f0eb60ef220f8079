//! Tests of lookups by time.

use kafka_protocol::records::Compression;

use super::super::testing::{Bench, Making};

#[tokio::test]
async fn finds_the_first_record_at_or_after_a_time() {
    for compression in [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let bench = Bench::durable();
        // Ten records to a batch, ten milliseconds from each to the next.
        for batch in 0..20 {
            let times: Vec<i64> = (0..10).map(|at| (batch * 10 + at) * 10).collect();
            let making = Making {
                compression,
                ..Making::at(&times)
            };
            bench.append(&making).await.unwrap();
        }
        for timestamp_ms in [0, 1, 10, 455, 456, 1_000, 1_985, 1_990] {
            let found = bench.log.find_by_time(timestamp_ms).unwrap().unwrap();
            let expected = (timestamp_ms + 9) / 10;
            assert_eq!(found.offset, expected, "{compression:?} {timestamp_ms}");
            assert_eq!(found.timestamp_ms, expected * 10);
            assert_eq!(found.leader_epoch, 3);
        }
        assert_eq!(bench.log.find_by_time(1_991).unwrap(), None);
        assert_eq!(bench.log.find_newest().unwrap().unwrap().offset, 199);
    }
}

#[tokio::test]
async fn times_out_of_order_are_found_in_offset_order() {
    let bench = Bench::durable();
    for times in [[50, 10], [90, 20], [30, 90]] {
        bench.append(&Making::at(&times)).await.unwrap();
    }
    let offset = |timestamp_ms| {
        bench
            .log
            .find_by_time(timestamp_ms)
            .unwrap()
            .unwrap()
            .offset
    };
    assert_eq!(offset(20), 0);
    assert_eq!(offset(51), 2);
    assert_eq!(bench.log.find_newest().unwrap().unwrap().offset, 2);
}

#[tokio::test]
async fn what_was_deleted_is_not_found() {
    let bench = Bench::durable();
    bench.append(&Making::at(&[99, 10, 20])).await.unwrap();
    bench.append(&Making::at(&[5])).await.unwrap();
    bench.log.delete_before(1).await.unwrap();
    let found = bench.log.find_by_time(0).unwrap().unwrap();
    assert_eq!((found.offset, found.timestamp_ms), (1, 10));
    assert_eq!(bench.log.find_by_time(21).unwrap(), None);
    bench.log.delete_before(-1).await.unwrap();
    assert_eq!(bench.log.find_by_time(0).unwrap(), None);
    assert_eq!(bench.log.find_newest().unwrap(), None);
}

#[tokio::test]
async fn an_undecodable_batch_is_answered_by_its_header() {
    let bench = Bench::durable();
    let mut bytes = Making::at(&[10, 20]).bytes().to_vec();
    // Plain records under the name of gzip.
    bytes[22] |= 1;
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    let batch = super::super::Batches::parse(bytes.into(), 1 << 20).unwrap();
    bench.log.append(batch).await.await.unwrap();
    bench.append(&Making::at(&[30])).await.unwrap();
    let found = bench.log.find_by_time(15).unwrap().unwrap();
    assert_eq!((found.offset, found.timestamp_ms), (0, 20));
    assert_eq!(bench.log.find_by_time(21).unwrap().unwrap().offset, 2);
}
