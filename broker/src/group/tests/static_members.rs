//! Static members: they come back without a rebalance, and their old selves are fenced.

use super::bench::*;
use crate::group::member::Join;
use crate::group::state::State;
use crate::group::sync::Claim;
use kafka_protocol::ResponseError::*;

/// A stable group of a dynamic leader and one static member; the latter's id.
fn stable_with_static() -> (Bench, String, String) {
    let (mut bench, ids) = Bench::stable(1);
    drop(bench.join(of_instance("i", "")));
    drop(bench.join(dynamic(&ids[0])));
    let static_id = bench.group.static_members["i"].clone();
    bench.assign(&[ids[0].clone(), static_id.clone()]);
    (bench, ids[0].clone(), static_id)
}

fn static_claim(bench: &Bench, id: &str) -> Claim {
    Claim {
        instance_id: Some("i".to_owned()),
        ..claim(id, bench.group.generation)
    }
}

#[test]
fn back_under_a_new_id_with_the_same_assignment_and_without_a_rebalance() {
    let (mut bench, _, old_id) = stable_with_static();
    let generation = bench.group.generation;
    let mut joined = bench.join(of_instance("i", ""));
    assert!(joined.is_pending(), "answered before the journal had it");
    bench.store();
    let answer = joined.get();
    assert_eq!((answer.error_code, answer.generation_id), (0, generation));
    assert_ne!(answer.member_id.as_str(), old_id);
    assert_eq!(bench.group.state, State::Stable);
    let mine = static_claim(&bench, &answer.member_id);
    assert_eq!(bench.group.heartbeat(&mine, bench.now), Ok(()));
    assert_eq!(
        bench.sync_as(mine, &[]).get().assignment,
        format!("for {old_id}")
    );
    let old = static_claim(&bench, &old_id);
    assert_eq!(
        bench.group.heartbeat(&old, bench.now),
        Err(FencedInstanceId)
    );
    assert_eq!(
        bench.group.admit_commit(&old, bench.now),
        Err(FencedInstanceId)
    );
    assert_eq!(
        error(bench.sync_as(old, &[]).get().error_code),
        Some(FencedInstanceId)
    );
    let fenced = bench.join(of_instance("i", &old_id)).get();
    assert_eq!(error(fenced.error_code), Some(FencedInstanceId));
}

#[test]
fn a_returning_leader_is_told_to_skip_the_assignment_or_not_that_it_leads() {
    for (version, leads, skips) in [(9, true, true), (7, false, false)] {
        let mut bench = Bench::new();
        let first = bench.join(of_instance("i", "")).get().member_id.to_string();
        bench.assign(&[first]);
        let mut joined = bench.join(Join {
            version,
            ..of_instance("i", "")
        });
        bench.store();
        let answer = joined.get();
        assert_eq!(
            answer.leader == answer.member_id,
            leads,
            "version {version}"
        );
        assert_eq!(answer.skip_assignment, skips);
        assert_eq!(answer.members.len(), usize::from(leads));
    }
}

#[test]
fn back_with_another_protocol_means_a_rebalance() {
    let mut bench = Bench::new();
    let both = vec![protocol("range", ""), protocol("sticky", "")];
    let first = bench
        .join(Join {
            protocols: both.clone(),
            ..of_instance("i", "")
        })
        .get();
    bench.assign(&[first.member_id.to_string()]);
    let swapped = both.into_iter().rev().collect();
    let answer = bench
        .join(Join {
            protocols: swapped,
            ..of_instance("i", "")
        })
        .get();
    assert_eq!(answer.generation_id, 2);
    assert_eq!(answer.protocol_name.unwrap().as_str(), "sticky");
}

#[test]
fn back_while_the_leader_assigns_means_a_rebalance() {
    let (mut bench, leader, _) = stable_with_static();
    drop(bench.join(dynamic(&leader)));
    let old_id = bench.group.static_members["i"].clone();
    drop(bench.join(of_instance("i", &old_id)));
    assert_eq!(bench.group.state, State::Completing);
    let mut waiting = bench.sync_as(static_claim(&bench, &old_id), &[]);
    drop(bench.join(of_instance("i", "")));
    assert_eq!(error(waiting.get().error_code), Some(FencedInstanceId));
    assert_eq!(bench.group.state, State::Preparing);
}

#[test]
fn back_during_a_rebalance_fences_the_old_self_that_waits() {
    let (mut bench, _, old_id) = stable_with_static();
    let pending = bench.give_id();
    drop(bench.join(dynamic(&pending)));
    let mut old = bench.join(of_instance("i", &old_id));
    assert!(old.is_pending());
    let mut new = bench.join(of_instance("i", ""));
    assert_eq!(error(old.get().error_code), Some(FencedInstanceId));
    assert!(new.is_pending());
}

#[test]
fn a_static_member_may_miss_a_rebalance_but_not_its_session() {
    let (mut bench, leader, static_id) = stable_with_static();
    let join = Join {
        rebalance_timeout: SESSION / 2,
        ..dynamic(&leader)
    };
    bench
        .group
        .members
        .get_mut(&static_id)
        .unwrap()
        .rebalance_timeout = SESSION / 2;
    let mut joined = bench.join(join);
    bench.wait(SESSION / 2);
    let answer = joined.get();
    assert_eq!(answer.members.len(), 2, "kept, though it did not rejoin");
    assert!(bench.group.members.contains_key(&static_id));
    bench.heartbeat(&leader).unwrap();
    bench.wait(SESSION);
    assert!(!bench.group.members.contains_key(&static_id));
}

#[test]
fn a_replacement_that_could_not_be_stored_is_to_be_tried_again() {
    let (mut bench, _, _) = stable_with_static();
    let mut joined = bench.join(of_instance("i", ""));
    bench.store_or_fail(false);
    assert_eq!(
        error(joined.get().error_code),
        Some(CoordinatorNotAvailable)
    );
    let mut again = bench.join(of_instance("i", ""));
    bench.store();
    assert_eq!(again.get().error_code, 0);
}
