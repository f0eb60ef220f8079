//! Tests of the epochs' starts.

use super::*;

fn end(leader_epoch: i32, end_offset: i64) -> EpochEnd {
    EpochEnd {
        leader_epoch,
        end_offset,
    }
}

fn three() -> Epochs {
    let mut epochs = Epochs::default();
    epochs.begin(1, 0);
    epochs.begin(4, 10);
    epochs.begin(6, 20);
    epochs
}

#[test]
fn answers_like_kafka() {
    let epochs = three();
    assert_eq!(epochs.end_of(6, 33), end(6, 33));
    assert_eq!(epochs.end_of(4, 33), end(4, 20));
    assert_eq!(epochs.end_of(5, 33), end(4, 20));
    assert_eq!(epochs.end_of(0, 33), end(0, 0));
    assert_eq!(epochs.end_of(7, 33), EpochEnd::UNKNOWN);
    assert_eq!(epochs.end_of(-1, 33), EpochEnd::UNKNOWN);
    assert_eq!(Epochs::default().end_of(-1, 0), EpochEnd::UNKNOWN);
}

#[test]
fn an_empty_epoch_gives_way() {
    let mut epochs = three();
    epochs.begin(7, 20);
    assert_eq!(epochs.end_of(6, 20), end(4, 20));
    assert_eq!(epochs.newest(), 7);
}

#[test]
fn retention_keeps_the_epoch_the_log_starts_in() {
    let mut epochs = three();
    epochs.forget_before(15);
    assert_eq!(epochs.end_of(3, 33), end(3, 10));
    assert_eq!(epochs.end_of(4, 33), end(4, 20));
}
