//! Offsets: restart where the work ended, nothing dropped is lost, a slow stage stays a member.

use std::time::Duration;

use pipeline::kafka::{Source, SourceConfig, StartPosition, Tail, metrics};
use tests::kafka::{
    TestTopic, acknowledged, config, metric, metrics as fresh_metrics, number_of, numbered,
    send_numbered, sink, unique, until, within,
};

fn settings(group: &str, topic: &TestTopic) -> SourceConfig {
    SourceConfig::new(group, &[topic.name()], StartPosition::Earliest)
}

#[tokio::test]
async fn a_restart_goes_on_at_the_committed_offset() {
    let topic = TestTopic::new("restart", 1).await;
    let group = unique("restart");
    send_numbered(&sink(&config()), topic.name(), &["cam"], 100).await;

    let mut first = Source::start(&config(), settings(&group, &topic), &fresh_metrics().1).unwrap();
    let mut held = Vec::new();
    for _ in 0..60 {
        held.push(within("a record", first.recv()).await.unwrap());
    }
    // 0..50 finish in reverse; 50 stays open, so 51..60 may not be committed either.
    let unfinished = held.remove(50);
    for received in held.into_iter().rev() {
        received.complete();
    }
    let closed = within("the source closes", first.close(Duration::from_millis(200))).await;
    assert_eq!(closed.unfinished, 1);
    unfinished.complete();

    let settings = settings(&group, &topic);
    let mut second = Source::start(&config(), settings, &fresh_metrics().1).unwrap();
    for expected in 50..100 {
        let received = within("a record", second.recv()).await.unwrap();
        assert_eq!(number_of(received.value()), expected);
        received.complete();
    }
    within("the source closes", second.close(Duration::from_secs(5))).await;
}

#[tokio::test]
async fn a_record_dropped_unfinished_comes_again_without_a_restart() {
    let topic = TestTopic::new("dropped", 1).await;
    send_numbered(&sink(&config()), topic.name(), &["cam"], 20).await;
    let (registry, measured) = fresh_metrics();
    let settings = settings(&unique("dropped"), &topic);
    let mut source = Source::start(&config(), settings, &measured).unwrap();
    for expected in 0..5 {
        let received = within("a record", source.recv()).await.unwrap();
        assert_eq!(number_of(received.value()), expected);
        received.complete();
    }
    let dropped = within("a record", source.recv()).await.unwrap();
    assert_eq!(dropped.place().unwrap().offset, 5);
    drop(dropped);
    let mut next = within("a record", source.recv()).await.unwrap();
    // Records that were already on their way may come first; then 5 comes again, and all after it.
    while number_of(next.value()) != 5 {
        next.complete();
        next = within("a record", source.recv()).await.unwrap();
    }
    next.complete();
    for expected in 6..20 {
        let received = within("a record", source.recv()).await.unwrap();
        assert_eq!(number_of(received.value()), expected);
        received.complete();
    }
    assert_eq!(metric(&registry, metrics::ABANDONED), Some(1.0));
    assert_eq!(
        within("the source closes", source.close(Duration::from_secs(5)))
            .await
            .unfinished,
        0
    );
}

#[tokio::test]
async fn a_stage_slower_than_the_poll_interval_stays_in_the_group() {
    let topic = TestTopic::new("slow", 1).await;
    send_numbered(&sink(&config()), topic.name(), &["cam"], 10).await;
    let kafka = config().with("max.poll.interval.ms", "6000").unwrap();
    let (registry, measured) = fresh_metrics();
    let mut settings = settings(&unique("slow"), &topic);
    settings.max_in_flight_records = 1;
    let mut source = Source::start(&kafka, settings, &measured).unwrap();
    let slow = within("a record", source.recv()).await.unwrap();
    // The stage works for twice the interval; this is the load, not a wait for a result.
    tokio::time::sleep(Duration::from_secs(13)).await;
    assert_eq!(
        metric(&registry, metrics::IN_FLIGHT_RECORDS),
        Some(1.0),
        "back-pressure holds"
    );
    assert_eq!(
        metric(&registry, metrics::ASSIGNED),
        Some(1.0),
        "still a member"
    );
    slow.complete();
    for expected in 1..10 {
        let received = within("a record", source.recv()).await.unwrap();
        assert_eq!(
            number_of(received.value()),
            expected,
            "nothing was delivered again"
        );
        received.complete();
    }
    let closed = within("the source closes", source.close(Duration::from_secs(5))).await;
    assert_eq!(closed.unfinished, 0);
    assert_eq!(metric(&registry, metrics::RECEIVED), Some(10.0));
    assert_eq!(metric(&registry, metrics::LATE), Some(0.0));
    assert_eq!(metric(&registry, metrics::COMMIT_ERRORS), Some(0.0));
}

#[tokio::test]
async fn lag_and_age_show_what_waits_and_fall_to_zero() {
    let topic = TestTopic::new("lag", 1).await;
    send_numbered(&sink(&config()), topic.name(), &["cam"], 30).await;
    let (registry, measured) = fresh_metrics();
    let settings = settings(&unique("lag"), &topic);
    let mut source = Source::start(&config(), settings, &measured).unwrap();
    let first = within("a record", source.recv()).await.unwrap();
    until("all 30 count as lag", || {
        metric(&registry, metrics::LAG) == Some(30.0)
    })
    .await;
    let is_late = |age: f64| age > 1.0;
    until("the oldest grows old", || {
        metric(&registry, metrics::BEHIND).is_some_and(is_late)
    })
    .await;
    first.complete();
    for _ in 1..30 {
        within("a record", source.recv()).await.unwrap().complete();
    }
    until("no lag is left", || {
        metric(&registry, metrics::LAG) == Some(0.0)
    })
    .await;
    until("nothing is late", || {
        metric(&registry, metrics::BEHIND) == Some(0.0)
    })
    .await;
    within("the source closes", source.close(Duration::from_secs(5))).await;
    assert_eq!(
        metric(&registry, metrics::LAG),
        None,
        "no gauge of a partition given back"
    );
}

#[tokio::test]
async fn a_live_lane_starts_at_the_end() {
    let topic = TestTopic::new("live", 1).await;
    let sink = sink(&config());
    send_numbered(&sink, topic.name(), &["cam"], 10).await;
    let settings = SourceConfig::new(&unique("live"), &[topic.name()], StartPosition::Latest);
    let (registry, measured) = fresh_metrics();
    let mut source = Source::start(&config(), settings, &measured).unwrap();
    // Only the statistics tell that the position is known: from then on the lag is measured.
    until("the source stands at the end", || {
        metric(&registry, metrics::LAG) == Some(0.0)
    })
    .await;
    acknowledged(sink.send(topic.name(), None, &numbered("cam", 10)).unwrap()).await;
    let received = within("a record", source.recv()).await.unwrap();
    assert_eq!(number_of(received.value()), 10);
    received.complete();
    within("the source closes", source.close(Duration::from_secs(5))).await;
}

#[tokio::test]
async fn a_tail_sees_what_comes_after_it_and_the_backlog_it_asked_for() {
    let topic = TestTopic::new("tail", 1).await;
    let sink = sink(&config());
    send_numbered(&sink, topic.name(), &["cam"], 10).await;
    let new_only = Tail::open(&config(), &[topic.name()], 0).await.unwrap();
    let with_backlog = Tail::open(&config(), &[topic.name()], 3).await.unwrap();
    acknowledged(sink.send(topic.name(), None, &numbered("cam", 10)).unwrap()).await;
    let seen = within("the new record", new_only.recv()).await;
    assert_eq!((number_of(&seen.record), seen.place.offset), (10, 10));
    assert_eq!(
        seen.record,
        numbered("cam", 10),
        "key, value and headers arrive as sent"
    );
    for expected in 7..=10 {
        let seen = within("the backlog", with_backlog.recv()).await;
        assert_eq!(number_of(&seen.record), expected);
    }
    let Err(error) = Tail::open(&config(), &["t-no-such-topic"], 0).await else {
        panic!("a tail of a topic that does not exist");
    };
    assert!(
        error
            .to_string()
            .contains("does not exist; create it first"),
        "{error}"
    );
}
