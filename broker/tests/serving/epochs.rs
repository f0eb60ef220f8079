//! Leader epochs: one more after a run that was not closed, and clients of earlier runs learn of it.

use std::path::Path;

use broker::{Broker, BrokerConfig, StartError};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::EpochEndOffset;
use kafka_protocol::messages::{ListOffsetsRequest, MetadataRequest, OffsetForLeaderEpochRequest};
use tokio::time::timeout;

use crate::common::{PATIENCE, broker, folder, records};
use crate::support::{Client, TOPIC, create, fetch_request, name, produce};

const FENCED_LEADER_EPOCH: i16 = 74;
const UNKNOWN_LEADER_EPOCH: i16 = 75;

/// Starts a broker on a folder that another one may still be leaving.
pub(crate) async fn start_after_drop(folder: &Path) -> Broker {
    let starting = async {
        loop {
            match Broker::start(BrokerConfig::new(folder)).await {
                Err(StartError::InUse(_)) => tokio::task::yield_now().await,
                started => return started.expect("a broker"),
            }
        }
    };
    timeout(PATIENCE, starting)
        .await
        .expect("the folder in time")
}

/// The epoch that clients are told.
async fn told(client: &mut Client) -> i32 {
    let answer = client
        .call(12, &MetadataRequest::default().with_topics(None))
        .await;
    answer.topics[0].partitions[0].leader_epoch
}

async fn fetch(client: &mut Client, epoch: i32) -> i16 {
    let mut request = fetch_request(TOPIC, 0).with_max_wait_ms(1);
    request.topics[0].partitions[0].current_leader_epoch = epoch;
    let answer = client.call(9, &request).await;
    answer.responses[0].partitions[0].error_code
}

async fn list(client: &mut Client, epoch: i32) -> i16 {
    let partition = ListOffsetsPartition::default()
        .with_current_leader_epoch(epoch)
        .with_timestamp(-1);
    let topic = ListOffsetsTopic::default()
        .with_name(name(TOPIC))
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_topics(vec![topic]);
    client.call(5, &request).await.topics[0].partitions[0].error_code
}

/// Where `epoch` ended, asked by a client that knows `current`.
async fn end_of_epoch(client: &mut Client, current: i32, epoch: i32) -> EpochEndOffset {
    let partition = OffsetForLeaderPartition::default()
        .with_current_leader_epoch(current)
        .with_leader_epoch(epoch);
    let topic = OffsetForLeaderTopic::default()
        .with_topic(name(TOPIC))
        .with_partitions(vec![partition]);
    let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
    let mut answer = client.call(3, &request).await;
    answer.topics.remove(0).partitions.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_restart_keeps_the_epoch_and_another_fences_old_clients() {
    let folder = folder();
    let first = broker(&folder).await;
    create(first.addr(), TOPIC, &[]).await;
    assert_eq!(
        produce(&mut Client::to(first.addr()).await, TOPIC, records()).await,
        0
    );
    first.close().await;

    let second = broker(&folder).await;
    let mut client = Client::to(second.addr()).await;
    assert_eq!(told(&mut client).await, 0);
    assert_eq!(fetch(&mut client, 0).await, 0);
    assert_eq!(produce(&mut client, TOPIC, records()).await, 0);
    drop(second);

    let third = start_after_drop(folder.path()).await;
    let mut client = Client::to(third.addr()).await;
    assert_eq!(told(&mut client).await, 1);
    assert_eq!(produce(&mut client, TOPIC, records()).await, 0);
    for (epoch, expected) in [
        (-1, 0),
        (0, FENCED_LEADER_EPOCH),
        (1, 0),
        (2, UNKNOWN_LEADER_EPOCH),
    ] {
        assert_eq!(fetch(&mut client, epoch).await, expected, "{epoch}");
        assert_eq!(list(&mut client, epoch).await, expected, "{epoch}");
        let end = end_of_epoch(&mut client, epoch, 0).await;
        assert_eq!(end.error_code, expected, "{epoch}");
    }
    let end = end_of_epoch(&mut client, 1, 0).await;
    assert_eq!((end.leader_epoch, end.end_offset), (0, 6));
    let end = end_of_epoch(&mut client, 1, 1).await;
    assert_eq!((end.leader_epoch, end.end_offset), (1, 9));
    third.close().await;
}
