//! Topic admin: makes the topics that are missing, checks those that exist, changes none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataBroker, MetadataTopic};

use super::link::{Link, LinkSender};
use super::properties::{KafkaConfig, client_error_text};
use super::topic_spec::TopicSpec;

/// One request to the brokers.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between looks at the metadata.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Events served after each look: log lines of many attempts to connect, and the errors among them.
const EVENTS_PER_LOOK: usize = 1000;
/// Replication factor as the cluster is configured.
const CLUSTER_DEFAULT: i32 = -1;

/// Why the topics are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// librdkafka refused the settings.
    #[error("cannot talk to Kafka: {0}")]
    Client(String),
    /// No broker answered.
    #[error("no Kafka broker answers at {brokers}: {reason}")]
    Unreachable {
        /// The broker list.
        brokers: String,
        /// What was heard last.
        reason: String,
    },
    /// A topic could not be created or looked at.
    #[error("cannot {action} topic {topic}: {reason}")]
    Topic {
        /// What was tried.
        action: &'static str,
        /// Topic name.
        topic: String,
        /// The broker's answer.
        reason: String,
    },
    /// A new topic has no leader yet.
    #[error("topic {0} has no leader for every partition yet; is a broker down?")]
    NoLeader(String),
    /// Topics exist, but differently.
    #[error("{}", .0.join("; "))]
    Mismatch(Vec<String>),
}

/// Creates the missing topics and waits until they have leaders; checks the others and names
/// every difference, one line each. Waits up to `patience` for a broker to answer at all.
pub async fn ensure_topics(
    kafka: &KafkaConfig,
    specs: &[TopicSpec],
    patience: Duration,
) -> Result<(), AdminError> {
    let admin = Admin::new(kafka)?;
    let deadline = Instant::now() + patience;
    let metadata = admin.first_answer(deadline).await?;
    let is_there = |spec: &&TopicSpec| topic_of(&metadata, &spec.name).is_some();
    let (existing, missing): (Vec<_>, Vec<_>) = specs.iter().partition(is_there);
    // Another service may create the same topics right now: what it was faster with is checked.
    let raced = admin.create(&missing).await?;
    let metadata = admin.wait_for_leaders(specs, deadline).await?;
    let mut complaints = Vec::new();
    for spec in existing.into_iter().chain(raced) {
        let topic = topic_of(&metadata, &spec.name);
        let partitions = topic.map_or(0, |topic| topic.partitions().len());
        complaints.extend(spec.complaints(partitions, &admin.describe(&spec.name).await?));
    }
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(AdminError::Mismatch(complaints))
    }
}

/// How brokers and topics stand, as far as [`ensure_topics`] would care.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicReport {
    /// The brokers of the cluster, as host:port.
    pub brokers: Vec<String>,
    /// Topics that are not there and would be created.
    pub missing: Vec<String>,
    /// Topics without a leader for every partition.
    pub leaderless: Vec<String>,
    /// One line for each way in which an existing topic differs, with what to do.
    pub differences: Vec<String>,
}

/// Looks at what [`ensure_topics`] would check, and changes nothing.
pub async fn look_at_topics(
    kafka: &KafkaConfig,
    specs: &[TopicSpec],
    patience: Duration,
) -> Result<TopicReport, AdminError> {
    let admin = Admin::new(kafka)?;
    let metadata = admin.first_answer(Instant::now() + patience).await?;
    let address = |broker: &MetadataBroker| format!("{}:{}", broker.host(), broker.port());
    let mut report = TopicReport {
        brokers: metadata.brokers().iter().map(address).collect(),
        ..TopicReport::default()
    };
    for spec in specs {
        let Some(topic) = topic_of(&metadata, &spec.name) else {
            report.missing.push(spec.name.clone());
            continue;
        };
        if !has_leaders(topic) {
            report.leaderless.push(spec.name.clone());
        }
        let settings = admin.describe(&spec.name).await?;
        let complaints = spec.complaints(topic.partitions().len(), &settings);
        report.differences.extend(complaints);
    }
    Ok(report)
}

/// Deletes topics; those that do not exist are no error.
pub async fn delete_topics(kafka: &KafkaConfig, names: &[&str]) -> Result<(), AdminError> {
    let admin = Admin::new(kafka)?;
    let results = admin.client.delete_topics(names, &options()).await;
    for result in results.map_err(|error| admin.unreachable(&error))? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err((topic, code)) => return Err(topic_error("delete", &topic, code)),
        }
    }
    Ok(())
}

struct Admin {
    client: AdminClient<DefaultClientContext>,
    /// Looks at metadata. An admin client never serves its errors, and they tell why no broker
    /// answers.
    probe: Arc<BaseConsumer<ProbeContext>>,
    brokers: String,
}

struct ProbeContext {
    link: LinkSender,
}

impl ConsumerContext for ProbeContext {}

impl ClientContext for ProbeContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.link.logged(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.link.heard(&error, reason);
    }

    fn stats(&self, _: rdkafka::Statistics) {}
}

impl Admin {
    fn new(kafka: &KafkaConfig) -> Result<Self, AdminError> {
        let refused = |error: KafkaError| AdminError::Client(client_error_text(&error));
        let link = LinkSender::default();
        let probe = kafka.admin().create_with_context(ProbeContext { link });
        Ok(Self {
            client: kafka.admin().create().map_err(refused)?,
            probe: Arc::new(probe.map_err(refused)?),
            brokers: kafka.brokers().to_owned(),
        })
    }

    /// The metadata of all topics. Asking for one topic by name could create it.
    async fn metadata(&self) -> Result<Metadata, KafkaError> {
        let probe = Arc::clone(&self.probe);
        let fetch = move || {
            let fetched = probe.fetch_metadata(None, REQUEST_TIMEOUT);
            for _ in 0..EVENTS_PER_LOOK {
                // Serves the callbacks; there are no messages.
                drop(probe.poll(Duration::ZERO));
            }
            fetched
        };
        let fetched = tokio::task::spawn_blocking(fetch).await;
        fetched.unwrap_or(Err(KafkaError::Canceled))
    }

    async fn first_answer(&self, deadline: Instant) -> Result<Metadata, AdminError> {
        loop {
            match self.metadata().await {
                Ok(metadata) => return Ok(metadata),
                Err(error) if Instant::now() >= deadline => return Err(self.unreachable(&error)),
                Err(error) => tracing::info!(%error, "waiting for a kafka broker"),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn unreachable(&self, error: &KafkaError) -> AdminError {
        // The callback heard the cause, such as a refused certificate; the call only its outcome.
        let reason = match &*self.probe.context().link.subscribe().borrow() {
            Link::Down(reason) => reason.clone(),
            Link::Connecting | Link::Up => error.to_string(),
        };
        AdminError::Unreachable {
            brokers: self.brokers.clone(),
            reason,
        }
    }

    /// Creates topics; returns those that somebody else created meanwhile.
    async fn create<'a>(&self, specs: &[&'a TopicSpec]) -> Result<Vec<&'a TopicSpec>, AdminError> {
        if specs.is_empty() {
            return Ok(Vec::new());
        }
        let settings: Vec<_> = specs.iter().map(|spec| spec.settings()).collect();
        let new_topics = specs.iter().zip(&settings).map(|(spec, settings)| {
            let replication = TopicReplication::Fixed(CLUSTER_DEFAULT);
            let topic = NewTopic::new(&spec.name, spec.partitions, replication);
            settings
                .iter()
                .fold(topic, |topic, (key, value)| topic.set(key, value))
        });
        let new_topics: Vec<_> = new_topics.collect();
        let results = self.client.create_topics(&new_topics, &options()).await;
        let mut raced = Vec::new();
        for result in results.map_err(|error| self.unreachable(&error))? {
            match result {
                Ok(topic) => tracing::info!(topic, "kafka topic created"),
                Err((topic, RDKafkaErrorCode::TopicAlreadyExists)) => {
                    raced.extend(specs.iter().copied().filter(|spec| spec.name == topic));
                }
                Err((topic, code)) => return Err(topic_error("create", &topic, code)),
            }
        }
        Ok(raced)
    }

    async fn wait_for_leaders(
        &self,
        specs: &[TopicSpec],
        deadline: Instant,
    ) -> Result<Metadata, AdminError> {
        loop {
            let metadata = self
                .metadata()
                .await
                .map_err(|error| self.unreachable(&error))?;
            let ready =
                |spec: &&TopicSpec| topic_of(&metadata, &spec.name).is_some_and(has_leaders);
            let Some(waiting) = specs.iter().find(|spec| !ready(spec)) else {
                return Ok(metadata);
            };
            if Instant::now() >= deadline {
                return Err(AdminError::NoLeader(waiting.name.clone()));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn describe(&self, topic: &str) -> Result<ConfigResource, AdminError> {
        let resource = [ResourceSpecifier::Topic(topic)];
        let results = self.client.describe_configs(&resource, &options()).await;
        let mut results = results.map_err(|error| self.unreachable(&error))?;
        match results.pop() {
            Some(Ok(settings)) => Ok(settings),
            Some(Err(code)) => Err(topic_error("look at", topic, code)),
            None => Err(topic_error(
                "look at",
                topic,
                RDKafkaErrorCode::UnknownTopicOrPartition,
            )),
        }
    }
}

fn options() -> AdminOptions {
    let timeout = Some(REQUEST_TIMEOUT);
    AdminOptions::new()
        .request_timeout(timeout)
        .operation_timeout(timeout)
}

fn topic_error(action: &'static str, topic: &str, code: RDKafkaErrorCode) -> AdminError {
    AdminError::Topic {
        action,
        topic: topic.to_owned(),
        reason: code.to_string(),
    }
}

fn topic_of<'a>(metadata: &'a Metadata, name: &str) -> Option<&'a MetadataTopic> {
    metadata.topics().iter().find(|topic| topic.name() == name)
}

fn has_leaders(topic: &MetadataTopic) -> bool {
    let partitions = topic.partitions();
    !partitions.is_empty() && partitions.iter().all(|partition| partition.leader() >= 0)
}
