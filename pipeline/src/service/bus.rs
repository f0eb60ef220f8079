//! What a service needs to talk Kafka, opened once a process and shared by all that runs in it.

use std::time::Duration;

use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    health::Part,
    run::Context,
    shutdown::{AnyError, Tasks},
};
use crate::{
    kafka::{KafkaConfig, KafkaMetrics, Link, Sink, SinkError, SinkStartError},
    topic::Topics,
};

/// The link is reported again this often even without news.
const LINK_INTERVAL: Duration = Duration::from_secs(1);
const LINK_DEADLINE: Duration = Duration::from_secs(15);

/// Kafka as a service sees it. Clones share one sink.
#[derive(Clone, Debug)]
pub struct Bus {
    /// Brokers and properties, for sources and tails.
    pub kafka: KafkaConfig,
    /// The names of the topics.
    pub topics: Topics,
    /// The way out.
    pub sink: Sink,
    /// What sources and the sink count.
    pub metrics: KafkaMetrics,
}

/// Why there is no bus.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The Kafka metrics were registered twice: a mistake in our code.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
    /// The sink did not start.
    #[error(transparent)]
    Sink(#[from] SinkStartError),
}

impl Bus {
    /// Starts the sink. Brokers that do not answer are no error here: see [`Bus::report`].
    pub fn open(kafka: KafkaConfig, topics: Topics, context: &Context) -> Result<Self, BusError> {
        let metrics = KafkaMetrics::register(context.metrics.registry())?;
        let sink = Sink::start(&kafka, &metrics)?;
        Ok(Self {
            kafka,
            topics,
            sink,
            metrics,
        })
    }

    /// Shows as the part `kafka` whether the brokers answer.
    pub fn report(&self, context: &Context, tasks: &mut Tasks) {
        let part = context.health.register("kafka", LINK_DEADLINE);
        let watching = report_link(self.sink.link(), part, context.shutdown.token());
        tasks.spawn("kafka link", async {
            watching.await;
            Ok::<_, AnyError>(())
        });
    }

    /// Waits up to `patience` until everything sent has its answer.
    pub async fn close(&self, patience: Duration) -> Result<(), SinkError> {
        self.sink.close(patience).await
    }
}

/// Tells a part whether the brokers answer, until `stop`.
pub async fn report_link(mut link: watch::Receiver<Link>, part: Part, stop: CancellationToken) {
    let reporting = async {
        loop {
            match &*link.borrow_and_update() {
                Link::Connecting => part.starting("connecting to the brokers"),
                Link::Up => part.ready(),
                Link::Down(reason) => part.not_ready(reason),
            }
            // Reported again even without news, so that only a stuck loop misses the deadline.
            if let Ok(Err(_client_gone)) = timeout(LINK_INTERVAL, link.changed()).await {
                return;
            }
        }
    };
    stop.run_until_cancelled(reporting).await;
    part.retire();
}
