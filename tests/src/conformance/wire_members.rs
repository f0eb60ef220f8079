//! Membership on the wire: joining, syncing and beating, with every refusal.

use kafka_protocol::messages::{GroupId, HeartbeatRequest, SyncGroupRequest};

use super::Target;
use super::members::{Member, add_second, join_request, protocol, subscription};
use super::requests::code;
use crate::kafka::unique;
use crate::wire::text;

pub async fn a_dynamic_member_needs_an_id_first(target: &Target) {
    let group = target.group("ids").await;
    let mut client = target.client().await;
    for version in 4..=7 {
        let answer = client.call(version, &join_request(&group)).await;
        assert_eq!(
            answer.error_code,
            code::MEMBER_ID_REQUIRED,
            "version {version}"
        );
        assert_eq!(answer.generation_id, -1);
        assert!(
            answer.member_id.starts_with("conformance-"),
            "{}",
            answer.member_id
        );
        assert!(answer.members.is_empty());
    }
    let answer = client.call(3, &join_request(&unique("old"))).await;
    assert_eq!((answer.error_code, answer.generation_id), (code::NONE, 1));
    assert_eq!(answer.leader, answer.member_id);
}

pub async fn a_group_of_one(target: &Target) {
    let group = target.group("one").await;
    let mut member = Member::new(target, &group).await;
    member.join.protocols = vec![protocol("range", "first"), protocol("other", "second")];
    member.introduce().await;
    let joined = member.join().await;
    assert_eq!((joined.error_code, joined.generation_id), (code::NONE, 1));
    assert_eq!(joined.protocol_type, Some(text("consumer")));
    assert_eq!(joined.protocol_name, Some(text("range")));
    assert_eq!(joined.leader, joined.member_id);
    assert_eq!(joined.members.len(), 1);
    assert_eq!(joined.members[0].member_id, joined.member_id);
    assert_eq!(joined.members[0].metadata, subscription("first"));
    let synced = member.sync_as_leader(&joined).await;
    assert_eq!(synced.error_code, code::NONE);
    assert_eq!(synced.protocol_name, Some(text("range")));
    assert_eq!(synced.assignment, joined.member_id.to_string());
    assert_eq!(member.heartbeat().await, code::NONE);
    let again = member.sync_request();
    let again = member.client.call(5, &again).await;
    assert_eq!(again.assignment, joined.member_id.to_string(), "told again");
    assert_eq!(member.leave().await, code::NONE);
    assert_eq!(member.heartbeat().await, code::UNKNOWN_MEMBER_ID);
}

pub async fn a_second_member_comes_and_goes(target: &Target) {
    let group = target.group("second").await;
    let mut first = Member::alone(target, &group).await;
    let mut second = Member::new(target, &group).await;
    let joined = add_second(&mut first, &mut second).await;
    assert_eq!((joined.generation_id, joined.members.len()), (2, 2));
    assert_eq!(joined.leader, first.join.member_id);
    assert_eq!((first.generation, second.generation), (2, 2));
    assert_eq!(second.heartbeat().await, code::NONE);
    assert_eq!(second.leave().await, code::NONE);
    assert_eq!(first.heartbeat().await, code::REBALANCE_IN_PROGRESS);
    first.become_stable().await;
    assert_eq!((first.generation, first.heartbeat().await), (3, code::NONE));
}

pub async fn while_a_rebalance_is_under_way(target: &Target) {
    let group = target.group("underway").await;
    let mut first = Member::alone(target, &group).await;
    let mut second = Member::new(target, &group).await;
    second.introduce().await;
    second.send_join().await;
    first.until_heartbeat(code::REBALANCE_IN_PROGRESS).await;
    let request = first.sync_request();
    let synced = first.client.call(5, &request).await;
    assert_eq!(synced.error_code, code::REBALANCE_IN_PROGRESS);
    let joined = first.join().await;
    second.joined().await;
    // The group waits for its leader's assignment now.
    assert_eq!(second.heartbeat().await, code::NONE);
    second.client.send(5, &second.sync_request()).await;
    first.sync_as_leader(&joined).await;
    let synced = second.client.receive::<SyncGroupRequest>(5).await.unwrap();
    assert_eq!(synced.assignment, second.join.member_id.to_string());
}

pub async fn the_protocol_all_members_have_is_chosen(target: &Target) {
    let group = target.group("chosen").await;
    let mut first = Member::new(target, &group).await;
    first.join.protocols = vec![protocol("a", "x"), protocol("range", "1")];
    first.introduce().await;
    let joined = first.join().await;
    assert_eq!(joined.protocol_name, Some(text("a")));
    let request = first.sync_request().with_protocol_name(Some(text("a")));
    first.client.call(5, &request).await;
    let mut second = Member::new(target, &group).await;
    second.join.protocols = vec![protocol("b", "x"), protocol("range", "2")];
    let joined = add_second(&mut first, &mut second).await;
    assert_eq!(joined.protocol_name, Some(text("range")));
    let mut metadata: Vec<_> = joined
        .members
        .iter()
        .map(|member| &member.metadata[..])
        .collect();
    metadata.sort_unstable();
    assert_eq!(metadata, [&subscription("1")[..], &subscription("2")]);
}

pub async fn joins_that_are_refused(target: &Target) {
    let group = target.group("refused").await;
    let _member = Member::alone(target, &group).await;
    let join = || join_request(&group);
    let mut client = target.client().await;
    for (request, expected) in [
        (
            join().with_member_id(text("nobody")),
            code::UNKNOWN_MEMBER_ID,
        ),
        (
            join().with_session_timeout_ms(1),
            code::INVALID_SESSION_TIMEOUT,
        ),
        (
            join().with_session_timeout_ms(i32::MAX),
            code::INVALID_SESSION_TIMEOUT,
        ),
        (
            join().with_group_id(GroupId(text(""))),
            code::INVALID_GROUP_ID,
        ),
        (
            join().with_protocol_type(text("connect")),
            code::INCONSISTENT_GROUP_PROTOCOL,
        ),
        (
            join().with_protocol_type(text("")),
            code::INCONSISTENT_GROUP_PROTOCOL,
        ),
        (
            join().with_protocols(Vec::new()),
            code::INCONSISTENT_GROUP_PROTOCOL,
        ),
        (
            join().with_protocols(vec![protocol("b", "x")]),
            code::INCONSISTENT_GROUP_PROTOCOL,
        ),
    ] {
        let answer = client.call(7, &request).await;
        assert_eq!(answer.error_code, expected, "{request:?}");
        assert_eq!(answer.generation_id, -1);
    }
}

pub async fn a_member_id_in_a_group_nobody_knows(target: &Target) {
    let group = target.group("unknown").await;
    let mut member = Member::new(target, &group).await;
    member.join.member_id = text("nobody");
    member.generation = 1;
    assert_eq!(member.join().await.error_code, code::UNKNOWN_MEMBER_ID);
    assert_eq!(member.heartbeat().await, code::UNKNOWN_MEMBER_ID);
    let request = member.sync_request();
    let synced = member.client.call(5, &request).await;
    assert_eq!(synced.error_code, code::UNKNOWN_MEMBER_ID);
    assert_eq!(member.leave().await, code::UNKNOWN_MEMBER_ID);
}

pub async fn wrong_generations_and_ids(target: &Target) {
    let group = target.group("wrong").await;
    let mut member = Member::alone(target, &group).await;
    for (generation, expected) in [
        (0, code::ILLEGAL_GENERATION),
        (2, code::ILLEGAL_GENERATION),
        (-1, code::ILLEGAL_GENERATION),
        (1, code::NONE),
    ] {
        let request = member.heartbeat_request().with_generation_id(generation);
        assert_eq!(
            member.client.call(4, &request).await.error_code,
            expected,
            "{generation}"
        );
        let request = member.sync_request().with_generation_id(generation);
        assert_eq!(
            member.client.call(5, &request).await.error_code,
            expected,
            "{generation}"
        );
    }
    let request = member.heartbeat_request().with_member_id(text("nobody"));
    let answer = member.client.call(4, &request).await;
    assert_eq!(answer.error_code, code::UNKNOWN_MEMBER_ID);
    for request in [
        member
            .sync_request()
            .with_protocol_name(Some(text("other"))),
        member
            .sync_request()
            .with_protocol_type(Some(text("connect"))),
    ] {
        let answer = member.client.call(5, &request).await;
        assert_eq!(answer.error_code, code::INCONSISTENT_GROUP_PROTOCOL);
    }
    let request = HeartbeatRequest::default().with_group_id(GroupId(text("")));
    let answer = member.client.call(4, &request).await;
    assert_eq!(answer.error_code, code::INVALID_GROUP_ID);
}
