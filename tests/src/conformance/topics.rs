//! Topics through librdkafka: creation, settings, partitions, deletion and rebirth.

use std::collections::HashMap;
use std::time::Duration;

use pipeline::kafka::{TopicSpec, delete_topics, ensure_topics};
use rdkafka::admin::{AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Message, Offset};

use super::clients::{
    TIMEOUT, admin, consumer, numbers, offsets, options, payloads, producer, read, reader,
    send_all, watermarks,
};
use super::{Target, until_some};
use crate::kafka::{unique, within};

const ONE_COPY: TopicReplication<'_> = TopicReplication::Fixed(1);

async fn create(target: &Target, topic: &NewTopic<'_>) -> Result<String, RDKafkaErrorCode> {
    let created = admin(target).create_topics([topic], &options()).await;
    created.unwrap().remove(0).map_err(|(_, code)| code)
}

async fn add_partitions(
    target: &Target,
    topic: &str,
    to: usize,
) -> Result<String, RDKafkaErrorCode> {
    let more = NewPartitions::new(topic, to);
    let added = admin(target).create_partitions(&[more], &options()).await;
    added.unwrap().remove(0).map_err(|(_, code)| code)
}

async fn settings(target: &Target, topic: &str) -> HashMap<String, String> {
    let resource = ResourceSpecifier::Topic(topic);
    let described = admin(target)
        .describe_configs(&[resource], &options())
        .await;
    let entries = described.unwrap().remove(0).unwrap().entries.into_iter();
    entries
        .map(|entry| (entry.name, entry.value.unwrap_or_default()))
        .collect()
}

/// Whether it was refused is not told by the library: look at the settings.
async fn alter(target: &Target, topic: &str, name: &str, value: &str) {
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(name, value);
    let altered = admin(target).alter_configs(&[change], &options()).await;
    assert_eq!(altered.unwrap().len(), 1);
}

fn partitions(target: &Target, topic: &str) -> usize {
    let consumer = consumer(target, "metadata", &[]);
    let all = consumer.fetch_metadata(None, TIMEOUT).unwrap();
    let found = all.topics().iter().find(|found| found.name() == topic);
    found.map_or(0, |found| found.partitions().len())
}

pub async fn our_admin_makes_checks_and_deletes_topics(target: &Target) {
    let mut spec = TopicSpec::new(&unique("ensured"), 3, Duration::from_mins(10));
    spec.retention_bytes_per_partition = Some(100_000_000);
    let (kafka, patience) = (target.config(), Duration::from_secs(20));
    for _ in 0..2 {
        ensure_topics(&kafka, std::slice::from_ref(&spec), patience)
            .await
            .unwrap();
    }
    let mut other = spec.clone();
    other.partitions = 4;
    other.retention = Duration::from_mins(1);
    let error = ensure_topics(&kafka, &[other], patience)
        .await
        .unwrap_err()
        .to_string();
    for expected in ["has 3 partitions, not 4", "retention.ms=600000, not 60000"] {
        assert!(error.contains(expected), "{error}");
    }
    for _ in 0..2 {
        delete_topics(&kafka, &[&spec.name]).await.unwrap();
    }
    until_some("the topic is gone", async || {
        (partitions(target, &spec.name) == 0).then_some(())
    })
    .await;
}

pub async fn a_topic_is_made_once(target: &Target) {
    let topic = target.topic("once", 3).await;
    assert_eq!(partitions(target, &topic), 3);
    let again = create(target, &NewTopic::new(&topic, 3, ONE_COPY)).await;
    assert_eq!(again, Err(RDKafkaErrorCode::TopicAlreadyExists));
}

pub async fn settings_of_a_new_topic_are_told(target: &Target) {
    let given = [
        ("retention.ms", "600000"),
        ("retention.bytes", "100000000"),
        ("max.message.bytes", "8388608"),
        ("segment.bytes", "2097152"),
        ("cleanup.policy", "delete"),
        ("message.timestamp.type", "CreateTime"),
    ];
    let topic = target.topic_with("settings", 1, &given).await;
    let told = settings(target, &topic).await;
    for (name, value) in given {
        assert_eq!(told.get(name).map(String::as_str), Some(value), "{name}");
    }
    for (name, value) in [
        ("compression.type", "producer"),
        ("min.insync.replicas", "1"),
    ] {
        assert_eq!(told.get(name).map(String::as_str), Some(value), "{name}");
    }
}

pub async fn altered_settings_are_told_and_hold(target: &Target) {
    let topic = target.topic("altered", 1).await;
    alter(target, &topic, "max.message.bytes", "5000").await;
    until_some("the setting is told", async || {
        let told = settings(target, &topic).await;
        (told["max.message.bytes"] == "5000").then_some(())
    })
    .await;
    let producer = producer(target, &[]);
    let record: rdkafka::producer::FutureRecord<'_, (), [u8]> =
        rdkafka::producer::FutureRecord::to(&topic).payload(&[7; 6000]);
    let (error, _) = within("a refusal", producer.send(record, TIMEOUT))
        .await
        .unwrap_err();
    let code = error.rdkafka_error_code();
    assert_eq!(code, Some(RDKafkaErrorCode::MessageSizeTooLarge));
}

pub async fn unknown_and_invalid_settings_are_refused(target: &Target) {
    let topic = target.topic("refused", 1).await;
    let before = settings(target, &topic).await;
    for (name, value) in [
        ("no.such.setting", "1"),
        ("retention.ms", "soon"),
        ("retention.ms", "-2"),
        ("max.message.bytes", "-1"),
        ("cleanup.policy", "burn"),
    ] {
        alter(target, &topic, name, value).await;
        assert_eq!(settings(target, &topic).await, before, "{name}={value}");
        let fresh = unique("refused");
        let new = NewTopic::new(&fresh, 1, ONE_COPY).set(name, value);
        let refused = create(target, &new).await;
        assert_eq!(
            refused,
            Err(RDKafkaErrorCode::InvalidConfig),
            "{name}={value}"
        );
        assert_eq!(partitions(target, &fresh), 0);
    }
}

pub async fn partitions_can_be_added_and_not_taken_away(target: &Target) {
    let topic = target.topic("wider", 2).await;
    let producer = producer(target, &[]);
    send_all(&producer, (&topic, 1), &numbers(5)).await;
    for count in [1, 2] {
        let refused = add_partitions(target, &topic, count).await;
        assert_eq!(refused, Err(RDKafkaErrorCode::InvalidPartitions), "{count}");
    }
    add_partitions(target, &topic, 4).await.unwrap();
    target.until_ready(&topic, 4).await;
    assert_eq!(partitions(target, &topic), 4);
    let fresh = super::clients::producer(target, &[]);
    assert_eq!(send_all(&fresh, (&topic, 3), &numbers(2)).await, [0, 1]);
    assert_eq!(send_all(&fresh, (&topic, 1), &numbers(1)).await, [5]);
    let unknown = add_partitions(target, "t-no-such-topic", 4).await;
    assert_eq!(unknown, Err(RDKafkaErrorCode::UnknownTopicOrPartition));
}

pub async fn a_topic_deleted_and_made_anew_is_empty_and_old_clients_see_it_right(target: &Target) {
    let topic = target.topic("reborn", 1).await;
    let producer = producer(target, &[("topic.metadata.refresh.interval.ms", "200")]);
    send_all(&producer, (&topic, 0), &["old-0", "old-1", "old-2"]).await;
    let old = reader(target, &topic, Offset::Beginning);
    read(&old, 3).await;
    let deleted = admin(target).delete_topics(&[&topic], &options()).await;
    assert_eq!(deleted.unwrap(), [Ok(topic.clone())]);
    until_some("the topic is gone", async || {
        (partitions(target, &topic) == 0).then_some(())
    })
    .await;
    target.create(&topic, 1, &[]).await;
    assert_eq!(watermarks(target, &topic), (0, 0));
    let fresh = super::clients::producer(target, &[]);
    assert_eq!(
        send_all(&fresh, (&topic, 0), &["new-0", "new-1"]).await,
        [0, 1]
    );
    let messages = read(&reader(target, &topic, Offset::Beginning), 2).await;
    assert_eq!(payloads(&messages), ["new-0", "new-1"]);
    assert_eq!(offsets(&skip_errors(&old, 2).await), [0, 1]);
}

/// Reads on over what the consumer reports meanwhile, such as that the topic was away.
async fn skip_errors(
    consumer: &StreamConsumer,
    count: usize,
) -> Vec<rdkafka::message::OwnedMessage> {
    let mut messages = Vec::new();
    while messages.len() < count {
        if let Ok(message) = within("a message", consumer.recv()).await {
            assert!(
                message
                    .payload()
                    .is_some_and(|value| value.starts_with(b"new"))
            );
            messages.push(message.detach());
        }
    }
    messages
}
