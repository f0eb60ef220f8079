//! Sessions, rebalances, ids and first joins that run out.

use std::time::Duration;

use super::bench::*;
use crate::group::leave::Leaving;
use crate::group::member::Join;
use crate::group::state::{GroupRules, State};
use kafka_protocol::ResponseError::*;

const BEFORE: Duration = Duration::from_millis(9_999);
const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn a_silent_member_is_removed_after_its_session() {
    let (mut bench, ids) = Bench::stable(2);
    bench.wait(BEFORE);
    bench.heartbeat(&ids[0]).unwrap();
    assert_eq!(bench.group.members.len(), 2);
    bench.wait(MOMENT);
    assert_eq!(bench.group.members.len(), 1);
    assert_eq!(bench.heartbeat(&ids[0]), Err(RebalanceInProgress));
    assert_eq!(bench.heartbeat(&ids[1]), Err(UnknownMemberId));
    assert_eq!(bench.join(dynamic(&ids[0])).get().members.len(), 1);
}

#[test]
fn heartbeats_and_commits_keep_a_session_alive() {
    let (mut bench, ids) = Bench::stable(2);
    let generation = bench.group.generation;
    for _ in 0..5 {
        bench.wait(BEFORE);
        bench.heartbeat(&ids[0]).unwrap();
        bench.commit(&ids[1], generation).unwrap();
    }
    assert_eq!(bench.group.state, State::Stable);
    assert_eq!(bench.group.members.len(), 2);
}

#[test]
fn when_all_are_gone_the_group_is_empty_and_its_generation_goes_on() {
    let (mut bench, _) = Bench::stable(2);
    let generation = bench.group.generation;
    bench.wait(SESSION);
    assert_eq!(bench.group.state, State::Empty);
    assert!(bench.group.generation > generation);
    bench.store();
    assert!(bench.group.next_deadline().is_none());
}

#[test]
fn a_rebalance_waits_for_its_time_out_then_goes_on_without_the_late() {
    let (mut bench, ids) = Bench::stable(2);
    let mut joined = bench.join(dynamic(&ids[0]));
    // The other one goes on heartbeating but never joins.
    for _ in 0..6 {
        assert!(joined.is_pending());
        assert_eq!(bench.heartbeat(&ids[1]), Err(RebalanceInProgress));
        bench.wait(BEFORE);
    }
    bench.wait(6 * MOMENT);
    assert_eq!(joined.get().members.len(), 1);
    assert_eq!(bench.heartbeat(&ids[1]), Err(UnknownMemberId));
}

#[test]
fn the_leader_that_is_late_loses_the_lead() {
    let (mut bench, ids) = Bench::stable(2);
    let leader = bench.group.leader.clone().unwrap();
    let follower = ids.iter().find(|id| **id != leader).unwrap();
    let changed = Join {
        protocols: vec![protocol("range", "new")],
        ..dynamic(follower)
    };
    let mut joined = bench.join(changed);
    bench.wait(SESSION);
    assert_eq!(joined.get().leader.as_str(), follower);
}

#[test]
fn an_id_that_is_not_used_runs_out() {
    let (mut bench, ids) = Bench::stable(1);
    let id = bench.give_id();
    let mut joined = bench.join(dynamic(&ids[0]));
    assert!(joined.is_pending(), "ids given out are waited for");
    bench.wait(SESSION);
    assert_eq!(joined.get().members.len(), 1);
    assert_eq!(
        error(bench.join(dynamic(&id)).get().error_code),
        Some(UnknownMemberId)
    );
}

#[test]
fn a_connection_that_dies_in_a_join_costs_the_session() {
    let (mut bench, ids) = Bench::stable(2);
    drop(bench.join(dynamic(&ids[0])));
    assert_eq!(bench.group.state, State::Preparing);
    let (_, mut third) = bench.join_new();
    for _ in 0..2 {
        bench.wait(BEFORE / 2);
        assert_eq!(bench.heartbeat(&ids[1]), Err(RebalanceInProgress));
    }
    bench.wait(2 * MOMENT);
    assert!(!bench.group.members.contains_key(&ids[0]));
    drop(bench.join(dynamic(&ids[1])));
    assert_eq!(third.get().error_code, 0);
}

#[test]
fn whoever_waits_in_a_join_needs_no_heartbeat_unless_it_is_new_for_five_minutes() {
    let (mut bench, ids) = Bench::stable(2);
    let patient = Join {
        rebalance_timeout: Duration::from_mins(10),
        ..dynamic(&ids[0])
    };
    let mut old = bench.join(patient);
    let (id, mut new) = bench.join_new();
    for _ in 0..59 {
        bench.wait(Duration::from_secs(5));
        assert_eq!(bench.heartbeat(&ids[1]), Err(RebalanceInProgress));
    }
    assert!(old.is_pending() && new.is_pending());
    bench.wait(BEFORE);
    assert_eq!(error(new.get().error_code), Some(UnknownMemberId));
    assert!(!bench.group.members.contains_key(&id));
    assert!(old.is_pending());
}

#[test]
fn members_that_never_sync_are_removed() {
    let (mut bench, ids) = Bench::stable(2);
    drop(bench.join(dynamic(&ids[0])));
    drop(bench.join(dynamic(&ids[1])));
    let leader = bench.group.leader.clone().unwrap();
    let follower = ids.iter().find(|id| **id != leader).unwrap().clone();
    let mut waiting = bench.sync(&follower, &[]);
    for _ in 0..6 {
        bench.heartbeat(&leader).unwrap();
        bench.wait(BEFORE);
    }
    assert!(waiting.is_pending());
    bench.wait(6 * MOMENT);
    assert_eq!(error(waiting.get().error_code), Some(RebalanceInProgress));
    assert!(!bench.group.members.contains_key(&leader));
    assert_eq!(
        bench.join(dynamic(&follower)).get().leader.as_str(),
        follower
    );
}

#[test]
fn a_first_rebalance_waits_for_others_and_longer_while_they_come() {
    let delay = Duration::from_secs(3);
    let rules = GroupRules {
        max_members: 10,
        initial_rebalance_delay: delay,
    };
    let mut bench = Bench::with_rules(rules);
    let (_, mut first) = bench.join_new();
    bench.wait(delay / 2);
    let (_, mut second) = bench.join_new();
    bench.wait(delay / 2);
    assert!(first.is_pending(), "put off, somebody came");
    bench.wait(delay);
    assert_eq!(first.get().generation_id, 1);
    assert_eq!(second.get().generation_id, 1);
}

#[test]
fn putting_off_ends_at_the_rebalance_time_out() {
    let delay = Duration::from_secs(3);
    let rules = GroupRules {
        max_members: 100,
        initial_rebalance_delay: delay,
    };
    let mut bench = Bench::with_rules(rules);
    let (_, mut first) = bench.join_new();
    let mut seconds = 0;
    let mut waiting = Vec::new();
    while first.is_pending() {
        waiting.push(bench.join(Join {
            version: 3,
            ..dynamic("")
        }));
        bench.wait(Duration::from_secs(1));
        seconds += 1;
        assert!(seconds <= REBALANCE.as_secs(), "put off for ever");
    }
    assert_eq!(error(first.get().error_code), None);
    assert!(
        seconds >= REBALANCE.as_secs() - delay.as_secs(),
        "{seconds}"
    );
}

#[test]
fn a_member_that_allows_next_to_no_time_does_not_make_the_timer_spin() {
    let mut bench = Bench::new();
    let hasty = Join {
        rebalance_timeout: MOMENT,
        ..of_instance("i", "")
    };
    let id = bench.join(hasty).get().member_id.to_string();
    bench.assign(&[id]);
    let (second, _) = bench.join_new();
    let leaving = Leaving {
        member_id: second,
        instance_id: None,
    };
    bench.group.leave(&[leaving], bench.now).unwrap();
    let mut turns = 0;
    while let Some(deadline) = bench.group.next_deadline() {
        bench.now.tick = deadline;
        bench.group.tick(bench.now);
        turns += 1;
        assert!(turns < 100, "the timer spins");
    }
    assert_eq!(bench.group.state, State::Empty);
}
