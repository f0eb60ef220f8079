//! A broker that started on a disk that could not be written.

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    error::ResponseError,
    messages::{
        ApiKey, ProduceRequest, ProduceResponse, TopicName,
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::{Decodable, Encodable, StrBytes},
};

use super::*;
use crate::{
    api,
    net::Ends,
    topics::{NewTopic, settings::Overrides},
    wire::header::Request,
};

const VERSION: i16 = 7;

/// The code with which a batch is answered that is none, once it is looked at.
async fn produce(node: &Arc<Node>) -> i16 {
    let partition = PartitionProduceData::default().with_records(Some(Bytes::from_static(b"junk")));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_static_str("t")))
        .with_partition_data(vec![partition]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_topic_data(vec![topic]);
    let mut body = BytesMut::new();
    request.encode(&mut body, VERSION).unwrap();
    let request = Request {
        api: ApiKey::Produce,
        version: VERSION,
        correlation_id: 0,
        client_id: String::new(),
        body: body.freeze(),
    };
    let here = SocketAddr::from(([127, 0, 0, 1], 1));
    let ends = Ends {
        client: here,
        reached_at: here,
    };
    let reply = api::reply(node, ends, request).await.ok().unwrap();
    let answer = reply.ready().await.ok().flatten().unwrap();
    let mut body = Bytes::from(answer.pieces.concat()).slice(8..);
    let response = ProduceResponse::decode(&mut body, VERSION).unwrap();
    response.responses[0].partition_responses[0].error_code
}

#[tokio::test]
async fn no_record_is_taken_until_the_journal_knows_of_this_run() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(BrokerConfig::new(folder.path()))
        .await
        .unwrap();
    let node = Arc::clone(&broker.ending.0);
    let topic = NewTopic {
        name: "t".to_owned(),
        partitions: 1,
        overrides: Overrides::new(),
    };
    node.topics.create(topic, false).await.unwrap();
    assert_eq!(produce(&node).await, ResponseError::InvalidRecord.code());
    node.is_marked.store(false, Ordering::Release);
    assert_eq!(
        produce(&node).await,
        ResponseError::KafkaStorageError.code()
    );
    // The broker tries again by itself.
    let marked = async {
        while produce(&node).await != ResponseError::InvalidRecord.code() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_mins(1), marked).await.unwrap();
    drop(node);
    broker.close().await;
}
