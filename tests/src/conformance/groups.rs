//! Consumer groups through librdkafka: commits, restarts, deletion, listing.

use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedMessage;
use rdkafka::{Message, Offset};

use super::clients::{
    TIMEOUT, admin, consumer, numbers, offsets, options, payloads, position, producer, read,
    send_all,
};
use super::requests::produce;
use super::{Target, until_some};
use crate::kafka::within;
use crate::wire::Batch;

fn member(target: &Target, group: &str, topic: &str) -> StreamConsumer {
    let consumer = consumer(target, group, &[]);
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

fn commit_next(consumer: &StreamConsumer, last: &OwnedMessage) {
    let next = Offset::Offset(last.offset() + 1);
    let next = position(last.topic(), last.partition(), next);
    consumer.commit(&next, CommitMode::Sync).unwrap();
}

fn committed(target: &Target, group: &str, topic: &str) -> (Offset, String) {
    let asked = position(topic, 0, Offset::Invalid);
    let found = consumer(target, group, &[]).committed_offsets(asked, TIMEOUT);
    let found = found.unwrap();
    let element = found.find_partition(topic, 0).unwrap();
    (element.offset(), element.metadata().to_owned())
}

async fn delete(target: &Target, group: &str) -> Result<(), RDKafkaErrorCode> {
    let deleted = admin(target).delete_groups(&[group], &options()).await;
    let deleted = deleted.unwrap().remove(0);
    deleted.map(|_| ()).map_err(|(_, code)| code)
}

pub async fn a_restart_goes_on_in_the_middle_of_a_batch(target: &Target) {
    let topic = target.topic("inside", 1).await;
    let group = target.group("inside").await;
    let mut client = target.client().await;
    let values = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    for _ in 0..2 {
        produce(&mut client, (&topic, 0), Batch::of(&values).encode()).await;
    }
    let mut next = 0;
    for count in [4, 3, 6, 7] {
        let consumer = member(target, &group, &topic);
        let messages = read(&consumer, count).await;
        let expected: Vec<i64> = (next..next + count as i64).collect();
        assert_eq!(offsets(&messages), expected);
        commit_next(&consumer, messages.last().unwrap());
        next += count as i64;
    }
    assert_eq!(committed(target, &group, &topic).0, Offset::Offset(20));
}

pub async fn a_restart_without_a_commit_reads_again(target: &Target) {
    let topic = target.topic("again", 1).await;
    let group = target.group("again").await;
    send_all(&producer(target, &[]), (&topic, 0), &numbers(10)).await;
    for _ in 0..2 {
        let messages = read(&member(target, &group, &topic), 10).await;
        assert_eq!(payloads(&messages), numbers(10));
    }
    assert_eq!(committed(target, &group, &topic).0, Offset::Invalid);
}

pub async fn groups_do_not_see_each_others_commits(target: &Target) {
    let topic = target.topic("two", 1).await;
    let (one, other) = (target.group("one").await, target.group("other").await);
    send_all(&producer(target, &[]), (&topic, 0), &numbers(10)).await;
    let consumer = member(target, &one, &topic);
    let messages = read(&consumer, 10).await;
    commit_next(&consumer, &messages[6]);
    let messages = read(&member(target, &other, &topic), 10).await;
    assert_eq!(payloads(&messages), numbers(10));
    assert_eq!(committed(target, &one, &topic).0, Offset::Offset(7));
    assert_eq!(committed(target, &other, &topic).0, Offset::Invalid);
}

pub async fn commits_keep_their_metadata_and_may_go_back(target: &Target) {
    let topic = target.topic("metadata", 1).await;
    let group = target.group("metadata").await;
    let consumer = consumer(target, &group, &[]);
    for (offset, metadata) in [(5, "five"), (3, "three"), (4, "")] {
        let mut list = rdkafka::TopicPartitionList::new();
        let mut element = list.add_partition(&topic, 0);
        element.set_offset(Offset::Offset(offset)).unwrap();
        element.set_metadata(metadata);
        consumer.commit(&list, CommitMode::Sync).unwrap();
        let expected = (Offset::Offset(offset), metadata.to_owned());
        assert_eq!(committed(target, &group, &topic), expected);
    }
}

pub async fn a_member_of_no_group_may_commit_only_while_the_group_is_empty(target: &Target) {
    let topic = target.topic("simple", 1).await;
    let group = target.group("simple").await;
    send_all(&producer(target, &[]), (&topic, 0), &numbers(10)).await;
    let place = position(&topic, 0, Offset::Offset(2));
    let simple = consumer(target, &group, &[]);
    simple.commit(&place, CommitMode::Sync).unwrap();
    let consumer = member(target, &group, &topic);
    assert_eq!(offsets(&read(&consumer, 1).await), [2]);
    let refused = simple.commit(&place, CommitMode::Sync).unwrap_err();
    let code = refused.rdkafka_error_code();
    assert_eq!(code, Some(RDKafkaErrorCode::UnknownMemberId));
}

pub async fn a_group_is_listed_and_described(target: &Target) {
    let topic = target.topic("listed", 1).await;
    let group = target.group("listed").await;
    send_all(&producer(target, &[]), (&topic, 0), &numbers(1)).await;
    let consumer = member(target, &group, &topic);
    read(&consumer, 1).await;
    let list = consumer.fetch_group_list(Some(&group), TIMEOUT).unwrap();
    let described = &list.groups()[0];
    assert_eq!(described.name(), group);
    assert_eq!(described.state(), "Stable");
    assert_eq!(described.protocol_type(), "consumer");
    assert_eq!(described.protocol(), "range");
    assert_eq!(described.members().len(), 1);
    assert_eq!(described.members()[0].client_id(), "rdkafka");
    let all = consumer.fetch_group_list(None, TIMEOUT).unwrap();
    assert!(all.groups().iter().any(|found| found.name() == group));
}

pub async fn a_deleted_group_starts_over(target: &Target) {
    let topic = target.topic("gone", 1).await;
    let group = target.group("gone").await;
    send_all(&producer(target, &[]), (&topic, 0), &numbers(10)).await;
    let consumer = member(target, &group, &topic);
    let messages = read(&consumer, 10).await;
    commit_next(&consumer, &messages[9]);
    let refused = delete(target, &group).await;
    assert_eq!(refused, Err(RDKafkaErrorCode::NonEmptyGroup));
    consumer.unsubscribe();
    drop(consumer);
    until_some("the empty group can be deleted", async || {
        delete(target, &group).await.ok()
    })
    .await;
    assert_eq!(committed(target, &group, &topic).0, Offset::Invalid);
    let messages = read(&member(target, &group, &topic), 1).await;
    assert_eq!(offsets(&messages), [0]);
    let unknown = delete(target, "t-no-such-group").await;
    assert_eq!(unknown, Err(RDKafkaErrorCode::GroupIdNotFound));
}

pub async fn the_offsets_of_a_deleted_topic_are_forgotten(target: &Target) {
    let topic = target.topic("forgotten", 1).await;
    let group = target.group("forgotten").await;
    let place = position(&topic, 0, Offset::Offset(2));
    let consumer = consumer(target, &group, &[]);
    consumer.commit(&place, CommitMode::Sync).unwrap();
    let deleted = admin(target).delete_topics(&[&topic], &options()).await;
    assert_eq!(deleted.unwrap(), [Ok(topic.clone())]);
    until_some("the offsets are forgotten", async || {
        (committed(target, &group, &topic).0 == Offset::Invalid).then_some(())
    })
    .await;
}

pub async fn added_partitions_reach_a_running_group(target: &Target) {
    let topic = target.topic("added", 1).await;
    let group = target.group("added").await;
    let settings = [("topic.metadata.refresh.interval.ms", "200")];
    let consumer = consumer(target, &group, &settings);
    consumer.subscribe(&[&topic]).unwrap();
    let producer = producer(target, &[("topic.metadata.refresh.interval.ms", "200")]);
    send_all(&producer, (&topic, 0), &numbers(1)).await;
    let messages = read(&consumer, 1).await;
    commit_next(&consumer, &messages[0]);
    let more = rdkafka::admin::NewPartitions::new(&topic, 3);
    let added = admin(target).create_partitions(&[more], &options()).await;
    assert_eq!(added.unwrap(), [Ok(topic.clone())]);
    target.until_ready(&topic, 3).await;
    // A producer learns of new partitions in its own time.
    let fresh = super::clients::producer(target, &[]);
    send_all(&fresh, (&topic, 2), &numbers(1)).await;
    let messages = read(&consumer, 1).await;
    assert_eq!((messages[0].partition(), messages[0].offset()), (2, 0));
}

pub async fn a_fenced_static_member_learns_of_it(target: &Target) {
    let topic = target.topic("fenced", 1).await;
    let group = target.group("fenced").await;
    send_all(&producer(target, &[]), (&topic, 0), &numbers(2)).await;
    let settings = [
        ("group.instance.id", "same"),
        ("heartbeat.interval.ms", "200"),
    ];
    let first = consumer(target, &group, &settings);
    first.subscribe(&[&topic]).unwrap();
    read(&first, 2).await;
    let second = consumer(target, &group, &settings);
    second.subscribe(&[&topic]).unwrap();
    let error = within("the fencing", async {
        loop {
            tokio::select! {
                result = first.recv() => if let Err(error) = result { return error },
                // The new one has to be served to join.
                _ = second.recv() => {}
            }
        }
    })
    .await;
    let fatal = first.client().fatal_error().map(|(code, _)| code);
    let codes = [error.rdkafka_error_code(), fatal];
    assert!(
        codes.contains(&Some(RDKafkaErrorCode::FencedInstanceId)),
        "{error}"
    );
    assert!(!matches!(error, KafkaError::NoMessageReceived));
}
