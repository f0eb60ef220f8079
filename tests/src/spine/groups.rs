//! How far the services have committed, asked of the broker.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::task::spawn_blocking;

use super::Spine;
use crate::kafka::within;

/// One request to the broker.
const REQUEST: Duration = Duration::from_secs(10);

/// The greatest offset that any group of this spine's services has committed, for each partition of a
/// topic with one.
pub async fn committed(spine: &Spine, topic: &str) -> HashMap<i32, i64> {
    let (bootstrap, prefix) = (spine.bootstrap.clone(), spine.prefix.clone());
    let topic = topic.to_owned();
    let looked_up = spawn_blocking(move || {
        let mut committed = HashMap::new();
        for group in groups(&bootstrap, &prefix) {
            for (partition, offset) in committed_by(&bootstrap, &group, &topic) {
                let greatest = committed.entry(partition).or_insert(offset);
                *greatest = offset.max(*greatest);
            }
        }
        committed
    });
    looked_up.await.expect("no panic")
}

/// Waits until everything on a topic is committed.
pub async fn all_committed(spine: &Spine, topic: &str) -> HashMap<i32, i64> {
    let poll = async {
        loop {
            let committed = committed(spine, topic).await;
            let ends = spine.recorder.ends_of(topic).await;
            let is_done = |(partition, end): (&i32, &i64)| {
                *end == 0 || committed.get(partition).is_some_and(|offset| offset >= end)
            };
            if ends.iter().all(is_done) {
                return committed;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within(&format!("all of {topic} is committed"), poll).await
}

/// Groups are named after the topics they read.
fn groups(bootstrap: &str, prefix: &str) -> Vec<String> {
    let client = client(bootstrap, "unused");
    let list = client
        .fetch_group_list(None, REQUEST)
        .expect("the broker answers");
    let names = list.groups().iter().map(|group| group.name().to_owned());
    names.filter(|name| name.contains(prefix)).collect()
}

fn committed_by(bootstrap: &str, group: &str, topic: &str) -> Vec<(i32, i64)> {
    let client = client(bootstrap, group);
    let metadata = client
        .fetch_metadata(Some(topic), REQUEST)
        .expect("the broker answers");
    let mut partitions = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        partitions.add_partition(topic, partition.id());
    }
    let answer = client
        .committed_offsets(partitions, REQUEST)
        .expect("the broker answers");
    let offsets = answer.elements().into_iter();
    let offsets = offsets.filter_map(|element| match element.offset() {
        Offset::Offset(offset) => Some((element.partition(), offset)),
        _ => None,
    });
    offsets.collect()
}

fn client(bootstrap: &str, group: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group);
    config.create().expect("a client")
}
