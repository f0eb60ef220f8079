//! Committed offsets on the wire: told for one group, for several, deleted, kept.

use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{GroupId, OffsetDeleteRequest, OffsetFetchRequest};

use super::Target;
use super::members::{Member, add_second, protocol};
use super::requests::code;
use super::wire_commits::{by, commit, commit_request, fetched};
use crate::wire::text;

pub async fn what_was_never_committed(target: &Target) {
    let (topic, group) = (target.topic("never", 1).await, target.group("never").await);
    let mut client = target.client().await;
    for place in [
        (topic.as_str(), 0),
        (topic.as_str(), 7),
        ("t-no-such-topic", 0),
    ] {
        let found = fetched(&mut client, &group, place).await;
        assert_eq!(found, (-1, String::new()), "{place:?}");
    }
}

pub async fn all_topics_of_a_group(target: &Target) {
    let (one, two) = (target.topic("one", 1).await, target.topic("two", 2).await);
    let group = target.group("all").await;
    let mut client = target.client().await;
    for (place, offset) in [((&one, 0), 5), ((&two, 1), 6)] {
        let request = commit_request(&group, (place.0, place.1), offset);
        assert_eq!(commit(&mut client, &request).await, code::NONE);
    }
    for version in 2..=7 {
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(text(&*group)))
            .with_topics(None);
        let answer = client.call(version, &request).await;
        assert_eq!(answer.error_code, code::NONE);
        let mut found: Vec<_> = answer
            .topics
            .iter()
            .flat_map(|topic| {
                topic.partitions.iter().map(|partition| {
                    (
                        topic.name.to_string(),
                        partition.partition_index,
                        partition.committed_offset,
                    )
                })
            })
            .collect();
        found.sort();
        let mut expected = vec![(one.clone(), 0, 5), (two.clone(), 1, 6)];
        expected.sort();
        assert_eq!(found, expected, "version {version}");
    }
}

pub async fn several_groups_at_once(target: &Target) {
    let topic = target.topic("several", 1).await;
    let (one, other) = (target.group("one").await, target.group("other").await);
    let mut client = target.client().await;
    commit(&mut client, &commit_request(&one, (&topic, 0), 5)).await;
    let ask = |group: &str| {
        let topic = OffsetFetchRequestTopics::default()
            .with_name(text(&*topic).into())
            .with_partition_indexes(vec![0]);
        OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(Some(vec![topic]))
    };
    let request = OffsetFetchRequest::default().with_groups(vec![ask(&one), ask(&other)]);
    let answer = client.call(8, &request).await;
    for (group, expected) in [(&one, 5), (&other, -1)] {
        let found = answer
            .groups
            .iter()
            .find(|found| found.group_id.as_str() == *group);
        let found = found.unwrap();
        assert_eq!(found.error_code, code::NONE);
        assert_eq!(found.topics[0].partitions[0].committed_offset, expected);
    }
}

pub async fn deleted_offsets(target: &Target) {
    let (topic, group) = (
        target.topic("deleted", 1).await,
        target.group("deleted").await,
    );
    let delete = |group: &str| {
        let partition = OffsetDeleteRequestPartition::default().with_partition_index(0);
        let topic = OffsetDeleteRequestTopic::default()
            .with_name(text(&*topic).into())
            .with_partitions(vec![partition]);
        OffsetDeleteRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(vec![topic])
    };
    let mut client = target.client().await;
    let unknown = client.call(0, &delete(&group)).await;
    assert_eq!(unknown.error_code, code::GROUP_ID_NOT_FOUND);
    commit(&mut client, &commit_request(&group, (&topic, 0), 5)).await;
    let deleted = client.call(0, &delete(&group)).await;
    assert_eq!(deleted.error_code, code::NONE);
    assert_eq!(deleted.topics[0].partitions[0].error_code, code::NONE);
    assert_eq!(fetched(&mut client, &group, (&topic, 0)).await.0, -1);
    let mut member = Member::new(target, &group).await;
    member.join.protocols = vec![protocol("range", &topic)];
    member.introduce().await;
    member.become_stable().await;
    let refused = client.call(0, &delete(&group)).await;
    let codes = (
        refused.error_code,
        refused.topics[0].partitions[0].error_code,
    );
    assert_eq!(codes, (code::NONE, code::GROUP_SUBSCRIBED_TO_TOPIC));
}

pub async fn offsets_outlive_their_members(target: &Target) {
    let (topic, group) = (
        target.topic("outlive", 1).await,
        target.group("outlive").await,
    );
    let mut first = Member::alone(target, &group).await;
    let mut second = Member::new(target, &group).await;
    add_second(&mut first, &mut second).await;
    let request = by(&second, commit_request(&group, (&topic, 0), 9));
    assert_eq!(commit(&mut second.client, &request).await, code::NONE);
    second.leave().await;
    first.leave().await;
    assert_eq!(fetched(&mut first.client, &group, (&topic, 0)).await.0, 9);
}
