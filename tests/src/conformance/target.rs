//! What the suite runs against, and how it is started and stopped.

use std::fmt;
use std::sync::{Arc, Mutex};

use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, FindCoordinatorRequest, GroupId, ListOffsetsRequest,
    OffsetFetchRequest,
};
use pipeline::kafka::KafkaConfig;
use tokio::task::spawn_blocking;

use super::embedded;
use super::until_some;
use crate::kafka::{self, Instance, unique};
use crate::process::BrokerProcess;
use crate::wire::{Client, text};

/// Which broker answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The reference.
    ApacheKafka,
    /// The one in `broker`.
    Embedded,
}

/// A broker that lives as long as its targets.
enum Broker {
    ApacheKafka(Instance),
    Embedded(Arc<BrokerProcess>),
}

/// A broker to run cases against.
pub struct Target {
    kind: Kind,
    bootstrap: String,
    /// None for a Kafka that somebody else has started.
    broker: Option<Arc<Broker>>,
    is_own: bool,
    topics: Mutex<Vec<String>>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.kind, self.bootstrap)
    }
}

impl Target {
    /// The broker that all cases of a run share.
    pub fn shared(kind: Kind) -> Self {
        match kind {
            Kind::ApacheKafka => Self::new(kind, &kafka::bootstrap(), None),
            Kind::Embedded => {
                let embedded = embedded::shared();
                let address = embedded.address().to_owned();
                Self::new(kind, &address, Some(Broker::Embedded(embedded)))
            }
        }
    }

    /// A broker of the same kind that a case may stop.
    pub async fn own(&self, purpose: &str) -> Self {
        let (kind, purpose) = (self.kind, purpose.to_owned());
        let start = move || match kind {
            Kind::ApacheKafka => {
                let instance = Instance::start(&purpose);
                (
                    instance.bootstrap().to_owned(),
                    Broker::ApacheKafka(instance),
                )
            }
            Kind::Embedded => {
                let embedded = Arc::new(BrokerProcess::start(&purpose, &[]));
                (embedded.address().to_owned(), Broker::Embedded(embedded))
            }
        };
        let (bootstrap, broker) = spawn_blocking(start).await.unwrap();
        let own = Self::new(kind, &bootstrap, Some(broker));
        Self {
            is_own: true,
            ..own
        }
    }

    fn new(kind: Kind, bootstrap: &str, broker: Option<Broker>) -> Self {
        Self {
            kind,
            bootstrap: bootstrap.to_owned(),
            broker: broker.map(Arc::new),
            is_own: false,
            topics: Mutex::default(),
        }
    }

    /// Whether this is the broker of `broker`, which leaves some things to Apache Kafka.
    pub fn is_embedded(&self) -> bool {
        self.kind == Kind::Embedded
    }

    /// Where it listens.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Our client defaults on this broker.
    pub fn config(&self) -> KafkaConfig {
        KafkaConfig::new(&self.bootstrap).expect("a broker list")
    }

    /// A connection to it.
    pub async fn client(&self) -> Client {
        Client::connect(&self.bootstrap).await
    }

    /// Stops the broker in an orderly way, keeping its data.
    pub async fn stop(&self) {
        self.with_own(|broker| match broker {
            Broker::ApacheKafka(instance) => instance.stop(),
            Broker::Embedded(embedded) => embedded.stop(),
        })
        .await;
    }

    /// Kills it.
    pub async fn kill(&self) {
        self.with_own(|broker| match broker {
            Broker::ApacheKafka(instance) => instance.kill(),
            Broker::Embedded(embedded) => embedded.kill(),
        })
        .await;
    }

    /// Starts it again with its data, at the same address.
    pub async fn start_again(&self) {
        self.with_own(|broker| match broker {
            Broker::ApacheKafka(instance) => instance.start_again(),
            Broker::Embedded(embedded) => embedded.start_again(),
        })
        .await;
    }

    async fn with_own(&self, act: impl FnOnce(&Broker) + Send + 'static) {
        assert!(self.is_own, "a shared broker is not stopped");
        let broker = self.broker.as_ref().map(Arc::clone);
        let broker = broker.expect("own brokers are started here");
        spawn_blocking(move || act(&broker)).await.unwrap();
    }

    /// Makes a topic, ready to use; it is deleted when the case ends.
    pub async fn topic(&self, purpose: &str, partitions: i32) -> String {
        self.topic_with(purpose, partitions, &[]).await
    }

    /// The same with settings.
    pub async fn topic_with(
        &self,
        purpose: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> String {
        let name = unique(purpose);
        self.create(&name, partitions, settings).await;
        name
    }

    /// Makes the topic of this name, ready to use.
    pub async fn create(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        self.topics.lock().unwrap().push(name.to_owned());
        let setting = |(name, value): &(&str, &str)| {
            CreatableTopicConfig::default()
                .with_name(text(*name))
                .with_value(Some(text(*value)))
        };
        let topic = CreatableTopic::default()
            .with_name(text(name).into())
            .with_num_partitions(partitions)
            .with_replication_factor(-1)
            .with_configs(settings.iter().map(setting).collect());
        let request = CreateTopicsRequest::default()
            .with_timeout_ms(10_000)
            .with_topics(vec![topic]);
        let created = self.client().await.call(5, &request).await;
        let created = &created.topics[0];
        assert_eq!(created.error_code, 0, "{name}: {:?}", created.error_message);
        self.until_ready(name, partitions).await;
    }

    /// Waits until every partition answers.
    pub async fn until_ready(&self, name: &str, partitions: i32) {
        let partition = |at| {
            ListOffsetsPartition::default()
                .with_partition_index(at)
                .with_timestamp(-1)
        };
        let topic = ListOffsetsTopic::default()
            .with_name(text(name).into())
            .with_partitions((0..partitions).map(partition).collect());
        let request = ListOffsetsRequest::default()
            .with_replica_id((-1).into())
            .with_topics(vec![topic]);
        until_some(&format!("topic {name} is ready"), async || {
            let offsets = self.client().await.call(4, &request).await;
            let partitions = &offsets.topics[0].partitions;
            partitions
                .iter()
                .all(|partition| partition.error_code == 0)
                .then_some(())
        })
        .await;
    }

    /// The name of a new group whose coordinator is at work.
    pub async fn group(&self, purpose: &str) -> String {
        let group = unique(purpose);
        let find = FindCoordinatorRequest::default().with_key(text(&*group));
        let fetch = OffsetFetchRequest::default()
            .with_group_id(GroupId(text(&*group)))
            .with_topics(Some(Vec::new()));
        until_some("the coordinator is at work", async || {
            let mut client = self.client().await;
            let found = client.call(3, &find).await.error_code;
            let fetched = client.call(5, &fetch).await.error_code;
            (found == 0 && fetched == 0).then_some(())
        })
        .await;
        group
    }

    /// Deletes the topics that a case has made.
    pub(super) async fn clean_up(&self) {
        let names = std::mem::take(&mut *self.topics.lock().unwrap());
        let topic =
            |name: &String| DeleteTopicState::default().with_name(Some(text(&**name).into()));
        let request = DeleteTopicsRequest::default()
            .with_timeout_ms(10_000)
            .with_topics(names.iter().map(topic).collect());
        if !names.is_empty() {
            self.client().await.call(6, &request).await;
        }
    }
}
