//! kill -9 at random moments under load: what was acknowledged is there once, what was refused is
//! not, and committed offsets never go back.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, TopicName};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
use tests::process::BrokerProcess;
use tests::wire::{Batch, Client, tampered, text};

const KILLS: usize = 200;
const PARTITIONS: i32 = 3;
/// Longest life between two kills.
const LONGEST_LIFE_MS: u64 = 400;
/// Longer than the whole test may take; a hang fails.
const PATIENCE: Duration = Duration::from_mins(10);

/// One topic whose records are flushed before they are acknowledged, and one whose are not: a
/// killed process loses neither.
const TOPICS: [(&str, &str); 2] = [("flushed", "1"), ("background", "1000000")];

const CORRUPT_MESSAGE: i16 = 2;

/// What the producer knows of its records, by their number.
#[derive(Default)]
struct Ledger {
    sent: AtomicU64,
    acknowledged: Mutex<HashSet<u64>>,
    refused: Mutex<Vec<String>>,
}

/// Writes every outcome into the ledger.
struct Outcomes(Arc<Ledger>);

impl ClientContext for Outcomes {}

impl ProducerContext for Outcomes {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(record) => {
                let number = number_of(record.payload().unwrap());
                let is_new = self.0.acknowledged.lock().unwrap().insert(number);
                assert!(is_new, "record {number} was acknowledged twice");
            }
            Err((cause, _record)) => self.0.refused.lock().unwrap().push(cause.to_string()),
        }
    }
}

/// A record is its number and then padding.
fn number_of(payload: &[u8]) -> u64 {
    u64::from_le_bytes(payload[..8].try_into().unwrap())
}

fn client(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", address)
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .set("message.timeout.ms", "600000")
        .set("reconnect.backoff.ms", "10")
        .set("reconnect.backoff.max.ms", "50")
        .set("retry.backoff.ms", "10")
        .set("group.id", "kills")
        .set("enable.auto.commit", "false");
    config
}

/// Sends numbered records to both topics until it is told to stop, and waits for every outcome.
fn produce(address: &str, ledger: Arc<Ledger>, stop: Arc<AtomicBool>) -> JoinHandle<()> {
    let producer: ThreadedProducer<Outcomes> = client(address)
        .create_with_context(Outcomes(Arc::clone(&ledger)))
        .unwrap();
    thread::spawn(move || {
        let mut payload = vec![7; 1000];
        while !stop.load(Ordering::Relaxed) {
            let number = ledger.sent.fetch_add(1, Ordering::Relaxed);
            payload[..8].copy_from_slice(&number.to_le_bytes());
            let (topic, _flush) = TOPICS[(number % 2) as usize];
            let partition = (number / 2) as i32 % PARTITIONS;
            let mut record = BaseRecord::<(), _>::to(topic)
                .partition(partition)
                .payload(&payload);
            while let Err((cause, back)) = producer.send(record) {
                let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
                assert_eq!(cause, full, "the producer works");
                thread::park_timeout(Duration::from_millis(1));
                record = back;
            }
            if number.is_multiple_of(8) {
                thread::park_timeout(Duration::from_millis(1));
            }
        }
        producer.flush(PATIENCE).unwrap();
    })
}

/// Commits ever greater offsets, and remembers the greatest that was acknowledged.
fn commit(address: &str, committed: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> JoinHandle<()> {
    let consumer: BaseConsumer = client(address).create().unwrap();
    thread::spawn(move || {
        let mut next = 0;
        while !stop.load(Ordering::Relaxed) {
            next += 1;
            let mut offsets = TopicPartitionList::new();
            offsets
                .add_partition_offset(TOPICS[0].0, 0, Offset::Offset(next))
                .unwrap();
            // One that is cut off by a kill may or may not have been taken; both are right.
            if consumer.commit(&offsets, CommitMode::Sync).is_ok() {
                committed.store(next as u64, Ordering::SeqCst);
            }
        }
    })
}

/// Sends records that are damaged on the way, each of which must be refused, and counts the refusals.
fn damage(address: &str, stop: Arc<AtomicBool>) -> JoinHandle<u64> {
    let address = address.to_owned();
    thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut refusals = 0;
            while !stop.load(Ordering::Relaxed) {
                let Some(mut client) = Client::try_connect(&address).await else {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    continue;
                };
                while let Some(answer) = client.try_call(7, &damaged_records()).await {
                    let answer = &answer.responses[0].partition_responses[0];
                    assert_eq!(answer.error_code, CORRUPT_MESSAGE);
                    refusals += 1;
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            }
            refusals
        })
    })
}

fn damaged_records() -> ProduceRequest {
    let batch = Batch::of(&["refused!"]).encode();
    let end = batch.len() - 2;
    let batch = tampered(&batch, end, b'?', false);
    let partition = PartitionProduceData::default().with_records(Some(batch));
    let topic = TopicProduceData::default()
        .with_name(TopicName(text(TOPICS[0].0)))
        .with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(1000)
        .with_topic_data(vec![topic])
}

fn committed_offset(address: &str) -> u64 {
    let consumer: BaseConsumer = client(address).create().unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition(TOPICS[0].0, 0);
    let begin = Instant::now();
    loop {
        let answer = consumer.committed_offsets(partitions.clone(), Duration::from_secs(5));
        if let Ok(answer) = answer {
            return match answer.elements()[0].offset() {
                Offset::Offset(offset) => offset as u64,
                _ => 0,
            };
        }
        assert!(begin.elapsed() < PATIENCE, "no committed offset");
    }
}

/// Every number in a topic with how often it is there.
fn read_all(address: &str, topic: &str) -> Vec<u64> {
    let consumer: BaseConsumer = client(address).create().unwrap();
    let mut numbers = Vec::new();
    for partition in 0..PARTITIONS {
        let watermarks = consumer.fetch_watermarks(topic, partition, PATIENCE);
        let (_first, end) = watermarks.unwrap();
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(topic, partition, Offset::Beginning)
            .unwrap();
        consumer.assign(&from).unwrap();
        let mut expected = 0;
        while expected < end {
            let record = consumer.poll(PATIENCE).expect("the log goes on").unwrap();
            assert_eq!(record.offset(), expected, "offsets have no gaps");
            expected += 1;
            numbers.push(number_of(record.payload().unwrap()));
        }
    }
    numbers
}

fn create_topics(address: &str) {
    use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
    let admin: AdminClient<_> = client(address).create().unwrap();
    let topics = TOPICS.map(|(name, flush)| {
        NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1))
            .set("flush.messages", flush)
            .set("retention.bytes", "-1")
            // Small, so that kills also hit the change from one segment to the next.
            .set("segment.bytes", "1048576")
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let created = runtime.block_on(admin.create_topics(&topics, &AdminOptions::new()));
    for topic in created.unwrap() {
        topic.unwrap();
    }
}

/// A generator whose seed is printed, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let seed = since.map_or(1, |since| since.as_nanos() as u64) | 1;
        println!("seed {seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_over_200_kills() {
    let broker = BrokerProcess::start("kills", &[]);
    let address = broker.address().to_owned();
    create_topics(&address);
    let ledger = Arc::new(Ledger::default());
    let committed = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let load = [
        produce(&address, Arc::clone(&ledger), Arc::clone(&stop)),
        commit(&address, Arc::clone(&committed), Arc::clone(&stop)),
    ];
    let damage = damage(&address, Arc::clone(&stop));
    let mut dice = Dice::new();
    for _kill in 0..KILLS {
        thread::park_timeout(Duration::from_millis(dice.below(LONGEST_LIFE_MS)));
        broker.kill();
        let promised = committed.load(Ordering::SeqCst);
        broker.start_again();
        let kept = committed_offset(&address);
        assert!(kept >= promised, "offset {promised} went back to {kept}");
    }
    stop.store(true, Ordering::Relaxed);
    for thread in load {
        thread.join().unwrap();
    }
    let refusals = damage.join().unwrap();

    let sent = ledger.sent.load(Ordering::Relaxed);
    let acknowledged = ledger.acknowledged.lock().unwrap();
    let refused = ledger.refused.lock().unwrap();
    assert!(refused.is_empty(), "retried to the end: {refused:?}");
    assert_eq!(
        acknowledged.len() as u64,
        sent,
        "every record has an outcome"
    );
    // A load that never got through would prove nothing.
    assert!(sent > 10_000, "only {sent} records were sent");
    assert!(
        refusals > 1000,
        "only {refusals} damaged records were refused"
    );
    println!("{sent} records and {refusals} refusals over {KILLS} kills");

    let mut found = HashSet::new();
    for (topic, _flush) in TOPICS {
        for number in read_all(&address, topic) {
            assert!(found.insert(number), "record {number} is there twice");
        }
    }
    // Neither less nor more: the refused ones are not there.
    assert_eq!(found, *acknowledged);
}
