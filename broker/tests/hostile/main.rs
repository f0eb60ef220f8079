//! Clients that send what no client should, over TCP to a running broker: the connection at fault is
//! closed, and nothing else is touched.

#[path = "../common/mod.rs"]
mod common;
mod mutate;
mod seeds;

use std::net::SocketAddr;
use std::time::Duration;

use broker::{Broker, BrokerConfig, Limits, StartError};
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use common::{
    PATIENCE, broker, call, connect, create_topic, end_of, folder, receive, records, send,
};
use mutate::Dice;

const REQUESTS: usize = 100_000;
const CLIENTS: usize = 8;
/// A mutated request may ask to wait; its connection is given up then.
const WAITED_ENOUGH: Duration = Duration::from_millis(500);
/// A topic that no request names.
const BYSTANDER: &str = "bystander";

/// `ApiVersions` version 0 with a correlation id that no other request has.
const SENTINEL: [u8; 10] = [0, 18, 0, 0, 0x5E, 0x17, 0x5E, 0x17, 0xFF, 0xFF];

async fn produce_to_bystander(address: SocketAddr) {
    use kafka_protocol::messages::{ProduceRequest, produce_request};
    let partition = produce_request::PartitionProduceData::default().with_records(Some(records()));
    let topic = produce_request::TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_static_str(BYSTANDER)))
        .with_partition_data(vec![partition]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic]);
    let answer = call(address, 7, &request).await;
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
}

/// What came of mutated requests.
#[derive(Default)]
struct Tally {
    answered: usize,
    closed: usize,
    waited: usize,
}

/// Sends mutated requests, each before a well-formed one, on a new connection whenever one was lost.
async fn client(address: SocketAddr, number: usize) -> Tally {
    let seeds = seeds::all(&records());
    let mut dice = Dice::new(number as u64 + 1);
    let mut stream = connect(address).await;
    let mut tally = Tally::default();
    for _request in 0..REQUESTS / CLIENTS {
        let seed = &seeds[dice.below(seeds.len())];
        let frame = [&seed.header[..], &seed.body[..]].concat();
        send(&mut stream, &dice.mutate(frame)).await;
        send(&mut stream, &SENTINEL).await;
        match timeout(WAITED_ENOUGH, until_sentinel(&mut stream)).await {
            Ok(true) => {
                tally.answered += 1;
                continue;
            }
            Ok(false) => tally.closed += 1,
            Err(_elapsed) => tally.waited += 1,
        }
        stream = connect(address).await;
    }
    tally
}

/// Whether the connection outlived the mutated request.
async fn until_sentinel(stream: &mut TcpStream) -> bool {
    while let Some(answer) = receive(stream).await {
        if answer.starts_with(&SENTINEL[4..8]) {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_mutated_requests_touch_nothing_else() {
    let folder = folder();
    let broker = broker(&folder).await;
    let address = broker.addr();
    create_topic(address, BYSTANDER).await;
    create_topic(address, seeds::TOPIC).await;
    produce_to_bystander(address).await;
    let mut bystander = connect(address).await;

    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(client(address, number)))
        .collect();
    let mut total = Tally::default();
    for client in clients {
        let tally = client.await.expect("no client panics");
        total.answered += tally.answered;
        total.closed += tally.closed;
        total.waited += tally.waited;
    }

    println!(
        "answered {}, closed {}, left waiting {}",
        total.answered, total.closed, total.waited
    );
    // Both ways out must have been taken, or the mutations are too mild or too wild to prove a thing.
    assert!(
        total.answered > REQUESTS / 10,
        "{} answered",
        total.answered
    );
    assert!(total.closed > REQUESTS / 10, "{} closed", total.closed);
    assert!(total.waited < REQUESTS / 100, "{} waited", total.waited);
    send(&mut bystander, &SENTINEL).await;
    let kept = timeout(PATIENCE, until_sentinel(&mut bystander)).await;
    assert!(kept.expect("in time"), "another connection was closed");
    assert_eq!(end_of(address, BYSTANDER).await, 3);
    broker.close().await;

    let broker = Broker::start(BrokerConfig::new(folder.path()))
        .await
        .expect("whatever was written can be read");
    assert_eq!(end_of(broker.addr(), BYSTANDER).await, 3);
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_of_every_version_is_answered() {
    let folder = folder();
    let broker = broker(&folder).await;
    create_topic(broker.addr(), seeds::TOPIC).await;
    for seed in seeds::all(&records()) {
        let mut stream = connect(broker.addr()).await;
        send(&mut stream, &[&seed.header[..], &seed.body[..]].concat()).await;
        let answer = timeout(PATIENCE, receive(&mut stream)).await;
        let answer = answer.expect("in time");
        let (api, version) = (seed.api, seed.version);
        let answer = answer.unwrap_or_else(|| panic!("{api:?} {version} closed the connection"));
        assert_eq!(answer[..4], 7_i32.to_be_bytes(), "{api:?} {version}");
    }
    broker.close().await;
}

#[tokio::test]
async fn claims_of_absurd_sizes_close_the_connection() {
    let folder = folder();
    let broker = broker(&folder).await;
    for claim in [i32::MAX, -1, i32::MIN, 0, 7] {
        let mut stream = connect(broker.addr()).await;
        let mut bytes = claim.to_be_bytes().to_vec();
        bytes.extend([0; 16]);
        stream.write_all(&bytes).await.expect("an open connection");
        let answer = timeout(PATIENCE, receive(&mut stream)).await;
        assert!(answer.expect("in time").is_none(), "{claim} was answered");
    }
    broker.close().await;
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_room_comes_back() {
    let folder = folder();
    let config = BrokerConfig {
        limits: Limits {
            connections: 2,
            ..Limits::default()
        },
        ..BrokerConfig::new(folder.path())
    };
    let broker = Broker::start(config).await.expect("a broker");
    let is_served = async |stream: &mut TcpStream| {
        send(stream, &SENTINEL).await;
        timeout(PATIENCE, until_sentinel(stream))
            .await
            .expect("in time")
    };
    let mut first = connect(broker.addr()).await;
    let mut second = connect(broker.addr()).await;
    assert!(is_served(&mut first).await && is_served(&mut second).await);
    let mut third = connect(broker.addr()).await;
    assert!(!is_served(&mut third).await);
    drop(first);
    let next_is_served = async { while !is_served(&mut connect(broker.addr()).await).await {} };
    timeout(PATIENCE, next_is_served).await.expect("in time");
    broker.close().await;
}

#[tokio::test]
async fn two_brokers_never_share_a_folder() {
    let folder = folder();
    let first = broker(&folder).await;
    let second = Broker::start(BrokerConfig::new(folder.path())).await;
    let refused = second.err().expect("the folder is taken");
    assert!(matches!(refused, StartError::InUse(_)), "{refused}");
    first.close().await;
    broker(&folder).await.close().await;
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let (one, two) = (folder(), folder());
    let first = broker(&one).await;
    let config = BrokerConfig {
        listen: first.addr(),
        ..BrokerConfig::new(two.path())
    };
    let refused = Broker::start(config)
        .await
        .err()
        .expect("the port is taken");
    let said = refused.to_string();
    assert!(said.contains(&first.addr().to_string()), "{said}");
    first.close().await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, b"").expect("a writable folder");
    let refused = Broker::start(BrokerConfig::new(file.join("data"))).await;
    let said = refused.err().expect("no folder there").to_string();
    assert!(said.contains("file"), "{said}");
}
