//! `DeleteRecords`: moves the start of a log.

use std::sync::Arc;

use kafka_protocol::{
    error::ResponseError,
    messages::{
        DeleteRecordsRequest, DeleteRecordsResponse,
        delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult},
    },
};

use crate::{log::ReadError, node::Node};

/// Deletes below the given offsets; -1 stands for all there is.
pub(super) async fn delete(
    node: &Arc<Node>,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let deleted = delete_before(node, &topic.name, asked.partition_index, asked.offset);
            let (error_code, low_watermark) = match deleted.await {
                Ok(log_start) => (0, log_start),
                Err(error) => (error.code(), -1),
            };
            partitions.push(
                DeleteRecordsPartitionResult::default()
                    .with_partition_index(asked.partition_index)
                    .with_error_code(error_code)
                    .with_low_watermark(low_watermark),
            );
        }
        topics.push(
            DeleteRecordsTopicResult::default()
                .with_name(topic.name)
                .with_partitions(partitions),
        );
    }
    DeleteRecordsResponse::default().with_topics(topics)
}

async fn delete_before(
    node: &Node,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<i64, ResponseError> {
    let log = node
        .topics
        .partition(topic, partition)
        .ok_or(ResponseError::UnknownTopicOrPartition)?;
    log.delete_before(offset)
        .await
        .map_err(|cause| read_code(&cause))
}

/// The code of a read that failed.
pub(super) fn read_code(cause: &ReadError) -> ResponseError {
    match cause {
        ReadError::OutOfRange { .. } => ResponseError::OffsetOutOfRange,
        ReadError::Gone => ResponseError::UnknownTopicOrPartition,
        ReadError::Io(_) => ResponseError::KafkaStorageError,
    }
}
