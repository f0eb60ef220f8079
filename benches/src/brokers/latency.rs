//! How long a record takes from the producer's call to the consumer's hand, at a steady rate.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};

use super::{PARTITIONS, PATIENCE, client, throughput::noise};

/// The first records connect, look up and open files.
const WARM_UP: Duration = Duration::from_secs(2);

/// A steady stream of records.
#[derive(Clone, Copy)]
pub struct Stream {
    /// Records a second.
    pub rate: u32,
    /// Bytes of each.
    pub bytes: usize,
    /// For how long.
    pub lasting: Duration,
}

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// Half of all records were faster.
    pub p50: f64,
    /// Of a hundred records, one was slower.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

/// Sends the stream and reads it at the same time.
pub fn measure(bootstrap: &str, topic: &str, stream: Stream) -> Latency {
    let count = u64::from(stream.rate) * stream.lasting.as_secs();
    let clock = Instant::now();
    let ready = Arc::new(Barrier::new(2));
    let receiver = thread::spawn({
        let (bootstrap, topic) = (bootstrap.to_owned(), topic.to_owned());
        let ready = Arc::clone(&ready);
        move || receive(&bootstrap, &topic, count, (clock, &ready))
    });
    ready.wait();
    send(bootstrap, topic, stream, clock);
    let mut latencies = receiver.join().expect("the consumer received all");
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    Latency {
        p50: at(0.5),
        p99: at(0.99),
        max: at(1.0),
    }
}

fn send(bootstrap: &str, topic: &str, stream: Stream, clock: Instant) {
    let producer: ThreadedProducer<DefaultProducerContext> =
        client(bootstrap).create().expect("a producer");
    let mut payload = noise(stream.bytes);
    let gap = Duration::from_secs(1) / stream.rate;
    let begin = Instant::now();
    let count = u64::from(stream.rate) * stream.lasting.as_secs();
    for number in 0..count {
        let due = begin + gap * u32::try_from(number).unwrap_or(u32::MAX);
        thread::park_timeout(due.saturating_duration_since(Instant::now()));
        let sent_at = u64::try_from(clock.elapsed().as_nanos()).unwrap_or(u64::MAX);
        payload[..8].copy_from_slice(&sent_at.to_le_bytes());
        let partition = i32::try_from(number).unwrap_or(0) % PARTITIONS;
        let record = BaseRecord::<(), _>::to(topic)
            .partition(partition)
            .payload(&payload);
        producer
            .send(record)
            .map_err(|(cause, _)| cause)
            .expect("room");
    }
    producer.flush(PATIENCE).expect("all are acknowledged");
}

fn receive(
    bootstrap: &str,
    topic: &str,
    count: u64,
    (clock, ready): (Instant, &Barrier),
) -> Vec<f64> {
    let consumer: BaseConsumer = client(bootstrap).create().expect("a consumer");
    let mut partitions = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        partitions
            .add_partition_offset(topic, partition, Offset::Beginning)
            .expect("a plain offset");
    }
    consumer.assign(&partitions).expect("an assignment");
    // Connected before the first record is sent.
    drop(consumer.poll(Duration::from_millis(500)));
    ready.wait();
    let begin = Instant::now();
    let mut latencies = Vec::new();
    let mut received = 0;
    while received < count {
        assert!(
            begin.elapsed() < 2 * PATIENCE,
            "{received} of {count} records came"
        );
        let Some(record) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let record = record.expect("a record");
        let now = clock.elapsed();
        let payload = record.payload().expect("a payload");
        let sent_at = u64::from_le_bytes(payload[..8].try_into().expect("eight bytes"));
        received += 1;
        if begin.elapsed() > WARM_UP {
            let latency = now.saturating_sub(Duration::from_nanos(sent_at));
            latencies.push(latency.as_secs_f64() * 1000.0);
        }
    }
    latencies
}
