//! Offsets on the wire: lookups, leader epochs, deleted records.

use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::delete_records_response::DeleteRecordsPartitionResult;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::EpochEndOffset;
use kafka_protocol::messages::{DeleteRecordsRequest, OffsetForLeaderEpochRequest};

use super::Target;
use super::requests::{FOREVER, code, leader_epoch, list_offset, list_offsets_request, produce};
use crate::wire::{Batch, Client, text};

const END: i64 = -1;
const START: i64 = -2;
const NEWEST: i64 = -3;

/// Deletes all records of a partition before an offset.
pub(super) async fn delete_before(
    client: &mut Client,
    (topic, partition): (&str, i32),
    offset: i64,
) -> DeleteRecordsPartitionResult {
    let partition = DeleteRecordsPartition::default()
        .with_partition_index(partition)
        .with_offset(offset);
    let topic = DeleteRecordsTopic::default()
        .with_name(text(topic).into())
        .with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default()
        .with_timeout_ms(10_000)
        .with_topics(vec![topic]);
    let mut answer = client.call(2, &request).await;
    answer.topics.remove(0).partitions.remove(0)
}

async fn epoch_end(client: &mut Client, place: (&str, i32), epochs: (i32, i32)) -> EpochEndOffset {
    let partition = OffsetForLeaderPartition::default()
        .with_partition(place.1)
        .with_current_leader_epoch(epochs.0)
        .with_leader_epoch(epochs.1);
    let topic = OffsetForLeaderTopic::default()
        .with_topic(text(place.0).into())
        .with_partitions(vec![partition]);
    let request = OffsetForLeaderEpochRequest::default()
        .with_replica_id((-1).into())
        .with_topics(vec![topic]);
    let mut answer = client.call(4, &request).await;
    answer.topics.remove(0).partitions.remove(0)
}

/// A topic with records at 1,000, 9,000 and 5,000 ms.
async fn filled(target: &Target, client: &mut Client) -> String {
    let topic = target.topic_with("offsets", 1, FOREVER).await;
    let batch = Batch::at_times(&[(1_000, "a"), (9_000, "b"), (5_000, "c")]).encode();
    produce(client, (&topic, 0), batch).await;
    topic
}

pub async fn special_times(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client).await;
    let epoch = leader_epoch(&mut client, &topic).await;
    for (time_ms, expected) in [
        (END, (-1, 3)),
        (START, (-1, 0)),
        (NEWEST, (9_000, 1)),
        (0, (1_000, 0)),
        (1_001, (9_000, 1)),
    ] {
        let found = list_offset(&mut client, (&topic, 0), time_ms).await;
        assert_eq!(found.error_code, code::NONE, "{time_ms}");
        assert_eq!((found.timestamp, found.offset), expected, "{time_ms}");
        assert_eq!(found.leader_epoch, epoch, "{time_ms}");
    }
}

pub async fn times_nothing_was_written_at(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client).await;
    let empty = target.topic("empty", 1).await;
    for (topic, time_ms) in [
        (&topic, 9_001),
        (&topic, i64::MAX),
        (&empty, 0),
        (&empty, NEWEST),
    ] {
        let found = list_offset(&mut client, (topic, 0), time_ms).await;
        assert_eq!(found.error_code, code::NONE);
        assert_eq!(
            (found.timestamp, found.offset, found.leader_epoch),
            (-1, -1, -1),
            "{time_ms}"
        );
    }
    let start = list_offset(&mut client, (&empty, 0), START).await;
    let end = list_offset(&mut client, (&empty, 0), END).await;
    assert_eq!((start.offset, end.offset), (0, 0));
}

pub async fn every_version_looks_up(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client).await;
    for version in 1..=7 {
        let request = list_offsets_request((&topic, 0), END);
        let answer = client.call(version, &request).await;
        assert_eq!(answer.topics[0].name.as_str(), topic);
        let found = &answer.topics[0].partitions[0];
        assert_eq!(
            (found.error_code, found.offset),
            (code::NONE, 3),
            "version {version}"
        );
        let none = version < 4;
        assert_eq!(found.leader_epoch == -1, none, "version {version}");
    }
}

pub async fn lookups_that_cannot_be_answered(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client).await;
    for place in [("t-no-such-topic", 0), (&topic, 1), (&topic, -1)] {
        let found = list_offset(&mut client, place, END).await;
        assert_eq!(
            found.error_code,
            code::UNKNOWN_TOPIC_OR_PARTITION,
            "{place:?}"
        );
        assert_eq!((found.timestamp, found.offset), (-1, -1));
    }
    let epoch = leader_epoch(&mut client, &topic).await;
    let mut request = list_offsets_request((&topic, 0), END);
    request.topics[0].partitions[0].current_leader_epoch = epoch + 1;
    let answer = client.call(7, &request).await;
    assert_eq!(
        answer.topics[0].partitions[0].error_code,
        code::UNKNOWN_LEADER_EPOCH
    );
}

pub async fn lookups_for_readers_of_committed_records(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client).await;
    let request = list_offsets_request((&topic, 0), END).with_isolation_level(1);
    let answer = client.call(7, &request).await;
    assert_eq!(answer.topics[0].partitions[0].offset, 3);
}

pub async fn where_leader_epochs_end(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client).await;
    let epoch = leader_epoch(&mut client, &topic).await;
    let place = (topic.as_str(), 0);
    let end = epoch_end(&mut client, place, (epoch, epoch)).await;
    assert_eq!(
        (end.error_code, end.leader_epoch, end.end_offset),
        (code::NONE, epoch, 3)
    );
    let unknown = epoch_end(&mut client, place, (-1, epoch + 5)).await;
    let found = (unknown.error_code, unknown.leader_epoch, unknown.end_offset);
    assert_eq!(found, (code::NONE, -1, -1));
    let future = epoch_end(&mut client, place, (epoch + 1, epoch)).await;
    assert_eq!(future.error_code, code::UNKNOWN_LEADER_EPOCH);
    for place in [("t-no-such-topic", 0), (&topic, 7)] {
        let end = epoch_end(&mut client, place, (-1, epoch)).await;
        assert_eq!(end.error_code, code::UNKNOWN_TOPIC_OR_PARTITION);
        assert_eq!((end.leader_epoch, end.end_offset), (-1, -1));
    }
}

pub async fn deleted_records(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client).await;
    let place = (topic.as_str(), 0);
    for (offset, expected) in [(2, 2), (1, 2), (0, 2), (-1, 3)] {
        let deleted = delete_before(&mut client, place, offset).await;
        let found = (deleted.error_code, deleted.low_watermark);
        assert_eq!(found, (code::NONE, expected), "{offset}");
        let start = list_offset(&mut client, place, START).await.offset;
        assert_eq!(start, expected, "{offset}");
    }
    for (place, offset, expected) in [
        (place, 4, code::OFFSET_OUT_OF_RANGE),
        (place, -2, code::OFFSET_OUT_OF_RANGE),
        ((topic.as_str(), 1), 0, code::UNKNOWN_TOPIC_OR_PARTITION),
        (("t-no-such-topic", 0), 0, code::UNKNOWN_TOPIC_OR_PARTITION),
    ] {
        let refused = delete_before(&mut client, place, offset).await;
        let found = (refused.error_code, refused.low_watermark);
        assert_eq!(found, (expected, -1), "{place:?} {offset}");
    }
    let next = produce(&mut client, place, Batch::of(&["x"]).encode()).await;
    assert_eq!((next.base_offset, next.log_start_offset), (3, 3));
}
