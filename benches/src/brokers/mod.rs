//! The embedded broker and Apache Kafka, started, fed and read in the same way.

pub mod contender;
pub mod latency;
pub mod throughput;

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};

/// Partitions of every topic measured.
pub const PARTITIONS: i32 = 4;

/// Longer than anything here should take; a benchmark that hangs is worse than one that fails.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// When records reach the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// When the operating system likes: Apache Kafka's default, and that of `kadr.live`.
    Background,
    /// Before each is acknowledged: the embedded broker's default.
    EveryRecord,
}

impl Flush {
    pub(crate) fn messages(self) -> &'static str {
        match self {
            Self::Background => "9223372036854775807",
            Self::EveryRecord => "1",
        }
    }
}

/// The settings of every client here.
pub fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .set("message.max.bytes", "8000000")
        .set("queue.buffering.max.kbytes", "65536")
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "5");
    config
}

pub(crate) fn admin(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    client(bootstrap).create().expect("an admin client")
}

/// Makes a topic that keeps all it is given.
pub async fn create_topic(bootstrap: &str, name: &str, flush: Flush) {
    let topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1))
        .set("retention.bytes", "-1")
        .set("segment.bytes", "67108864")
        .set("max.message.bytes", "8000000")
        .set("flush.messages", flush.messages());
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let created = admin(bootstrap).create_topics([&topic], &options).await;
    created.expect("brokers that answer")[0]
        .as_ref()
        .expect("a new topic");
}

/// Deletes a topic and its records.
pub async fn delete_topic(bootstrap: &str, name: &str) {
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let deleted = admin(bootstrap).delete_topics(&[name], &options).await;
    deleted.expect("brokers that answer")[0]
        .as_ref()
        .expect("a topic that was there");
}
