//! Batches that wait for company, and those that do not.

use super::*;
use crate::model::manifest::Queueing;

fn waiting(max_size: usize, delay_ms: u64, preferred_sizes: &[usize]) -> BatchRule {
    BatchRule {
        max_size,
        queueing: Queueing {
            max_delay: Duration::from_millis(delay_ms),
            preferred_sizes: preferred_sizes.to_vec(),
        },
    }
}

#[test]
fn a_batch_waits_for_company_no_longer_than_it_may() {
    let rule = waiting(4, 20, &[]);
    let mut scheduler = new();
    let ready_at = |scheduler: &Scheduler<Shot>, now| scheduler.ready_at(now, |_| rule.clone());
    assert_eq!(ready_at(&scheduler, at(0)), None, "nothing waits");
    scheduler.push_live(live("a", 0), at(0));
    assert_eq!(ready_at(&scheduler, at(0)), Some(at(20)));
    scheduler.push_durable(shot("job", 1), at(10));
    // A newer frame of the same camera does not begin the wait anew.
    scheduler.push_live(live("a", 15), at(15));
    assert_eq!(ready_at(&scheduler, at(15)), Some(at(20)));
    assert!(taken_at(&mut scheduler, at(19), &rule).is_empty());
    assert_eq!(taken_at(&mut scheduler, at(20), &rule), ["a15", "job1"]);
    for number in 0..4 {
        scheduler.push_durable(shot("job", number), at(30));
    }
    assert_eq!(ready_at(&scheduler, at(30)), Some(at(30)), "it is full");
    assert_eq!(taken_at(&mut scheduler, at(30), &rule).len(), 4);
}

#[test]
fn without_a_delay_nothing_waits_and_preferred_sizes_cut() {
    let rule = waiting(8, 0, &[2, 4]);
    let mut scheduler = new();
    for number in 0..7 {
        scheduler.push_durable(shot("job", number), at(0));
    }
    assert_eq!(taken_at(&mut scheduler, at(0), &rule).len(), 4);
    assert_eq!(taken_at(&mut scheduler, at(0), &rule).len(), 2);
    assert_eq!(taken_at(&mut scheduler, at(0), &rule), ["job6"]);
}

#[test]
fn no_wait_costs_a_frame_its_deadline() {
    let rule = waiting(8, 900, &[]);
    let shares = Shares::default();
    let mut scheduler = Scheduler::new(ROOM, shares.clone());
    let parts = "parts".parse().unwrap();
    shares.charge(&parts, [1, 0], Duration::from_millis(300));
    scheduler.push_live(live("a", 0), at(200));
    // It may wait until 1100, is worth nothing from 1000 on, and a run takes 300.
    let ready_at = scheduler.ready_at(at(200), |_| rule.clone());
    assert_eq!(ready_at, Some(at(700)));
    scheduler.push_durable(shot("job", 1), at(200));
    let ready_at = scheduler.ready_at(at(200), |_| rule.clone());
    assert_eq!(ready_at, Some(at(400)), "a run of two takes twice as long");
}

#[test]
fn who_waits_for_company_lets_other_models_go_before() {
    let rule = |model: &ModelRef| match model.name() {
        "parts" => waiting(4, 50, &[]),
        _ => no_wait(4),
    };
    let mut scheduler = new();
    scheduler.push_durable(shot("job-1", 1), at(0));
    scheduler.push_durable(of_model("job-1", 2, "other"), at(0));
    scheduler.push_durable(of_model("job-2", 3, "other"), at(0));
    let take = |scheduler: &mut Scheduler<Shot>, now| {
        let taken = scheduler.take(now, rule);
        taken.map(|taken| names(&taken.frames))
    };
    let first = take(&mut scheduler, at(0)).unwrap();
    assert_eq!(first, ["job-23"], "2 waits behind 1 of its source");
    assert_eq!(scheduler.owed, 2, "it has overtaken two");
    assert_eq!(take(&mut scheduler, at(49)), None);
    assert_eq!(take(&mut scheduler, at(50)).unwrap(), ["job-11"]);
    assert_eq!(take(&mut scheduler, at(50)).unwrap(), ["job-12"]);
}

#[test]
fn a_clock_that_was_put_back_makes_nobody_wait() {
    let mut scheduler = new();
    scheduler.push_durable(shot("job", 1), at(60_000));
    let taken = taken_at(&mut scheduler, at(0), &waiting(4, 50, &[]));
    assert_eq!(taken, ["job1"]);
}
