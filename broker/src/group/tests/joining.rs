//! Joining and syncing: from one member to two and back, and every way to be refused.

use super::bench::*;
use crate::group::member::Join;
use crate::group::state::{GroupRules, State};
use crate::group::sync::Claim;
use kafka_protocol::ResponseError::*;
use std::time::Duration;

#[test]
fn from_one_member_to_two_and_back() {
    let mut bench = Bench::new();
    let (first, mut joined) = bench.join_new();
    let answer = joined.get();
    assert_eq!((answer.error_code, answer.generation_id), (0, 1));
    assert_eq!(answer.leader.as_str(), first);
    assert_eq!(answer.members.len(), 1);
    assert_eq!(answer.members[0].metadata, "topics");
    assert_eq!(answer.protocol_name.unwrap().as_str(), "range");
    let mut synced = bench.sync(&first, &[(&first, "all")]);
    assert!(synced.is_pending(), "answered before the journal had it");
    bench.store();
    assert_eq!(synced.get().assignment, "all");
    assert_eq!(bench.group.state, State::Stable);

    let (second, mut second_joined) = bench.join_new();
    assert_eq!(bench.heartbeat(&first), Err(RebalanceInProgress));
    assert!(second_joined.is_pending());
    let mut rejoined = bench.join(dynamic(&first));
    assert_eq!(rejoined.get().members.len(), 2);
    let follower = second_joined.get();
    assert_eq!((follower.generation_id, follower.members.len()), (2, 0));
    assert_eq!(follower.leader.as_str(), first);
    let mut follower_synced = bench.sync(&second, &[]);
    assert!(follower_synced.is_pending());
    let mut leader_synced = bench.sync(&first, &[(&first, "0"), (&second, "1")]);
    bench.store();
    assert_eq!(leader_synced.get().assignment, "0");
    assert_eq!(follower_synced.get().assignment, "1");

    let leaving = crate::group::leave::Leaving {
        member_id: first,
        instance_id: None,
    };
    assert_eq!(bench.group.leave(&[leaving], bench.now).unwrap(), [Ok(())]);
    assert_eq!(bench.heartbeat(&second), Err(RebalanceInProgress));
    let answer = bench.join(dynamic(&second)).get();
    assert_eq!(
        (answer.generation_id, answer.leader.as_str()),
        (3, second.as_str())
    );
}

#[test]
fn old_clients_join_without_asking_for_an_id() {
    let mut bench = Bench::new();
    let answer = bench
        .join(Join {
            version: 3,
            ..dynamic("")
        })
        .get();
    assert_eq!(answer.error_code, 0);
    assert!(answer.member_id.starts_with("client-"));
}

#[test]
fn a_follower_that_rejoins_unchanged_gets_the_current_generation() {
    let (mut bench, ids) = Bench::stable(2);
    let generation = bench.group.generation;
    let answer = bench.join(dynamic(&ids[1])).get();
    assert_eq!((answer.error_code, answer.generation_id), (0, generation));
    assert!(answer.members.is_empty());
    assert_eq!(bench.group.state, State::Stable);
    assert_eq!(
        bench.sync(&ids[1], &[]).get().assignment,
        format!("for {}", ids[1])
    );
}

#[test]
fn a_leader_that_rejoins_or_a_follower_with_new_metadata_starts_a_rebalance() {
    for (who, metadata) in [(0, "topics"), (0, "more topics"), (1, "more topics")] {
        let (mut bench, ids) = Bench::stable(2);
        let join = Join {
            protocols: vec![protocol("range", metadata)],
            ..dynamic(&ids[who])
        };
        assert!(bench.join(join).is_pending());
        assert_eq!(bench.group.state, State::Preparing);
    }
}

#[test]
fn a_join_answer_that_was_lost_is_given_again() {
    let (mut bench, ids) = Bench::stable(2);
    drop(bench.join(Join {
        protocols: vec![protocol("range", "new")],
        ..dynamic(&ids[0])
    }));
    drop(bench.join(dynamic(&ids[1])));
    assert_eq!(bench.group.state, State::Completing);
    let generation = bench.group.generation;
    let leader = Join {
        protocols: vec![protocol("range", "new")],
        ..dynamic(&ids[0])
    };
    assert_eq!(bench.join(leader).get().members.len(), 2);
    assert_eq!(bench.join(dynamic(&ids[1])).get().generation_id, generation);
    assert_eq!(bench.group.state, State::Completing);
    let changed = Join {
        protocols: vec![protocol("range", "newer")],
        ..dynamic(&ids[1])
    };
    assert!(bench.join(changed).is_pending());
    assert_eq!(bench.group.state, State::Preparing);
}

#[test]
fn waiting_followers_are_told_when_a_new_rebalance_starts() {
    let (mut bench, ids) = Bench::stable(2);
    drop(bench.join(dynamic(&ids[0])));
    drop(bench.join(dynamic(&ids[1])));
    let mut waiting = bench.sync(&ids[1], &[]);
    let (_, mut third) = bench.join_new();
    assert_eq!(error(waiting.get().error_code), Some(RebalanceInProgress));
    assert!(third.is_pending());
}

#[test]
fn an_assignment_overtaken_by_a_rebalance_is_not_handed_out() {
    let (mut bench, ids) = Bench::stable(1);
    drop(bench.join(dynamic(&ids[0])));
    let mut synced = bench.sync(&ids[0], &[(&ids[0], "stale")]);
    let (number, _) = bench.group.take_write().unwrap();
    let (_, mut second) = bench.join_new();
    bench.group.stored(number, true, bench.now);
    assert_eq!(error(synced.get().error_code), Some(RebalanceInProgress));
    assert_eq!(bench.group.state, State::Preparing);
    assert!(second.is_pending());
}

#[test]
fn a_journal_that_fails_makes_everybody_join_again() {
    let (mut bench, ids) = Bench::stable(2);
    drop(bench.join(dynamic(&ids[0])));
    drop(bench.join(dynamic(&ids[1])));
    let mut follower = bench.sync(&ids[1], &[]);
    let mut leader = bench.sync(&ids[0], &[]);
    bench.store_or_fail(false);
    assert_eq!(
        error(follower.get().error_code),
        Some(CoordinatorNotAvailable)
    );
    assert_eq!(
        error(leader.get().error_code),
        Some(CoordinatorNotAvailable)
    );
    assert_eq!(bench.heartbeat(&ids[0]), Err(RebalanceInProgress));
}

#[test]
fn the_protocol_is_the_one_all_support_and_most_prefer() {
    let initial_rebalance_delay = Duration::from_secs(1);
    let mut bench = Bench::with_rules(GroupRules {
        max_members: 10,
        initial_rebalance_delay,
    });
    let both = |id: &str, first: &str, second: &str| Join {
        protocols: vec![protocol(first, "1"), protocol(second, "2")],
        ..dynamic(id)
    };
    let (first, second, third) = (bench.give_id(), bench.give_id(), bench.give_id());
    let mut joined = bench.join(both(&first, "range", "sticky"));
    drop(bench.join(both(&second, "sticky", "range")));
    drop(bench.join(both(&third, "sticky", "range")));
    bench.wait(2 * initial_rebalance_delay);
    let answer = joined.get();
    assert_eq!(answer.protocol_name.unwrap().as_str(), "sticky");
    let of_first = answer
        .members
        .iter()
        .find(|member| member.member_id.as_str() == first);
    assert_eq!(of_first.unwrap().metadata, "2");
}

#[test]
fn who_does_not_fit_is_refused() {
    let (mut bench, ids) = Bench::stable(1);
    let refused = |bench: &mut Bench, join: Join| error(bench.join(join).get().error_code);
    let other_type = Join {
        protocol_type: "connect".to_owned(),
        ..dynamic("")
    };
    assert_eq!(
        refused(&mut bench, other_type),
        Some(InconsistentGroupProtocol)
    );
    let other_protocol = Join {
        protocols: vec![protocol("sticky", "")],
        ..dynamic("")
    };
    assert_eq!(
        refused(&mut bench, other_protocol),
        Some(InconsistentGroupProtocol)
    );
    assert_eq!(
        refused(&mut bench, dynamic("stranger")),
        Some(UnknownMemberId)
    );
    let with_instance = of_instance("nobody", &ids[0]);
    assert_eq!(refused(&mut bench, with_instance), Some(UnknownMemberId));
    assert_eq!(
        refused(&mut Bench::new(), dynamic("old id")),
        Some(UnknownMemberId)
    );
    let nothing = Join {
        protocols: Vec::new(),
        ..dynamic("")
    };
    assert_eq!(
        refused(&mut Bench::new(), nothing),
        Some(InconsistentGroupProtocol)
    );
    bench.group.state = State::Dead;
    assert_eq!(
        refused(&mut bench, dynamic("")),
        Some(CoordinatorNotAvailable)
    );
}

#[test]
fn a_full_group_takes_nobody_more() {
    let rules = GroupRules {
        max_members: 2,
        initial_rebalance_delay: Duration::ZERO,
    };
    let mut bench = Bench::with_rules(rules);
    let (first, _) = bench.join_new();
    let (second, _) = bench.join_new();
    drop(bench.join(dynamic(&first)));
    assert_eq!(bench.group.state, State::Completing);
    let refused = bench.join(dynamic("")).get();
    assert_eq!(error(refused.error_code), Some(GroupMaxSizeReached));
    // Members that are in may come again.
    assert_eq!(bench.join(dynamic(&second)).get().error_code, 0);
}

#[test]
fn ids_given_out_are_bounded_too() {
    let mut bench = Bench::new();
    for _ in 0..10 {
        bench.give_id();
    }
    assert_eq!(
        error(bench.join(dynamic("")).get().error_code),
        Some(GroupMaxSizeReached)
    );
}

#[test]
fn a_sync_must_come_from_this_generation_of_this_group() {
    let (mut bench, ids) = Bench::stable(2);
    let refused =
        |bench: &mut Bench, claim: Claim| error(bench.sync_as(claim, &[]).get().error_code);
    assert_eq!(
        refused(&mut bench, claim("stranger", 2)),
        Some(UnknownMemberId)
    );
    assert_eq!(
        refused(&mut bench, claim(&ids[0], 1)),
        Some(IllegalGeneration)
    );
    drop(bench.join(dynamic(&ids[0])));
    let generation = bench.group.generation;
    assert_eq!(
        refused(&mut bench, claim(&ids[1], generation)),
        Some(RebalanceInProgress)
    );
    assert_eq!(
        refused(&mut Bench::new(), claim("", 0)),
        Some(UnknownMemberId)
    );
    bench.group.state = State::Dead;
    assert_eq!(
        refused(&mut bench, claim(&ids[1], generation)),
        Some(CoordinatorNotAvailable)
    );
}

#[test]
fn a_heartbeat_must_come_from_this_generation_of_this_group() {
    let (mut bench, ids) = Bench::stable(1);
    let generation = bench.group.generation;
    assert_eq!(bench.heartbeat(&ids[0]), Ok(()));
    assert_eq!(bench.heartbeat("stranger"), Err(UnknownMemberId));
    let old = claim(&ids[0], generation - 1);
    assert_eq!(
        bench.group.heartbeat(&old, bench.now),
        Err(IllegalGeneration)
    );
    drop(bench.join(dynamic(&ids[0])));
    assert_eq!(bench.group.state, State::Completing);
    assert_eq!(bench.heartbeat(&ids[0]), Ok(()));
    bench.group.state = State::Dead;
    assert_eq!(bench.heartbeat(&ids[0]), Err(CoordinatorNotAvailable));
}

#[test]
fn commits_go_on_while_a_rebalance_is_prepared_but_not_before_the_assignment() {
    let (mut bench, ids) = Bench::stable(2);
    let generation = bench.group.generation;
    assert_eq!(bench.commit(&ids[0], generation), Ok(()));
    drop(bench.join(dynamic(&ids[0])));
    assert_eq!(bench.group.state, State::Preparing);
    assert_eq!(bench.commit(&ids[1], generation), Ok(()));
    drop(bench.join(dynamic(&ids[1])));
    assert_eq!(bench.group.state, State::Completing);
    assert_eq!(bench.commit(&ids[1], generation), Err(IllegalGeneration));
    assert_eq!(
        bench.commit(&ids[1], generation + 1),
        Err(RebalanceInProgress)
    );
    assert_eq!(
        bench.commit("stranger", generation + 1),
        Err(UnknownMemberId)
    );
    // Without membership, only into an empty group.
    assert_eq!(bench.commit("", -1), Err(UnknownMemberId));
    assert_eq!(Bench::new().commit("", -1), Ok(()));
    assert_eq!(Bench::new().commit("x", 3), Err(UnknownMemberId));
}
