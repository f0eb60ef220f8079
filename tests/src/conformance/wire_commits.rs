//! Commits on the wire: who may commit what.

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::{GroupId, OffsetCommitRequest, OffsetFetchRequest};

use super::Target;
use super::members::Member;
use super::requests::code;
use crate::wire::{Client, text};

/// A commit of a client that is in no group.
pub(super) fn commit_request(
    group: &str,
    (topic, partition): (&str, i32),
    offset: i64,
) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(offset)
        .with_committed_leader_epoch(-1)
        .with_committed_metadata(Some(text("metadata")));
    let topic = OffsetCommitRequestTopic::default()
        .with_name(text(topic).into())
        .with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_generation_id_or_member_epoch(-1)
        .with_retention_time_ms(-1)
        .with_topics(vec![topic])
}

pub(super) async fn commit(client: &mut Client, request: &OffsetCommitRequest) -> i16 {
    let answer = client.call(8, request).await;
    answer.topics[0].partitions[0].error_code
}

/// What a member commits.
pub(super) fn by(member: &Member, request: OffsetCommitRequest) -> OffsetCommitRequest {
    request
        .with_member_id(member.join.member_id.clone())
        .with_group_instance_id(member.join.group_instance_id.clone())
        .with_generation_id_or_member_epoch(member.generation)
}

/// The committed offset and its metadata.
pub(super) async fn fetched(
    client: &mut Client,
    group: &str,
    (topic, partition): (&str, i32),
) -> (i64, String) {
    let topic = OffsetFetchRequestTopic::default()
        .with_name(text(topic).into())
        .with_partition_indexes(vec![partition]);
    let request = OffsetFetchRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_require_stable(true)
        .with_topics(Some(vec![topic]));
    let answer = client.call(7, &request).await;
    assert_eq!(answer.error_code, code::NONE);
    let found = &answer.topics[0].partitions[0];
    assert_eq!(found.error_code, code::NONE);
    let metadata = found.metadata.as_ref().map(ToString::to_string);
    (found.committed_offset, metadata.unwrap_or_default())
}

pub async fn a_client_in_no_group_commits_to_an_empty_one(target: &Target) {
    let (topic, group) = (
        target.topic("simple", 2).await,
        target.group("simple").await,
    );
    let mut client = target.client().await;
    for version in 2..=8 {
        let offset = i64::from(version);
        let request = commit_request(&group, (&topic, 1), offset);
        let answer = client.call(version, &request).await;
        assert_eq!(answer.topics[0].name.as_str(), topic);
        let partition = &answer.topics[0].partitions[0];
        assert_eq!(
            (partition.partition_index, partition.error_code),
            (1, code::NONE)
        );
        let found = fetched(&mut client, &group, (&topic, 1)).await;
        assert_eq!(found, (offset, "metadata".to_owned()), "version {version}");
    }
}

pub async fn only_its_members_commit_to_a_group_that_has_any(target: &Target) {
    let (topic, group) = (
        target.topic("members", 1).await,
        target.group("members").await,
    );
    let mut member = Member::alone(target, &group).await;
    let simple = commit_request(&group, (&topic, 0), 1);
    let good = by(&member, simple.clone());
    let stranger = text("stranger");
    for (request, expected) in [
        (simple.clone(), code::UNKNOWN_MEMBER_ID),
        (
            good.clone().with_member_id(stranger),
            code::UNKNOWN_MEMBER_ID,
        ),
        (
            good.clone().with_generation_id_or_member_epoch(0),
            code::ILLEGAL_GENERATION,
        ),
        (
            good.clone().with_generation_id_or_member_epoch(2),
            code::ILLEGAL_GENERATION,
        ),
    ] {
        assert_eq!(
            commit(&mut member.client, &request).await,
            expected,
            "{request:?}"
        );
    }
    assert_eq!(fetched(&mut member.client, &group, (&topic, 0)).await.0, -1);
    assert_eq!(commit(&mut member.client, &good).await, code::NONE);
    assert_eq!(fetched(&mut member.client, &group, (&topic, 0)).await.0, 1);
    member.leave().await;
    assert_eq!(
        commit(&mut member.client, &good).await,
        code::UNKNOWN_MEMBER_ID
    );
    assert_eq!(commit(&mut member.client, &simple).await, code::NONE);
}

pub async fn a_generation_in_a_group_nobody_knows(target: &Target) {
    let (topic, group) = (
        target.topic("nobody", 1).await,
        target.group("nobody").await,
    );
    let request = commit_request(&group, (&topic, 0), 1);
    let request = request
        .with_generation_id_or_member_epoch(3)
        .with_member_id(text("x"));
    let mut client = target.client().await;
    assert_eq!(
        commit(&mut client, &request).await,
        code::ILLEGAL_GENERATION
    );
}

pub async fn commits_are_taken_while_a_rebalance_is_prepared(target: &Target) {
    let (topic, group) = (
        target.topic("prepared", 1).await,
        target.group("prepared").await,
    );
    let mut first = Member::alone(target, &group).await;
    let mut second = Member::new(target, &group).await;
    second.introduce().await;
    second.send_join().await;
    first.until_heartbeat(code::REBALANCE_IN_PROGRESS).await;
    let request = by(&first, commit_request(&group, (&topic, 0), 5));
    assert_eq!(commit(&mut first.client, &request).await, code::NONE);
    let joined = first.join().await;
    second.joined().await;
    // Now the assignment is awaited: too late to commit, the member has to sync first.
    let request = by(&first, commit_request(&group, (&topic, 0), 6));
    let late = commit(&mut first.client, &request).await;
    assert_eq!(late, code::REBALANCE_IN_PROGRESS);
    first.sync_as_leader(&joined).await;
    assert_eq!(commit(&mut first.client, &request).await, code::NONE);
}

pub async fn a_fenced_static_member_may_not_commit(target: &Target) {
    let (topic, group) = (
        target.topic("fenced", 1).await,
        target.group("fenced").await,
    );
    let mut old = Member::new(target, &group).await;
    old.join.group_instance_id = Some(text("instance"));
    old.become_stable().await;
    let mut new = Member::new(target, &group).await;
    new.join.group_instance_id = Some(text("instance"));
    new.join().await;
    let request = by(&old, commit_request(&group, (&topic, 0), 5));
    assert_eq!(
        commit(&mut old.client, &request).await,
        code::FENCED_INSTANCE_ID
    );
    let request = by(&new, commit_request(&group, (&topic, 0), 5));
    assert_eq!(commit(&mut new.client, &request).await, code::NONE);
}

pub async fn commits_that_are_refused(target: &Target) {
    let (topic, group) = (
        target.topic("refused", 1).await,
        target.group("refused").await,
    );
    let mut client = target.client().await;
    let mut request = commit_request(&group, (&topic, 0), 1);
    let partition = &mut request.topics[0].partitions[0];
    partition.committed_metadata = Some(text("x".repeat(4097)));
    assert_eq!(
        commit(&mut client, &request).await,
        code::OFFSET_METADATA_TOO_LARGE
    );
    let partition = &mut request.topics[0].partitions[0];
    partition.committed_metadata = Some(text("x".repeat(4096)));
    assert_eq!(commit(&mut client, &request).await, code::NONE);
    for place in [
        ("t-no-such-topic", 0),
        (topic.as_str(), 1),
        (topic.as_str(), -1),
    ] {
        let request = commit_request(&group, place, 1);
        let error = commit(&mut client, &request).await;
        assert_eq!(error, code::UNKNOWN_TOPIC_OR_PARTITION, "{place:?}");
    }
}
