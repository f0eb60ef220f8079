//! Tests of when a batch is visible, and of disks that are full or ill.

use std::time::Duration;

use tokio::time::timeout;

use super::super::testing::{Bench, DEADLINE, Making, settings};
use super::super::{AppendError, Flush, ReadError};
use super::*;

async fn wait_until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(DEADLINE, waiting).await.unwrap();
}

#[tokio::test]
async fn a_durable_append_is_visible_only_once_flushed() {
    let bench = Bench::durable();
    bench.disk.hold_syncs();
    let mut watch = bench.log.watch();
    let pending: Vec<_> = [
        bench.log.append(Making::records(1).batch()).await,
        bench.log.append(Making::records(1).batch()).await,
    ]
    .into();
    wait_until(|| bench.log.offsets().log_end == 2).await;
    assert_eq!(bench.log.offsets().high_watermark, 0);
    assert!(bench.log.read(0, 1_000, true).unwrap().records.is_empty());
    assert!(!watch.has_changed().unwrap());

    bench.disk.release();
    for (offset, pending) in pending.into_iter().enumerate() {
        let appended = timeout(DEADLINE, pending).await.unwrap().unwrap();
        assert_eq!(appended.base_offset, offset as i64);
    }
    timeout(DEADLINE, watch.wait_for(|visible| *visible == 2))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(bench.offsets_from(0, 1), [0, 1]);
}

#[tokio::test]
async fn a_duplicate_waits_for_the_flush_of_its_first() {
    let bench = Bench::durable();
    bench.disk.hold_syncs();
    let first = bench.log.append(Making::by(1, 0, 0).batch()).await;
    let second = bench.log.append(Making::by(1, 0, 0).batch()).await;
    let third = bench.log.append(Making::by(1, 0, 1).batch()).await;
    // The queue is in order, so by now the second has been looked at.
    wait_until(|| bench.log.offsets().log_end == 2).await;
    let mut second = std::pin::pin!(second);
    assert!(timeout(Duration::ZERO, &mut second).await.is_err());
    bench.disk.release();
    assert!(!first.await.unwrap().duplicate);
    assert!(second.await.unwrap().duplicate);
    assert!(!third.await.unwrap().duplicate);
}

#[tokio::test]
async fn appends_that_wait_share_a_flush() {
    let bench = Bench::new(super::super::LogSettings {
        segment_bytes: 1 << 20,
        ..settings(Flush::BeforeAck)
    });
    bench.disk.hold_syncs();
    let before = bench.disk.syncs.load(Ordering::SeqCst);
    let mut pending = Vec::new();
    for _batch in 0..100 {
        pending.push(bench.log.append(Making::records(1).batch()).await);
    }
    wait_until(|| bench.log.offsets().log_end == 100).await;
    bench.disk.release();
    for pending in pending {
        timeout(DEADLINE, pending).await.unwrap().unwrap();
    }
    let flushes = bench.disk.syncs.load(Ordering::SeqCst) - before;
    assert!(flushes <= 2, "{flushes} flushes for 100 appends");
}

#[tokio::test]
async fn a_background_append_waits_for_no_flush() {
    let bench = Bench::background();
    bench.disk.hold_syncs();
    let pending = bench.log.append(Making::records(1).batch()).await;
    timeout(DEADLINE, pending).await.unwrap().unwrap();
    assert_eq!(bench.offsets_from(0, 1), [0]);
    bench.disk.release();
}

#[tokio::test]
async fn a_full_disk_refuses_and_heals() {
    for mut bench in [Bench::durable(), Bench::background()] {
        bench.append(&Making::by(1, 0, 0)).await.unwrap();
        bench.disk.set(|disk| &disk.full, true);
        bench.disk.set(|disk| &disk.cannot_cut, true);
        for _try in 0..3 {
            let refused = bench.append(&Making::by(1, 0, 1)).await;
            assert!(matches!(refused, Err(AppendError::Storage(_))));
        }
        assert!(bench.store().disk_trouble().is_some());
        assert_eq!(bench.offsets_from(0, 1), [0], "reads go on");

        bench.disk.set(|disk| &disk.full, false);
        let still_uncut = bench.append(&Making::by(1, 0, 1)).await;
        assert!(matches!(still_uncut, Err(AppendError::Storage(_))));
        bench.disk.set(|disk| &disk.cannot_cut, false);
        let appended = bench.append(&Making::by(1, 0, 1)).await.unwrap();
        assert!(!appended.duplicate && appended.base_offset == 1);
        assert_eq!(bench.store().disk_trouble(), None);
        bench.reopen();
        assert_eq!(bench.offsets_from(0, 1), [0, 1]);
    }
}

#[tokio::test]
async fn a_failed_flush_takes_back_all_that_was_not_flushed() {
    let mut bench = Bench::durable();
    bench.append(&Making::by(1, 0, 0)).await.unwrap();
    bench.disk.hold_syncs();
    bench.disk.set(|disk| &disk.cannot_sync, true);
    let mut pending = Vec::new();
    // Over several segments.
    for sequence in 1..20 {
        pending.push(bench.log.append(Making::by(1, 0, sequence).batch()).await);
    }
    wait_until(|| bench.log.offsets().log_end == 20).await;
    bench.disk.release();
    for pending in pending {
        let answer = timeout(DEADLINE, pending).await.unwrap();
        assert!(matches!(answer, Err(AppendError::Storage(_))));
    }
    assert!(bench.store().disk_trouble().is_some());
    assert_eq!(bench.offsets_from(0, 1), [0]);

    bench.disk.set(|disk| &disk.cannot_sync, false);
    let appended = bench.append(&Making::by(1, 0, 1)).await.unwrap();
    assert!(
        !appended.duplicate,
        "a batch that was taken back is no duplicate"
    );
    assert_eq!(appended.base_offset, 1);
    assert_eq!(bench.store().disk_trouble(), None);
    assert_eq!(bench.files("log").len(), 1);
    bench.reopen();
    assert_eq!(bench.offsets_from(0, 1), [0, 1]);
}

#[tokio::test]
async fn a_removed_log_is_gone_for_everyone() {
    let bench = Bench::durable();
    bench.append(&Making::records(1)).await.unwrap();
    let mut watch = bench.log.watch();
    bench.store().remove(&bench.log).unwrap();
    assert!(timeout(DEADLINE, watch.changed()).await.unwrap().is_err());
    assert!(bench.log.watch().has_changed().is_err());
    let refused = bench.append(&Making::records(1)).await;
    assert!(matches!(refused, Err(AppendError::Gone)));
    assert!(matches!(bench.log.read(0, 1, true), Err(ReadError::Gone)));
    assert!(!bench.folder().exists());
}

#[tokio::test]
async fn a_closed_store_answers_what_was_queued_and_refuses_what_comes() {
    let mut bench = Bench::durable();
    let pending = bench.log.append(Making::records(1).batch()).await;
    bench.close();
    assert_eq!(pending.await.unwrap().base_offset, 0);
    let refused = bench.append(&Making::records(1)).await;
    assert!(matches!(refused, Err(AppendError::Gone)));
}
