//! Leaving: alone, in a batch, by instance id, and before having joined.

use super::bench::*;
use crate::group::leave::Leaving;
use crate::group::state::State;
use kafka_protocol::ResponseError::*;

fn leaving(id: &str, instance: Option<&str>) -> Leaving {
    Leaving {
        member_id: id.to_owned(),
        instance_id: instance.map(str::to_owned),
    }
}

#[test]
fn a_batch_is_answered_one_by_one_and_starts_one_rebalance() {
    let (mut bench, ids) = Bench::stable(3);
    drop(bench.join(of_instance("static", "")));
    for id in &ids {
        drop(bench.join(dynamic(id)));
    }
    let static_id = bench.group.static_members["static"].clone();
    let pending = bench.give_id();
    let generation = bench.group.generation;
    let batch = [
        leaving(&ids[1], None),
        leaving("stranger", None),
        leaving("", Some("static")),
        leaving("", Some("nobody")),
        leaving("", None),
        leaving(&ids[2], Some("nobody")),
        leaving(&pending, None),
    ];
    let results = bench.group.leave(&batch, bench.now).unwrap();
    let unknown = Err(UnknownMemberId);
    assert_eq!(
        results,
        [Ok(()), unknown, Ok(()), unknown, unknown, unknown, Ok(())]
    );
    assert!(!bench.group.members.contains_key(&static_id));
    assert_eq!(bench.group.state, State::Preparing);
    assert_eq!(bench.group.generation, generation);
    drop(bench.join(dynamic(&ids[0])));
    assert_eq!(
        bench.join(dynamic(&ids[2])).get().generation_id,
        generation + 1
    );
}

#[test]
fn a_static_member_cannot_be_made_to_leave_under_a_wrong_id() {
    let (mut bench, _) = Bench::stable(1);
    drop(bench.join(of_instance("static", "")));
    let batch = [leaving("somebody", Some("static"))];
    assert_eq!(
        bench.group.leave(&batch, bench.now).unwrap(),
        [Err(FencedInstanceId)]
    );
}

#[test]
fn the_last_one_out_leaves_an_empty_group_of_the_next_generation() {
    let (mut bench, ids) = Bench::stable(1);
    let generation = bench.group.generation;
    bench
        .group
        .leave(&[leaving(&ids[0], None)], bench.now)
        .unwrap();
    assert_eq!(
        (bench.group.state, bench.group.generation),
        (State::Empty, generation + 1)
    );
    bench.store();
    let (_, mut joined) = bench.join_new();
    assert_eq!(joined.get().generation_id, generation + 2);
}

#[test]
fn who_leaves_while_waiting_is_answered() {
    let (mut bench, ids) = Bench::stable(2);
    let mut waiting = bench.join(dynamic(&ids[0]));
    bench
        .group
        .leave(&[leaving(&ids[0], None)], bench.now)
        .unwrap();
    assert_eq!(error(waiting.get().error_code), Some(UnknownMemberId));
}

#[test]
fn nobody_leaves_a_dead_group() {
    let (mut bench, ids) = Bench::stable(1);
    bench.group.state = State::Dead;
    let refused = bench.group.leave(&[leaving(&ids[0], None)], bench.now);
    assert_eq!(refused.unwrap_err(), CoordinatorNotAvailable);
}
