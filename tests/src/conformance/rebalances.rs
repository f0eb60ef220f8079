//! Rebalances from one member to two and back, with our source: every record once and in order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pipeline::kafka::{KafkaConfig, Source, SourceConfig, StartPosition};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Target;
use crate::kafka::{metrics, number_of, send_numbered, sink, until, within};

const KEYS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
const PER_KEY: u64 = 100;

/// What was processed: member, key, number; in the order of completion.
type Ledger = Arc<Mutex<Vec<(&'static str, String, u64)>>>;

struct Member {
    leave: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Member {
    fn join(name: &'static str, kafka: &KafkaConfig, settings: SourceConfig, to: &Ledger) -> Self {
        let mut source = Source::start(kafka, settings, &metrics().1).unwrap();
        let ledger = Arc::clone(to);
        let (leave, mut left) = oneshot::channel();
        let task = tokio::spawn(async move {
            loop {
                let received = tokio::select! {
                    received = source.recv() => received.unwrap(),
                    _ = &mut left => break,
                };
                // Work takes time, so that rebalances find records in flight.
                tokio::time::sleep(Duration::from_millis(2)).await;
                let record = received.complete();
                let key = String::from_utf8(record.key.clone().unwrap().to_vec()).unwrap();
                ledger.lock().unwrap().push((name, key, number_of(&record)));
            }
            assert_eq!(source.close(Duration::from_secs(10)).await.unfinished, 0);
        });
        Self { leave, task }
    }

    async fn leave(self) {
        self.leave.send(()).unwrap();
        within("a member leaves", self.task).await.unwrap();
    }
}

fn count_of(ledger: &Ledger, member: &str) -> usize {
    let ledger = ledger.lock().unwrap();
    ledger.iter().filter(|(name, ..)| *name == member).count()
}

async fn one_to_two_and_back(target: &Target, strategy: &str, is_static: bool) {
    let topic = target.topic(strategy, 6).await;
    let group = target.group(strategy).await;
    let kafka = target
        .config()
        .with("partition.assignment.strategy", strategy);
    let kafka = kafka.unwrap();
    let ledger = Ledger::default();
    let settings = |member: &str| {
        let mut settings = SourceConfig::new(&group, &[&topic], StartPosition::Earliest);
        settings.max_in_flight_records = 20;
        settings.instance_id = is_static.then(|| member.to_owned());
        settings
    };
    let (sink, name) = (sink(&kafka), topic.clone());
    let sender = tokio::spawn(async move { send_numbered(&sink, &name, &KEYS, PER_KEY).await });
    let first = Member::join("first", &kafka, settings("first"), &ledger);
    until("the first works", || count_of(&ledger, "first") >= 60).await;
    let second = Member::join("second", &kafka, settings("second"), &ledger);
    until("the second works", || count_of(&ledger, "second") >= 60).await;
    second.leave().await;
    let total = KEYS.len() * PER_KEY as usize;
    until("all is processed", || ledger.lock().unwrap().len() >= total).await;
    within("the sender ends", sender).await.unwrap();
    first.leave().await;
    assert_each_once_and_in_order(&ledger);
}

fn assert_each_once_and_in_order(ledger: &Ledger) {
    let mut numbers_by_key: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let ledger = ledger.lock().unwrap();
    for (_, key, number) in ledger.iter() {
        numbers_by_key.entry(key).or_default().push(*number);
    }
    assert_eq!(numbers_by_key.len(), KEYS.len());
    for (key, numbers) in numbers_by_key {
        let expected: Vec<u64> = (0..PER_KEY).collect();
        assert_eq!(numbers, expected, "{key}: each once and in order");
    }
}

pub async fn with_the_range_assignor(target: &Target) {
    one_to_two_and_back(target, "range", false).await;
}

pub async fn with_the_roundrobin_assignor(target: &Target) {
    one_to_two_and_back(target, "roundrobin", false).await;
}

pub async fn with_the_cooperative_assignor(target: &Target) {
    one_to_two_and_back(target, "cooperative-sticky", false).await;
}

pub async fn with_static_members(target: &Target) {
    one_to_two_and_back(target, "cooperative-sticky", true).await;
}

pub async fn with_static_members_and_the_range_assignor(target: &Target) {
    one_to_two_and_back(target, "range", true).await;
}
