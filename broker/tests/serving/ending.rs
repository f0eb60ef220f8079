//! The end of a broker, and of clients in the middle of something.

use std::path::Path;

use broker::{Broker, BrokerConfig};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::{CreateTopicsRequest, MetadataRequest};
use tokio::time::timeout;

use crate::common::{PATIENCE, broker, call, create_topic, end_of, folder, records};
use crate::epochs::start_after_drop;
use crate::support::{Client, TOPIC, create, fetch_request, large, name, produce, topics};

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_broker_lets_go_of_its_clients_and_its_folder() {
    let folder = folder();
    let first = broker(&folder).await;
    create(first.addr(), TOPIC, &[]).await;
    let mut client = Client::to(first.addr()).await;
    assert_eq!(produce(&mut client, TOPIC, records()).await, 0);
    let mut waiting = Client::to(first.addr()).await;
    waiting.send(12, &fetch_request(TOPIC, 3)).await;
    drop(first);
    while client.next().await.is_some() {}
    while waiting.next().await.is_some() {}

    let second = start_after_drop(folder.path()).await;
    assert_eq!(end_of(second.addr(), TOPIC).await, 3);
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_no_answers_does_not_keep_the_broker_from_closing_well() {
    let folder = folder();
    let first = broker(&folder).await;
    create(first.addr(), TOPIC, &[("max.message.bytes", "20000000")]).await;
    let mut client = Client::to(first.addr()).await;
    // More than the system takes off the broker's hands for a client that does not read.
    assert_eq!(produce(&mut client, TOPIC, large(16 << 20)).await, 0);
    let mut deaf = Client::to(first.addr()).await;
    deaf.send(12, &fetch_request(TOPIC, 0)).await;
    deaf.until_answered().await;
    timeout(PATIENCE, first.close())
        .await
        .expect("closed in time");
    let second = broker(&folder).await;
    let request = MetadataRequest::default().with_topics(None);
    let told = call(second.addr(), 12, &request).await;
    assert_eq!(
        told.topics[0].partitions[0].leader_epoch, 0,
        "it was closed well"
    );
    second.close().await;
    drop(deaf);
}

/// Whether the broker has begun to make a topic.
fn is_begun(folder: &Path, topic: &str) -> bool {
    let folders = std::fs::read_dir(folder.join("logs")).unwrap();
    let mut names = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.any(|name| name.starts_with(&format!("{topic}~")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_made_wholly_even_if_its_client_is_gone() {
    let folder = folder();
    let first = broker(&folder).await;
    for round in 0..10 {
        let mut client = Client::to(first.addr()).await;
        let topic = format!("t{round}");
        let made = CreatableTopic::default()
            .with_name(name(&topic))
            .with_num_partitions(20)
            .with_replication_factor(1);
        client
            .send(5, &CreateTopicsRequest::default().with_topics(vec![made]))
            .await;
        let begun = async {
            while !is_begun(folder.path(), &topic) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, begun).await.expect("begun in time");
        drop(client);
        // Changes are made one after the other, so this one ends after it.
        create(first.addr(), &format!("behind-{round}"), &[]).await;
    }
    let before = topics(first.addr()).await;
    assert_eq!(before.len(), 20);
    first.close().await;
    let second = broker(&folder).await;
    assert_eq!(topics(second.addr()).await, before);
    let folders = std::fs::read_dir(folder.path().join("logs"))
        .unwrap()
        .count();
    assert_eq!(folders, before.len());
    second.close().await;
}

#[tokio::test]
async fn a_folder_of_logs_without_its_journal_is_left_alone() {
    let folder = folder();
    let first = broker(&folder).await;
    create_topic(first.addr(), TOPIC).await;
    first.close().await;
    let journal = folder.path().join("journal");
    let kept = std::fs::read(&journal).unwrap();
    std::fs::remove_file(&journal).unwrap();
    let refused = Broker::start(BrokerConfig::new(folder.path())).await.err();
    let said = refused.expect("no journal").to_string();
    assert!(said.contains("put the journal back"), "{said}");
    std::fs::write(&journal, kept).unwrap();
    let second = broker(&folder).await;
    assert_eq!(topics(second.addr()).await.len(), 1);
    second.close().await;
}
