//! Tests of the sink against librdkafka's mock cluster with injected errors.
//!
//! The mock keeps 5 MiB per partition, knows no admin requests and no restart; what needs these
//! runs against a real Kafka in the system tests.

use bytes::Bytes;
use prometheus::Registry;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as Code};

use super::*;

type Mock = MockCluster<'static, DefaultProducerContext>;

const PATIENCE: Duration = Duration::from_mins(1);

fn start(properties: &[(&str, &str)]) -> (Mock, Sink, KafkaMetrics) {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("frames", 3, 1).unwrap();
    let mut kafka = KafkaConfig::new(&mock.bootstrap_servers()).unwrap();
    for (name, value) in properties {
        kafka = kafka.with(name, value).unwrap();
    }
    let metrics = KafkaMetrics::register(&Registry::new()).unwrap();
    let sink = Sink::start(&kafka, &metrics).unwrap();
    (mock, sink, metrics)
}

fn record(bytes: usize) -> Record {
    Record {
        key: Some(Bytes::from_static(b"cam-1")),
        value: Bytes::from(vec![7; bytes]),
        headers: vec![("ce_id".into(), Bytes::from_static(b"42"))],
    }
}

async fn answer(delivery: Delivery) -> Result<super::super::Delivered, SinkError> {
    tokio::time::timeout(PATIENCE, delivery)
        .await
        .expect("every delivery has an answer")
}

fn rebuilds(metrics: &KafkaMetrics) -> u64 {
    metrics.rebuilds_total.with_label_values(&["sink"]).get()
}

#[tokio::test]
async fn records_of_one_key_are_written_in_the_order_of_the_calls() {
    let (_mock, sink, metrics) = start(&[]);
    let sends: Vec<_> = (0..20)
        .map(|_| sink.send("frames", None, &record(100)).unwrap())
        .collect();
    let mut partitions = Vec::new();
    for (offset, delivery) in sends.into_iter().enumerate() {
        let delivered = answer(delivery).await.unwrap();
        assert_eq!(delivered.offset, offset as i64);
        partitions.push(delivered.partition);
    }
    partitions.dedup();
    assert_eq!(partitions.len(), 1, "one key, one partition");
    assert_eq!(metrics.sent_total.with_label_values(&["frames"]).get(), 20);
    assert_eq!(metrics.unacknowledged_bytes.get(), 0);
    sink.close(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn full_is_immediate_and_room_comes_back_with_the_deliveries() {
    // One record of 600 KB fits into 1 MB, a second one does not.
    let (mock, sink, metrics) = start(&[("queue.buffering.max.kbytes", "1000")]);
    mock.broker_round_trip_time(1, Duration::from_millis(500))
        .unwrap();
    let first = sink.send("frames", Some(0), &record(600_000)).unwrap();
    let error = sink.send("frames", Some(0), &record(600_000)).unwrap_err();
    assert!(
        matches!(
            error,
            SinkError::Full {
                limit: 1_024_000,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("at most 1024000 unacknowledged bytes"),
        "{error}"
    );
    let waiting = record(600_000);
    let second = sink.send_when_room("frames", Some(0), &waiting);
    let second = tokio::time::timeout(PATIENCE, second)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer(first).await.unwrap().offset, 0);
    assert_eq!(answer(second).await.unwrap().offset, 1);
    assert_eq!(
        metrics
            .send_errors_total
            .with_label_values(&["frames", "full"])
            .get(),
        1
    );
    sink.close(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn an_oversize_record_is_refused_with_both_numbers() {
    let (_mock, sink, _) = start(&[]);
    let error = sink.send("frames", None, &record(9_000_000)).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, SinkError::TooBig { .. }), "{text}");
    assert!(text.contains("topic frames takes 90001"), "{text}");
    assert!(
        text.contains("limit of 8388608 bytes (message.max.bytes)"),
        "{text}"
    );
    let largest = record(8_388_608 - 128 - 10 - 5 - 7);
    assert_eq!(wire::batch_bytes(&largest), sink.max_record_bytes());
    answer(sink.send("frames", None, &largest).unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_record_the_broker_finds_too_big_says_where_to_raise_the_limit() {
    let (mock, sink, metrics) = start(&[]);
    mock.request_errors(
        RDKafkaApiKey::Produce,
        &[Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE],
    );
    let error = answer(sink.send("frames", Some(0), &record(10)).unwrap())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            SinkError::TooBig {
                by: SizeLimit::Broker,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("max.message.bytes"), "{error}");
    answer(sink.send("frames", Some(0), &record(10)).unwrap())
        .await
        .unwrap();
    assert_eq!(rebuilds(&metrics), 0, "the client is as good as before");
}

#[tokio::test]
async fn errors_that_pass_are_retried_without_the_caller_noticing() {
    let (mock, sink, metrics) = start(&[]);
    mock.request_errors(
        RDKafkaApiKey::Produce,
        &[
            Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        ],
    );
    let delivered = answer(sink.send("frames", Some(0), &record(10)).unwrap())
        .await
        .unwrap();
    assert_eq!(delivered.offset, 0);
    assert_eq!(rebuilds(&metrics), 0);
}

#[tokio::test]
async fn after_a_fatal_error_everything_in_flight_is_broken_and_a_new_client_sends() {
    let (mock, sink, metrics) = start(&[]);
    mock.broker_round_trip_time(1, Duration::from_secs(30))
        .unwrap();
    let held: Vec<_> = (0..5)
        .map(|_| sink.send("frames", Some(0), &record(10)).unwrap())
        .collect();
    raise_fatal_error(&sink);
    for delivery in held {
        let error = answer(delivery).await.unwrap_err();
        assert!(matches!(error, SinkError::Broken { .. }), "{error}");
    }
    mock.broker_round_trip_time(1, Duration::ZERO).unwrap();
    let delivered = send_until_taken(&sink).await;
    assert_eq!(delivered.partition, 0);
    assert_eq!(rebuilds(&metrics), 1);
    assert_eq!(metrics.unacknowledged_bytes.get(), 0);
}

#[tokio::test]
async fn a_delivery_that_times_out_is_indefinite_and_costs_the_client() {
    let (mock, sink, metrics) = start(&[("delivery.timeout.ms", "1000")]);
    mock.broker_down(1).unwrap();
    let error = answer(sink.send("frames", Some(0), &record(10)).unwrap())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("delivery.timeout.ms"), "{error}");
    mock.broker_up(1).unwrap();
    send_until_taken(&sink).await;
    // The old client may still take that record: it is replaced once its poll returns.
    let deadline = Instant::now() + PATIENCE;
    while rebuilds(&metrics) == 0 {
        assert!(Instant::now() < deadline, "the client was never replaced");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn closing_flushes_and_then_refuses() {
    let (mock, sink, _) = start(&[]);
    mock.broker_round_trip_time(1, Duration::from_millis(300))
        .unwrap();
    let delivery = sink.send("frames", Some(0), &record(10)).unwrap();
    sink.close(PATIENCE).await.unwrap();
    assert_eq!(answer(delivery).await.unwrap().offset, 0);
    let error = sink.send("frames", Some(0), &record(10)).unwrap_err();
    assert!(error.to_string().contains("closed"), "{error}");
}

#[tokio::test]
async fn closing_without_a_broker_ends_at_the_deadline_and_says_what_is_lost() {
    let (mock, sink, _) = start(&[]);
    mock.broker_down(1).unwrap();
    let delivery = sink.send("frames", Some(0), &record(1000)).unwrap();
    let error = sink.close(Duration::from_millis(200)).await.unwrap_err();
    assert!(
        error.to_string().contains("bytes were not acknowledged"),
        "{error}"
    );
    let error = answer(delivery).await.unwrap_err();
    assert!(matches!(error, SinkError::Broken { .. }), "{error}");
}

/// Sends until a client takes the record: the old one may not be replaced yet.
async fn send_until_taken(sink: &Sink) -> super::super::Delivered {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let result = match sink.send("frames", Some(0), &record(10)) {
            Ok(delivery) => answer(delivery).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(delivered) => return delivered,
            Err(error) if Instant::now() >= deadline => panic!("never taken: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

fn raise_fatal_error(sink: &Sink) {
    let client = sink.shared.client.read().unwrap();
    let native = client.as_ref().unwrap().0.client().native_ptr();
    #[expect(unsafe_code, reason = "librdkafka's own hook for testing fatal errors")]
    // SAFETY: the client is alive while its lock is held, and the text is a C string.
    unsafe {
        let code = Code::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        rdkafka::bindings::rd_kafka_test_fatal_error(native, code, c"provoked".as_ptr());
    }
}
