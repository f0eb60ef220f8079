//! Tests of what a log is after a kill, a torn write, or the loss of its side files.

use std::fs::OpenOptions;
use std::path::Path;

use super::super::testing::{Bench, Making, settings};
use super::super::{AppendError, EpochEnd, Flush, LogStore};
use super::*;

fn cut_to(path: &Path, bytes: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(bytes).unwrap();
}

fn flip_byte(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0xff;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn everything_is_there_after_a_kill() {
    for mut bench in [Bench::durable(), Bench::background()] {
        for _batch in 0..20 {
            bench.append(&Making::records(3)).await.unwrap();
        }
        bench.reopen();
        assert_eq!(bench.offsets_from(0, 500), (0..60).collect::<Vec<_>>());
        let appended = bench.append(&Making::records(1)).await.unwrap();
        assert_eq!(appended.base_offset, 60);
    }
}

#[tokio::test]
async fn a_last_batch_torn_at_any_byte_is_cut() {
    let mut bench = Bench::durable();
    let batch = Making::records(2);
    bench.append(&batch).await.unwrap();
    bench.append(&batch).await.unwrap();
    let whole_bytes = batch.bytes().len();
    for torn in (0..whole_bytes).rev() {
        bench.kill();
        let path = bench.files("log").pop().unwrap();
        let bytes = fs::read(&path).unwrap();
        cut_to(&path, (whole_bytes + torn) as u64);
        bench.reopen();
        assert_eq!(bench.log.offsets().log_end, 2, "torn at {torn}");
        assert_eq!(fs::metadata(&path).unwrap().len(), whole_bytes as u64);
        fs::write(&path, bytes).unwrap();
    }
    bench.reopen();
    assert_eq!(bench.offsets_from(0, 1), [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_last_batch_damaged_at_any_byte_is_cut() {
    let mut bench = Bench::durable();
    let batch = Making::records(2);
    bench.append(&batch).await.unwrap();
    bench.append(&batch).await.unwrap();
    let whole_bytes = batch.bytes().len();
    bench.kill();
    let path = bench.files("log").pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    // The leader epoch is not covered by the checksum.
    let covered = (0..12).chain(16..whole_bytes);
    for at in covered {
        flip_byte(&path, whole_bytes + at);
        bench.reopen();
        assert_eq!(bench.log.offsets().log_end, 2, "damaged at {at}");
        bench.kill();
        fs::write(&path, &bytes).unwrap();
    }
}

#[tokio::test]
async fn zeroes_behind_the_end_are_cut() {
    let mut bench = Bench::durable();
    bench.append(&Making::records(2)).await.unwrap();
    let path = bench.files("log").pop().unwrap();
    let bytes = fs::metadata(&path).unwrap().len();
    bench.kill();
    cut_to(&path, bytes + 5_000);
    bench.reopen();
    assert_eq!(bench.offsets_from(0, 1), [0, 1]);
    assert_eq!(fs::metadata(&path).unwrap().len(), bytes);
}

#[tokio::test]
async fn missing_and_damaged_indexes_are_rebuilt() {
    let mut bench = Bench::durable();
    for _batch in 0..20 {
        bench.append(&Making::records(3)).await.unwrap();
    }
    bench.sweep(0);
    let before: Vec<_> = bench.files("index");
    let contents: Vec<_> = before.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(before.len() > 2, "{before:?}");
    bench.kill();
    flip_byte(&before[0], 20);
    fs::remove_file(&before[1]).unwrap();
    bench.reopen();
    let rebuilt: Vec<_> = before.iter().map(|path| fs::read(path).unwrap()).collect();
    assert_eq!(rebuilt, contents);
    assert_eq!(bench.offsets_from(0, 1), (0..60).collect::<Vec<_>>());
}

#[tokio::test]
async fn damage_in_a_closed_segment_costs_no_other_segment() {
    let mut bench = Bench::durable();
    for _batch in 0..20 {
        bench.append(&Making::records(3)).await.unwrap();
    }
    bench.sweep(0);
    bench.kill();
    let first = &bench.files("log")[0];
    let whole_bytes = Making::records(3).bytes().len();
    flip_byte(first, whole_bytes + 100);
    fs::remove_file(&bench.files("index")[0]).unwrap();
    bench.reopen();
    // The damaged batch and what followed it in the first segment are gone.
    let second = bench.files("log")[1].file_stem().unwrap().to_owned();
    let second: i64 = second.to_str().unwrap().parse().unwrap();
    let expected: Vec<i64> = (0..3).chain(second..60).collect();
    assert!(second > 3 && second < 20, "{second}");
    assert_eq!(bench.offsets_from(0, 1), expected);
    assert_eq!(bench.offsets_from(4, 1), expected[3..]);
}

#[tokio::test]
async fn after_a_clean_end_only_headers_are_read() {
    let dir = tempfile::TempDir::new().unwrap();
    let mut config = super::super::testing::config(dir.path());
    config.was_clean = true;
    for run in 0..3 {
        let store = LogStore::open(config.clone()).unwrap();
        let log = store
            .open_log(Path::new("t~1/0"), settings(Flush::BeforeAck))
            .unwrap();
        assert_eq!(log.offsets().log_end, run);
        let batch = Making::by(1, 0, run as i32).batch();
        log.append(batch).await.await.unwrap();
        assert_eq!(log.producers(), 1);
        store.close().unwrap();
        // Damage that only a checksum would show.
        let path = segment::log_path(&dir.path().join("t~1/0"), 0);
        flip_byte(&path, 80);
    }
}

#[tokio::test]
async fn producers_survive_a_kill_a_close_and_the_loss_of_their_file() {
    let mut bench = Bench::durable();
    for sequence in 0..20 {
        let batch = Making::by(9, 1, sequence);
        bench.append(&batch).await.unwrap();
    }
    for way in ["kill", "close", "lose"] {
        match way {
            "kill" => bench.kill(),
            "close" => bench.close(),
            _lose => {
                bench.kill();
                fs::remove_file(bench.folder().join("state")).unwrap();
            }
        }
        bench.reopen();
        let again = bench.append(&Making::by(9, 1, 17)).await.unwrap();
        assert!(again.duplicate && again.base_offset == 17, "{way}");
        let gap = bench.append(&Making::by(9, 1, 25)).await;
        assert!(matches!(gap, Err(AppendError::OutOfOrderSequence { .. })));
        let old = bench.append(&Making::by(9, 0, 20)).await;
        assert!(matches!(old, Err(AppendError::InvalidProducerEpoch { .. })));
        assert_eq!(bench.log.producers(), 1);
    }
    assert_eq!(bench.log.offsets().log_end, 20);
}

#[tokio::test]
async fn a_producer_file_from_beyond_the_end_is_not_believed() {
    let mut bench = Bench::durable();
    bench.append(&Making::by(9, 0, 0)).await.unwrap();
    bench.append(&Making::by(9, 0, 1)).await.unwrap();
    bench.close();
    let path = bench.files("log").pop().unwrap();
    cut_to(&path, fs::metadata(&path).unwrap().len() - 1);
    bench.reopen();
    let again = bench.append(&Making::by(9, 0, 1)).await.unwrap();
    assert!(!again.duplicate);
    assert_eq!(again.base_offset, 1);
}

#[tokio::test]
async fn epochs_are_runs_that_wrote_something() {
    let mut bench = Bench::durable();
    bench.append(&Making::records(4)).await.unwrap();
    bench.reopen();
    bench.reopen();
    bench.append(&Making::records(2)).await.unwrap();
    bench.close();
    bench.reopen();
    let end = |leader_epoch, end_offset| EpochEnd {
        leader_epoch,
        end_offset,
    };
    assert_eq!(bench.log.end_of_epoch(3), end(3, 4));
    assert_eq!(bench.log.end_of_epoch(4), end(3, 4));
    assert_eq!(bench.log.end_of_epoch(5), end(5, 6));
    assert_eq!(bench.log.end_of_epoch(6), end(6, 6));
    assert_eq!(bench.log.end_of_epoch(7), EpochEnd::UNKNOWN);
    assert_eq!(bench.log.epoch_at_end(), 6);
}

#[tokio::test]
async fn a_log_that_lost_more_than_was_deleted_goes_on_at_its_start() {
    let mut bench = Bench::durable();
    for _batch in 0..3 {
        bench.append(&Making::records(1)).await.unwrap();
    }
    assert_eq!(bench.log.delete_before(3).await.unwrap(), 3);
    bench.kill();
    cut_to(&bench.files("log")[0], 10);
    bench.reopen();
    let offsets = bench.log.offsets();
    assert_eq!((offsets.log_start, offsets.log_end), (3, 3));
    assert_eq!(
        bench.append(&Making::records(1)).await.unwrap().base_offset,
        3
    );
    assert_eq!(bench.offsets_from(3, 1), [3]);
}

#[tokio::test]
async fn a_full_disk_keeps_no_log_from_opening() {
    let mut bench = Bench::durable();
    for _batch in 0..60 {
        bench.append(&Making::records(1)).await.unwrap();
    }
    bench.kill();
    let indexes = bench.files("index");
    assert!(indexes.len() > 1, "several closed segments");
    for index in &indexes {
        fs::remove_file(index).unwrap();
    }
    bench.disk.set(|disk| &disk.full, true);
    bench.reopen();
    assert_eq!(bench.offsets_from(0, 500), (0..60).collect::<Vec<_>>());
    assert_eq!(bench.files("index"), Vec::<std::path::PathBuf>::new());

    bench.disk.set(|disk| &disk.full, false);
    bench.sweep(0);
    assert_eq!(bench.files("index"), indexes);
    assert_eq!(bench.offsets_from(0, 500), (0..60).collect::<Vec<_>>());
}
