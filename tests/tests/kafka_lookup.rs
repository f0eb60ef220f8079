//! Single records read again, by place and by key and time, from Apache Kafka and the embedded broker.
#![expect(clippy::unwrap_used, reason = "helpers of a test fail it by panicking")]

use std::time::Duration;

use broker::{Broker, BrokerConfig};
use jiff::{SignedDuration, Timestamp};
use pipeline::kafka::{KafkaConfig, Lookup, LookupError, Search, SearchOutcome, Seen, TopicSpec};
use pipeline::record::Record;
use tests::kafka::{TestTopic, acknowledged, config, number_of, numbered, sink, unique, within};

const PATIENCE: Duration = Duration::from_secs(20);

fn search(from: Timestamp) -> Search {
    Search {
        from,
        max_records: 10_000,
        max_bytes: 1 << 20,
        patience: PATIENCE,
    }
}

async fn topic_on(kafka: &KafkaConfig) -> TestTopic {
    let spec = TopicSpec::new(&unique("lookup"), 4, Duration::from_hours(1));
    TestTopic::on(kafka, spec).await
}

async fn found(
    lookup: &Lookup,
    place: (&str, &[u8]),
    search: Search,
    number: u64,
) -> SearchOutcome {
    let is_it = move |record: &Record| number_of(record) == number;
    within("a search", lookup.find(place, search, is_it))
        .await
        .unwrap()
}

fn seen(outcome: SearchOutcome) -> Seen {
    match outcome {
        SearchOutcome::Found(seen) => *seen,
        other => panic!("{other:?} instead of a record"),
    }
}

async fn records_are_found_again(kafka: &KafkaConfig) {
    let topic = topic_on(kafka).await;
    let (sink, lookup) = (sink(kafka), Lookup::new(kafka));
    let start = Timestamp::now() - SignedDuration::from_secs(5);
    let mut places = Vec::new();
    for number in 0..20 {
        for key in ["upload-a", "upload-b"] {
            let sent = sink
                .send(topic.name(), None, &numbered(key, number))
                .unwrap();
            places.push((key, number, acknowledged(sent).await));
        }
    }
    for (key, number, delivered) in &places {
        let place = (topic.name(), delivered.partition, delivered.offset);
        let record = within("a record", lookup.at(place, PATIENCE))
            .await
            .unwrap();
        assert_eq!(record, Some(numbered(key, *number)));
        let outcome = found(
            &lookup,
            (topic.name(), key.as_bytes()),
            search(start),
            *number,
        )
        .await;
        let seen = seen(outcome);
        assert_eq!(
            (seen.place.partition, seen.place.offset),
            (delivered.partition, delivered.offset)
        );
    }
}

async fn what_is_not_there_is_told(kafka: &KafkaConfig) {
    let topic = topic_on(kafka).await;
    let (sink, lookup) = (sink(kafka), Lookup::new(kafka));
    let start = Timestamp::now() - SignedDuration::from_secs(5);
    let empty = found(&lookup, (topic.name(), b"cam"), search(start), 0).await;
    assert_eq!(empty, SearchOutcome::NotThere);
    let mut last = None;
    for number in 0..5 {
        let sent = sink
            .send(topic.name(), None, &numbered("cam", number))
            .unwrap();
        last = Some(acknowledged(sent).await);
    }
    let last = last.unwrap();
    for offset in [last.offset + 1, last.offset + 1_000] {
        let place = (topic.name(), last.partition, offset);
        assert_eq!(within("a look", lookup.at(place, PATIENCE)).await, Ok(None));
    }
    let place = (topic.name(), b"cam".as_slice());
    assert_eq!(
        found(&lookup, place, search(start), 99).await,
        SearchOutcome::NotThere
    );
    let future = Timestamp::now() + SignedDuration::from_hours(1);
    assert_eq!(
        found(&lookup, place, search(future), 1).await,
        SearchOutcome::NotThere
    );
    let narrow = Search {
        max_records: 2,
        ..search(start)
    };
    assert_eq!(
        found(&lookup, place, narrow, 4).await,
        SearchOutcome::GaveUp
    );
    let few_bytes = Search {
        max_bytes: 3,
        ..search(start)
    };
    assert_eq!(
        found(&lookup, place, few_bytes, 4).await,
        SearchOutcome::GaveUp
    );
    // A consumer that stopped early starts its next search where it is told.
    assert_eq!(
        seen(found(&lookup, place, search(start), 0).await)
            .place
            .offset,
        last.offset - 4
    );
}

async fn a_topic_that_is_not_there_is_told(kafka: &KafkaConfig) {
    let lookup = Lookup::new(kafka);
    let name = unique("nowhere");
    let outcome = lookup
        .find((&name, b"cam"), search(Timestamp::now()), |_| true)
        .await;
    let error = outcome.unwrap_err();
    assert!(
        matches!(&error, LookupError::Topic { topic, .. } if *topic == name),
        "{error}"
    );
}

async fn many_at_a_time_take_turns(kafka: &KafkaConfig) {
    let topic = topic_on(kafka).await;
    let (sink, lookup) = (sink(kafka), Lookup::new(kafka));
    let start = Timestamp::now() - SignedDuration::from_secs(5);
    for number in 0..10 {
        acknowledged(
            sink.send(topic.name(), None, &numbered("cam", number))
                .unwrap(),
        )
        .await;
    }
    let mut lookups = tokio::task::JoinSet::new();
    for number in 0..10 {
        let (lookup, name) = (lookup.clone(), topic.name().to_owned());
        lookups.spawn(async move {
            let outcome = found(&lookup, (&name, b"cam"), search(start), number).await;
            (number, number_of(&seen(outcome).record))
        });
    }
    for (wanted, got) in lookups.join_all().await {
        assert_eq!(wanted, got);
    }
}

#[tokio::test]
async fn no_broker_is_told_within_the_patience() {
    let nowhere = KafkaConfig::new("127.0.0.1:1").unwrap();
    let lookup = Lookup::new(&nowhere);
    let place = ("kadr.results", 0, 0);
    let looked = within("an answer", lookup.at(place, Duration::from_millis(300))).await;
    assert!(
        matches!(looked, Err(LookupError::TimedOut { .. })),
        "{looked:?}"
    );
}

async fn embedded() -> (tempfile::TempDir, Broker, KafkaConfig) {
    let data = tempfile::tempdir().unwrap();
    let settings = BrokerConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        ..BrokerConfig::new(data.path())
    };
    let broker = Broker::start(settings).await.unwrap();
    let kafka = KafkaConfig::new(&broker.addr().to_string()).unwrap();
    (data, broker, kafka)
}

macro_rules! on_both {
    ($($case:ident,)*) => {
        mod apache_kafka {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&super::config()).await;
            })*
        }

        mod embedded_broker {
            // Deleting a topic blocks a thread, and the broker needs another one to answer.
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let (_data, broker, kafka) = super::embedded().await;
                super::$case(&kafka).await;
                broker.close().await;
            })*
        }
    };
}

on_both!(
    records_are_found_again,
    what_is_not_there_is_told,
    a_topic_that_is_not_there_is_told,
    many_at_a_time_take_turns,
);
