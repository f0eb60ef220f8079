//! Tests of reading across segments, from inside batches and around large ones.

use super::super::testing::{Bench, Making};
use super::super::{AppendError, LogSettings};

#[tokio::test]
async fn reads_on_across_segments_at_every_offset() {
    for bench in [Bench::durable(), Bench::background()] {
        for _batch in 0..20 {
            bench.append(&Making::records(3)).await.unwrap();
        }
        for swept in [false, true] {
            for from in 0..=60 {
                let expected: Vec<i64> = (from..60).collect();
                assert_eq!(bench.offsets_from(from, 700), expected, "swept: {swept}");
            }
            bench.sweep(0);
        }
        assert!(bench.out_of_range(61) && bench.out_of_range(-1));
        let read = bench.log.read(60, 1_000, true).unwrap();
        assert_eq!((read.high_watermark, read.log_start), (60, 0));
    }
}

#[tokio::test]
async fn gives_the_whole_batch_that_holds_the_offset() {
    let bench = Bench::durable();
    let batch = Making::records(5);
    bench.append(&batch).await.unwrap();
    bench.append(&batch).await.unwrap();
    let read = bench.log.read(7, 1, true).unwrap();
    assert_eq!(read.records.len(), batch.bytes().len());
    assert_eq!(i64::from_be_bytes(*read.records.first_chunk().unwrap()), 5);
    let sent = batch.bytes();
    assert_eq!(read.records[16..], sent[16..], "stored as received");
    assert_eq!(read.records[12..16], 3_i32.to_be_bytes());
}

#[tokio::test]
async fn a_batch_larger_than_asked_comes_only_as_the_first() {
    let bench = Bench::durable();
    let small = Making::records(1);
    let large = Making {
        value_bytes: 100_000,
        ..Making::records(1)
    };
    for making in [&small, &large, &small] {
        bench.append(making).await.unwrap();
    }
    let read = |from, at_least_one| bench.log.read(from, 1_000, at_least_one).unwrap().records;
    assert_eq!(read(0, true).len(), small.bytes().len());
    assert_eq!(read(1, true).len(), large.bytes().len());
    assert!(read(1, false).is_empty());
    assert_eq!(read(2, false).len(), small.bytes().len());
}

#[tokio::test]
async fn refuses_batches_larger_than_the_log_takes() {
    let bench = Bench::durable();
    bench.log.reconfigure(LogSettings {
        max_batch_bytes: 100,
        ..bench.settings.clone()
    });
    let refused = bench.append(&Making::records(1)).await;
    assert!(matches!(refused, Err(AppendError::TooLarge { .. })));
}

#[tokio::test]
async fn readers_and_a_writer_do_not_disturb_each_other() {
    let bench = Bench::background();
    let log = bench.log.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let mut next = 0;
        while next < 300 {
            let read = log.read(next, 2_000, true).unwrap();
            let mut rest = &read.records[..];
            while let Some(header) = super::super::batch::Header::read(rest) {
                assert_eq!(header.base_offset, next);
                next = header.next_offset();
                rest = &rest[header.bytes..];
            }
            assert!(rest.is_empty());
        }
    });
    for _batch in 0..100 {
        bench.append(&Making::records(3)).await.unwrap();
    }
    reading.await.unwrap();
}

#[tokio::test]
async fn damage_is_an_error_and_not_an_empty_answer() {
    let bench = Bench::durable();
    for _batch in 0..6 {
        bench.append(&Making::records(3)).await.unwrap();
    }
    bench.sweep(0);
    let first = &bench.files("log")[0];
    let mut bytes = std::fs::read(first).unwrap();
    bytes[16] = 9;
    std::fs::write(first, bytes).unwrap();
    let refused = bench.log.read(0, 1_000, true);
    assert!(matches!(refused, Err(super::super::ReadError::Io(_))));
    assert_eq!(bench.offsets_from(9, 1).last(), Some(&17));
}
