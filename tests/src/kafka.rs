//! A real Kafka for tests: where it is, topics of one's own, instances of one's own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use pipeline::kafka::{
    Delivered, Delivery, KafkaConfig, KafkaMetrics, PROPERTIES_VARIABLE, Sink, TopicSpec,
    delete_topics, ensure_topics,
};
use pipeline::record::Record;
use prometheus::Registry;

/// How long anything in a test may take before the test fails.
pub const PATIENCE: Duration = Duration::from_mins(4);

/// The broker the tests share: `KADR_TEST_KAFKA`, or the one of `script/kafka start`.
pub fn bootstrap() -> String {
    std::env::var("KADR_TEST_KAFKA").unwrap_or_else(|_| "127.0.0.1:19092".to_owned())
}

/// Our defaults on the shared broker; `KADR_KAFKA` sets further properties, as for the services.
pub fn config() -> KafkaConfig {
    let env = |name: &str| (name == PROPERTIES_VARIABLE).then(|| std::env::var(name).ok())?;
    KafkaConfig::from_settings(Some(&bootstrap()), &[], &env).expect("valid Kafka settings")
}

/// `RUST_LOG=pipeline=info,librdkafka=debug` shows what the clients of a failing test did.
fn log_if_asked() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_test_writer();
    // An error means that an earlier test of this process has set it up.
    drop(subscriber.try_init());
}

/// The shared broker's address with its port moved: TLS is one up, SASL over TLS is two up.
pub fn listener(ports_up: u16) -> String {
    let bootstrap = bootstrap();
    let first = bootstrap.split(',').next().expect("at least one broker");
    let (host, port) = first.rsplit_once(':').expect("host:port");
    let port: u16 = port.parse().expect("a port number");
    format!("{host}:{}", port + ports_up)
}

/// A file of the TLS set-up that `script/kafka` makes.
pub fn tls_file(name: &str) -> PathBuf {
    root().join(".kadr/kafka/tls").join(name)
}

/// Waits for a future, and fails the test naming what it waited for.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    let Ok(output) = tokio::time::timeout(PATIENCE, future).await else {
        panic!("waited {PATIENCE:?} in vain: {what}");
    };
    output
}

/// Waits until a condition holds.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(what, poll).await;
}

/// A name that no other test run uses.
pub fn unique(purpose: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let run = std::process::id();
    format!("t-{purpose}-{run}-{}-{count}", now.as_millis() % 1_000_000)
}

/// A topic that is deleted when the test ends.
pub struct TestTopic {
    kafka: KafkaConfig,
    name: String,
}

impl TestTopic {
    /// Makes a topic on the shared broker.
    pub async fn new(purpose: &str, partitions: i32) -> Self {
        let hour = Duration::from_hours(1);
        Self::on(
            &config(),
            TopicSpec::new(&unique(purpose), partitions, hour),
        )
        .await
    }

    /// Makes the given topic on the given broker.
    pub async fn on(kafka: &KafkaConfig, spec: TopicSpec) -> Self {
        let made = ensure_topics(kafka, std::slice::from_ref(&spec), Duration::from_secs(10)).await;
        if let Err(error) = made {
            panic!("the system tests need a real Kafka: run script/kafka start ({error})");
        }
        Self {
            kafka: kafka.clone(),
            name: spec.name,
        }
    }

    /// The topic's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TestTopic {
    fn drop(&mut self) {
        let (kafka, name) = (self.kafka.clone(), std::mem::take(&mut self.name));
        // A test's runtime cannot block inside itself.
        let deletion = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.expect("a runtime");
            runtime.block_on(delete_topics(&kafka, &[&name])).err()
        });
        match deletion.join() {
            Ok(None) => {}
            Ok(Some(error)) => eprintln!("test topic not deleted: {error}"),
            Err(_) => eprintln!("test topic not deleted: the deletion panicked"),
        }
    }
}

/// A Kafka of the test's own, which it may stop; wiped when the test ends.
pub struct Instance {
    name: String,
    bootstrap: String,
}

impl Instance {
    /// Starts a broker on free ports.
    pub fn start(purpose: &str) -> Self {
        let name = format!("t-{purpose}-{}", std::process::id());
        let bootstrap = script(&["start", "--instance", &name, "--port", "auto"]);
        Self { name, bootstrap }
    }

    /// Our defaults on this broker.
    pub fn config(&self) -> KafkaConfig {
        KafkaConfig::new(&self.bootstrap).expect("a broker list")
    }

    /// Stops the broker, keeping its data.
    pub fn stop(&self) {
        script(&["stop", "--instance", &self.name]);
    }

    /// Kills the broker, as a power cut would end it.
    pub fn kill(&self) {
        script(&["stop", "--instance", &self.name, "--kill"]);
    }

    /// The address of the broker.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Starts it again with its data, on the same ports.
    pub fn start_again(&self) {
        script(&["start", "--instance", &self.name]);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        script(&["wipe", "--instance", &self.name]);
    }
}

/// Runs `script/kafka` and returns the broker list it printed, if any.
fn script(arguments: &[&str]) -> String {
    let output = Command::new(root().join("script/kafka"))
        .args(arguments)
        .output();
    let output = output.expect("script/kafka can be run");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "script/kafka {arguments:?} failed: {stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let last = stdout.lines().last().unwrap_or_default();
    last.strip_prefix("bootstrap ")
        .unwrap_or_default()
        .to_owned()
}

/// The root of the repository.
pub fn root() -> &'static Path {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    parent.expect("the crate lies in the repository")
}

/// Metrics on a registry of their own.
pub fn metrics() -> (Registry, KafkaMetrics) {
    log_if_asked();
    let registry = Registry::new();
    let metrics = KafkaMetrics::register(&registry).expect("a fresh registry");
    (registry, metrics)
}

/// The sum of a metric over all its labels; `None` when it is not there.
pub fn metric(registry: &Registry, name: &str) -> Option<f64> {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name)?;
    let value = |metric: &prometheus::proto::Metric| {
        metric.get_counter().get_value() + metric.get_gauge().get_value()
    };
    Some(family.get_metric().iter().map(value).sum())
}

/// A record whose value is the number, as text.
pub fn numbered(key: &str, number: u64) -> Record {
    Record {
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: Bytes::from(number.to_string()),
        headers: vec![("ce_id".to_owned(), Bytes::from(format!("{key}-{number}")))],
    }
}

/// The number that [`numbered`] put into a record.
pub fn number_of(record: &Record) -> u64 {
    let text = std::str::from_utf8(&record.value).expect("a numbered record");
    text.parse().expect("a numbered record")
}

/// A sink on the given broker.
pub fn sink(kafka: &KafkaConfig) -> Sink {
    Sink::start(kafka, &metrics().1).expect("a sink")
}

/// Waits for an acknowledgement.
pub async fn acknowledged(delivery: Delivery) -> Delivered {
    within("a delivery report", delivery)
        .await
        .expect("the record is acknowledged")
}

/// Sends the numbers `0..count` in turn to every key, and waits for all acknowledgements.
pub async fn send_numbered(sink: &Sink, topic: &str, keys: &[&str], count: u64) {
    let mut deliveries = Vec::new();
    for number in 0..count {
        for key in keys {
            let sent = sink
                .send_when_room(topic, None, &numbered(key, number))
                .await;
            deliveries.push(sent.expect("the sink takes the record"));
        }
    }
    for delivery in deliveries {
        acknowledged(delivery).await;
    }
}
