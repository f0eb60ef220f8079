//! How members go, on the wire: replaced, removed, silent, late, or by their own will.

use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{GroupId, LeaveGroupRequest};

use super::Target;
use super::members::{Member, add_second};
use super::requests::code;
use crate::wire::text;

pub async fn a_static_member_is_replaced_without_a_rebalance(target: &Target) {
    let group = target.group("static").await;
    let mut old = Member::new(target, &group).await;
    old.join.group_instance_id = Some(text("instance"));
    old.become_stable().await;
    let mut new = Member::new(target, &group).await;
    new.join.group_instance_id = Some(text("instance"));
    let joined = new.join().await;
    assert_eq!((joined.error_code, joined.generation_id), (code::NONE, 1));
    assert_ne!(new.join.member_id, old.join.member_id);
    let request = new.sync_request();
    let synced = new.client.call(5, &request).await;
    assert_eq!(synced.error_code, code::NONE);
    assert_eq!(synced.assignment, old.join.member_id.to_string(), "kept");
    assert_eq!(new.heartbeat().await, code::NONE);
    assert_eq!(old.heartbeat().await, code::FENCED_INSTANCE_ID);
    let request = old.sync_request();
    let synced = old.client.call(5, &request).await;
    assert_eq!(synced.error_code, code::FENCED_INSTANCE_ID);
    assert_eq!(old.join().await.error_code, code::FENCED_INSTANCE_ID);
    assert_eq!(old.leave().await, code::FENCED_INSTANCE_ID);
}

pub async fn a_static_member_is_removed_by_its_name(target: &Target) {
    let group = target.group("removed").await;
    let mut member = Member::new(target, &group).await;
    member.join.group_instance_id = Some(text("instance"));
    member.become_stable().await;
    let leave = |name: &str| {
        let who = MemberIdentity::default().with_group_instance_id(Some(text(name)));
        let group = GroupId(text(&*group));
        LeaveGroupRequest::default()
            .with_group_id(group)
            .with_members(vec![who])
    };
    let mut client = target.client().await;
    let answer = client.call(5, &leave("somebody else")).await;
    assert_eq!(answer.members[0].error_code, code::UNKNOWN_MEMBER_ID);
    let answer = client.call(5, &leave("instance")).await;
    assert_eq!(answer.members[0].error_code, code::NONE);
    assert_eq!(answer.members[0].group_instance_id, Some(text("instance")));
    assert_eq!(member.heartbeat().await, code::UNKNOWN_MEMBER_ID);
}

pub async fn leaving_in_every_version(target: &Target) {
    for version in 0..=5 {
        let group = target.group("leaving").await;
        let mut member = Member::alone(target, &group).await;
        let id = member.join.member_id.clone();
        let request = LeaveGroupRequest::default().with_group_id(GroupId(text(&*group)));
        let request = if version < 3 {
            request.with_member_id(id)
        } else {
            request.with_members(vec![MemberIdentity::default().with_member_id(id)])
        };
        let answer = member.client.call(version, &request).await;
        let error = answer.members.first().map_or(0, |member| member.error_code);
        assert_eq!(
            (answer.error_code, error),
            (code::NONE, code::NONE),
            "version {version}"
        );
        let answer = member.client.call(version, &request).await;
        let error = answer
            .members
            .first()
            .map_or(answer.error_code, |member| member.error_code);
        assert_eq!(error, code::UNKNOWN_MEMBER_ID, "version {version}");
    }
}

pub async fn a_silent_member_is_removed(target: &Target) {
    let group = target.group("silent").await;
    let mut first = Member::alone(target, &group).await;
    let mut second = Member::new(target, &group).await;
    second.join.session_timeout_ms = 6_000;
    add_second(&mut first, &mut second).await;
    // Says nothing for its session timeout; the first hears of a rebalance then.
    first.until_heartbeat(code::REBALANCE_IN_PROGRESS).await;
    first.become_stable().await;
    assert_eq!(first.generation, 3);
    assert_eq!(second.heartbeat().await, code::UNKNOWN_MEMBER_ID);
}

pub async fn a_member_that_does_not_rejoin_in_time_is_removed(target: &Target) {
    let group = target.group("late").await;
    let mut first = Member::new(target, &group).await;
    first.join.rebalance_timeout_ms = 500;
    first.introduce().await;
    first.become_stable().await;
    let mut second = Member::new(target, &group).await;
    second.join.rebalance_timeout_ms = 500;
    second.introduce().await;
    // The first never answers the rebalance that this begins.
    let joined = second.join().await;
    assert_eq!((joined.generation_id, joined.members.len()), (2, 1));
    assert_eq!(joined.leader, second.join.member_id);
    assert_eq!(first.heartbeat().await, code::UNKNOWN_MEMBER_ID);
}
