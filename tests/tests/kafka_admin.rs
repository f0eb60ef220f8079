//! Topic admin: makes topics, checks them, names each difference in one line, changes none.

use std::time::Duration;

use pipeline::kafka::{
    AdminError, Durability, KafkaConfig, TopicSpec, delete_topics, ensure_topics, look_at_topics,
};
use tests::kafka::{acknowledged, config, numbered, sink, unique};

const PATIENCE: Duration = Duration::from_secs(20);

fn spec(name: &str) -> TopicSpec {
    let mut spec = TopicSpec::new(name, 3, Duration::from_mins(10));
    spec.retention_bytes_per_partition = Some(100_000_000);
    spec
}

#[tokio::test]
async fn new_topics_are_ready_to_use_and_fit_their_own_description() {
    let (frames, results) = (unique("admin"), unique("admin"));
    let mut specs = [spec(&frames), spec(&results)];
    specs[1].durability = Durability::Memory;
    ensure_topics(&config(), &specs, PATIENCE).await.unwrap();
    let sink = sink(&config());
    let sent = sink.send(&frames, Some(2), &numbered("cam", 0)).unwrap();
    assert_eq!(acknowledged(sent).await.offset, 0);
    ensure_topics(&config(), &specs, PATIENCE)
        .await
        .expect("checking finds no difference");
    delete_topics(&config(), &[&frames, &results])
        .await
        .unwrap();
    delete_topics(&config(), &[&frames])
        .await
        .expect("what is gone is no error");
}

#[tokio::test]
async fn every_difference_is_one_line_that_says_what_to_do_and_nothing_is_changed() {
    let name = unique("differs");
    ensure_topics(&config(), &[spec(&name)], PATIENCE)
        .await
        .unwrap();
    let mut other = spec(&name);
    other.partitions = 6;
    other.retention = Duration::from_mins(1);
    other.retention_bytes_per_partition = None;
    other.max_record_bytes = 20_000_000;
    for _ in 0..2 {
        let error = ensure_topics(&config(), &[other.clone()], PATIENCE)
            .await
            .unwrap_err();
        let AdminError::Mismatch(lines) = error else {
            panic!("not a mismatch: {error}");
        };
        let expected = [
            "has 3 partitions, not 6".to_owned(),
            format!("retention.ms=600000, not 60000: kafka-configs --alter --topic {name}"),
            "retention.bytes=100000000, not -1".to_owned(),
            "max.message.bytes=8388608, not 20000000".to_owned(),
        ];
        assert_eq!(lines.len(), expected.len(), "{lines:?}");
        for (line, expected) in lines.iter().zip(&expected) {
            assert!(line.contains(expected.as_str()), "{line} lacks {expected}");
            assert!(!line.contains('\n'));
        }
    }
    let mut narrower = spec(&name);
    narrower.max_record_bytes = 1_000_000;
    ensure_topics(&config(), &[narrower], PATIENCE)
        .await
        .expect("a larger limit does no harm");
    delete_topics(&config(), &[&name]).await.unwrap();
}

#[tokio::test]
async fn services_that_start_together_do_not_trip_over_each_other() {
    let name = unique("race");
    let specs = [spec(&name)];
    let kafka = config();
    let both = tokio::join!(
        ensure_topics(&kafka, &specs, PATIENCE),
        ensure_topics(&kafka, &specs, PATIENCE),
    );
    both.0.unwrap();
    both.1.unwrap();
    delete_topics(&kafka, &[&name]).await.unwrap();
}

#[tokio::test]
async fn a_topic_kafka_refuses_is_named_with_the_reason() {
    let error = ensure_topics(&config(), &[spec("no spaces allowed")], PATIENCE)
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("cannot create topic no spaces allowed: "),
        "{text}"
    );
}

#[tokio::test]
async fn no_broker_is_an_error_that_names_the_address() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let kafka = KafkaConfig::new(&address).unwrap();
    let error = ensure_topics(&kafka, &[spec("t")], Duration::ZERO)
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&format!("no Kafka broker answers at {address}")),
        "{text}"
    );
    assert!(text.contains("refused"), "{text}");
}

#[tokio::test]
async fn looking_says_what_is_missing_and_what_differs_and_makes_nothing() {
    let (there, missing) = (unique("looked-at"), unique("missing"));
    ensure_topics(&config(), &[spec(&there)], PATIENCE)
        .await
        .unwrap();
    let mut other = spec(&there);
    other.partitions = 6;
    for _ in 0..2 {
        let report = look_at_topics(&config(), &[other.clone(), spec(&missing)], PATIENCE)
            .await
            .unwrap();
        assert!(!report.brokers.is_empty());
        assert_eq!(report.missing.as_slice(), [missing.as_str()], "still");
        assert!(report.leaderless.is_empty());
        let [difference] = &report.differences[..] else {
            panic!("{report:?}");
        };
        assert!(
            difference.contains("has 3 partitions, not 6"),
            "{difference}"
        );
    }
    delete_topics(&config(), &[&there]).await.unwrap();
}
