//! One file per family of requests; each turns a request into its response.

mod cluster;
mod configs;
mod coordinator;
mod delete_records;
mod fetch;
mod groups;
mod list_offsets;
mod partitions;
mod produce;
mod topics;
mod versions;

use std::{collections::HashSet, hash::Hash, sync::Arc};

use futures::future::BoxFuture;
use kafka_protocol::{
    error::ResponseError,
    messages::{ApiKey, TopicName},
    protocol::{Decodable, StrBytes},
};

pub(crate) use self::versions::oldest as oldest_api_versions;
use crate::{
    journal::JournalError,
    net::Ends,
    node::Node,
    topics::TopicError,
    wire::{
        Answer,
        answer::EncodeError,
        header::Request,
        shape::{self, ShapeError},
    },
};

/// What comes of a request.
pub(crate) enum Reply {
    /// The answer is there.
    Now(Answer),
    /// The answer will be there when the log has the records; `None` for a producer that wants none.
    Later(BoxFuture<'static, Result<Option<Answer>, RequestError>>),
}

impl Reply {
    /// The answer, when it is there.
    pub(crate) async fn ready(self) -> Result<Option<Answer>, RequestError> {
        match self {
            Self::Now(answer) => Ok(Some(answer)),
            Self::Later(answer) => answer.await,
        }
    }
}

/// Why a request gets no answer but a closed connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("malformed {api:?} request: {cause}")]
    Shape { api: ApiKey, cause: ShapeError },
    #[error("malformed {api:?} request: {cause}")]
    Decode { api: ApiKey, cause: String },
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("{0:?} is not handled")]
    Unhandled(ApiKey),
    /// Apache Kafka closes the connection too: there is no other way to tell the producer.
    #[error("records without acknowledgement were refused: {0}")]
    Unacknowledged(String),
}

/// Works on one request.
pub(crate) async fn reply(
    node: &Arc<Node>,
    ends: Ends,
    request: Request,
) -> Result<Reply, RequestError> {
    let answer = match request.api {
        ApiKey::Produce => return produce::produce(node, request).await,
        ApiKey::Fetch => fetch::fetch(node, &request).await?,
        ApiKey::ApiVersions => Answer::to(&request, &versions::answer(&decode(&request)?))?,
        ApiKey::Metadata => {
            let response = cluster::metadata(node, ends, decode(&request)?, request.version).await;
            Answer::to(&request, &response)?
        }
        ApiKey::DescribeCluster => {
            Answer::to(&request, &cluster::describe(node, ends, &decode(&request)?))?
        }
        ApiKey::ListOffsets => {
            let response = list_offsets::list(node, decode(&request)?, request.version).await;
            Answer::to(&request, &response)?
        }
        ApiKey::OffsetForLeaderEpoch => {
            Answer::to(&request, &list_offsets::epochs(node, decode(&request)?))?
        }
        ApiKey::DeleteRecords => Answer::to(
            &request,
            &delete_records::delete(node, decode(&request)?).await,
        )?,
        ApiKey::InitProducerId => Answer::to(
            &request,
            &produce::init_producer_id(node, decode(&request)?).await,
        )?,
        ApiKey::FindCoordinator => {
            let response = coordinator::find(node, ends, decode(&request)?, request.version);
            Answer::to(&request, &response)?
        }
        ApiKey::CreateTopics
        | ApiKey::DeleteTopics
        | ApiKey::CreatePartitions
        | ApiKey::DescribeConfigs
        | ApiKey::AlterConfigs
        | ApiKey::IncrementalAlterConfigs => admin(node, &request).await?,
        _ => groups::answer(node, ends, &request).await?,
    };
    Ok(Reply::Now(answer))
}

async fn admin(node: &Arc<Node>, request: &Request) -> Result<Answer, RequestError> {
    let answer = match request.api {
        ApiKey::CreateTopics => {
            let response = topics::create(node, decode(request)?, request.version).await;
            Answer::to(request, &response)
        }
        ApiKey::DeleteTopics => {
            let response = topics::delete(node, decode(request)?, request.version).await;
            Answer::to(request, &response)
        }
        ApiKey::CreatePartitions => {
            Answer::to(request, &partitions::create(node, decode(request)?).await)
        }
        ApiKey::DescribeConfigs => Answer::to(request, &configs::describe(node, decode(request)?)),
        ApiKey::AlterConfigs => Answer::to(request, &configs::alter(node, decode(request)?).await),
        ApiKey::IncrementalAlterConfigs => {
            let response = configs::alter_incrementally(node, decode(request)?).await;
            Answer::to(request, &response)
        }
        api => return Err(RequestError::Unhandled(api)),
    };
    Ok(answer?)
}

/// Reads the body of a request, once its counts are known to be honest.
fn decode<R: Decodable>(request: &Request) -> Result<R, RequestError> {
    let api = request.api;
    shape::check(api, request.version, &request.body)
        .map_err(|cause| RequestError::Shape { api, cause })?;
    R::decode(&mut request.body.clone(), request.version).map_err(|cause| RequestError::Decode {
        api,
        cause: cause.to_string(),
    })
}

/// What is named several times is answered once: a short request must not ask for an answer without
/// bounds.
fn once<T, K: Hash + Eq>(mut named: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut seen = HashSet::new();
    named.retain(|one| seen.insert(key(one)));
    named
}

/// An error code and the words that go with it.
struct Refusal {
    code: i16,
    message: Option<StrBytes>,
}

impl Refusal {
    fn new(error: ResponseError, message: impl Into<String>) -> Self {
        Self {
            code: error.code(),
            message: Some(StrBytes::from_string(message.into())),
        }
    }
}

impl From<TopicError> for Refusal {
    fn from(cause: TopicError) -> Self {
        let error = match &cause {
            TopicError::Exists(_) => ResponseError::TopicAlreadyExists,
            TopicError::Unknown(_) => ResponseError::UnknownTopicOrPartition,
            TopicError::Name(_) => ResponseError::InvalidTopicException,
            TopicError::Partitions(_) => ResponseError::InvalidPartitions,
            TopicError::Request(_) => ResponseError::InvalidRequest,
            TopicError::Limit(_) => ResponseError::PolicyViolation,
            TopicError::Setting(_) => ResponseError::InvalidConfig,
            TopicError::Storage(_) => ResponseError::KafkaStorageError,
        };
        Self::new(error, cause.to_string())
    }
}

impl From<JournalError> for Refusal {
    fn from(cause: JournalError) -> Self {
        Self::new(ResponseError::KafkaStorageError, cause.to_string())
    }
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}
