//! Producing: the order of answers, producers that want none, and a lack of room.

use std::time::Duration;

use broker::{Broker, BrokerConfig, Limits};
use kafka_protocol::messages::{ApiVersionsRequest, ProduceRequest};

use crate::common::{broker, end_of, folder, records};
use crate::support::{Client, TOPIC, create, delete, large, produce_request};

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const LARGE_BYTES: usize = 150 << 10;

fn error_code(answer: &kafka_protocol::messages::ProduceResponse) -> i16 {
    answer.responses[0].partition_responses[0].error_code
}

#[tokio::test]
async fn answers_come_in_the_order_of_their_requests() {
    let folder = folder();
    let config = BrokerConfig {
        // Long enough that what follows is worked on while the second flush is waited for.
        flush_interval: Duration::from_millis(300),
        ..BrokerConfig::new(folder.path())
    };
    let broker = Broker::start(config).await.expect("a broker");
    create(broker.addr(), TOPIC, &[]).await;
    let mut client = Client::to(broker.addr()).await;
    let mut sent = Vec::new();
    for _ in 0..2 {
        sent.push(client.send(7, &produce_request(TOPIC, records())).await);
        sent.push(client.send(0, &ApiVersionsRequest::default()).await);
        let silent = produce_request(TOPIC, records()).with_acks(0);
        client.send(7, &silent).await;
        sent.push(client.send(0, &ApiVersionsRequest::default()).await);
    }
    let mut answered = Vec::new();
    for _ in &sent {
        answered.push(client.next_number().await);
    }
    assert_eq!(answered, sent);
    assert_eq!(end_of(broker.addr(), TOPIC).await, 12);
    broker.close().await;
}

#[tokio::test]
async fn a_producer_that_wants_no_answer_learns_of_a_refusal_by_the_end_of_its_connection() {
    let folder = folder();
    let config = BrokerConfig {
        // So that the second flush is some time off.
        flush_interval: Duration::from_millis(300),
        ..BrokerConfig::new(folder.path())
    };
    let broker = Broker::start(config).await.expect("a broker");
    create(broker.addr(), TOPIC, &[]).await;
    let mut client = Client::to(broker.addr()).await;
    client.call(7, &produce_request(TOPIC, records())).await;
    // How long to wait for replicas is nothing to a producer that waits for none.
    let taken = produce_request(TOPIC, records())
        .with_acks(0)
        .with_timeout_ms(0);
    client.send(7, &taken).await;
    let number = client.send(0, &ApiVersionsRequest::default()).await;
    assert_eq!(client.next_number().await, number);
    let refused = produce_request("absent", records()).with_acks(0);
    client.send(7, &refused).await;
    assert!(client.next().await.is_none(), "the connection is closed");
    assert_eq!(end_of(broker.addr(), TOPIC).await, 6);
    broker.close().await;
}

async fn produce_many(broker: &Broker) {
    create(broker.addr(), TOPIC, &[]).await;
    let mut producers = Vec::new();
    for _ in 0..6 {
        let address = broker.addr();
        producers.push(tokio::spawn(async move {
            let mut client = Client::to(address).await;
            for _ in 0..10 {
                client
                    .send(7, &produce_request(TOPIC, large(LARGE_BYTES)))
                    .await;
            }
            for _ in 0..10 {
                let answer = client.answer::<ProduceRequest>(7).await;
                assert_eq!(error_code(&answer), 0);
            }
        }));
    }
    for producer in producers {
        producer.await.expect("no producer panics");
    }
    assert_eq!(end_of(broker.addr(), TOPIC).await, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_wait_for_room_and_all_get_through() {
    let folder = folder();
    let limits = Limits {
        request_bytes: 2 * LARGE_BYTES,
        requests_bytes: 2 * LARGE_BYTES,
        ..Limits::default()
    };
    let config = BrokerConfig {
        limits,
        ..BrokerConfig::new(folder.path())
    };
    let broker = Broker::start(config).await.expect("a broker");
    produce_many(&broker).await;
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_larger_than_all_the_room_goes_alone() {
    let folder = folder();
    let limits = Limits {
        requests_bytes: LARGE_BYTES / 2,
        ..Limits::default()
    };
    let config = BrokerConfig {
        limits,
        ..BrokerConfig::new(folder.path())
    };
    let broker = Broker::start(config).await.expect("a broker");
    produce_many(&broker).await;
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_for_a_topic_on_its_way_out_are_taken_or_refused() {
    let folder = folder();
    let broker = broker(&folder).await;
    for round in 0..20 {
        create(broker.addr(), TOPIC, &[]).await;
        let mut client = Client::to(broker.addr()).await;
        for _ in 0..4 {
            client.send(7, &produce_request(TOPIC, records())).await;
        }
        delete(broker.addr(), TOPIC).await;
        let mut codes = Vec::new();
        for _ in 0..4 {
            codes.push(error_code(&client.answer::<ProduceRequest>(7).await));
        }
        assert!(
            codes
                .iter()
                .all(|code| [0, UNKNOWN_TOPIC_OR_PARTITION].contains(code)),
            "round {round}: {codes:?}"
        );
        assert!(codes.is_sorted(), "taken after it was refused: {codes:?}");
    }
    let logs = std::fs::read_dir(folder.path().join("logs")).unwrap();
    assert_eq!(logs.count(), 0, "deleted topics leave no files");
    broker.close().await;
}
