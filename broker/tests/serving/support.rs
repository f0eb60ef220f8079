//! A client that keeps its connection, and the requests of these tests.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use indexmap::IndexMap;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, FetchRequest, MetadataRequest, MetadataResponse,
    ProduceRequest, TopicName,
};
use kafka_protocol::protocol::{Request, StrBytes};
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::common::{PATIENCE, call, connect, frame_of, receive, response_in, send};

pub(crate) const TOPIC: &str = "t";
/// The longest wait that the broker grants a fetch.
pub(crate) const LONGEST_WAIT_MS: i32 = 30_000;
/// Well below it: what comes by then came because something happened.
pub(crate) const BEFORE_LONGEST_WAIT: Duration = Duration::from_secs(20);

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// One connection; requests are numbered as they are sent.
pub(crate) struct Client {
    stream: TcpStream,
    sent: i32,
}

impl Client {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self {
            stream: connect(address).await,
            sent: 0,
        }
    }

    /// Sends a request and gives its number, from 1 on.
    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        self.sent += 1;
        send(&mut self.stream, &frame_of(version, self.sent, request)).await;
        self.sent
    }

    /// The next answer, whatever it answers; `None` when the connection was closed.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        let answer = timeout(PATIENCE, receive(&mut self.stream)).await;
        answer.expect("an answer or the end in time")
    }

    /// The number of the next answer.
    pub(crate) async fn next_number(&mut self) -> i32 {
        let answer = self.next().await.expect("an answer");
        i32::from_be_bytes(answer[..4].try_into().unwrap())
    }

    /// Returns once something of an answer is there; nothing of it is taken.
    pub(crate) async fn until_answered(&self) {
        let readable = timeout(PATIENCE, self.stream.readable()).await;
        readable.expect("in time").expect("an open connection");
    }

    pub(crate) async fn answer<R: Request>(&mut self, version: i16) -> R::Response {
        response_in::<R>(version, &self.next().await.expect("an answer"))
    }

    pub(crate) async fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request).await;
        self.answer::<R>(version).await
    }
}

/// One record of `bytes` bytes.
pub(crate) fn large(bytes: usize) -> Bytes {
    let record = Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: -1,
        timestamp: 1_700_000_000_000,
        key: None,
        value: Some(vec![7; bytes].into()),
        headers: IndexMap::default(),
    };
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut batch = BytesMut::new();
    RecordBatchEncoder::encode(&mut batch, &[record], &options).unwrap();
    batch.freeze()
}

pub(crate) fn produce_request(topic: &str, records: Bytes) -> ProduceRequest {
    let partition = PartitionProduceData::default().with_records(Some(records));
    let topic = TopicProduceData::default()
        .with_name(name(topic))
        .with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic])
}

/// Sends records to partition 0 and gives the error code.
pub(crate) async fn produce(client: &mut Client, topic: &str, records: Bytes) -> i16 {
    let answer = client.call(7, &produce_request(topic, records)).await;
    answer.responses[0].partition_responses[0].error_code
}

/// Asks for partition 0 from an offset on, for at least a byte, however long it takes.
pub(crate) fn fetch_request(topic: &str, offset: i64) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_current_leader_epoch(-1)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(name(topic))
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(LONGEST_WAIT_MS)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic])
}

pub(crate) async fn create(address: SocketAddr, topic: &str, settings: &[(&str, &str)]) {
    let settings = settings.iter().map(|(name, value)| {
        CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
    });
    let topic = CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(1)
        .with_replication_factor(1)
        .with_configs(settings.collect());
    let request = CreateTopicsRequest::default().with_topics(vec![topic]);
    let created = call(address, 5, &request).await;
    assert_eq!(created.topics[0].error_code, 0, "{created:?}");
}

pub(crate) async fn delete(address: SocketAddr, topic: &str) {
    let request = DeleteTopicsRequest::default().with_topic_names(vec![name(topic)]);
    let deleted = call(address, 5, &request).await;
    assert_eq!(deleted.responses[0].error_code, 0);
}

/// Names, ids and numbers of partitions of all topics.
pub(crate) async fn topics(address: SocketAddr) -> Vec<(String, uuid::Uuid, usize)> {
    let request = MetadataRequest::default().with_topics(None);
    let answer: MetadataResponse = call(address, 12, &request).await;
    let topics = answer.topics.iter().map(|topic| {
        let name = topic.name.as_ref().unwrap().to_string();
        (name, topic.topic_id, topic.partitions.len())
    });
    topics.collect()
}
