//! Topic administration on the wire: every refusal with its code.

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest};

use super::requests::{code, metadata_request, produce};
use super::{Target, until_some};
use crate::kafka::unique;
use crate::wire::{Batch, Client, text};

fn topic(name: &str, partitions: i32, copies: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(text(name).into())
        .with_num_partitions(partitions)
        .with_replication_factor(copies)
}

fn with_setting(topic: CreatableTopic, name: &str, value: Option<&str>) -> CreatableTopic {
    let setting = CreatableTopicConfig::default()
        .with_name(text(name))
        .with_value(value.map(text));
    topic.with_configs(vec![setting])
}

fn create_request(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest::default()
        .with_timeout_ms(10_000)
        .with_topics(topics)
}

async fn create(client: &mut Client, topic: CreatableTopic) -> i16 {
    let answer = client.call(7, &create_request(vec![topic])).await;
    answer.topics[0].error_code
}

async fn delete(client: &mut Client, topic: &str) -> i16 {
    let topic = DeleteTopicState::default().with_name(Some(text(topic).into()));
    let request = DeleteTopicsRequest::default()
        .with_timeout_ms(10_000)
        .with_topics(vec![topic]);
    client.call(6, &request).await.responses[0].error_code
}

async fn widen(client: &mut Client, topic: &str, count: i32, validate_only: bool) -> i16 {
    let topic = CreatePartitionsTopic::default()
        .with_name(text(topic).into())
        .with_count(count)
        .with_assignments(None);
    let request = CreatePartitionsRequest::default()
        .with_timeout_ms(10_000)
        .with_validate_only(validate_only)
        .with_topics(vec![topic]);
    client.call(3, &request).await.results[0].error_code
}

async fn partitions(client: &mut Client, topic: &str) -> usize {
    let answer = client.call(8, &metadata_request(topic)).await;
    answer.topics[0].partitions.len()
}

pub async fn topics_that_cannot_be_made(target: &Target) {
    let there = target.topic("there", 1).await;
    let mut client = target.client().await;
    let fresh = unique("refused");
    let long = "x".repeat(250);
    for (topic, expected) in [
        (topic(&there, 1, 1), code::TOPIC_ALREADY_EXISTS),
        (topic("no spaces", 1, 1), code::INVALID_TOPIC),
        (topic("", 1, 1), code::INVALID_TOPIC),
        (topic(".", 1, 1), code::INVALID_TOPIC),
        (topic("..", 1, 1), code::INVALID_TOPIC),
        (topic("a/b", 1, 1), code::INVALID_TOPIC),
        (topic(&long, 1, 1), code::INVALID_TOPIC),
        (topic(&fresh, 1, 3), code::INVALID_REPLICATION_FACTOR),
        (topic(&fresh, 1, 0), code::INVALID_REPLICATION_FACTOR),
        (topic(&fresh, 1, -2), code::INVALID_REPLICATION_FACTOR),
        (topic(&fresh, 0, 1), code::INVALID_PARTITIONS),
        (topic(&fresh, -2, 1), code::INVALID_PARTITIONS),
        (
            with_setting(topic(&fresh, 1, 1), "no.such", Some("1")),
            code::INVALID_CONFIG,
        ),
        (
            with_setting(topic(&fresh, 1, 1), "retention.ms", Some("soon")),
            code::INVALID_CONFIG,
        ),
        (
            with_setting(topic(&fresh, 1, 1), "retention.ms", None),
            code::INVALID_CONFIG,
        ),
    ] {
        let shown = format!("{topic:?}");
        assert_eq!(create(&mut client, topic).await, expected, "{shown}");
    }
    assert_eq!(partitions(&mut client, &fresh).await, 0);
}

pub async fn a_topic_named_twice_in_one_request(target: &Target) {
    let fresh = unique("twice");
    let request = create_request(vec![topic(&fresh, 1, 1), topic(&fresh, 2, 1)]);
    let mut client = target.client().await;
    let answer = client.call(7, &request).await;
    assert!(
        answer
            .topics
            .iter()
            .all(|topic| topic.error_code == code::INVALID_REQUEST)
    );
    assert_eq!(partitions(&mut client, &fresh).await, 0);
}

pub async fn assignments_are_checked(target: &Target) {
    let mut client = target.client().await;
    let told = client.call(8, &metadata_request("t-no-such-topic")).await;
    let node = told.brokers[0].node_id;
    let assigned = |name: &str, at, to: &[_]| {
        let assignment = CreatableReplicaAssignment::default()
            .with_partition_index(at)
            .with_broker_ids(to.to_vec());
        topic(name, -1, -1).with_assignments(vec![assignment])
    };
    let name = unique("assigned");
    let nobody = (node.0 + 77).into();
    for (at, to) in [
        (0, vec![nobody]),
        (1, vec![node]),
        (0, vec![]),
        (0, vec![node, node]),
    ] {
        let error = create(&mut client, assigned(&name, at, &to)).await;
        assert_eq!(error, code::INVALID_REPLICA_ASSIGNMENT, "{at} {to:?}");
    }
    assert_eq!(
        create(&mut client, assigned(&name, 0, &[node])).await,
        code::NONE
    );
    target.until_ready(&name, 1).await;
    assert_eq!(delete(&mut client, &name).await, code::NONE);
}

pub async fn checking_only_makes_nothing(target: &Target) {
    let there = target.topic("check", 2).await;
    let fresh = unique("check");
    let mut client = target.client().await;
    for (name, expected) in [(&fresh, code::NONE), (&there, code::TOPIC_ALREADY_EXISTS)] {
        let request = create_request(vec![topic(name, 3, 1)]).with_validate_only(true);
        let answer = client.call(7, &request).await;
        assert_eq!(answer.topics[0].error_code, expected);
    }
    assert_eq!(widen(&mut client, &there, 5, true).await, code::NONE);
    assert_eq!(partitions(&mut client, &fresh).await, 0);
    assert_eq!(partitions(&mut client, &there).await, 2);
}

pub async fn a_new_topic_is_told_in_every_version(target: &Target) {
    let mut client = target.client().await;
    for version in 2..=7 {
        let name = unique("told");
        // Version 4 brought the defaults of the broker.
        let counts = if version < 4 { (1, 1) } else { (-1, -1) };
        let request = create_request(vec![topic(&name, counts.0, counts.1)]);
        let answer = client.call(version, &request).await;
        let told = &answer.topics[0];
        assert_eq!(told.name.as_str(), name);
        assert_eq!((told.error_code, &told.error_message), (code::NONE, &None));
        if version >= 5 {
            assert_eq!((told.num_partitions, told.replication_factor), (1, 1));
            let settings = told.configs.as_ref().unwrap();
            assert!(
                settings
                    .iter()
                    .any(|setting| setting.name == text("retention.ms"))
            );
        }
        assert_eq!(told.topic_id.is_nil(), version < 7);
        target.until_ready(&name, 1).await;
        assert_eq!(delete(&mut client, &name).await, code::NONE);
    }
}

pub async fn topics_are_deleted_once(target: &Target) {
    let name = target.topic("deleted", 1).await;
    let mut client = target.client().await;
    assert_eq!(
        delete(&mut client, "t-no-such-topic").await,
        code::UNKNOWN_TOPIC_OR_PARTITION
    );
    assert_eq!(delete(&mut client, &name).await, code::NONE);
    assert_eq!(
        delete(&mut client, &name).await,
        code::UNKNOWN_TOPIC_OR_PARTITION
    );
    until_some("the metadata tell it", async || {
        (partitions(&mut client, &name).await == 0).then_some(())
    })
    .await;
    let answer = produce(&mut client, (&name, 0), Batch::of(&["x"]).encode()).await;
    assert_eq!(answer.error_code, code::UNKNOWN_TOPIC_OR_PARTITION);
}

pub async fn a_topic_deleted_by_its_id(target: &Target) {
    let name = target.topic("byid", 1).await;
    let mut client = target.client().await;
    let id = client.call(12, &metadata_request(&name)).await.topics[0].topic_id;
    let by_id = |id| {
        let topic = DeleteTopicState::default()
            .with_name(None)
            .with_topic_id(id);
        DeleteTopicsRequest::default()
            .with_timeout_ms(10_000)
            .with_topics(vec![topic])
    };
    let answer = client.call(6, &by_id(id)).await;
    let told = &answer.responses[0];
    assert_eq!((told.error_code, told.topic_id), (code::NONE, id));
    assert_eq!(
        told.name.as_ref().map(|name| name.as_str()),
        Some(name.as_str())
    );
    let answer = client.call(6, &by_id(id)).await;
    assert_eq!(answer.responses[0].error_code, code::UNKNOWN_TOPIC_ID);
}

pub async fn partitions_only_grow(target: &Target) {
    let name = target.topic("grow", 2).await;
    let mut client = target.client().await;
    for count in [1, 2, 0, -1] {
        let refused = widen(&mut client, &name, count, false).await;
        assert_eq!(refused, code::INVALID_PARTITIONS, "{count}");
    }
    let unknown = widen(&mut client, "t-no-such-topic", 3, false).await;
    assert_eq!(unknown, code::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(widen(&mut client, &name, 3, false).await, code::NONE);
    target.until_ready(&name, 3).await;
    assert_eq!(partitions(&mut client, &name).await, 3);
}
