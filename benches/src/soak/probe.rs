//! A thin steady stream beside the load: how long its records take from one client to another.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseRecord, Producer, ThreadedProducer},
};

use super::{
    PATIENCE, PROBE,
    course::Course,
    records::{Stamp, client},
    sequences::Sequences,
    traffic::{Answers, send as hand_over},
};
use crate::brokers::throughput::noise;

const INTERVAL: Duration = Duration::from_millis(100);
const BYTES: usize = 200;

/// The first records connect, look up and open files.
const WARM_UP: u64 = 20;

/// Sends until the probe is over.
pub(super) fn send(bootstrap: &str, course: &Course) {
    let producer: ThreadedProducer<Answers> = client(bootstrap, PROBE.name)
        .set("linger.ms", "0")
        .create_with_context(Answers(Arc::clone(&course.faults)))
        .expect("a producer");
    let mut payload = noise(BYTES);
    let mut due = Instant::now();
    let mut sequence = 0;
    while !course.probe.is_over.load(Ordering::Acquire) {
        thread::park_timeout(due.saturating_duration_since(Instant::now()));
        due += INTERVAL;
        Stamp::now(sequence, course.clock).write(&mut payload);
        let record: BaseRecord<'_, String, [u8]> =
            BaseRecord::to(PROBE.name).partition(0).payload(&payload);
        // Counted before it is sent, so that the receiver waits for it.
        course.probe.sent.fetch_add(1, Ordering::Release);
        if let Err(cause) = hand_over(&producer, course, record) {
            return course.give_up(&format!("probe: cannot send: {cause}"));
        }
        sequence += 1;
    }
    if course.is_given_up() {
        return;
    }
    if let Err(cause) = producer.flush(PATIENCE) {
        course.give_up(&format!("probe: records without an answer: {cause}"));
    }
}

/// Reads until the probe is over and all its records have come.
pub(super) fn receive(bootstrap: &str, course: &Course) {
    let consumer: BaseConsumer = client(bootstrap, PROBE.name).create().expect("a consumer");
    let mut partitions = TopicPartitionList::new();
    partitions
        .add_partition_offset(PROBE.name, 0, Offset::Beginning)
        .expect("a plain offset");
    consumer.assign(&partitions).expect("an assignment");
    let mut sequences = Sequences::new(1);
    let mut over_at = None;
    loop {
        if course.probe.is_over.load(Ordering::Acquire) {
            let over_at = over_at.get_or_insert_with(Instant::now);
            let sent = course.probe.sent.load(Ordering::Acquire);
            // The sender may be about to count a last one.
            if over_at.elapsed() > 2 * INTERVAL && sequences.next()[0] >= sent {
                return;
            }
            if over_at.elapsed() > PATIENCE || course.is_given_up() {
                let came = sequences.next()[0];
                return course
                    .faults
                    .add(format_args!("probe: {came} of {sent} came"));
            }
        }
        match consumer.poll(INTERVAL) {
            Some(Ok(record)) => accept(record.payload(), course, &mut sequences),
            Some(Err(cause)) => course
                .faults
                .add(format_args!("probe: cannot read: {cause}")),
            None => {}
        }
    }
}

fn accept(payload: Option<&[u8]>, course: &Course, sequences: &mut Sequences) {
    let Some(stamp) = payload.and_then(Stamp::read) else {
        return course.faults.add("probe: a record nobody sent");
    };
    if let Err(fault) = sequences.accept(0, stamp.sequence) {
        course
            .faults
            .add(format_args!("probe: record {}: {fault:?}", stamp.sequence));
    }
    if stamp.sequence >= WARM_UP {
        course.probe.note(stamp.age_ms(course.clock));
    }
}
