//! Offsets: committed, fetched, deleted, expired, and there after a restart.

use std::time::Duration;

use kafka_protocol::ResponseError::{self, *};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic,
};
use kafka_protocol::messages::{
    DeleteGroupsRequest, JoinGroupResponse, OffsetCommitRequest, OffsetDeleteRequest,
    OffsetFetchRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use tokio::time::{pause, resume};

use super::bench::error;
use super::shell::{House, config, group};
use crate::group::CoordinatorConfig;

fn topic(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn commit_request(name: &str, partition: i32, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(offset)
        .with_committed_leader_epoch(3)
        .with_committed_metadata(Some(StrBytes::from_static_str("note")));
    let of_topic = OffsetCommitRequestTopic::default()
        .with_name(topic(name))
        .with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(group("g"))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![of_topic])
}

fn by_member(request: OffsetCommitRequest, joined: &JoinGroupResponse) -> OffsetCommitRequest {
    request
        .with_generation_id_or_member_epoch(joined.generation_id)
        .with_member_id(joined.member_id.clone())
}

impl House {
    async fn commit(&self, request: OffsetCommitRequest) -> Option<ResponseError> {
        let answer = self.coordinator.offset_commit(request).await;
        error(answer.topics[0].partitions[0].error_code)
    }

    async fn fetch(&self, partition: i32) -> i64 {
        let asked = OffsetFetchRequestTopic::default()
            .with_name(topic("t"))
            .with_partition_indexes(vec![partition]);
        let request = OffsetFetchRequest::default()
            .with_group_id(group("g"))
            .with_topics(Some(vec![asked]));
        let answer = self.coordinator.offset_fetch(request, 5).await;
        answer.topics[0].partitions[0].committed_offset
    }

    async fn delete_group(&self) -> Option<ResponseError> {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![group("g")]);
        error(self.coordinator.delete_groups(request).await.results[0].error_code)
    }

    async fn delete_offset(&self, name: &str) -> Result<Option<ResponseError>, ResponseError> {
        let partitions = vec![OffsetDeleteRequestPartition::default()];
        let of_topic = OffsetDeleteRequestTopic::default()
            .with_name(topic(name))
            .with_partitions(partitions);
        let request = OffsetDeleteRequest::default()
            .with_group_id(group("g"))
            .with_topics(vec![of_topic]);
        let answer = self.coordinator.offset_delete(request).await;
        match error(answer.error_code) {
            Some(refused) => Err(refused),
            None => Ok(error(answer.topics[0].partitions[0].error_code)),
        }
    }
}

#[tokio::test]
async fn what_is_committed_is_fetched_also_after_kill_nine() {
    let (house, joined) = House::stable().await;
    assert_eq!(house.fetch(0).await, -1);
    assert_eq!(
        house
            .commit(by_member(commit_request("t", 0, 41), &joined))
            .await,
        None
    );
    assert_eq!(
        house
            .commit(by_member(commit_request("t", 0, 42), &joined))
            .await,
        None
    );
    assert_eq!(house.fetch(0).await, 42);
    let house = house.crash();
    assert_eq!(house.fetch(0).await, 42);
    assert_eq!(house.fetch(1).await, -1);
}

#[tokio::test]
async fn every_shape_of_fetch_finds_it() {
    let house = House::new();
    assert_eq!(house.commit(commit_request("t", 2, 7)).await, None);
    let all = OffsetFetchRequest::default()
        .with_group_id(group("g"))
        .with_topics(None);
    let answer = house.coordinator.offset_fetch(all, 7).await;
    let partition = &answer.topics[0].partitions[0];
    assert_eq!(
        (partition.partition_index, partition.committed_offset),
        (2, 7)
    );
    assert_eq!(partition.committed_leader_epoch, 3);
    assert_eq!(partition.metadata.as_deref(), Some("note"));
    let groups = ["g", "nobody"].map(|id| {
        OffsetFetchRequestGroup::default()
            .with_group_id(group(id))
            .with_topics(None)
    });
    let several = OffsetFetchRequest::default().with_groups(groups.to_vec());
    let answer = house.coordinator.offset_fetch(several, 8).await;
    assert!(answer.topics.is_empty());
    assert_eq!(answer.groups[0].topics[0].partitions[0].committed_offset, 7);
    assert!(answer.groups[1].topics.is_empty());
    assert_eq!(answer.groups[1].error_code, 0);
}

#[tokio::test]
async fn commits_that_may_not_be_are_refused() {
    let (house, joined) = House::stable().await;
    let member = |request| by_member(request, &joined);
    assert_eq!(
        house.commit(commit_request("t", 0, 1)).await,
        Some(UnknownMemberId)
    );
    let old = member(commit_request("t", 0, 1)).with_generation_id_or_member_epoch(0);
    assert_eq!(house.commit(old).await, Some(IllegalGeneration));
    let elsewhere = member(commit_request("t", 0, 1)).with_group_id(group("elsewhere"));
    assert_eq!(house.commit(elsewhere).await, Some(IllegalGeneration));
    for request in [commit_request("nowhere", 0, 1), commit_request("t", 4, 1)] {
        assert_eq!(
            house.commit(member(request)).await,
            Some(UnknownTopicOrPartition)
        );
    }
    let mut wordy = member(commit_request("t", 0, 1));
    wordy.topics[0].partitions[0].committed_metadata = Some("x".repeat(4_097).into());
    assert_eq!(
        house.commit(wordy.clone()).await,
        Some(OffsetMetadataTooLarge)
    );
    wordy.topics[0].partitions[0].committed_metadata = Some("x".repeat(4_096).into());
    assert_eq!(house.commit(wordy).await, None);
    assert_eq!(house.fetch(0).await, 1);
}

#[tokio::test]
async fn a_commit_that_was_not_stored_is_not_seen() {
    let house = House::new();
    assert_eq!(house.commit(commit_request("t", 0, 1)).await, None);
    house.break_journal();
    assert_eq!(
        house.commit(commit_request("t", 0, 2)).await,
        Some(CoordinatorNotAvailable)
    );
    assert_eq!(house.fetch(0).await, 1);
}

#[tokio::test]
async fn offsets_stay_when_the_group_empties() {
    let (house, joined) = House::stable().await;
    house
        .commit(by_member(commit_request("t", 0, 9), &joined))
        .await;
    house.leave(&joined.member_id).await;
    let house = house.restart().await;
    assert_eq!(house.state().await, "Empty");
    assert_eq!(house.fetch(0).await, 9);
    // An administrator may set them while nobody is in.
    assert_eq!(house.commit(commit_request("t", 0, 5)).await, None);
    assert_eq!(house.fetch(0).await, 5);
}

#[tokio::test]
async fn a_group_is_deleted_with_its_offsets_once_it_is_empty() {
    let (house, joined) = House::stable().await;
    house
        .commit(by_member(commit_request("t", 0, 9), &joined))
        .await;
    assert_eq!(house.delete_group().await, Some(NonEmptyGroup));
    house.leave(&joined.member_id).await;
    assert_eq!(house.delete_group().await, None);
    assert_eq!(house.delete_group().await, Some(GroupIdNotFound));
    assert_eq!(house.fetch(0).await, -1);
    assert!(house.entries().is_empty());
}

#[tokio::test]
async fn a_group_that_could_not_be_deleted_is_still_there() {
    let house = House::new();
    house.commit(commit_request("t", 0, 9)).await;
    house.break_journal();
    assert_eq!(house.delete_group().await, Some(CoordinatorNotAvailable));
    assert_eq!(house.state().await, "Empty");
    assert_eq!(house.fetch(0).await, 9);
}

#[tokio::test]
async fn offsets_of_a_read_topic_cannot_be_deleted() {
    let (house, joined) = House::stable().await;
    house
        .commit(by_member(commit_request("t", 0, 9), &joined))
        .await;
    assert_eq!(
        house.delete_offset("t").await,
        Ok(Some(GroupSubscribedToTopic))
    );
    assert_eq!(
        house.delete_offset("nowhere").await,
        Ok(Some(UnknownTopicOrPartition))
    );
    house.leave(&joined.member_id).await;
    assert_eq!(house.delete_offset("t").await, Ok(None));
    assert_eq!(house.fetch(0).await, -1);
    assert_eq!(House::new().delete_offset("t").await, Err(GroupIdNotFound));
}

#[tokio::test]
async fn a_deleted_topic_takes_its_offsets_along() {
    let house = House::new();
    house.commit(commit_request("t", 0, 9)).await;
    house.coordinator.topic_deleted("other").await;
    assert_eq!(house.fetch(0).await, 9);
    house.coordinator.topic_deleted("t").await;
    assert_eq!(house.fetch(0).await, -1);
    assert!(
        house
            .entries()
            .keys()
            .all(|key| !key.starts_with("offset/"))
    );
}

/// 1,700,000,000,000 is the bench's time; this one is seven days and an hour later.
fn a_week_later() -> CoordinatorConfig {
    let wall_clock_ms = || 1_700_000_000_000 + (7 * 24 + 1) * 3_600_000;
    CoordinatorConfig {
        wall_clock_ms,
        ..config()
    }
}

#[tokio::test]
async fn an_empty_groups_offsets_expire_after_their_retention() {
    let (house, joined) = House::stable().await;
    house
        .commit(by_member(commit_request("t", 0, 9), &joined))
        .await;
    house.leave(&joined.member_id).await;
    let house = house.restart().await;
    pause();
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(house.fetch(0).await, 9);
    resume();
    let house = house.restart_with(a_week_later()).await;
    pause();
    tokio::time::sleep(Duration::from_secs(601)).await;
    resume();
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    while house.fetch(0).await != -1 {
        assert!(tokio::time::Instant::now() < deadline, "never expired");
        tokio::task::yield_now().await;
    }
    assert!(house.entries().is_empty());
    assert_eq!(house.state().await, "Dead");
}

#[tokio::test]
async fn a_live_groups_offsets_do_not_expire() {
    let (house, joined) = House::stable().await;
    house
        .commit(by_member(commit_request("t", 0, 9), &joined))
        .await;
    let house = house.restart_with(a_week_later()).await;
    pause();
    for _ in 0..130 {
        assert_eq!(house.heartbeat(&joined).await, None);
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert_eq!(house.fetch(0).await, 9);
}

#[tokio::test]
async fn many_commits_at_once_are_all_there() {
    let house = House::new();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let coordinator = house.coordinator.clone();
        let id = group(&format!("g{}", number % 50));
        let request = commit_request("t", number % 4, i64::from(number)).with_group_id(id);
        tasks.spawn(async move { coordinator.offset_commit(request).await });
    }
    while let Some(answer) = tasks.join_next().await {
        assert_eq!(answer.unwrap().topics[0].partitions[0].error_code, 0);
    }
    assert_eq!(house.entries().len(), 100);
}

#[tokio::test]
async fn offsets_of_topics_that_a_crash_took_are_forgotten_at_the_start() {
    let house = House::new();
    assert_eq!(house.commit(commit_request("t", 1, 7)).await, None);
    let house = house.restart_with(config()).await;
    house.coordinator.forget_offsets_of_lost_topics().await;
    assert_eq!(house.fetch(1).await, 7);
    let without_topics = || CoordinatorConfig::new(std::sync::Arc::new(|_, _| false));
    let house = house.restart_with(without_topics()).await;
    assert_eq!(house.fetch(1).await, 7);
    house.coordinator.forget_offsets_of_lost_topics().await;
    assert_eq!(house.fetch(1).await, -1);
    let house = house.restart_with(config()).await;
    assert_eq!(house.fetch(1).await, -1);
}
