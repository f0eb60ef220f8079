//! `CreateTopics` and `DeleteTopics`.

use std::{collections::HashSet, sync::Arc};

use kafka_protocol::{
    error::ResponseError,
    messages::{
        CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
        TopicName, create_topics_request::CreatableTopic,
        create_topics_response::CreatableTopicResult, delete_topics_request::DeleteTopicState,
        delete_topics_response::DeletableTopicResult,
    },
};

use super::{Refusal, configs, topic_name};
use crate::{
    node::{NODE_ID, Node},
    topics::{NewTopic, Topic},
};

/// From here on topics are named one by one, by name or id.
const DELETE_BY_STATE: i16 = 6;
/// From here on the answer tells settings and sizes.
const TELLS_SETTINGS: i16 = 5;

/// Creates each topic that can be created.
pub(super) async fn create(
    node: &Arc<Node>,
    request: CreateTopicsRequest,
    version: i16,
) -> CreateTopicsResponse {
    let mut seen = HashSet::new();
    let twice: HashSet<TopicName> = request
        .topics
        .iter()
        .filter(|topic| !seen.insert(&topic.name))
        .map(|topic| topic.name.clone())
        .collect();
    let mut answered = HashSet::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        if !answered.insert(topic.name.clone()) {
            continue;
        }
        let result = CreatableTopicResult::default()
            .with_name(topic.name.clone())
            .with_error_message(None);
        let created = if twice.contains(&topic.name) {
            Err(Refusal::new(
                ResponseError::InvalidRequest,
                format!("topic {} is named twice", topic.name.as_str()),
            ))
        } else {
            create_one(node, topic, request.validate_only).await
        };
        topics.push(match created {
            Ok((topic, partitions)) => describe(result, &topic, partitions, version),
            Err(refusal) => result
                .with_error_code(refusal.code)
                .with_error_message(refusal.message)
                .with_num_partitions(-1)
                .with_replication_factor(-1)
                .with_configs(Some(Vec::new())),
        });
    }
    CreateTopicsResponse::default().with_topics(topics)
}

fn describe(
    result: CreatableTopicResult,
    topic: &Topic,
    partitions: usize,
    version: i16,
) -> CreatableTopicResult {
    let result = result.with_topic_id(topic.id);
    if version < TELLS_SETTINGS {
        return result;
    }
    result
        .with_num_partitions(i32::try_from(partitions).expect("partitions are limited"))
        .with_replication_factor(1)
        .with_configs(Some(configs::of_created(topic)))
}

async fn create_one(
    node: &Node,
    topic: &CreatableTopic,
    validate_only: bool,
) -> Result<(Arc<Topic>, usize), Refusal> {
    let new = NewTopic {
        name: topic.name.to_string(),
        partitions: partitions(node, topic)?,
        overrides: configs::overrides(topic)?,
    };
    let partitions = new.partitions;
    Ok((node.topics.create(new, validate_only).await?, partitions))
}

/// How many partitions are wanted, by number or by assignment to the one broker.
fn partitions(node: &Node, topic: &CreatableTopic) -> Result<usize, Refusal> {
    let refuse = |error, message: &str| Err(Refusal::new(error, message));
    if !topic.assignments.is_empty() {
        return assigned(topic);
    }
    if !matches!(topic.replication_factor, -1 | 1) {
        return refuse(
            ResponseError::InvalidReplicationFactor,
            "there is one broker, so the replication factor is 1; Apache Kafka has more",
        );
    }
    let wanted = match topic.num_partitions {
        -1 => node.config.default_partitions,
        wanted => wanted,
    };
    match usize::try_from(wanted) {
        Ok(wanted) if wanted > 0 => Ok(wanted),
        _ => refuse(
            ResponseError::InvalidPartitions,
            "a topic has at least one partition",
        ),
    }
}

fn assigned(topic: &CreatableTopic) -> Result<usize, Refusal> {
    if topic.num_partitions != -1 || topic.replication_factor != -1 {
        return Err(Refusal::new(
            ResponseError::InvalidRequest,
            "with an assignment, the number of partitions and the replication factor are -1",
        ));
    }
    let mut indexes: Vec<_> = topic
        .assignments
        .iter()
        .map(|assignment| assignment.partition_index)
        .collect();
    indexes.sort_unstable();
    let contiguous = indexes.iter().copied().eq(0..indexes.len() as i32);
    let here = |brokers: &[_]| brokers == [NODE_ID];
    let all_here = topic
        .assignments
        .iter()
        .all(|assignment| here(&assignment.broker_ids));
    if contiguous && all_here {
        Ok(indexes.len())
    } else {
        Err(Refusal::new(
            ResponseError::InvalidReplicaAssignment,
            "there is one broker here, with id 1, for partitions numbered from 0",
        ))
    }
}

/// Deletes each topic that there is.
pub(super) async fn delete(
    node: &Arc<Node>,
    request: DeleteTopicsRequest,
    version: i16,
) -> DeleteTopicsResponse {
    let asked = if version >= DELETE_BY_STATE {
        request.topics
    } else {
        let named = |name| DeleteTopicState::default().with_name(Some(name));
        request.topic_names.into_iter().map(named).collect()
    };
    let mut responses = Vec::with_capacity(asked.len());
    for topic in asked {
        responses.push(delete_one(node, topic).await);
    }
    DeleteTopicsResponse::default().with_responses(responses)
}

async fn delete_one(node: &Node, asked: DeleteTopicState) -> DeletableTopicResult {
    let topic = match &asked.name {
        Some(name) => node.topics.get(name),
        None => node.topics.by_id(asked.topic_id),
    };
    let Some(topic) = topic else {
        let error = if asked.name.is_some() {
            ResponseError::UnknownTopicOrPartition
        } else {
            ResponseError::UnknownTopicId
        };
        return DeletableTopicResult::default()
            .with_name(asked.name)
            .with_topic_id(asked.topic_id)
            .with_error_code(error.code());
    };
    let result = DeletableTopicResult::default()
        .with_name(Some(topic_name(&topic.name)))
        .with_topic_id(topic.id);
    match node.topics.delete(&topic.name).await {
        Ok(()) => {
            node.coordinator.topic_deleted(&topic.name).await;
            result
        }
        Err(cause) => {
            let refusal = Refusal::from(cause);
            result
                .with_error_code(refusal.code)
                .with_error_message(refusal.message)
        }
    }
}
