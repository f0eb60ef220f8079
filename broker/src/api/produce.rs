//! `Produce` and `InitProducerId`: records into the log.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use kafka_protocol::{
    error::ResponseError,
    messages::{
        InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse, ProducerId,
        TopicName,
        produce_request::PartitionProduceData,
        produce_response::{PartitionProduceResponse, TopicProduceResponse},
    },
};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::{Refusal, Reply, RequestError, decode};
use crate::{
    log::{AppendError, Appended, BatchError, Batches, Pending},
    node::Node,
    wire::{Answer, header::Request},
};

/// The longest a producer may ask to wait for its records to be on the disk.
const MAX_WAIT: Duration = Duration::from_mins(2);

/// How far ahead of this machine's clock a record may be dated.
const MAX_AHEAD: Duration = Duration::from_hours(1);

/// One partition's records: on their way into the log, or refused.
struct Part {
    index: i32,
    outcome: Result<Pending, Refusal>,
}

/// Hands the records to the log in the order in which they came; the answer waits for the log.
pub(super) async fn produce(node: &Arc<Node>, request: Request) -> Result<Reply, RequestError> {
    let body: ProduceRequest = decode(&request)?;
    let wants_answer = body.acks != 0;
    let wait = match body.acks {
        // Only who waits for all replicas says how long.
        -1 => Duration::from_millis(u64::try_from(body.timeout_ms).unwrap_or(0)).min(MAX_WAIT),
        _ => MAX_WAIT,
    };
    let deadline = Instant::now() + wait;
    let refused = refuse_all(&body);
    let mut topics = Vec::with_capacity(body.topic_data.len());
    for topic in body.topic_data {
        let mut parts = Vec::with_capacity(topic.partition_data.len());
        for data in topic.partition_data {
            let index = data.index;
            let outcome = match &refused {
                Some((error, message)) => Err(Refusal::new(*error, *message)),
                None => append(node, &topic.name, data).await,
            };
            parts.push(Part { index, outcome });
        }
        topics.push((topic.name, parts));
    }
    Ok(Reply::Later(Box::pin(async move {
        let response = finish(topics, deadline).await;
        if wants_answer {
            return Ok(Some(Answer::to(&request, &response)?));
        }
        match first_refusal(&response) {
            None => Ok(None),
            Some(refusal) => Err(RequestError::Unacknowledged(refusal)),
        }
    })))
}

/// What is wrong with a request as a whole.
fn refuse_all(request: &ProduceRequest) -> Option<(ResponseError, &'static str)> {
    if !matches!(request.acks, -1..=1) {
        return Some((ResponseError::InvalidRequiredAcks, "acks is -1, 0 or 1"));
    }
    request.transactional_id.as_ref().map(|_id| {
        (
            ResponseError::TransactionalIdAuthorizationFailed,
            "this broker has no transactions; Apache Kafka has",
        )
    })
}

async fn append(
    node: &Node,
    topic: &TopicName,
    data: PartitionProduceData,
) -> Result<Pending, Refusal> {
    let found = node.topics.get(topic).and_then(|topic| {
        let index = usize::try_from(data.index).ok()?;
        let log = topic.partitions.get(index)?.clone();
        Some((log, topic.settings.for_log().max_batch_bytes))
    });
    let (log, max_batch_bytes) = found.ok_or_else(|| {
        Refusal::new(
            ResponseError::UnknownTopicOrPartition,
            format!(
                "there is no partition {} of topic {}",
                data.index,
                topic.as_str()
            ),
        )
    })?;
    if !node.is_marked.load(Ordering::Acquire) {
        return Err(Refusal::new(
            ResponseError::KafkaStorageError,
            "the broker started on a disk that cannot be written: free space on it",
        ));
    }
    let records = data.records.unwrap_or_default();
    let batches = Batches::parse(records, max_batch_bytes)?;
    check_time(&batches)?;
    Ok(log.append(batches).await)
}

/// A record from the future would outlive its retention. The bound is Apache Kafka's default.
fn check_time(batches: &Batches) -> Result<(), Refusal> {
    let latest = SystemTime::now() + MAX_AHEAD;
    let latest = latest.duration_since(UNIX_EPOCH).unwrap_or_default();
    if i128::from(batches.max_timestamp_ms()) <= latest.as_millis() as i128 {
        return Ok(());
    }
    Err(Refusal::new(
        ResponseError::InvalidTimestamp,
        "a record is dated more than an hour ahead: set the producer's clock",
    ))
}

async fn finish(topics: Vec<(TopicName, Vec<Part>)>, deadline: Instant) -> ProduceResponse {
    let mut responses = Vec::with_capacity(topics.len());
    for (name, parts) in topics {
        let mut partition_responses = Vec::with_capacity(parts.len());
        for part in parts {
            let outcome = match part.outcome {
                Ok(pending) => match timeout_at(deadline, pending).await {
                    Ok(appended) => appended.map_err(|cause| refusal(&cause)),
                    Err(_elapsed) => Err(Refusal::new(
                        ResponseError::RequestTimedOut,
                        "the records are not on the disk yet",
                    )),
                },
                Err(refusal) => Err(refusal),
            };
            partition_responses.push(partition_response(part.index, outcome));
        }
        responses.push(
            TopicProduceResponse::default()
                .with_name(name)
                .with_partition_responses(partition_responses),
        );
    }
    ProduceResponse::default().with_responses(responses)
}

fn partition_response(index: i32, outcome: Result<Appended, Refusal>) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(index);
    match outcome {
        Ok(appended) => response
            .with_base_offset(appended.base_offset)
            .with_log_append_time_ms(-1)
            .with_log_start_offset(appended.log_start),
        Err(refusal) => response
            .with_error_code(refusal.code)
            .with_error_message(refusal.message)
            .with_base_offset(-1)
            .with_log_append_time_ms(-1)
            .with_log_start_offset(-1),
    }
}

fn first_refusal(response: &ProduceResponse) -> Option<String> {
    let mut parts = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses);
    let refused = parts.find(|part| part.error_code != 0)?;
    let message = refused.error_message.as_ref();
    Some(message.map_or_else(|| refused.error_code.to_string(), ToString::to_string))
}

impl From<BatchError> for Refusal {
    fn from(cause: BatchError) -> Self {
        let error = match &cause {
            BatchError::Corrupt(_) => ResponseError::CorruptMessage,
            BatchError::OldFormat(_) | BatchError::InvalidRecord(_) => ResponseError::InvalidRecord,
            BatchError::TooLarge { .. } => ResponseError::MessageTooLarge,
            BatchError::UnsupportedCompression(_) => ResponseError::UnsupportedCompressionType,
            BatchError::Transactional => ResponseError::TransactionalIdAuthorizationFailed,
        };
        Self::new(error, cause.to_string())
    }
}

fn refusal(cause: &AppendError) -> Refusal {
    let error = match cause {
        AppendError::TooLarge { .. } => ResponseError::MessageTooLarge,
        AppendError::OutOfOrderSequence { .. } => ResponseError::OutOfOrderSequenceNumber,
        AppendError::InvalidProducerEpoch { .. } => ResponseError::InvalidProducerEpoch,
        AppendError::Storage(_) => ResponseError::KafkaStorageError,
        AppendError::Gone => ResponseError::UnknownTopicOrPartition,
    };
    Refusal::new(error, cause.to_string())
}

/// A number for an idempotent producer; transactions are refused on the code that ends a client's
/// attempts at once.
pub(super) async fn init_producer_id(
    node: &Arc<Node>,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let failed = |error: ResponseError| {
        InitProducerIdResponse::default()
            .with_error_code(error.code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1)
    };
    match &request.transactional_id {
        None => {}
        Some(id) if id.is_empty() => return failed(ResponseError::InvalidRequest),
        Some(_id) => return failed(ResponseError::TransactionalIdAuthorizationFailed),
    }
    match node.producer_ids.next().await {
        Ok(id) => InitProducerIdResponse::default()
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(0),
        Err(cause) => {
            warn!(%cause, "cannot give a producer id");
            failed(ResponseError::CoordinatorNotAvailable)
        }
    }
}
