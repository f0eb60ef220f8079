//! Kafka as a foreign client sees it: frames are a key and a JPEG, results and pictures come back.

use std::time::{Duration, Instant};

use benches::brokers::client;
use pipeline::{
    kafka::{KafkaConfig, ensure_topics, frame_topics},
    topic::{PARTITIONER, Topics},
};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::BorrowedMessage,
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
    types::RDKafkaErrorCode,
};

/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Sources that frames are said to come from, so that every partition gets some.
const SOURCES: usize = 16;

/// Makes the frame topics, as every service does, and one of the same kind for bare hops.
pub(crate) fn make_topics(bootstrap: &str, topics: &Topics) {
    let config = KafkaConfig::new(bootstrap).expect("an address");
    let mut specs = frame_topics(topics);
    let mut hops = specs[0].clone();
    hops.name = hop_topic(topics);
    specs.push(hops);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime
        .block_on(ensure_topics(&config, &specs, PATIENCE))
        .expect("new topics");
}

/// Where bare hops are measured.
pub(crate) fn hop_topic(topics: &Topics) -> String {
    topics.frames() + "-hop"
}

/// Sends records.
pub(crate) struct Sender(ThreadedProducer<DefaultProducerContext>);

impl Sender {
    pub(crate) fn open(bootstrap: &str) -> Self {
        let mut config = client(bootstrap);
        config.set("partitioner", PARTITIONER);
        Self(config.create().expect("a producer"))
    }

    /// Sends a picture `count` times, in turn from each source.
    pub(crate) fn send(&self, topic: &str, jpeg: &[u8], count: usize) {
        let begin = Instant::now();
        for number in 0..count {
            let key = format!("camera-{}", number % SOURCES);
            let mut record = BaseRecord::to(topic).key(&key).payload(jpeg);
            while let Err((cause, refused)) = self.0.send(record) {
                let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
                assert_eq!(cause, full, "the producer works");
                assert!(begin.elapsed() < PATIENCE, "the broker takes nothing");
                std::thread::yield_now();
                record = refused;
            }
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        drop(self.0.flush(PATIENCE));
    }
}

/// Reads a topic from now on.
pub(crate) struct Reader(BaseConsumer);

impl Reader {
    /// Sees everything that is sent after this returns.
    pub(crate) fn open(bootstrap: &str, topic: &str) -> Self {
        let consumer: BaseConsumer = client(bootstrap).create().expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE);
        let metadata = metadata.expect("brokers that answer");
        let mut from_the_end = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            let ends = consumer.fetch_watermarks(topic, partition.id(), PATIENCE);
            let (_, end) = ends.expect("brokers that answer");
            from_the_end
                .add_partition_offset(topic, partition.id(), Offset::Offset(end))
                .expect("a plain offset");
        }
        consumer.assign(&from_the_end).expect("an assignment");
        Self(consumer)
    }

    /// Waits for that many records and shows each.
    pub(crate) fn take(&self, count: usize, mut show: impl FnMut(&BorrowedMessage<'_>)) {
        let begin = Instant::now();
        let mut taken = 0;
        while taken < count {
            assert!(begin.elapsed() < PATIENCE, "{taken} of {count} came");
            let Some(record) = self.0.poll(Duration::from_millis(100)) else {
                continue;
            };
            show(&record.expect("a record"));
            taken += 1;
        }
    }

    /// Waits for one record and gives what it holds.
    pub(crate) fn one(&self) -> Vec<u8> {
        let mut value = Vec::new();
        self.take(1, |record| {
            value = record.payload().unwrap_or_default().to_vec();
        });
        value
    }
}
