//! Kafka as a foreign client sees it: frames are a key and a JPEG, results and pictures come back.

use std::{
    thread,
    time::{Duration, Instant},
};

use benches::brokers::client;
use pipeline::{
    kafka::{KafkaConfig, TopicSpec, ensure_topics, frame_topics},
    record::Record,
    topic::{PARTITIONER, Topics},
};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{BorrowedMessage, Header, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
    types::RDKafkaErrorCode,
};

/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_mins(1);

/// After so long without a record no more will come: no model here looks at a frame for so long.
const QUIET: Duration = Duration::from_millis(1500);

/// Sources that frames are said to come from, so that every partition gets some.
const SOURCES: usize = 16;

/// Makes the frame topics, as every service does, and one of the same kind for bare hops.
pub(crate) fn make_topics(bootstrap: &str, topics: &Topics) {
    make(bootstrap, &frame_topics(topics));
    make_topic(bootstrap, topics, (&hop_topic(topics), 4));
}

/// Makes one more topic of the kind that frames travel on, with so many partitions.
pub(crate) fn make_topic(bootstrap: &str, topics: &Topics, (name, partitions): (&str, i32)) {
    let frames = frame_topics(topics).swap_remove(0);
    let spec = TopicSpec {
        name: name.to_owned(),
        partitions,
        ..frames
    };
    make(bootstrap, &[spec]);
}

fn make(bootstrap: &str, specs: &[TopicSpec]) {
    let config = KafkaConfig::new(bootstrap).expect("an address");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime
        .block_on(ensure_topics(&config, specs, PATIENCE))
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
        for number in 0..count {
            let key = format!("camera-{}", number % SOURCES);
            self.send_from(topic, &key, jpeg);
        }
    }

    /// Sends a picture from that source.
    pub(crate) fn send_from(&self, topic: &str, source: &str, jpeg: &[u8]) {
        self.enqueue(BaseRecord::to(topic).key(source.as_bytes()).payload(jpeg));
    }

    /// Sends a picture to each of so many partitions in turn, `count` times in all.
    pub(crate) fn send_evenly(&self, (topic, partitions): (&str, i32), jpeg: &[u8], count: usize) {
        for number in 0..count {
            let partition = i32::try_from(number).unwrap_or(0) % partitions;
            let record = BaseRecord::<[u8], _>::to(topic).partition(partition);
            self.enqueue(record.payload(jpeg));
        }
    }

    /// Sends a record as the services do.
    pub(crate) fn send_record(&self, topic: &str, record: &Record) {
        let headers = record.headers.iter();
        let headers = headers.fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(&value[..]),
            })
        });
        let key = record.key.as_deref().unwrap_or_default();
        let payload = &record.value[..];
        self.enqueue(
            BaseRecord::to(topic)
                .key(key)
                .payload(payload)
                .headers(headers),
        );
    }

    fn enqueue(&self, mut record: BaseRecord<'_, [u8], [u8]>) {
        let begin = Instant::now();
        while let Err((cause, refused)) = self.0.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(cause, full, "the producer works");
            assert!(begin.elapsed() < PATIENCE, "the broker takes nothing");
            thread::yield_now();
            record = refused;
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

    /// Shows what comes until `is_over`, and then until nothing comes any more; tells how many came.
    pub(crate) fn take_until(
        &self,
        is_over: impl Fn() -> bool,
        mut show: impl FnMut(&BorrowedMessage<'_>),
    ) -> usize {
        let begin = Instant::now();
        let (mut taken, mut quiet_since) = (0, Instant::now());
        while !is_over() || quiet_since.elapsed() < QUIET {
            assert!(begin.elapsed() < PATIENCE, "it ends within {PATIENCE:?}");
            let Some(record) = self.0.poll(Duration::from_millis(50)) else {
                continue;
            };
            show(&record.expect("a record"));
            taken += 1;
            quiet_since = Instant::now();
        }
        taken
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
