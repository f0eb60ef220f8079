//! Rebalances: every record once and in order per key, and nothing committed that is not ours.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pipeline::kafka::{KafkaMetrics, Source, SourceConfig, StartPosition, metrics};
use tests::kafka::{
    TestTopic, config, metric, metrics as fresh_metrics, number_of, numbered, send_numbered, sink,
    unique, until, within,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const KEYS: [&str; 12] = [
    "cam-0", "cam-1", "cam-2", "cam-3", "cam-4", "cam-5", "cam-6", "cam-7", "cam-8", "cam-9",
    "cam-10", "cam-11",
];
const PER_KEY: u64 = 150;

/// What was processed: member, key, number; in the order of completion.
type Ledger = Arc<Mutex<Vec<(&'static str, String, u64)>>>;

struct Member {
    leave: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Member {
    fn join(name: &'static str, settings: SourceConfig, ledger: &Ledger) -> Self {
        let (_, metrics) = fresh_metrics();
        Self::join_measured(name, settings, ledger, &metrics)
    }

    fn join_measured(
        name: &'static str,
        settings: SourceConfig,
        ledger: &Ledger,
        metrics: &KafkaMetrics,
    ) -> Self {
        let mut source = Source::start(&config(), settings, metrics).unwrap();
        let ledger = Arc::clone(ledger);
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

async fn one_to_two_and_back(purpose: &str, set_up: impl Fn(&mut SourceConfig, &str)) {
    let topic = TestTopic::new(purpose, 6).await;
    let ledger = Ledger::default();
    let settings = |member: &str| {
        let group = topic.name().to_owned();
        let mut settings = SourceConfig::new(&group, &[topic.name()], StartPosition::Earliest);
        settings.max_in_flight_records = 20;
        set_up(&mut settings, member);
        settings
    };
    let sink = sink(&config());
    let name = topic.name().to_owned();
    let sender = tokio::spawn(async move { send_numbered(&sink, &name, &KEYS, PER_KEY).await });
    let first = Member::join("first", settings("first"), &ledger);
    until("the first member works", || {
        count_of(&ledger, "first") >= 100
    })
    .await;
    let second = Member::join("second", settings("second"), &ledger);
    until("the second member works", || {
        count_of(&ledger, "second") >= 100
    })
    .await;
    second.leave().await;
    let total = KEYS.len() * PER_KEY as usize;
    until("everything is processed", || {
        ledger.lock().unwrap().len() >= total
    })
    .await;
    within("the sender ends", sender).await.unwrap();
    first.leave().await;

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

#[tokio::test]
async fn every_record_once_and_in_order_from_one_member_to_two_and_back() {
    one_to_two_and_back("rebalance", |_, _| {}).await;
}

#[tokio::test]
async fn the_same_with_static_members() {
    // A static member that leaves keeps its partitions until its session ends.
    one_to_two_and_back("static", |settings, member| {
        settings.instance_id = Some(member.to_owned());
    })
    .await;
}

#[tokio::test]
async fn a_record_held_past_the_drain_deadline_goes_to_the_new_owner_and_its_completion_is_void() {
    let topic = TestTopic::new("drain", 1).await;
    let sink = sink(&config());
    send_numbered(&sink, topic.name(), &["cam"], 1).await;
    let group = unique("drain");
    let (registry, measured) = fresh_metrics();
    let mut settings = SourceConfig::new(&group, &[topic.name()], StartPosition::Earliest);
    settings.drain = Duration::from_millis(500);
    let mut slow = Source::start(&config(), settings.clone(), &measured).unwrap();
    let held = within("the record", slow.recv()).await.unwrap();

    // With one partition and two members either may end up with it: leaving makes it certain.
    let ledger = Ledger::default();
    let closing = slow.close(Duration::from_millis(500));
    assert_eq!(
        within("the slow member leaves", closing).await.unfinished,
        1
    );
    let second = Member::join("second", settings, &ledger);
    until("the new owner gets the record", || {
        count_of(&ledger, "second") == 1
    })
    .await;
    held.complete();
    assert_eq!(metric(&registry, metrics::LATE), Some(1.0));
    second.leave().await;
}

#[tokio::test]
async fn two_members_share_the_partitions_and_a_revocation_waits_for_work_in_flight() {
    let topic = TestTopic::new("share", 2).await;
    let sink = sink(&config());
    let group = unique("share");
    let (registry, measured) = fresh_metrics();
    let mut settings = SourceConfig::new(&group, &[topic.name()], StartPosition::Earliest);
    settings.drain = Duration::from_mins(1);
    let mut first = Source::start(&config(), settings.clone(), &measured).unwrap();
    for partition in [0, 1] {
        let sent = sink
            .send(topic.name(), Some(partition), &numbered("cam", 0))
            .unwrap();
        within("a delivery", sent).await.unwrap();
    }
    let held = [
        within("a record", first.recv()).await.unwrap(),
        within("a record", first.recv()).await.unwrap(),
    ];

    let ledger = Ledger::default();
    let (second_registry, second_measured) = fresh_metrics();
    let second = Member::join_measured("second", settings, &ledger, &second_measured);
    let assigned = |registry| metric(registry, metrics::ASSIGNED);
    until("the first member drains one partition", || {
        assigned(&registry) == Some(1.0)
    })
    .await;
    let second_before = assigned(&second_registry).unwrap_or(0.0);
    assert!(
        second_before < 1.0,
        "the partition waits for the record in flight"
    );
    for received in held {
        received.complete();
    }
    until("the partition changes hands", || {
        assigned(&second_registry) == Some(1.0)
    })
    .await;
    for (partition, number) in [(0, 1), (1, 1)] {
        let sent = sink
            .send(topic.name(), Some(partition), &numbered("cam", number))
            .unwrap();
        within("a delivery", sent).await.unwrap();
    }
    until("the second member has its partition", || {
        count_of(&ledger, "second") >= 1
    })
    .await;
    let kept = within("the first member's next record", first.recv())
        .await
        .unwrap();
    assert_eq!(number_of(kept.value()), 1, "nothing came twice");
    kept.complete();
    assert_eq!(ledger.lock().unwrap()[0].2, 1, "nothing came twice");
    assert_eq!(metric(&registry, metrics::UNDRAINED), Some(0.0));
    second.leave().await;
    first.close(Duration::from_secs(5)).await;
}
