//! One topic's producer, and the group consumer at its tail.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult},
    message::{BorrowedMessage, DeliveryResult},
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode,
};

use super::{
    PATIENCE,
    course::{Course, Faults, Flow},
    records::{Stamp, client},
    sequences::{Fault, Sequences},
};
use crate::brokers::throughput::noise;

const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// How long a record that came twice may take to come the second time, after all have come once.
const AFTERMATH: Duration = Duration::from_secs(2);
const KEYS: u64 = 64;

/// Tells what the broker refused.
#[derive(Clone)]
pub(super) struct Answers(pub(super) Arc<Faults>);

impl ClientContext for Answers {}

impl ProducerContext for Answers {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((cause, record)) = result {
            self.0.add(format_args!(
                "{}: a record was refused: {cause}",
                record.topic()
            ));
        }
    }
}

impl ConsumerContext for Answers {
    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(cause) = result {
            self.0.add(format_args!("a commit was refused: {cause}"));
        }
    }
}

/// Sends the records of one topic, as fast as they are taken.
pub(super) fn produce(bootstrap: &str, course: &Course, flow: &Flow) {
    let topic = flow.load.topic.name;
    let producer: ThreadedProducer<Answers> = client(bootstrap, topic)
        .create_with_context(Answers(Arc::clone(&course.faults)))
        .expect("a producer");
    let mut payload = noise(flow.load.sizes.most);
    for number in 0..flow.load.records {
        let (partition, sequence) = flow.place(number);
        if !course.wait_for_room(flow, partition) {
            return;
        }
        let bytes = flow.load.sizes.of(number);
        Stamp::now(sequence, course.clock).write(&mut payload);
        let key = format!("camera-{}", number % KEYS);
        let record = BaseRecord::to(topic)
            .partition(partition as i32)
            .key(&key)
            .payload(&payload[..bytes]);
        flow.send(partition, bytes);
        if let Err(cause) = send(&producer, course, record) {
            return course.give_up(&format!("{topic}: cannot send: {cause}"));
        }
    }
    if let Err(cause) = producer.flush(PATIENCE) {
        course.give_up(&format!("{topic}: records without an answer: {cause}"));
    }
}

/// Hands a record over as soon as the producer's queue has room.
pub(super) fn send(
    producer: &ThreadedProducer<Answers>,
    course: &Course,
    mut record: BaseRecord<'_, String, [u8]>,
) -> KafkaResult<()> {
    let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
    while let Err((cause, refused)) = producer.send(record) {
        if cause != full || course.is_given_up() {
            return Err(cause);
        }
        thread::park_timeout(Duration::from_millis(1));
        record = refused;
    }
    Ok(())
}

/// Reads one topic as a group does until all its records have come.
pub(super) fn consume(bootstrap: &str, course: &Course, flow: &Flow) {
    let topic = flow.load.topic.name;
    let consumer: BaseConsumer<Answers> = client(bootstrap, topic)
        .create_with_context(Answers(Arc::clone(&course.faults)))
        .expect("a consumer");
    consumer.subscribe(&[topic]).expect("a plain topic name");
    let mut reader = Reader {
        course,
        flow,
        sequences: Sequences::new(flow.load.topic.partitions),
    };
    let mut committed_at = Instant::now();
    while !flow.is_done() && !course.is_given_up() {
        reader.poll(&consumer);
        if committed_at.elapsed() >= COMMIT_INTERVAL {
            committed_at = Instant::now();
            reader.commit(&consumer, CommitMode::Async);
        }
    }
    if course.is_given_up() {
        return;
    }
    let done_at = Instant::now();
    while done_at.elapsed() < AFTERMATH {
        reader.poll(&consumer);
    }
    reader.commit(&consumer, CommitMode::Sync);
    reader.check_end(&consumer);
}

struct Reader<'a> {
    course: &'a Course,
    flow: &'a Flow,
    sequences: Sequences,
}

impl Reader<'_> {
    fn fault(&self, what: impl std::fmt::Display) {
        let topic = self.flow.load.topic.name;
        self.course.faults.add(format_args!("{topic}: {what}"));
    }

    fn poll(&mut self, consumer: &BaseConsumer<Answers>) {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(record)) => self.accept(&record),
            Some(Err(cause)) => self.fault(format_args!("cannot read: {cause}")),
            None => {}
        }
    }

    fn accept(&mut self, record: &BorrowedMessage<'_>) {
        let partition = record.partition() as usize;
        let payload = record.payload().unwrap_or_default();
        let at =
            |what: String| format!("partition {partition}, offset {}: {what}", record.offset());
        let Some(stamp) = Stamp::read(payload) else {
            return self.fault(at("a record nobody sent".to_owned()));
        };
        let number = self.flow.number(partition, stamp.sequence);
        if payload.len() != self.flow.load.sizes.of(number) {
            self.fault(at(format!("{} bytes", payload.len())));
        }
        let accepted = self.sequences.accept(partition, stamp.sequence);
        if let Err(fault) = accepted {
            self.fault(at(format!("record {}: {fault:?}", stamp.sequence)));
        }
        if accepted != Err(Fault::Again) {
            self.flow.take(partition, payload.len());
        }
    }

    /// Sequences are offsets: they count the same records of the same partition.
    fn commit(&self, consumer: &BaseConsumer<Answers>, mode: CommitMode) {
        let mut offsets = TopicPartitionList::new();
        for (partition, next) in self.sequences.next().iter().enumerate() {
            if *next > 0 {
                let offset = Offset::Offset(*next as i64);
                let topic = self.flow.load.topic.name;
                offsets
                    .add_partition_offset(topic, partition as i32, offset)
                    .expect("a plain offset");
            }
        }
        if offsets.count() == 0 {
            return;
        }
        if let Err(cause) = consumer.commit(&offsets, mode) {
            self.fault(format_args!("cannot commit: {cause}"));
        }
    }

    fn check_end(&self, consumer: &BaseConsumer<Answers>) {
        let committed = match consumer.committed(PATIENCE) {
            Ok(committed) => committed,
            Err(cause) => return self.fault(format_args!("cannot ask what is committed: {cause}")),
        };
        for (partition, next) in self.sequences.next().iter().enumerate() {
            let expected = self.flow.records_of(partition);
            if *next != expected {
                self.fault(format_args!(
                    "partition {partition}: {next} of {expected} came"
                ));
            }
            let found = committed.find_partition(self.flow.load.topic.name, partition as i32);
            let offset = found.map(|element| element.offset());
            if *next > 0 && offset != Some(Offset::Offset(*next as i64)) {
                self.fault(format_args!(
                    "partition {partition}: committed {offset:?}, not {next}"
                ));
            }
        }
    }
}
