//! `ListOffsets` and `OffsetForLeaderEpoch`: where a log begins, ends, and stood at a time.

use std::sync::Arc;

use kafka_protocol::{
    error::ResponseError,
    messages::{
        ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest,
        OffsetForLeaderEpochResponse,
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
        offset_for_leader_epoch_request::OffsetForLeaderPartition,
        offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult},
    },
};
use tokio::task::spawn_blocking;
use tracing::warn;

use super::fetch::check_epoch;
use crate::{
    log::{Log, Stamped},
    node::Node,
};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const NEWEST_TIMESTAMP: i64 = -3;

/// From here on the answer tells the leader epoch.
const TELLS_EPOCH: i16 = 4;

/// Where each partition stands.
pub(super) async fn list(
    node: &Arc<Node>,
    request: ListOffsetsRequest,
    version: i16,
) -> ListOffsetsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let found = match find(node, &topic.name, asked.partition_index) {
                Ok(log) => match check_epoch(node, asked.current_leader_epoch) {
                    Ok(()) => look_up(log, asked.timestamp).await,
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            let response =
                ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
            partitions.push(match found {
                Ok(stamped) => response
                    .with_timestamp(stamped.timestamp_ms)
                    .with_offset(stamped.offset)
                    .with_leader_epoch(if version >= TELLS_EPOCH {
                        stamped.leader_epoch
                    } else {
                        -1
                    }),
                Err(error) => response.with_error_code(error.code()),
            });
        }
        topics.push(
            ListOffsetsTopicResponse::default()
                .with_name(topic.name)
                .with_partitions(partitions),
        );
    }
    ListOffsetsResponse::default().with_topics(topics)
}

fn find(node: &Node, topic: &str, partition: i32) -> Result<Log, ResponseError> {
    node.topics
        .partition(topic, partition)
        .ok_or(ResponseError::UnknownTopicOrPartition)
}

/// What is answered when no record is as new as asked.
const NOWHERE: Stamped = Stamped {
    timestamp_ms: -1,
    offset: -1,
    leader_epoch: -1,
};

async fn look_up(log: Log, timestamp_ms: i64) -> Result<Stamped, ResponseError> {
    let offsets = log.offsets();
    let at = |offset| Stamped {
        timestamp_ms: -1,
        offset,
        leader_epoch: log.epoch_at_end(),
    };
    let found = match timestamp_ms {
        LATEST => return Ok(at(offsets.high_watermark)),
        EARLIEST => return Ok(at(offsets.log_start)),
        NEWEST_TIMESTAMP => spawn_blocking(move || log.find_newest()).await,
        past if past < NEWEST_TIMESTAMP => return Err(ResponseError::UnsupportedVersion),
        _ => spawn_blocking(move || log.find_by_time(timestamp_ms)).await,
    };
    match found.expect("looking up does not panic") {
        Ok(stamped) => Ok(stamped.unwrap_or(NOWHERE)),
        Err(cause) => {
            warn!(%cause, "cannot look up a time in a log");
            Err(ResponseError::KafkaStorageError)
        }
    }
}

/// Where the epochs asked for end.
pub(super) fn epochs(
    node: &Arc<Node>,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter();
        let partitions = partitions
            .map(|asked| epoch_end(node, &topic.topic, asked))
            .collect();
        OffsetForLeaderTopicResult::default()
            .with_topic(topic.topic)
            .with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

fn epoch_end(node: &Node, topic: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let response = EpochEndOffset::default().with_partition(asked.partition);
    let found = find(node, topic, asked.partition)
        .and_then(|log| check_epoch(node, asked.current_leader_epoch).map(|()| log));
    match found {
        Ok(log) => {
            let end = log.end_of_epoch(asked.leader_epoch);
            response
                .with_leader_epoch(end.leader_epoch)
                .with_end_offset(end.end_offset)
        }
        Err(error) => response.with_error_code(error.code()),
    }
}
