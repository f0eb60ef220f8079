//! The raw requests that many cases make, cut down to one topic and one partition.

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    FetchRequest, InitProducerIdRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest,
};

use super::{Target, until_some};
use crate::wire::{Client, text};

/// Error codes of the protocol, as its documentation names them.
pub mod code {
    pub const UNKNOWN_SERVER_ERROR: i16 = -1;
    pub const NONE: i16 = 0;
    pub const OFFSET_OUT_OF_RANGE: i16 = 1;
    pub const CORRUPT_MESSAGE: i16 = 2;
    pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    pub const MESSAGE_TOO_LARGE: i16 = 10;
    pub const OFFSET_METADATA_TOO_LARGE: i16 = 12;
    pub const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
    pub const INVALID_TOPIC: i16 = 17;
    pub const INVALID_REQUIRED_ACKS: i16 = 21;
    pub const ILLEGAL_GENERATION: i16 = 22;
    pub const INCONSISTENT_GROUP_PROTOCOL: i16 = 23;
    pub const INVALID_GROUP_ID: i16 = 24;
    pub const UNKNOWN_MEMBER_ID: i16 = 25;
    pub const INVALID_SESSION_TIMEOUT: i16 = 26;
    pub const REBALANCE_IN_PROGRESS: i16 = 27;
    pub const INVALID_TIMESTAMP: i16 = 32;
    pub const UNSUPPORTED_VERSION: i16 = 35;
    pub const TOPIC_ALREADY_EXISTS: i16 = 36;
    pub const INVALID_PARTITIONS: i16 = 37;
    pub const INVALID_REPLICATION_FACTOR: i16 = 38;
    pub const INVALID_REPLICA_ASSIGNMENT: i16 = 39;
    pub const INVALID_CONFIG: i16 = 40;
    pub const INVALID_REQUEST: i16 = 42;
    pub const OUT_OF_ORDER_SEQUENCE: i16 = 45;
    pub const INVALID_PRODUCER_EPOCH: i16 = 47;
    pub const TRANSACTIONAL_ID_REFUSED: i16 = 53;
    pub const NON_EMPTY_GROUP: i16 = 68;
    pub const GROUP_ID_NOT_FOUND: i16 = 69;
    pub const FETCH_SESSION_NOT_FOUND: i16 = 70;
    pub const UNKNOWN_LEADER_EPOCH: i16 = 75;
    pub const MEMBER_ID_REQUIRED: i16 = 79;
    pub const FENCED_INSTANCE_ID: i16 = 82;
    pub const GROUP_SUBSCRIBED_TO_TOPIC: i16 = 86;
    pub const UNSUPPORTED_COMPRESSION: i16 = 76;
    pub const INVALID_RECORD: i16 = 87;
    pub const UNKNOWN_TOPIC_ID: i16 = 100;
}

/// For topics with records of long ago, which would be deleted at once.
pub(super) const FOREVER: &[(&str, &str)] = &[("retention.ms", "-1")];

/// A produce request for one partition.
pub(super) fn produce_request(
    (topic, partition): (&str, i32),
    records: Option<Bytes>,
) -> ProduceRequest {
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(records);
    let data = TopicProduceData::default()
        .with_name(text(topic).into())
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![data])
}

/// Produces with acks=all.
pub(super) async fn produce(
    client: &mut Client,
    place: (&str, i32),
    records: Bytes,
) -> PartitionProduceResponse {
    let request = produce_request(place, Some(records));
    let mut answer = client.call(9, &request).await;
    answer.responses.remove(0).partition_responses.remove(0)
}

/// A fetch request for one partition that waits for nothing.
pub(super) fn fetch_request((topic, partition): (&str, i32), offset: i64) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1_048_576);
    let topic = FetchTopic::default()
        .with_topic(text(topic).into())
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

/// Fetches from one partition.
pub(super) async fn fetch(client: &mut Client, place: (&str, i32), offset: i64) -> PartitionData {
    let mut answer = client.call(11, &fetch_request(place, offset)).await;
    assert_eq!(answer.error_code, code::NONE);
    answer.responses.remove(0).partitions.remove(0)
}

/// A list-offsets request for one partition.
pub(super) fn list_offsets_request(
    (topic, partition): (&str, i32),
    time_ms: i64,
) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition::default()
        .with_partition_index(partition)
        .with_timestamp(time_ms);
    let topic = ListOffsetsTopic::default()
        .with_name(text(topic).into())
        .with_partitions(vec![partition]);
    ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_topics(vec![topic])
}

/// Looks an offset up, by time or as -1 (end), -2 (start) or -3 (newest time).
pub(super) async fn list_offset(
    client: &mut Client,
    place: (&str, i32),
    time_ms: i64,
) -> ListOffsetsPartitionResponse {
    let mut answer = client.call(7, &list_offsets_request(place, time_ms)).await;
    answer.topics.remove(0).partitions.remove(0)
}

/// The leader epoch that the metadata tell of partition 0.
pub(super) async fn leader_epoch(client: &mut Client, topic: &str) -> i32 {
    let answer = client.call(8, &metadata_request(topic)).await;
    answer.topics[0].partitions[0].leader_epoch
}

/// A metadata request for one topic that creates nothing.
pub(super) fn metadata_request(topic: &str) -> MetadataRequest {
    use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
    let topic = MetadataRequestTopic::default().with_name(Some(text(topic).into()));
    MetadataRequest::default()
        .with_allow_auto_topic_creation(false)
        .with_topics(Some(vec![topic]))
}

/// A new producer id and its epoch.
pub(super) async fn producer_id(target: &Target) -> (i64, i16) {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1);
    until_some("a producer id", async || {
        let answer = target.client().await.call(4, &request).await;
        if answer.error_code == code::COORDINATOR_LOAD_IN_PROGRESS {
            return None;
        }
        assert_eq!(answer.error_code, code::NONE);
        Some((answer.producer_id.0, answer.producer_epoch))
    })
    .await
}
