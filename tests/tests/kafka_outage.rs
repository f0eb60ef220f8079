//! A broker that is away for 20 seconds: nothing is lost, everybody goes on by themselves.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use pipeline::kafka::{Link, Sink, Source, SourceConfig, StartPosition, TopicSpec, metrics};
use tests::kafka::{
    Instance, TestTopic, metric, metrics as fresh_metrics, number_of, numbered, sink, unique,
    until, within,
};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

const KEYS: [&str; 4] = ["cam-0", "cam-1", "cam-2", "cam-3"];
const OUTAGE: Duration = Duration::from_secs(20);

/// How far sender and receiver are.
#[derive(Default)]
struct Progress {
    /// Rounds begun; each sends one record per key.
    rounds: AtomicU64,
    received: AtomicU64,
    enough: AtomicBool,
}

/// Sends without a break until there is enough; every single send must end well.
fn spawn_sender(sink: Sink, topic: &str, progress: &Arc<Progress>) -> JoinHandle<()> {
    let (topic, progress) = (topic.to_owned(), Arc::clone(progress));
    tokio::spawn(async move {
        let mut deliveries = Vec::new();
        while !progress.enough.load(Ordering::SeqCst) {
            let number = progress.rounds.fetch_add(1, Ordering::SeqCst);
            for key in KEYS {
                let sent = sink
                    .send_when_room(&topic, None, &numbered(key, number))
                    .await;
                deliveries.push(sent.unwrap());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for delivery in deliveries {
            within("a delivery", delivery).await.unwrap();
        }
    })
}

/// Takes the broker away in the middle of the stream, and ends the stream a while after.
fn spawn_outage(instance: Arc<Instance>, progress: &Arc<Progress>) -> JoinHandle<()> {
    let progress = Arc::clone(progress);
    tokio::spawn(async move {
        let received = || progress.received.load(Ordering::SeqCst);
        until("the stream flows", || received() >= 200).await;
        let stopping = Arc::clone(&instance);
        spawn_blocking(move || stopping.stop()).await.unwrap();
        tokio::time::sleep(OUTAGE).await;
        let before = received();
        spawn_blocking(move || instance.start_again())
            .await
            .unwrap();
        until("the stream flows again", || received() >= before + 200).await;
        progress.enough.store(true, Ordering::SeqCst);
    })
}

/// Expects the link to go down and to come back by itself.
fn spawn_watcher(mut link: watch::Receiver<Link>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let down = link.wait_for(|link| matches!(link, Link::Down(_)));
        within("the link goes down", down).await.unwrap();
        let up = link.wait_for(|link| *link == Link::Up);
        within("the link comes back", up).await.unwrap();
    })
}

/// Receives until the sender has ended and every number of every key was here, in order. Returns
/// how many came again: after an outage that is allowed, a gap is not.
async fn receive_all(source: &mut Source, sender: &JoinHandle<()>, progress: &Progress) -> u64 {
    let mut count_by_key: BTreeMap<String, u64> = BTreeMap::new();
    let mut repeated = 0;
    loop {
        let rounds = progress.rounds.load(Ordering::SeqCst);
        let complete = count_by_key
            .values()
            .filter(|count| **count == rounds)
            .count();
        if sender.is_finished() && complete == KEYS.len() {
            return repeated;
        }
        let received = tokio::select! {
            received = source.recv() => received.unwrap(),
            () = tokio::time::sleep(Duration::from_millis(100)) => continue,
        };
        let key = String::from_utf8(received.value().key.clone().unwrap().to_vec()).unwrap();
        let number = number_of(received.value());
        let expected = count_by_key.entry(key.clone()).or_default();
        assert!(
            number <= *expected,
            "{key}: {expected} is missing, {number} came"
        );
        if number == *expected {
            *expected += 1;
        } else {
            repeated += 1;
        }
        received.complete();
        progress.received.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_broker_is_away_for_20_seconds() {
    let instance = Arc::new(Instance::start("outage"));
    // A slow machine may need longer than the usual two minutes to bring the broker back.
    let kafka = instance
        .config()
        .with("delivery.timeout.ms", "600000")
        .unwrap();
    let spec = TopicSpec::new(&unique("outage"), 3, Duration::from_hours(1));
    let topic = TestTopic::on(&kafka, spec).await;
    let (registry, measured) = fresh_metrics();
    let settings = SourceConfig::new("t-outage", &[topic.name()], StartPosition::Earliest);
    let mut source = Source::start(&kafka, settings, &measured).unwrap();

    let progress = Arc::new(Progress::default());
    let watcher = spawn_watcher(source.link());
    let outage = spawn_outage(Arc::clone(&instance), &progress);
    let sender = spawn_sender(sink(&kafka), topic.name(), &progress);
    let everything = receive_all(&mut source, &sender, &progress);
    let repeated = within("every record arrives", everything).await;

    within("every send is acknowledged", sender).await.unwrap();
    within("the outage ends", outage).await.unwrap();
    within("the link tells", watcher).await.unwrap();
    println!("records delivered twice after the outage: {repeated}");
    assert_eq!(metric(&registry, metrics::ABANDONED), Some(0.0));
    let closed = within("the source closes", source.close(Duration::from_secs(5))).await;
    assert_eq!(closed.unfinished, 0);
}
