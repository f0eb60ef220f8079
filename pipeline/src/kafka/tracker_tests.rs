//! Tests of the offset bookkeeping.

use prometheus::Registry;

use super::*;

pub(in super::super) fn tracker_with_metrics() -> (Arc<PartitionTracker>, KafkaMetrics) {
    let metrics = KafkaMetrics::register(&Registry::new()).unwrap();
    let limits = Limits {
        records: 4,
        bytes: 100,
    };
    let in_flight = InFlight::new(limits, Arc::default(), metrics.clone());
    let tracker = PartitionTracker::new("frames".into(), 3, Arc::new(in_flight));
    (tracker, metrics)
}

fn handed_out(tracker: &Arc<PartitionTracker>, offset: i64) -> Claim {
    let mut claim = tracker.track(offset, offset * 1000, 10);
    assert!(claim.hand_out());
    claim
}

#[test]
fn commits_only_the_finished_prefix_whatever_the_order() {
    let (tracker, _) = tracker_with_metrics();
    let [a, b, c] = [10, 11, 12].map(|offset| handed_out(&tracker, offset));
    assert_eq!(tracker.oldest(), Some((10, 10_000)));
    c.complete();
    assert_eq!(tracker.take_commit(), None);
    a.complete();
    assert_eq!(tracker.take_commit(), Some(11));
    assert_eq!(tracker.oldest(), Some((11, 11_000)));
    b.complete();
    assert_eq!(tracker.take_commit(), Some(13));
    assert_eq!(tracker.oldest(), None);
    assert_eq!(tracker.position(), Some(13));
}

#[test]
fn every_order_of_completion_ends_at_the_same_offset() {
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for order in orders {
        let (tracker, _) = tracker_with_metrics();
        let mut claims = [5, 6, 9].map(|offset| Some(handed_out(&tracker, offset)));
        let mut last_commit = 0;
        for index in order {
            claims[index].take().unwrap().complete();
            if let Some(offset) = tracker.take_commit() {
                assert!(offset > last_commit, "{order:?} went back to {offset}");
                last_commit = offset;
            }
        }
        assert_eq!(last_commit, 10, "{order:?}");
        assert_eq!(tracker.window_len(), 0);
    }
}

#[test]
fn an_offset_is_offered_once_and_again_after_a_failed_commit() {
    let (tracker, _) = tracker_with_metrics();
    handed_out(&tracker, 0).complete();
    assert_eq!(tracker.take_commit(), Some(1));
    assert_eq!(tracker.take_commit(), None);
    tracker.commit_failed();
    assert_eq!(tracker.take_commit(), Some(1));
}

#[test]
fn a_dropped_claim_is_counted_never_committed_and_read_again() {
    let (tracker, metrics) = tracker_with_metrics();
    let [a, b, c] = [20, 21, 22].map(|offset| handed_out(&tracker, offset));
    a.complete();
    drop(b);
    c.complete();
    assert_eq!(tracker.take_commit(), Some(21));
    assert_eq!(metrics.abandoned_total.get(), 1);
    assert!(tracker.take_abandoned());
    assert!(!tracker.take_abandoned());
    assert_eq!(tracker.oldest(), Some((21, 21_000)));
}

#[test]
fn a_claim_dropped_before_it_was_handed_out_is_no_loss() {
    let (tracker, metrics) = tracker_with_metrics();
    drop(tracker.track(0, 0, 10));
    assert_eq!(metrics.abandoned_total.get(), 0);
    assert!(!tracker.take_abandoned());
    assert_eq!(tracker.in_flight.records(), 0);
}

#[test]
fn completions_after_the_partition_is_gone_are_ignored_and_counted() {
    let (tracker, metrics) = tracker_with_metrics();
    let [a, b] = [0, 1].map(|offset| handed_out(&tracker, offset));
    a.complete();
    tracker.close();
    assert_eq!(tracker.take_commit(), None);
    b.complete();
    assert_eq!(tracker.take_commit(), None);
    assert_eq!(metrics.late_total.get(), 1);
    assert_eq!(tracker.in_flight.records(), 0);
}

#[test]
fn draining_hands_nothing_out_but_still_takes_completions() {
    let (tracker, metrics) = tracker_with_metrics();
    let held = handed_out(&tracker, 0);
    let mut queued = tracker.track(1, 0, 10);
    tracker.start_draining();
    assert!(!queued.hand_out());
    drop(queued);
    assert_eq!(tracker.handed_out(), 1);
    held.complete();
    assert_eq!(tracker.handed_out(), 0);
    assert_eq!(tracker.take_commit(), Some(1));
    assert_eq!(metrics.abandoned_total.get(), 0);
}

#[test]
fn the_budget_counts_records_and_bytes() {
    let (tracker, metrics) = tracker_with_metrics();
    let mut claims: Vec<_> = (0..4).map(|offset| handed_out(&tracker, offset)).collect();
    assert!(!tracker.in_flight.has_room(), "four records are the limit");
    claims.pop().unwrap().complete();
    assert!(tracker.in_flight.has_room());
    claims.push(tracker.track(4, 0, 90));
    claims.remove(0).complete();
    assert_eq!(metrics.in_flight_records.get(), 3);
    assert!(
        !tracker.in_flight.has_room(),
        "110 bytes are over the limit"
    );
    drop(claims);
    assert!(tracker.in_flight.has_room());
    assert_eq!(metrics.in_flight_bytes.get(), 0);
}
