//! Groups on the wire: listed, described, deleted.

use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, GroupId, ListGroupsRequest,
};

use super::Target;
use super::members::Member;
use super::requests::code;
use crate::wire::{Client, text};

async fn describe(client: &mut Client, group: &str) -> DescribedGroup {
    let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(group))]);
    client.call(5, &request).await.groups.remove(0)
}

/// The state in which a group is listed.
async fn listed(client: &mut Client, group: &str, states: &[&str]) -> Option<String> {
    let states = states.iter().map(|state| text(*state)).collect();
    let request = ListGroupsRequest::default().with_states_filter(states);
    let answer = client.call(4, &request).await;
    assert_eq!(answer.error_code, code::NONE);
    let found = answer
        .groups
        .iter()
        .find(|found| found.group_id.as_str() == group)?;
    assert_eq!(found.protocol_type, text("consumer"));
    Some(found.group_state.to_string())
}

async fn delete(client: &mut Client, group: &str) -> i16 {
    let request = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text(group))]);
    client.call(2, &request).await.results[0].error_code
}

pub async fn a_group_is_described_in_every_state(target: &Target) {
    let group = target.group("states").await;
    let mut client = target.client().await;
    let mut member = Member::new(target, &group).await;
    member.introduce().await;
    let joined = member.join().await;
    let described = describe(&mut client, &group).await;
    assert_eq!(described.group_state, text("CompletingRebalance"));
    member.sync_as_leader(&joined).await;
    let described = describe(&mut client, &group).await;
    assert_eq!(described.error_code, code::NONE);
    assert_eq!(described.group_id.as_str(), group);
    assert_eq!(described.group_state, text("Stable"));
    assert_eq!(described.protocol_type, text("consumer"));
    assert_eq!(described.protocol_data, text("range"));
    let told = &described.members[0];
    assert_eq!(told.member_id, member.join.member_id);
    assert_eq!(told.client_id, text("conformance"));
    assert!(
        told.client_host.contains("127.0.0.1"),
        "{}",
        told.client_host
    );
    assert_eq!(told.member_metadata, member.join.protocols[0].metadata);
    assert_eq!(told.member_assignment, member.join.member_id.to_string());
    member.leave().await;
    let described = describe(&mut client, &group).await;
    assert_eq!(described.group_state, text("Empty"));
    assert!(described.members.is_empty());
}

pub async fn a_group_nobody_knows_is_dead(target: &Target) {
    let group = target.group("unknown").await;
    let mut client = target.client().await;
    for version in 0..=5 {
        let request = DescribeGroupsRequest::default();
        let request = request.with_groups(vec![GroupId(text(&*group))]);
        let described = client.call(version, &request).await.groups.remove(0);
        assert_eq!(
            (described.error_code, described.group_state),
            (code::NONE, text("Dead"))
        );
        assert!(described.members.is_empty());
    }
}

pub async fn groups_are_listed_by_state(target: &Target) {
    let group = target.group("listed").await;
    let mut client = target.client().await;
    assert_eq!(listed(&mut client, &group, &[]).await, None);
    let mut member = Member::alone(target, &group).await;
    let stable = Some("Stable".to_owned());
    assert_eq!(listed(&mut client, &group, &[]).await, stable);
    assert_eq!(listed(&mut client, &group, &["Stable"]).await, stable);
    assert_eq!(
        listed(&mut client, &group, &["Empty", "stable"]).await,
        stable
    );
    assert_eq!(listed(&mut client, &group, &["Empty"]).await, None);
    member.leave().await;
    let empty = Some("Empty".to_owned());
    assert_eq!(listed(&mut client, &group, &["Empty"]).await, empty);
    for version in 0..=3 {
        let answer = client.call(version, &ListGroupsRequest::default()).await;
        let is_it = |found: &_| {
            let found: &kafka_protocol::messages::list_groups_response::ListedGroup = found;
            found.group_id.as_str() == group
        };
        assert!(answer.groups.iter().any(is_it), "version {version}");
    }
}

pub async fn only_an_empty_group_is_deleted(target: &Target) {
    let group = target.group("deleted").await;
    let mut client = target.client().await;
    assert_eq!(delete(&mut client, &group).await, code::GROUP_ID_NOT_FOUND);
    let mut member = Member::alone(target, &group).await;
    assert_eq!(delete(&mut client, &group).await, code::NON_EMPTY_GROUP);
    member.leave().await;
    assert_eq!(delete(&mut client, &group).await, code::NONE);
    assert_eq!(delete(&mut client, &group).await, code::GROUP_ID_NOT_FOUND);
    assert_eq!(listed(&mut client, &group, &[]).await, None);
    let dead = describe(&mut client, &group).await.group_state;
    assert_eq!(dead, text("Dead"));
}
