//! A well-formed request of every kind and version this broker takes, with every field filled in.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    AlterConfigsRequest, ApiKey, ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest,
    DeleteGroupsRequest, DeleteRecordsRequest, DeleteTopicsRequest, DescribeClusterRequest,
    DescribeConfigsRequest, DescribeGroupsRequest, FetchRequest, FindCoordinatorRequest, GroupId,
    HeartbeatRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest, JoinGroupRequest,
    LeaveGroupRequest, ListGroupsRequest, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest,
    OffsetDeleteRequest, OffsetFetchRequest, OffsetForLeaderEpochRequest, ProduceRequest,
    RequestHeader, SyncGroupRequest, TopicName, alter_configs_request, create_partitions_request,
    create_topics_request, delete_records_request, delete_topics_request, describe_configs_request,
    fetch_request, incremental_alter_configs_request, join_group_request, leave_group_request,
    list_offsets_request, metadata_request, offset_commit_request, offset_delete_request,
    offset_fetch_request, offset_for_leader_epoch_request, produce_request, sync_group_request,
};
use kafka_protocol::protocol::{Encodable, Request, StrBytes};
use uuid::Uuid;

/// The topic and the group that the requests name.
pub(crate) const TOPIC: &str = "seed";
pub(crate) const GROUP: &str = "seeds";

/// One request.
pub(crate) struct Seed {
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) header: Bytes,
    pub(crate) body: Bytes,
}

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn topic() -> TopicName {
    TopicName(text(TOPIC))
}

fn group() -> GroupId {
    GroupId(text(GROUP))
}

fn seed<R: Request>(version: i16, request: &R) -> Seed {
    let api = ApiKey::try_from(R::KEY).expect("a key of the protocol");
    let mut header = BytesMut::new();
    RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(7)
        .with_client_id(Some(text("seeds")))
        .encode(&mut header, api.request_header_version(version))
        .expect("a header");
    let mut body = BytesMut::new();
    request
        .encode(&mut body, version)
        .unwrap_or_else(|error| panic!("{api:?} {version}: {error}"));
    Seed {
        api,
        version,
        header: header.freeze(),
        body: body.freeze(),
    }
}

/// Requests of one kind in a row of versions.
fn each<R: Request>(
    versions: std::ops::RangeInclusive<i16>,
    request: impl Fn(i16) -> R,
) -> impl Iterator<Item = Seed> {
    versions.map(move |version| seed(version, &request(version)))
}

/// All of them; `records` is what the Produce requests carry.
pub(crate) fn all(records: &Bytes) -> Vec<Seed> {
    let mut seeds = Vec::new();
    seeds.extend(each(3..=9, |_version| produce(records.clone())));
    seeds.extend(each(4..=12, fetch));
    seeds.extend(each(1..=7, list_offsets));
    seeds.extend(each(0..=12, metadata));
    seeds.extend(each(2..=8, offset_commit));
    seeds.extend(each(1..=8, offset_fetch));
    seeds.extend(each(0..=4, find_coordinator));
    seeds.extend(each(0..=7, join_group));
    seeds.extend(each(0..=4, heartbeat));
    seeds.extend(each(0..=5, leave_group));
    seeds.extend(each(0..=5, sync_group));
    seeds.extend(each(0..=5, |version| {
        DescribeGroupsRequest::default()
            .with_groups(vec![group(), group()])
            .with_include_authorized_operations(version >= 3)
    }));
    seeds.extend(each(0..=4, |version| {
        let states = if version >= 4 {
            vec![text("Stable"), text("Empty")]
        } else {
            vec![]
        };
        ListGroupsRequest::default().with_states_filter(states)
    }));
    seeds.extend(each(0..=4, |version| match version {
        0..=2 => ApiVersionsRequest::default(),
        _ => ApiVersionsRequest::default()
            .with_client_software_name(text("seeds"))
            .with_client_software_version(text("1")),
    }));
    seeds.extend(each(2..=7, |_version| create_topics()));
    seeds.extend(each(1..=6, delete_topics));
    seeds.extend(each(0..=2, |_version| delete_records()));
    seeds.extend(each(0..=4, |version| match version {
        0..=2 => InitProducerIdRequest::default().with_transaction_timeout_ms(1000),
        _ => InitProducerIdRequest::default()
            .with_transaction_timeout_ms(1000)
            .with_producer_id(5.into())
            .with_producer_epoch(2),
    }));
    seeds.extend(each(2..=4, |_version| epochs()));
    seeds.extend(configs());
    seeds.extend(each(0..=3, |_version| create_partitions()));
    seeds.extend(each(0..=2, |_version| {
        DeleteGroupsRequest::default().with_groups_names(vec![group(), group()])
    }));
    seeds.extend(each(0..=0, |_version| offset_delete()));
    seeds.extend(each(0..=1, |version| {
        let request =
            DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
        if version >= 1 {
            request.with_endpoint_type(1)
        } else {
            request
        }
    }));
    seeds
}

fn produce(records: Bytes) -> ProduceRequest {
    let partition = produce_request::PartitionProduceData::default()
        .with_index(0)
        .with_records(Some(records));
    let topic = produce_request::TopicProduceData::default()
        .with_name(topic())
        .with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(1000)
        .with_topic_data(vec![topic])
}

fn fetch(version: i16) -> FetchRequest {
    let mut partition = fetch_request::FetchPartition::default()
        .with_partition(0)
        .with_partition_max_bytes(1 << 20);
    if version >= 5 {
        partition.log_start_offset = 0;
    }
    if version >= 9 {
        partition.current_leader_epoch = 0;
    }
    let wanted = fetch_request::FetchTopic::default()
        .with_topic(topic())
        .with_partitions(vec![partition]);
    let mut request = FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(0)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![wanted]);
    if version >= 7 {
        let forgotten = fetch_request::ForgottenTopic::default()
            .with_topic(topic())
            .with_partitions(vec![1, 2]);
        request.forgotten_topics_data = vec![forgotten];
        request.session_epoch = -1;
    }
    if version >= 11 {
        request.rack_id = text("rack");
    }
    request
}

fn list_offsets(version: i16) -> ListOffsetsRequest {
    let mut partition = list_offsets_request::ListOffsetsPartition::default().with_timestamp(5);
    if version >= 4 {
        partition.current_leader_epoch = 0;
    }
    let wanted = list_offsets_request::ListOffsetsTopic::default()
        .with_name(topic())
        .with_partitions(vec![partition]);
    ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_isolation_level(i8::from(version >= 2))
        .with_topics(vec![wanted])
}

fn metadata(version: i16) -> MetadataRequest {
    let mut named = metadata_request::MetadataRequestTopic::default().with_name(Some(topic()));
    if version >= 10 {
        named.topic_id = Uuid::from_u128(7);
    }
    let mut request = MetadataRequest::default().with_topics(Some(vec![named]));
    request.allow_auto_topic_creation = true;
    request.include_cluster_authorized_operations = (8..=10).contains(&version);
    request.include_topic_authorized_operations = version >= 8;
    request
}

fn offset_commit(version: i16) -> OffsetCommitRequest {
    let mut partition = offset_commit_request::OffsetCommitRequestPartition::default()
        .with_committed_offset(3)
        .with_committed_metadata(Some(text("note")));
    if version >= 6 {
        partition.committed_leader_epoch = 0;
    }
    let committed = offset_commit_request::OffsetCommitRequestTopic::default()
        .with_name(topic())
        .with_partitions(vec![partition]);
    let mut request = OffsetCommitRequest::default()
        .with_group_id(group())
        .with_generation_id_or_member_epoch(1)
        .with_member_id(text("member"))
        .with_topics(vec![committed]);
    if version >= 7 {
        request.group_instance_id = Some(text("instance"));
    }
    if version <= 4 {
        request.retention_time_ms = 1000;
    }
    request
}

fn offset_fetch(version: i16) -> OffsetFetchRequest {
    if version >= 8 {
        let wanted = offset_fetch_request::OffsetFetchRequestTopics::default()
            .with_name(topic())
            .with_partition_indexes(vec![0, 1]);
        let asked = offset_fetch_request::OffsetFetchRequestGroup::default()
            .with_group_id(group())
            .with_topics(Some(vec![wanted]));
        return OffsetFetchRequest::default()
            .with_groups(vec![asked])
            .with_require_stable(true);
    }
    let wanted = offset_fetch_request::OffsetFetchRequestTopic::default()
        .with_name(topic())
        .with_partition_indexes(vec![0, 1]);
    OffsetFetchRequest::default()
        .with_group_id(group())
        .with_topics(Some(vec![wanted]))
        .with_require_stable(version >= 7)
}

fn find_coordinator(version: i16) -> FindCoordinatorRequest {
    match version {
        0..=3 => FindCoordinatorRequest::default().with_key(text(GROUP)),
        _ => FindCoordinatorRequest::default().with_coordinator_keys(vec![text(GROUP), text("x")]),
    }
}

fn join_group(version: i16) -> JoinGroupRequest {
    let protocol = join_group_request::JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(b"metadata"));
    let mut request = JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(6000)
        .with_rebalance_timeout_ms(if version >= 1 { 6000 } else { -1 })
        .with_member_id(text(""))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol.clone(), protocol.with_name(text("sticky"))]);
    if version >= 5 {
        request.group_instance_id = Some(text("instance"));
    }
    request
}

fn heartbeat(version: i16) -> HeartbeatRequest {
    let instance = (version >= 3).then(|| text("instance"));
    HeartbeatRequest::default()
        .with_group_id(group())
        .with_generation_id(1)
        .with_member_id(text("member"))
        .with_group_instance_id(instance)
}

fn leave_group(version: i16) -> LeaveGroupRequest {
    if version < 3 {
        return LeaveGroupRequest::default()
            .with_group_id(group())
            .with_member_id(text("member"));
    }
    let mut member = leave_group_request::MemberIdentity::default()
        .with_member_id(text("member"))
        .with_group_instance_id(Some(text("instance")));
    if version >= 5 {
        member.reason = Some(text("done"));
    }
    LeaveGroupRequest::default()
        .with_group_id(group())
        .with_members(vec![member])
}

fn sync_group(version: i16) -> SyncGroupRequest {
    let assignment = sync_group_request::SyncGroupRequestAssignment::default()
        .with_member_id(text("member"))
        .with_assignment(Bytes::from_static(b"assignment"));
    let mut request = SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(1)
        .with_member_id(text("member"))
        .with_assignments(vec![assignment]);
    if version >= 3 {
        request.group_instance_id = Some(text("instance"));
    }
    if version >= 5 {
        request.protocol_type = Some(text("consumer"));
        request.protocol_name = Some(text("range"));
    }
    request
}

fn create_topics() -> CreateTopicsRequest {
    let assignment = create_topics_request::CreatableReplicaAssignment::default()
        .with_partition_index(0)
        .with_broker_ids(vec![1.into()]);
    let config = create_topics_request::CreatableTopicConfig::default()
        .with_name(text("retention.ms"))
        .with_value(Some(text("1000")));
    let new = create_topics_request::CreatableTopic::default()
        .with_name(TopicName(text("made-by-seed")))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_assignments(vec![assignment])
        .with_configs(vec![config]);
    CreateTopicsRequest::default()
        .with_topics(vec![new])
        .with_timeout_ms(1000)
        .with_validate_only(true)
}

fn delete_topics(version: i16) -> DeleteTopicsRequest {
    let gone = || TopicName(text("made-by-seed"));
    let request = DeleteTopicsRequest::default().with_timeout_ms(1000);
    if version >= 6 {
        let state = delete_topics_request::DeleteTopicState::default().with_name(Some(gone()));
        request.with_topics(vec![state])
    } else {
        request.with_topic_names(vec![gone()])
    }
}

fn delete_records() -> DeleteRecordsRequest {
    let partition = delete_records_request::DeleteRecordsPartition::default().with_offset(1);
    let topic = delete_records_request::DeleteRecordsTopic::default()
        .with_name(topic())
        .with_partitions(vec![partition]);
    DeleteRecordsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(1000)
}

fn epochs() -> OffsetForLeaderEpochRequest {
    let partition = offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
        .with_current_leader_epoch(0)
        .with_leader_epoch(0);
    let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
        .with_topic(topic())
        .with_partitions(vec![partition]);
    OffsetForLeaderEpochRequest::default().with_topics(vec![topic])
}

fn configs() -> Vec<Seed> {
    const RESOURCE: i8 = 2;
    let described = describe_configs_request::DescribeConfigsResource::default()
        .with_resource_type(RESOURCE)
        .with_resource_name(text(TOPIC))
        .with_configuration_keys(Some(vec![text("retention.ms")]));
    let config = alter_configs_request::AlterableConfig::default()
        .with_name(text("retention.ms"))
        .with_value(Some(text("86400000")));
    let altered = alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(RESOURCE)
        .with_resource_name(text(TOPIC))
        .with_configs(vec![config]);
    let config = incremental_alter_configs_request::AlterableConfig::default()
        .with_name(text("retention.ms"))
        .with_config_operation(0)
        .with_value(Some(text("86400000")));
    let altered_in_part = incremental_alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(RESOURCE)
        .with_resource_name(text(TOPIC))
        .with_configs(vec![config]);
    let describe = each(1..=4, |version| {
        DescribeConfigsRequest::default()
            .with_resources(vec![described.clone()])
            .with_include_synonyms(true)
            .with_include_documentation(version >= 3)
    });
    let alter = each(0..=2, |_version| {
        AlterConfigsRequest::default().with_resources(vec![altered.clone()])
    });
    let alter_in_part = each(0..=1, |_version| {
        IncrementalAlterConfigsRequest::default().with_resources(vec![altered_in_part.clone()])
    });
    describe.chain(alter).chain(alter_in_part).collect()
}

fn create_partitions() -> CreatePartitionsRequest {
    let assignment = create_partitions_request::CreatePartitionsAssignment::default()
        .with_broker_ids(vec![1.into()]);
    let topic = create_partitions_request::CreatePartitionsTopic::default()
        .with_name(topic())
        .with_count(2)
        .with_assignments(Some(vec![assignment]));
    CreatePartitionsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(1000)
        .with_validate_only(true)
}

fn offset_delete() -> OffsetDeleteRequest {
    let partition = offset_delete_request::OffsetDeleteRequestPartition::default();
    let topic = offset_delete_request::OffsetDeleteRequestTopic::default()
        .with_name(topic())
        .with_partitions(vec![partition]);
    OffsetDeleteRequest::default()
        .with_group_id(group())
        .with_topics(vec![topic])
}
