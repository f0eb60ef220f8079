//! How many bytes a second go in and come out again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode,
};

use super::{PARTITIONS, PATIENCE, client};

/// Counts what the broker acknowledged.
#[derive(Clone, Default)]
struct Acknowledged(Arc<AtomicU64>);

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((cause, _record)) = result {
            panic!("a record was refused: {cause}");
        }
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sends `count` records of `bytes` each and waits until all are acknowledged.
pub fn produce(bootstrap: &str, topic: &str, count: u64, bytes: usize) -> Duration {
    let acknowledged = Acknowledged::default();
    let producer: ThreadedProducer<Acknowledged> = client(bootstrap)
        .create_with_context(acknowledged.clone())
        .expect("a producer");
    let payload = noise(bytes);
    let begin = Instant::now();
    for number in 0..count {
        let key = format!("camera-{}", number % 16);
        let headers = OwnedHeaders::new().insert(Header {
            key: "content-type",
            value: Some("image/jpeg"),
        });
        let partition = i32::try_from(number).unwrap_or(0) % PARTITIONS;
        let mut record = BaseRecord::to(topic)
            .partition(partition)
            .key(&key)
            .headers(headers)
            .payload(&payload);
        while let Err((cause, refused)) = producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(cause, full, "the producer works");
            assert!(begin.elapsed() < PATIENCE, "the broker takes nothing");
            std::thread::yield_now();
            record = refused;
        }
    }
    producer.flush(PATIENCE).expect("all are acknowledged");
    let took = begin.elapsed();
    assert_eq!(acknowledged.0.load(Ordering::Relaxed), count);
    took
}

/// Reads a topic from its beginning until `count` records have come.
pub fn consume(bootstrap: &str, topic: &str, count: u64) -> Duration {
    let consumer: BaseConsumer = client(bootstrap).create().expect("a consumer");
    let mut partitions = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        partitions
            .add_partition_offset(topic, partition, Offset::Beginning)
            .expect("a plain offset");
    }
    consumer.assign(&partitions).expect("an assignment");
    let begin = Instant::now();
    let mut received = 0;
    while received < count {
        assert!(
            begin.elapsed() < PATIENCE,
            "{received} of {count} records came"
        );
        if let Some(record) = consumer.poll(Duration::from_millis(100)) {
            let record = record.expect("a record");
            assert!(record.payload_len() > 0);
            received += 1;
        }
    }
    begin.elapsed()
}

/// Bytes that no layer could make smaller.
pub fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..bytes).map(|_| next()).collect()
}
