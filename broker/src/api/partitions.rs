//! `CreatePartitions`.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse,
    create_partitions_request::CreatePartitionsTopic,
    create_partitions_response::CreatePartitionsTopicResult,
};

use super::Refusal;
use crate::node::{NODE_ID, Node};

/// Adds partitions to each topic named.
pub(super) async fn create(
    node: &Arc<Node>,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let result = CreatePartitionsTopicResult::default().with_name(topic.name.clone());
        results.push(match grow(node, &topic, request.validate_only).await {
            Ok(()) => result,
            Err(refusal) => result
                .with_error_code(refusal.code)
                .with_error_message(refusal.message),
        });
    }
    CreatePartitionsResponse::default().with_results(results)
}

async fn grow(
    node: &Node,
    topic: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), Refusal> {
    let mut assignments = topic.assignments.iter().flatten();
    if assignments.any(|assignment| assignment.broker_ids != [NODE_ID]) {
        return Err(Refusal::new(
            ResponseError::InvalidReplicaAssignment,
            "there is one broker here, with id 1",
        ));
    }
    Ok(node
        .topics
        .grow(&topic.name, topic.count, validate_only)
        .await?)
}
