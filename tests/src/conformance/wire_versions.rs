//! Versions on the wire: what is offered, what is refused and how, and who is told about brokers.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, DescribeClusterRequest,
    FindCoordinatorRequest, MetadataRequest,
};
use kafka_protocol::protocol::{Decodable, Request};

use super::Target;
use super::requests::{code, metadata_request};
use crate::wire::text;

/// What our clients may use, and all that the embedded broker offers.
const OFFERED: &[(ApiKey, i16, i16)] = &[
    (ApiKey::Produce, 3, 9),
    (ApiKey::Fetch, 4, 12),
    (ApiKey::ListOffsets, 1, 7),
    (ApiKey::Metadata, 0, 12),
    (ApiKey::OffsetCommit, 2, 8),
    (ApiKey::OffsetFetch, 1, 8),
    (ApiKey::FindCoordinator, 0, 4),
    (ApiKey::JoinGroup, 0, 7),
    (ApiKey::Heartbeat, 0, 4),
    (ApiKey::LeaveGroup, 0, 5),
    (ApiKey::SyncGroup, 0, 5),
    (ApiKey::DescribeGroups, 0, 5),
    (ApiKey::ListGroups, 0, 4),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::CreateTopics, 2, 7),
    (ApiKey::DeleteTopics, 1, 6),
    (ApiKey::DeleteRecords, 0, 2),
    (ApiKey::InitProducerId, 0, 4),
    (ApiKey::OffsetForLeaderEpoch, 2, 4),
    (ApiKey::DescribeConfigs, 1, 4),
    (ApiKey::AlterConfigs, 0, 2),
    (ApiKey::IncrementalAlterConfigs, 0, 1),
    (ApiKey::CreatePartitions, 0, 3),
    (ApiKey::DeleteGroups, 0, 2),
    (ApiKey::OffsetDelete, 0, 0),
    (ApiKey::DescribeCluster, 0, 1),
];

fn who_asks() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(text("conformance"))
        .with_client_software_version(text("1"))
}

/// A frame with a request header of version 1 and nothing behind it.
fn frame(api_key: i16, version: i16) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_i16(api_key);
    frame.put_i16(version);
    frame.put_i32(7);
    frame.put_i16(-1);
    frame.freeze()
}

pub async fn offered_versions_are_within_apache_kafkas(target: &Target) {
    let mut client = target.client().await;
    for version in 0..=4 {
        let answer = client.call(version, &who_asks()).await;
        assert_eq!(answer.error_code, code::NONE);
        let range = |key: ApiKey| {
            let found = answer
                .api_keys
                .iter()
                .find(|found| found.api_key == key as i16);
            let found = found.unwrap_or_else(|| panic!("{key:?} is not offered"));
            (found.min_version, found.max_version)
        };
        for (key, min, max) in OFFERED {
            let found = range(*key);
            if target.is_embedded() {
                assert_eq!(found, (*min, *max), "{key:?}");
            }
            assert!(found.0 <= *min && found.1 >= *max, "{key:?}: {found:?}");
        }
        if target.is_embedded() {
            assert_eq!(answer.api_keys.len(), OFFERED.len());
        }
    }
}

pub async fn a_question_for_versions_from_the_future_is_answered_in_version_0(target: &Target) {
    let mut client = target.client().await;
    for version in [99, i16::MAX] {
        // As of a client that is newer than any broker: the header ends in its tagged fields.
        let frame = [&frame(ApiVersionsRequest::KEY, version)[..], &[0]].concat();
        client.send_frame(&frame).await;
        let mut answer = client
            .receive_frame()
            .await
            .unwrap_or_else(|| panic!("no answer to {version}"));
        assert_eq!(answer.split_to(4)[..], 7_i32.to_be_bytes());
        let answer = ApiVersionsResponse::decode(&mut answer, 0).unwrap();
        assert_eq!(answer.error_code, code::UNSUPPORTED_VERSION);
        let own = answer
            .api_keys
            .iter()
            .find(|found| found.api_key == ApiVersionsRequest::KEY);
        let own = own.expect("its own versions are told");
        assert!(own.min_version == 0 && own.max_version >= 3);
    }
    // The connection goes on.
    assert_eq!(client.call(3, &who_asks()).await.error_code, code::NONE);
}

pub async fn versions_nobody_has_close_the_connection(target: &Target) {
    for (api_key, version) in [
        (MetadataRequest::KEY, 99),
        (MetadataRequest::KEY, -1),
        (FindCoordinatorRequest::KEY, i16::MAX),
        (9999, 0),
        (-1, 0),
    ] {
        let mut client = target.client().await;
        client.send_frame(&frame(api_key, version)).await;
        assert_eq!(client.receive_frame().await, None, "{api_key} {version}");
    }
}

pub async fn frames_that_make_no_sense_close_the_connection(target: &Target) {
    let cut = frame(MetadataRequest::KEY, 1).slice(..6);
    // A count of topics with no topics behind it.
    let hollow = [
        &frame(MetadataRequest::KEY, 1)[..],
        &[0x7f, 0xff, 0xff, 0xff],
    ]
    .concat();
    for bytes in [&cut[..], &hollow, &[]] {
        let mut client = target.client().await;
        client.send_frame(bytes).await;
        assert_eq!(client.receive_frame().await, None, "{bytes:?}");
    }
    assert_eq!(
        target.client().await.call(3, &who_asks()).await.error_code,
        code::NONE
    );
}

pub async fn metadata_in_every_version(target: &Target) {
    let topic = target.topic("metadata", 3).await;
    let mut client = target.client().await;
    let address = target.bootstrap();
    for version in 0..=12 {
        let mut request = metadata_request(&topic);
        request.allow_auto_topic_creation = version < 4;
        let answer = client.call(version, &request).await;
        let broker = &answer.brokers[0];
        assert_eq!(format!("{}:{}", broker.host, broker.port), address);
        let topic_told = &answer.topics[0];
        assert_eq!(topic_told.error_code, code::NONE, "version {version}");
        assert_eq!(topic_told.name.as_ref().unwrap().as_str(), topic);
        assert_eq!(topic_told.topic_id.is_nil(), version < 10);
        assert!(!topic_told.is_internal);
        let mut indexes = Vec::new();
        for partition in &topic_told.partitions {
            assert_eq!(
                (partition.error_code, partition.leader_id),
                (code::NONE, broker.node_id)
            );
            assert_eq!(partition.replica_nodes, [broker.node_id]);
            assert_eq!(partition.isr_nodes, [broker.node_id]);
            indexes.push(partition.partition_index);
        }
        indexes.sort_unstable();
        assert_eq!(indexes, [0, 1, 2]);
    }
}

pub async fn metadata_of_all_topics_of_none_and_of_unknown_ones(target: &Target) {
    let topic = target.topic("all", 1).await;
    let mut client = target.client().await;
    let all = client
        .call(8, &MetadataRequest::default().with_topics(None))
        .await;
    let is_there = |found: &_| {
        let found: &kafka_protocol::messages::metadata_response::MetadataResponseTopic = found;
        found
            .name
            .as_ref()
            .is_some_and(|name| name.as_str() == topic)
    };
    assert!(all.topics.iter().any(is_there));
    let none = client
        .call(8, &MetadataRequest::default().with_topics(Some(Vec::new())))
        .await;
    assert!(none.topics.is_empty() && none.brokers.len() == 1);
    for (name, expected) in [
        ("t-no-such-topic", code::UNKNOWN_TOPIC_OR_PARTITION),
        ("no spaces", code::INVALID_TOPIC),
        ("", code::INVALID_TOPIC),
    ] {
        let answer = client.call(8, &metadata_request(name)).await;
        assert_eq!(answer.topics[0].error_code, expected, "{name}");
        assert!(answer.topics[0].partitions.is_empty());
    }
}

pub async fn the_coordinator_is_the_broker(target: &Target) {
    let group = target.group("coordinator").await;
    let mut client = target.client().await;
    for version in 0..=4 {
        let request = FindCoordinatorRequest::default();
        let request = if version < 4 {
            request.with_key(text(&*group))
        } else {
            request.with_coordinator_keys(vec![text(&*group)])
        };
        let answer = client.call(version, &request).await;
        let (error, host, port) = match answer.coordinators.first() {
            Some(found) => (found.error_code, &found.host, found.port),
            None => (answer.error_code, &answer.host, answer.port),
        };
        assert_eq!(error, code::NONE, "version {version}");
        assert_eq!(format!("{host}:{port}"), target.bootstrap());
    }
    let wrong = FindCoordinatorRequest::default()
        .with_key(text(&*group))
        .with_key_type(9);
    assert_eq!(
        client.call(3, &wrong).await.error_code,
        code::INVALID_REQUEST
    );
}

pub async fn the_cluster_is_one_broker(target: &Target) {
    let mut client = target.client().await;
    let request = DescribeClusterRequest::default().with_endpoint_type(1);
    for version in 0..=1 {
        let answer = client.call(version, &request).await;
        assert_eq!((answer.error_code, answer.brokers.len()), (code::NONE, 1));
        let broker = &answer.brokers[0];
        assert_eq!(
            format!("{}:{}", broker.host, broker.port),
            target.bootstrap()
        );
        assert_eq!(answer.controller_id, broker.broker_id);
        assert!(!answer.cluster_id.is_empty());
    }
}
