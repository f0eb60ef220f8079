//! Tests of idempotence as a state machine.

use super::super::testing::Making;
use super::*;

struct Script {
    producers: Producers,
    next_offset: i64,
}

impl Script {
    fn new() -> Self {
        Self {
            producers: Producers::default(),
            next_offset: 0,
        }
    }

    fn write(&mut self, epoch: i16, sequence: i32, count: usize) -> Result<Verdict, AppendError> {
        let making = Making {
            producer: (7, epoch),
            sequence,
            ..Making::records(count)
        };
        let mut header = making.batch().header;
        header.base_offset = self.next_offset;
        let verdict = self.producers.check(&header)?;
        if verdict == Verdict::Fresh {
            self.producers.record(&header, 0);
            self.next_offset = header.next_offset();
        }
        Ok(verdict)
    }
}

fn is_out_of_order(result: &Result<Verdict, AppendError>) -> bool {
    matches!(result, Err(AppendError::OutOfOrderSequence { .. }))
}

#[test]
fn unknown_producers_may_begin_anywhere() {
    assert_eq!(Script::new().write(0, 17, 2).unwrap(), Verdict::Fresh);
}

#[test]
fn the_last_five_batches_are_recognised() {
    let mut script = Script::new();
    for at in 0..6 {
        assert_eq!(script.write(0, at * 2, 2).unwrap(), Verdict::Fresh);
    }
    for at in 1..6 {
        let again = script.write(0, at * 2, 2).unwrap();
        assert_eq!(again, Verdict::Duplicate(i64::from(at) * 2));
    }
    assert!(is_out_of_order(&script.write(0, 0, 2)));
    assert!(
        is_out_of_order(&script.write(0, 10, 1)),
        "a part of a batch is no duplicate"
    );
    assert!(is_out_of_order(&script.write(0, 13, 1)));
    assert_eq!(script.write(0, 12, 1).unwrap(), Verdict::Fresh);
}

#[test]
fn an_old_epoch_is_fenced_and_a_new_one_begins_at_zero() {
    let mut script = Script::new();
    script.write(1, 0, 3).unwrap();
    assert!(matches!(
        script.write(0, 3, 1),
        Err(AppendError::InvalidProducerEpoch {
            epoch: 0,
            current: 1
        })
    ));
    assert!(is_out_of_order(&script.write(2, 3, 1)));
    assert_eq!(script.write(2, 0, 1).unwrap(), Verdict::Fresh);
    assert_eq!(
        script.write(2, 0, 1).unwrap(),
        Verdict::Duplicate(3),
        "only within its epoch"
    );
}

#[test]
fn sequences_wrap_around() {
    let mut script = Script::new();
    script.write(0, i32::MAX - 1, 2).unwrap();
    assert_eq!(script.write(0, 0, 1).unwrap(), Verdict::Fresh);

    let mut script = Script::new();
    script.write(0, i32::MAX - 1, 5).unwrap();
    assert_eq!(
        script.write(0, i32::MAX - 1, 5).unwrap(),
        Verdict::Duplicate(0)
    );
    assert_eq!(script.write(0, 3, 1).unwrap(), Verdict::Fresh);
}

#[test]
fn producers_are_forgotten_when_idle_or_too_many() {
    let mut producers = Producers::default();
    for id in 0..=MAX_PRODUCERS as i64 {
        let header = Header {
            producer_id: id,
            ..Making::by(1, 0, 0).batch().header
        };
        producers.record(&header, id);
    }
    assert_eq!(producers.len(), MAX_PRODUCERS - MAX_PRODUCERS / 10 + 1);
    assert!(!producers.known.contains_key(&0), "the oldest go first");
    producers.forget_idle(IDLE_MS + MAX_PRODUCERS as i64 - 1);
    assert_eq!(producers.len(), 1);
}
