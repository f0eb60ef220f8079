//! `Metadata` and `DescribeCluster`: who is there and what they hold.

use std::sync::Arc;

use kafka_protocol::{
    error::ResponseError,
    messages::{
        DescribeClusterRequest, DescribeClusterResponse, MetadataRequest, MetadataResponse,
        describe_cluster_response::DescribeClusterBroker,
        metadata_request::MetadataRequestTopic,
        metadata_response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
    },
    protocol::StrBytes,
};
use uuid::Uuid;

use super::{Refusal, once, topic_name};
use crate::{
    net::Ends,
    node::{NODE_ID, Node},
    topics::{NewTopic, Topic, name, settings::Overrides},
};

/// This broker, and the topics asked for.
pub(super) async fn metadata(
    node: &Arc<Node>,
    ends: Ends,
    request: MetadataRequest,
    version: i16,
) -> MetadataResponse {
    let (host, port) = node.address_for(ends);
    let broker = MetadataResponseBroker::default()
        .with_node_id(NODE_ID)
        .with_host(StrBytes::from_string(host))
        .with_port(i32::from(port));
    let may_create = node.config.auto_create_topics && request.allow_auto_topic_creation;
    let topics = match request.topics {
        // The first version had no other way to ask for all.
        Some(topics) if version == 0 && topics.is_empty() => all(node),
        Some(topics) => named(node, topics, may_create).await,
        None => all(node),
    };
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(StrBytes::from_string(node.cluster_id.clone())))
        .with_controller_id(NODE_ID)
        .with_topics(topics)
}

fn all(node: &Node) -> Vec<MetadataResponseTopic> {
    let topics = node.topics.all();
    topics.iter().map(|topic| known(node, topic)).collect()
}

async fn named(
    node: &Arc<Node>,
    asked: Vec<MetadataRequestTopic>,
    may_create: bool,
) -> Vec<MetadataResponseTopic> {
    let asked = once(asked, |topic| (topic.name.clone(), topic.topic_id));
    let mut topics = Vec::with_capacity(asked.len());
    for topic in asked {
        topics.push(match topic.name {
            Some(name) => by_name(node, &name, may_create).await,
            None => by_id(node, topic.topic_id),
        });
    }
    topics
}

async fn by_name(node: &Arc<Node>, name: &str, may_create: bool) -> MetadataResponseTopic {
    if let Some(topic) = node.topics.get(name) {
        return known(node, &topic);
    }
    let code = if name::check(name).is_err() {
        ResponseError::InvalidTopicException.code()
    } else if may_create {
        match create(node, name).await {
            Ok(topic) => return known(node, &topic),
            Err(refusal) => refusal.code,
        }
    } else {
        ResponseError::UnknownTopicOrPartition.code()
    };
    MetadataResponseTopic::default()
        .with_error_code(code)
        .with_name(Some(topic_name(name)))
}

async fn create(node: &Arc<Node>, name: &str) -> Result<Arc<Topic>, Refusal> {
    let new = NewTopic {
        name: name.to_owned(),
        partitions: usize::try_from(node.config.default_partitions).unwrap_or(1),
        overrides: Overrides::new(),
    };
    match node.topics.create(new, false).await {
        // Another client was faster.
        Err(crate::topics::TopicError::Exists(name)) => node
            .topics
            .get(&name)
            .ok_or(crate::topics::TopicError::Unknown(name))
            .map_err(Refusal::from),
        created => created.map_err(Refusal::from),
    }
}

fn by_id(node: &Node, id: Uuid) -> MetadataResponseTopic {
    match node.topics.by_id(id) {
        Some(topic) => known(node, &topic),
        None => MetadataResponseTopic::default()
            .with_error_code(ResponseError::UnknownTopicId.code())
            .with_name(None)
            .with_topic_id(id),
    }
}

fn known(node: &Node, topic: &Topic) -> MetadataResponseTopic {
    let partitions = (0..topic.partitions.len()).map(|index| {
        MetadataResponsePartition::default()
            .with_partition_index(i32::try_from(index).expect("partitions are limited"))
            .with_leader_id(NODE_ID)
            .with_leader_epoch(node.leader_epoch)
            .with_replica_nodes(vec![NODE_ID])
            .with_isr_nodes(vec![NODE_ID])
    });
    MetadataResponseTopic::default()
        .with_name(Some(topic_name(&topic.name)))
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect())
}

/// This broker alone.
pub(super) fn describe(
    node: &Node,
    ends: Ends,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    let (host, port) = node.address_for(ends);
    let broker = DescribeClusterBroker::default()
        .with_broker_id(NODE_ID)
        .with_host(StrBytes::from_string(host))
        .with_port(i32::from(port));
    DescribeClusterResponse::default()
        .with_endpoint_type(request.endpoint_type)
        .with_cluster_id(StrBytes::from_string(node.cluster_id.clone()))
        .with_controller_id(NODE_ID)
        .with_brokers(vec![broker])
}
