//! What tests over TCP share: raw requests and answers, one topic, one batch.

use std::net::SocketAddr;
use std::time::Duration;

use broker::{Broker, BrokerConfig};
use bytes::{BufMut, Bytes, BytesMut};
use indexmap::IndexMap;
use kafka_protocol::messages::{
    ApiKey, CreateTopicsRequest, ListOffsetsRequest, ListOffsetsResponse, RequestHeader, TopicName,
    create_topics_request::CreatableTopic,
    list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than any answer takes that is not waited for on purpose.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) async fn broker(folder: &TempDir) -> Broker {
    Broker::start(BrokerConfig::new(folder.path()))
        .await
        .expect("a broker")
}

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

pub(crate) async fn send(stream: &mut TcpStream, frame: &[u8]) {
    let mut bytes = BytesMut::with_capacity(frame.len() + 4);
    bytes.put_u32(u32::try_from(frame.len()).expect("a small frame"));
    bytes.put_slice(frame);
    // A closed connection shows when the answer is read.
    drop(stream.write_all(&bytes).await);
}

/// The next answer; `None` when the connection was closed.
pub(crate) async fn receive(stream: &mut TcpStream) -> Option<Bytes> {
    let length = stream.read_u32().await.ok()?;
    let mut frame = vec![0; length as usize];
    stream.read_exact(&mut frame).await.ok()?;
    Some(frame.into())
}

/// A request with its header.
pub(crate) fn frame_of<R: Request>(version: i16, correlation_id: i32, request: &R) -> BytesMut {
    let api = ApiKey::try_from(R::KEY).expect("a key of the protocol");
    let mut frame = BytesMut::new();
    RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .encode(&mut frame, api.request_header_version(version))
        .expect("a header");
    request.encode(&mut frame, version).expect("a request");
    frame
}

/// The response in an answer.
pub(crate) fn response_in<R: Request>(version: i16, answer: &Bytes) -> R::Response {
    let api = ApiKey::try_from(R::KEY).expect("a key of the protocol");
    let header = if api.response_header_version(version) == 0 {
        4
    } else {
        5
    };
    R::Response::decode(&mut answer.slice(header..), version).expect("a response")
}

/// One request and its response, on a connection of its own.
pub(crate) async fn call<R: Request>(
    address: SocketAddr,
    version: i16,
    request: &R,
) -> R::Response {
    let mut stream = connect(address).await;
    send(&mut stream, &frame_of(version, 0, request)).await;
    let answer = timeout(PATIENCE, receive(&mut stream)).await;
    response_in::<R>(version, &answer.expect("in time").expect("an answer"))
}

pub(crate) async fn create_topic(address: SocketAddr, name: &'static str) {
    let topic = CreatableTopic::default()
        .with_name(TopicName(StrBytes::from_static_str(name)))
        .with_num_partitions(1)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]);
    let created = call(address, 5, &request).await;
    assert_eq!(created.topics[0].error_code, 0);
}

/// How many records a topic has.
pub(crate) async fn end_of(address: SocketAddr, topic: &'static str) -> i64 {
    let partition = ListOffsetsPartition::default().with_timestamp(-1);
    let topic = ListOffsetsTopic::default()
        .with_name(TopicName(StrBytes::from_static_str(topic)))
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_topics(vec![topic]);
    let answer: ListOffsetsResponse = call(address, 1, &request).await;
    let partition = &answer.topics[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    partition.offset
}

/// Three records as a producer sends them.
pub(crate) fn records() -> Bytes {
    let record = |offset: i64| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset,
        sequence: offset as i32 - 1,
        timestamp: 1_700_000_000_000,
        key: Some(Bytes::from_static(b"key")),
        value: Some(Bytes::from_static(b"value")),
        headers: IndexMap::default(),
    };
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut bytes = BytesMut::new();
    let records = [record(0), record(1), record(2)];
    RecordBatchEncoder::encode(&mut bytes, &records, &options).expect("a batch");
    bytes.freeze()
}
