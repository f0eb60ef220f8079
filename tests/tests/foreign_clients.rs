//! Clients that are not ours (see `tests/clients`) against Apache Kafka and against our own broker.

use std::process::{Output, Stdio};
use std::time::Duration;

use tests::kafka::{bootstrap, root};
use tokio::process::Command;

/// A driver's deadline: with its fetching, and on a machine that is busy elsewhere.
const PATIENCE: Duration = Duration::from_mins(15);

/// What a driver prints once every check of its own went well.
const ALL_PASSED: &str = "all checks passed";

/// Runs a driver to its end against a broker.
async fn drive(client: &str, broker: &str) -> Output {
    let running = Command::new(root().join("tests/clients/run"))
        .args([client, broker])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let Ok(output) = tokio::time::timeout(PATIENCE, running).await else {
        panic!("{client} did not end in {PATIENCE:?}");
    };
    output.expect("tests/clients/run can be run")
}

/// Every check of the driver holds.
async fn works(client: &str, broker: &str) {
    let output = drive(client, broker).await;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last = stdout.lines().last();
    assert!(
        output.status.success() && last == Some(ALL_PASSED),
        "{client}: {}\n{stdout}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn confluent_kafka_works_with_apache_kafka() {
    works("confluent-kafka", &bootstrap()).await;
}

#[tokio::test]
async fn kafka_python_works_with_apache_kafka() {
    works("kafka-python", &bootstrap()).await;
}

#[tokio::test]
async fn kafkajs_works_with_apache_kafka() {
    works("kafkajs", &bootstrap()).await;
}

#[tokio::test]
async fn the_console_tools_work_with_apache_kafka() {
    works("console", &bootstrap()).await;
}

/// Our own broker, running for as long as this lives.
struct Embedded {
    address: String,
}

/// EMBEDDED: the one place that starts our own broker for these tests. Until it does, they fail.
#[expect(clippy::unused_async, reason = "starting the broker awaits")]
async fn embedded() -> Embedded {
    panic!("the embedded broker is not started here yet")
}

#[tokio::test]
async fn confluent_kafka_works_with_our_broker() {
    works("confluent-kafka", &embedded().await.address).await;
}

#[tokio::test]
async fn kafka_python_works_with_our_broker() {
    works("kafka-python", &embedded().await.address).await;
}

#[tokio::test]
async fn kafkajs_works_with_our_broker() {
    works("kafkajs", &embedded().await.address).await;
}

#[tokio::test]
async fn the_console_tools_work_with_our_broker() {
    works("console", &embedded().await.address).await;
}

/// A driver that cannot reach its broker must fail, or its other verdicts mean nothing.
#[tokio::test]
async fn a_driver_without_a_broker_fails() {
    // Port 1 of the loopback: nothing of ours ever listens there.
    let output = drive("console", "127.0.0.1:1").await;
    assert!(!output.status.success());
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("FAILED"), "{stdout}");
}
