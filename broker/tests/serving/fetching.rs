//! Long polls: what ends them, and that those who wait take nothing from those who read.

use broker::{Broker, BrokerConfig, Limits};
use kafka_protocol::messages::{FetchRequest, FetchResponse, fetch_response::PartitionData};
use tokio::time::timeout;

use crate::common::{broker, folder, records};
use crate::support::{BEFORE_LONGEST_WAIT, Client, TOPIC, create, delete, fetch_request, produce};

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;

fn only_partition(answer: &FetchResponse) -> &PartitionData {
    &answer.responses[0].partitions[0]
}

async fn answer_before_longest_wait(client: &mut Client) -> FetchResponse {
    let answer = timeout(BEFORE_LONGEST_WAIT, client.answer::<FetchRequest>(12)).await;
    answer.expect("an answer long before the wait is over")
}

#[tokio::test]
async fn new_records_end_a_long_poll() {
    let folder = folder();
    let broker = broker(&folder).await;
    create(broker.addr(), TOPIC, &[]).await;
    let mut reader = Client::to(broker.addr()).await;
    let mut writer = Client::to(broker.addr()).await;
    // Many times, so that one falls between looking and waiting.
    for round in 0..50 {
        reader.send(12, &fetch_request(TOPIC, round * 3)).await;
        assert_eq!(produce(&mut writer, TOPIC, records()).await, 0);
        let answer = answer_before_longest_wait(&mut reader).await;
        let partition = only_partition(&answer);
        assert_eq!(partition.error_code, 0);
        assert_eq!(
            partition.records.as_ref().map_or(0, bytes::Bytes::len),
            records().len()
        );
    }
    broker.close().await;
}

#[tokio::test]
async fn too_few_records_are_handed_out_when_the_time_is_up() {
    let folder = folder();
    let broker = broker(&folder).await;
    create(broker.addr(), TOPIC, &[]).await;
    let mut client = Client::to(broker.addr()).await;
    let request = fetch_request(TOPIC, 0)
        .with_max_wait_ms(10)
        .with_min_bytes(1 << 20);
    let answer = client.call(12, &request).await;
    assert_eq!(only_partition(&answer).error_code, 0);
    assert_eq!(only_partition(&answer).records.as_deref(), Some(&[][..]));
    assert_eq!(produce(&mut client, TOPIC, records()).await, 0);
    let answer = client.call(12, &request).await;
    let read = only_partition(&answer).records.as_ref().unwrap();
    assert_eq!(read.len(), records().len());
    broker.close().await;
}

#[tokio::test]
async fn the_end_of_the_broker_ends_a_long_poll_with_an_answer() {
    let folder = folder();
    let broker = broker(&folder).await;
    create(broker.addr(), TOPIC, &[]).await;
    let mut client = Client::to(broker.addr()).await;
    client.send(12, &fetch_request(TOPIC, 0)).await;
    until_working(&mut Client::to(broker.addr()).await).await;
    broker.close().await;
    let answer = answer_before_longest_wait(&mut client).await;
    assert_eq!(only_partition(&answer).error_code, 0);
    assert!(
        client.next().await.is_none(),
        "the connection is closed behind it"
    );
}

/// Whatever was sent before this, on whatever connection, has most likely been read by now; the tests
/// hold as well if not.
async fn until_working(client: &mut Client) {
    for _ in 0..20 {
        client
            .call(12, &fetch_request(TOPIC, 0).with_max_wait_ms(1))
            .await;
    }
}

#[tokio::test]
async fn the_end_of_its_topic_ends_a_long_poll() {
    let folder = folder();
    let broker = broker(&folder).await;
    create(broker.addr(), TOPIC, &[]).await;
    let mut client = Client::to(broker.addr()).await;
    client.send(12, &fetch_request(TOPIC, 0)).await;
    until_working(&mut Client::to(broker.addr()).await).await;
    delete(broker.addr(), TOPIC).await;
    let answer = answer_before_longest_wait(&mut client).await;
    assert_eq!(
        only_partition(&answer).error_code,
        UNKNOWN_TOPIC_OR_PARTITION
    );
    // Made anew it is another topic, and empty.
    create(broker.addr(), TOPIC, &[]).await;
    let request = fetch_request(TOPIC, 0).with_max_wait_ms(1);
    let answer = client.call(12, &request).await;
    assert_eq!(only_partition(&answer).error_code, 0);
    broker.close().await;
}

#[tokio::test]
async fn those_who_wait_hold_no_room() {
    let folder = folder();
    let limits = Limits {
        fetch_bytes: 1 << 20,
        fetches_bytes: 1 << 20,
        ..Limits::default()
    };
    let config = BrokerConfig {
        limits,
        ..BrokerConfig::new(folder.path())
    };
    let broker = Broker::start(config).await.expect("a broker");
    create(broker.addr(), TOPIC, &[]).await;
    let mut busy = Client::to(broker.addr()).await;
    assert_eq!(produce(&mut busy, TOPIC, records()).await, 0);
    let mut waiting = Vec::new();
    for _ in 0..30 {
        let mut client = Client::to(broker.addr()).await;
        // There is something to read, but not enough.
        let request = fetch_request(TOPIC, 0).with_min_bytes(1 << 19);
        client.send(12, &request).await;
        waiting.push(client);
    }
    for round in 1..20 {
        assert_eq!(produce(&mut busy, TOPIC, records()).await, 0);
        busy.send(12, &fetch_request(TOPIC, round * 3)).await;
        let answer = answer_before_longest_wait(&mut busy).await;
        assert_eq!(
            only_partition(&answer).records.as_ref().unwrap().len(),
            records().len()
        );
    }
    broker.close().await;
}
