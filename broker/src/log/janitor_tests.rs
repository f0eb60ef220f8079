//! Tests of retention, `DeleteRecords` and of how little a closed segment keeps.

use std::time::Duration;

use super::super::testing::{Bench, Making, settings};
use super::super::{Flush, ReadError};
use super::*;

fn with(change: impl Fn(&mut LogSettings)) -> Bench {
    let mut settings = settings(Flush::BeforeAck);
    change(&mut settings);
    Bench::new(settings)
}

#[tokio::test]
async fn retention_by_bytes_keeps_at_least_so_many() {
    let mut bench = with(|settings| settings.retention_bytes = Some(3_000));
    for _batch in 0..40 {
        bench.append(&Making::records(3)).await.unwrap();
    }
    bench.sweep(0);
    let kept = bench.log.size_bytes();
    assert!((3_000..4_000).contains(&kept), "{kept}");
    let start = bench.log.offsets().log_start;
    assert!(start > 0 && bench.out_of_range(start - 1));
    assert_eq!(bench.files("log").len(), bench.files("index").len() + 1);
    bench.reopen();
    assert_eq!(bench.log.offsets().log_start, start);
    assert_eq!(
        bench.offsets_from(start, 1),
        (start..120).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn retention_by_time_takes_the_active_segment_too() {
    for flush in [Flush::BeforeAck, Flush::Background] {
        let mut bench = with(|settings| {
            settings.retention = Some(Duration::from_millis(500));
            settings.flush = flush;
        });
        for at in 0..20 {
            bench
                .append(&Making::at(&[at * 100, at * 100 + 1]))
                .await
                .unwrap();
        }
        bench.sweep(1_600);
        let start = bench.log.offsets().log_start;
        assert!(start > 0 && start <= 22, "{start}");
        bench.sweep(10_000);
        let offsets = bench.log.offsets();
        assert_eq!((offsets.log_start, offsets.log_end), (40, 40));
        assert_eq!(bench.log.size_bytes(), 0);
        bench.reopen();
        assert_eq!(
            bench
                .append(&Making::at(&[9_999]))
                .await
                .unwrap()
                .base_offset,
            40
        );
        assert_eq!(bench.offsets_from(40, 1), [40]);
    }
}

#[tokio::test]
async fn delete_before_moves_the_start_for_good() {
    let mut bench = Bench::durable();
    for _batch in 0..20 {
        bench.append(&Making::records(3)).await.unwrap();
    }
    let files = bench.files("log").len();
    assert_eq!(bench.log.delete_before(31).await.unwrap(), 31);
    assert!(bench.files("log").len() < files);
    assert!(bench.out_of_range(30));
    assert_eq!(bench.log.delete_before(5).await.unwrap(), 31, "never back");
    for wrong in [61, -2] {
        let refused = bench.log.delete_before(wrong).await;
        assert!(matches!(refused, Err(ReadError::OutOfRange { .. })));
    }
    bench.reopen();
    assert_eq!(bench.log.offsets().log_start, 31);
    assert_eq!(bench.offsets_from(31, 1), (31..60).collect::<Vec<_>>());
    assert_eq!(bench.log.delete_before(-1).await.unwrap(), 60);
    assert!(bench.offsets_from(60, 1).is_empty());
    let appended = bench.append(&Making::records(1)).await.unwrap();
    assert_eq!((appended.base_offset, appended.log_start), (60, 60));
}

#[tokio::test]
async fn a_closed_segment_keeps_no_index_and_no_file_handle() {
    let bench = Bench::durable();
    for _batch in 0..200 {
        bench.append(&Making::records(3)).await.unwrap();
    }
    bench.sweep(0);
    let shape = read_lock(&bench.log.partition.shape);
    assert!(shape.closed.len() > 50);
    assert!(shape.closed.values().all(|it| it.unsaved_index.is_none()));
    assert!(lock(&bench.log.partition.tail).unsaved.is_empty());
    let folder = bench.folder();
    let open = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter(|path| path.starts_with(&folder))
        .count();
    assert_eq!(open, 1, "only the active segment");
}

#[tokio::test]
async fn idle_producers_are_forgotten() {
    let bench = Bench::durable();
    bench.append(&Making::by(5, 0, 0)).await.unwrap();
    assert_eq!(bench.log.producers(), 1);
    bench.sweep(super::super::now_ms() + 2 * 24 * 60 * 60 * 1000);
    assert_eq!(bench.log.producers(), 0);
}

#[tokio::test]
async fn a_full_disk_lets_whole_segments_be_deleted() {
    let mut bench = with(|_settings| {});
    for _batch in 0..40 {
        bench.append(&Making::records(3)).await.unwrap();
    }
    bench.sweep(0);
    let segments = bench.files("log").len();
    bench.disk.set(|disk| &disk.full, true);
    // The start itself cannot be written down, and no room is made on this disk.
    assert!(matches!(
        bench.log.delete_before(100).await,
        Err(ReadError::Io(_))
    ));
    let start = bench.log.offsets().log_start;
    assert!(start > 50 && start <= 100, "{start}");
    assert!(bench.files("log").len() < segments / 2);
    bench.reopen();
    assert_eq!(bench.log.offsets().log_start, start);

    bench.disk.set(|disk| &disk.full, false);
    assert_eq!(bench.log.delete_before(100).await.unwrap(), 100);
    assert_eq!(bench.offsets_from(100, 1), (100..120).collect::<Vec<_>>());
}
