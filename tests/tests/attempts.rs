//! How often a record was in hand when its reader died: what one owner of a partition leaves to the
//! next, on the embedded broker.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::time::Duration;

use pipeline::kafka::{
    KafkaConfig, Received, Source, SourceConfig, StartPosition, TopicSpec, ensure_topics,
};
use pipeline::record::Record;
use tests::kafka::{PATIENCE, metrics, number_of, send_numbered, sink, unique, within};
use tests::process::BrokerProcess;

struct Bench {
    kafka: KafkaConfig,
    topic: String,
    _broker: BrokerProcess,
}

impl Bench {
    async fn new(purpose: &str, partitions: i32) -> Self {
        let broker = BrokerProcess::start(purpose, &[]);
        let kafka = KafkaConfig::new(broker.address()).unwrap();
        let topic = unique(purpose);
        let spec = TopicSpec::new(&topic, partitions, Duration::from_hours(1));
        ensure_topics(&kafka, &[spec], PATIENCE).await.unwrap();
        Self {
            kafka,
            topic,
            _broker: broker,
        }
    }

    async fn send(&self, keys: &[&str], count: u64) {
        send_numbered(&sink(&self.kafka), &self.topic, keys, count).await;
    }

    fn reader(&self) -> Source {
        let (group, start) = (format!("{}-group", self.topic), StartPosition::Earliest);
        let mut settings = SourceConfig::new(&group, &[&self.topic], start);
        settings.attempt_marks = true;
        Source::start(&self.kafka, settings, &metrics().1).unwrap()
    }
}

async fn next(source: &mut Source) -> Received<Record> {
    within("a record", source.recv()).await.unwrap()
}

/// What a record is, and how often it was tried.
fn told(received: &Received<Record>) -> (u64, u32) {
    (number_of(received.value()), received.attempts_before())
}

/// Leaves as a process does that is killed: with something in hand.
async fn die(source: Source, in_hand: Vec<Received<Record>>) {
    let closed = source.close(Duration::ZERO).await;
    assert_eq!(closed.unfinished, in_hand.len());
}

async fn leave(source: Source) {
    assert_eq!(source.close(PATIENCE).await.unfinished, 0);
}

#[tokio::test]
async fn a_record_that_its_readers_die_of_is_known_and_the_others_are_cleared() {
    let bench = Bench::new("deaths", 1).await;
    bench.send(&["a"], 4).await;

    let mut reader = bench.reader();
    let zero = next(&mut reader).await;
    assert_eq!(told(&zero), (0, 0));
    zero.complete();
    let in_hand = vec![next(&mut reader).await, next(&mut reader).await];
    assert_eq!(told(&in_hand[1]), (2, 0), "several at a time");
    die(reader, in_hand).await;

    // Any of those may be to blame: one at a time, and 1 it is.
    for attempts in 1..=3 {
        let mut reader = bench.reader();
        let one = next(&mut reader).await;
        assert_eq!(told(&one), (1, attempts));
        if attempts < 3 {
            die(reader, vec![one]).await;
            continue;
        }
        one.complete();
        let two = next(&mut reader).await;
        assert_eq!(told(&two), (2, 1), "in hand at the first death only");
        two.complete();
        let three = next(&mut reader).await;
        assert_eq!(number_of(three.value()), 3);
        three.complete();
        leave(reader).await;
    }

    bench.send(&["a"], 1).await;
    let mut reader = bench.reader();
    let fresh = next(&mut reader).await;
    assert_eq!(told(&fresh), (0, 0), "it was left in good order");
    fresh.complete();
    leave(reader).await;
}

#[tokio::test]
async fn suspects_of_several_partitions_are_handed_out_one_at_a_time() {
    let bench = Bench::new("alone", 4).await;
    let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    bench.send(&keys, 3).await;
    let mut reader = bench.reader();
    let mut in_hand = Vec::new();
    for _ in 0..12 {
        in_hand.push(next(&mut reader).await);
    }
    die(reader, in_hand).await;

    let mut reader = bench.reader();
    let mut suspects = 0;
    for _ in 0..keys.len() * 3 {
        let received = next(&mut reader).await;
        if received.attempts_before() == 0 {
            received.complete();
            continue;
        }
        suspects += 1;
        // Were another handed out meanwhile, it would be there before the grace is over.
        let another = tokio::time::timeout(Duration::from_millis(30), reader.recv()).await;
        assert!(another.is_err(), "a suspect is alone");
        received.complete();
    }
    assert!(suspects >= 12, "{suspects}");
    leave(reader).await;
}

#[tokio::test]
async fn a_death_before_the_first_commit_is_counted() {
    let bench = Bench::new("first", 1).await;
    bench.send(&["a"], 1).await;
    for attempts in 0..3 {
        let mut reader = bench.reader();
        let only = next(&mut reader).await;
        assert_eq!(told(&only), (0, attempts));
        die(reader, vec![only]).await;
    }
}
