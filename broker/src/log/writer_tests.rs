//! Tests of the writer's bounds.

use std::time::Duration;

use tokio::time::timeout;

use super::super::testing::{Bench, DEADLINE, Making};
use super::*;

#[tokio::test]
async fn the_queue_is_bounded_in_bytes() {
    let bench = Bench::background();
    let large = Making {
        value_bytes: 1_000_000,
        ..Making::records(1)
    };
    let batch = large.batch();
    let fit = MAX_QUEUED_BYTES / batch.body.len();
    bench.disk.hold_writes();
    let mut pending = Vec::new();
    for _batch in 0..fit {
        let append = bench.log.append(batch.clone());
        pending.push(timeout(DEADLINE, append).await.unwrap());
    }
    let one_more = timeout(Duration::ZERO, bench.log.append(batch.clone())).await;
    assert!(one_more.is_err(), "a full queue makes its callers wait");
    bench.disk.release();
    for pending in pending {
        timeout(DEADLINE, pending).await.unwrap().unwrap();
    }
    assert_eq!(bench.log.offsets().high_watermark, fit as i64);
}

#[tokio::test]
async fn unanswered_appends_are_bounded_in_number() {
    let bench = Bench::durable();
    bench.disk.hold_syncs();
    let batch = Making::records(1).batch();
    let mut pending = Vec::new();
    for _batch in 0..MAX_APPENDS {
        let append = bench.log.append(batch.clone());
        pending.push(timeout(DEADLINE, append).await.unwrap());
    }
    let one_more = timeout(Duration::ZERO, bench.log.append(batch.clone())).await;
    assert!(one_more.is_err(), "what waits for a flush counts too");
    bench.disk.release();
    for (offset, pending) in pending.into_iter().enumerate() {
        let appended = timeout(DEADLINE, pending).await.unwrap().unwrap();
        assert_eq!(appended.base_offset, offset as i64);
    }
}
