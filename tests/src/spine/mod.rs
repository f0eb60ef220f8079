//! The spine under test: services in processes of their own, on topics of the test's own.
//!
//! - this file: the topics, the broker and the services of one test
//! - `service`: one process, its ports, its health and its metrics; ended or killed
//! - `http`: requests and answers
//! - `uploads`: the gateway as a client sees it
//! - `live`: the viewer's WebSocket, without a browser
//! - `recorder`: every record on the topics, as any Kafka client reads them
//! - `groups`: how far the services have committed
//! - `invariants`: what must hold of them, whatever happened
//! - `pictures`: belts with their truth, and small and broken pictures

pub mod groups;
pub mod http;
pub mod invariants;
pub mod live;
pub mod pictures;
pub mod recorder;
pub mod service;
pub mod uploads;

use std::path::PathBuf;

use pipeline::kafka::{KafkaConfig, frame_topics};
use pipeline::topic::Topics;
use tokio::sync::{Mutex, MutexGuard};

use self::recorder::Recorder;
use self::service::Service;
use self::uploads::Gateway;
use crate::kafka::{self, TestTopic, root, unique};
use crate::process::BrokerProcess;

/// Many processes at once would only slow each other down.
static TURN: Mutex<()> = Mutex::const_new(());

/// Which broker carries the spine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The Kafka that the tests share.
    ApacheKafka,
    /// One of our own, in a process of its own.
    EmbeddedBroker,
}

/// Topics of a test's own, all that is written there, and the services that work on them.
pub struct Spine {
    kafka: KafkaConfig,
    bootstrap: String,
    prefix: String,
    models: PathBuf,
    default_model: String,
    /// Variables that the services are started with.
    variables: Vec<(String, String)>,
    /// Everything on the topics, from before the first service.
    pub recorder: Recorder,
    // Dropped in this order: topics go before the broker they are on.
    _topics: Vec<TestTopic>,
    _broker: Option<BrokerProcess>,
    _turn: MutexGuard<'static, ()>,
}

impl Spine {
    /// With the model that finds parts on belts.
    pub async fn with_parts(on: On, purpose: &str) -> Self {
        Self::new(on, purpose, (root().join("models"), "parts")).await
    }

    /// With a graph of a few nodes that finds one square in every picture: as quick as can be.
    pub async fn with_quick_model(on: On, purpose: &str) -> Self {
        Self::new(on, purpose, (quick_models(), "square")).await
    }

    async fn new(on: On, purpose: &str, (models, model): (PathBuf, &str)) -> Self {
        let turn = TURN.lock().await;
        let (bootstrap, broker) = match on {
            On::ApacheKafka => (kafka::bootstrap(), None),
            On::EmbeddedBroker => {
                let broker = BrokerProcess::start(purpose, &[]);
                (broker.address().to_owned(), Some(broker))
            }
        };
        let kafka = KafkaConfig::new(&bootstrap).expect("a broker list");
        let prefix = unique(purpose);
        let names = Topics::new(&prefix).expect("a legal prefix");
        let mut topics = Vec::new();
        for spec in frame_topics(&names) {
            topics.push(TestTopic::on(&kafka, spec).await);
        }
        Self {
            recorder: Recorder::start(&kafka, names).await,
            kafka,
            bootstrap,
            prefix,
            models,
            default_model: model.to_owned(),
            variables: Vec::new(),
            _topics: topics,
            _broker: broker,
            _turn: turn,
        }
    }

    /// Sets a variable for all services that are started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// How clients of the test's own reach the broker.
    pub fn kafka(&self) -> &KafkaConfig {
        &self.kafka
    }

    /// The names of the topics.
    pub fn topics(&self) -> &Topics {
        self.recorder.topics()
    }

    /// Starts a gateway and waits until it is ready.
    pub async fn gateway(&self) -> Gateway {
        let models = self.models.display().to_string();
        let options = ["--models", &models, "--model", &self.default_model];
        let service = self.with_web_port("gateway", &options).await;
        Gateway::new(service).await
    }

    /// Starts a detector and waits until its model is loaded and Kafka answers.
    pub async fn detector(&self, options: &[&str]) -> Service {
        let models = self.models.display().to_string();
        let mut all = vec!["--models", &models, "--model", &self.default_model];
        // More threads than a test machine has cores to spare only wait for each other.
        all.extend(["--model-threads", "1"]);
        all.extend(options);
        self.service("detector", &all).await
    }

    /// Starts a viewer and waits until it is ready.
    pub async fn viewer(&self) -> Service {
        self.with_web_port("viewer", &[]).await
    }

    /// Starts cameras, each `name=address`, and waits until they are ready.
    pub async fn cameras(&self, sources: &[&str]) -> Service {
        let flags: Vec<&str> = sources
            .iter()
            .flat_map(|source| ["--source", source])
            .collect();
        self.with_web_port("camera", &flags).await
    }

    async fn with_web_port(&self, name: &str, options: &[&str]) -> Service {
        let mut all = vec!["--listen", "127.0.0.1:0"];
        all.extend(options);
        self.service(name, &all).await
    }

    async fn service(&self, name: &str, options: &[&str]) -> Service {
        let mut arguments = vec![name, "--brokers", &self.bootstrap];
        arguments.extend(["--topic-prefix", &self.prefix]);
        arguments.extend(options);
        let service = Service::start_with(&arguments, &self.variables).await;
        service.ready().await;
        service
    }
}

/// The models that the detector's own tests make.
fn quick_models() -> PathBuf {
    root().join("detector/tests/fixtures/graphs")
}
