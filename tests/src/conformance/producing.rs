//! Producing through librdkafka and our sink: order, sizes, compression, refusals.

use std::collections::BTreeMap;

use rdkafka::Message;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, Timestamp};

use pipeline::kafka::Tail;

use super::Target;
use super::clients::{
    TIMEOUT, consumer, numbers, offsets, payloads, producer, read, reader, send_all,
};
use super::requests::FOREVER;
use crate::kafka::{acknowledged, number_of, numbered, send_numbered, sink, within};

pub async fn each_key_keeps_its_order_on_one_partition(target: &Target) {
    let topic = target.topic("keys", 4).await;
    let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    send_numbered(&sink(&target.config()), &topic, &keys, 50).await;
    let tail = Tail::open(&target.config(), &[&topic], 1000).await.unwrap();
    let mut numbers: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    for _ in 0..keys.len() * 50 {
        let seen = within("a record", tail.recv()).await;
        let key = seen.record.key.clone().unwrap();
        let of_key = numbers.entry((key, seen.place.partition)).or_default();
        of_key.push(number_of(&seen.record));
    }
    assert_eq!(numbers.len(), keys.len(), "one partition per key");
    for (key, numbers) in numbers {
        assert_eq!(numbers, (0..50).collect::<Vec<_>>(), "{key:?}");
    }
}

pub async fn our_sink_and_our_tail_agree_on_every_record(target: &Target) {
    let topic = target.topic("sink", 1).await;
    let tail = Tail::open(&target.config(), &[&topic], 0).await.unwrap();
    let sink = sink(&target.config());
    for number in 0..20 {
        let sent = sink
            .send(&topic, Some(0), &numbered("cam", number))
            .unwrap();
        assert_eq!(acknowledged(sent).await.offset, number as i64);
    }
    for number in 0..20 {
        let seen = within("a record", tail.recv()).await;
        assert_eq!(seen.record, numbered("cam", number));
        assert_eq!(seen.place.offset, number as i64);
    }
}

pub async fn every_compression_arrives_as_sent(target: &Target) {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = target.topic(codec, 1).await;
        let producer = producer(target, &[("compression.type", codec), ("linger.ms", "20")]);
        let text = |number: usize| format!("{number}-{}", "same again ".repeat(50));
        let values: Vec<String> = (0..200).map(text).collect();
        let sent = send_all(&producer, (&topic, 0), &values).await;
        assert_eq!(sent, (0..200).collect::<Vec<_>>(), "{codec}");
        let messages = read(&reader(target, &topic, Offset::Beginning), 200).await;
        assert_eq!(payloads(&messages), values, "{codec}");
        let messages = read(&reader(target, &topic, Offset::Offset(150)), 50).await;
        assert_eq!(payloads(&messages), values[150..], "{codec}");
    }
}

pub async fn an_idempotent_producer_writes_everything_once_and_in_order(target: &Target) {
    let topic = target.topic("idempotent", 1).await;
    let settings = [
        ("enable.idempotence", "true"),
        ("max.in.flight.requests.per.connection", "5"),
        ("batch.num.messages", "10"),
    ];
    let producer = producer(target, &settings);
    let sent = send_all(&producer, (&topic, 0), &numbers(2000)).await;
    assert_eq!(sent, (0..2000).collect::<Vec<_>>());
    let messages = read(&reader(target, &topic, Offset::Beginning), 2000).await;
    assert_eq!(payloads(&messages), numbers(2000));
}

pub async fn every_kind_of_acknowledgement_writes_the_records(target: &Target) {
    for acks in ["0", "1", "all"] {
        let topic = target.topic("acks", 1).await;
        let producer = producer(target, &[("acks", acks)]);
        let sent = send_all(&producer, (&topic, 0), &numbers(20)).await;
        if acks != "0" {
            assert_eq!(sent, (0..20).collect::<Vec<_>>(), "acks={acks}");
        }
        let messages = read(&reader(target, &topic, Offset::Beginning), 20).await;
        assert_eq!(payloads(&messages), numbers(20), "acks={acks}");
    }
}

pub async fn large_records_pass_a_small_fetch_limit(target: &Target) {
    let topic = target
        .topic_with("large", 1, &[("max.message.bytes", "8388608")])
        .await;
    let producer = producer(target, &[("message.max.bytes", "8388608")]);
    let sizes = [1_000_000, 6_000_000, 10, 6_000_000, 1_000_000, 10];
    let values: Vec<String> = sizes.iter().map(|size| "x".repeat(*size)).collect();
    send_all(&producer, (&topic, 0), &values).await;
    let settings = [
        ("max.partition.fetch.bytes", "1048576"),
        ("fetch.max.bytes", "1048576"),
    ];
    let consumer = consumer(target, &topic, &settings);
    consumer
        .assign(&super::clients::position(&topic, 0, Offset::Beginning))
        .unwrap();
    let messages = read(&consumer, sizes.len()).await;
    let size = |message: &OwnedMessage| message.payload().map_or(0, <[u8]>::len);
    let arrived: Vec<usize> = messages.iter().map(size).collect();
    assert_eq!(arrived, sizes);
}

pub async fn a_record_past_the_topics_limit_is_refused_and_the_next_one_taken(target: &Target) {
    let topic = target
        .topic_with("limit", 1, &[("max.message.bytes", "100000")])
        .await;
    let producer = producer(target, &[]);
    let error = refused(&producer, &topic, 0, &"x".repeat(100_001)).await;
    assert_eq!(error, RDKafkaErrorCode::MessageSizeTooLarge);
    let sent = send_all(&producer, (&topic, 0), &["x".repeat(90_000)]).await;
    assert_eq!(sent, [0]);
}

pub async fn unknown_topics_and_partitions_are_refused(target: &Target) {
    let topic = target.topic("partition", 2).await;
    let producer = producer(target, &[("topic.metadata.propagation.max.ms", "100")]);
    let error = refused(&producer, &topic, 2, "x").await;
    assert_eq!(error, RDKafkaErrorCode::UnknownPartition);
    let error = refused(&producer, "t-no-such-topic", 0, "x").await;
    let expected = [
        RDKafkaErrorCode::UnknownTopic,
        RDKafkaErrorCode::UnknownTopicOrPartition,
    ];
    assert!(expected.contains(&error), "{error}");
}

async fn refused(
    producer: &FutureProducer,
    topic: &str,
    partition: i32,
    value: &str,
) -> RDKafkaErrorCode {
    let record: FutureRecord<'_, (), str> = FutureRecord::to(topic);
    let sent = producer.send(record.partition(partition).payload(value), TIMEOUT);
    match within("the refusal", sent).await {
        Err((KafkaError::MessageProduction(code), _)) => code,
        other => panic!("not refused: {other:?}"),
    }
}

pub async fn keys_values_headers_and_times_arrive_as_sent(target: &Target) {
    let topic = target.topic_with("fields", 1, FOREVER).await;
    let producer = producer(target, &[]);
    let headers = OwnedHeaders::new()
        .insert(Header {
            key: "twice",
            value: Some("one"),
        })
        .insert(Header {
            key: "twice",
            value: Some("two"),
        })
        .insert(Header::<&str> {
            key: "null",
            value: None,
        })
        .insert(Header {
            key: "empty",
            value: Some(""),
        });
    let time_ms = 1_600_000_000_123;
    let full: FutureRecord<'_, str, str> = FutureRecord::to(&topic);
    let full = full
        .key("key")
        .payload("value")
        .timestamp(time_ms)
        .headers(headers.clone());
    let bare: FutureRecord<'_, str, str> = FutureRecord::to(&topic);
    let empty: FutureRecord<'_, str, str> = FutureRecord::to(&topic);
    for record in [full, bare, empty.key("").payload("")] {
        within("a delivery", producer.send(record.partition(0), TIMEOUT))
            .await
            .map_err(|(error, _)| error)
            .unwrap();
    }
    let messages = read(&reader(target, &topic, Offset::Beginning), 3).await;
    assert_eq!(offsets(&messages), [0, 1, 2]);
    let fields = |at: usize| (messages[at].key(), messages[at].payload());
    assert_eq!(fields(0), (Some(&b"key"[..]), Some(&b"value"[..])));
    assert_eq!(fields(1), (None, None));
    assert_eq!(fields(2), (Some(&b""[..]), Some(&b""[..])));
    assert_eq!(messages[0].timestamp(), Timestamp::CreateTime(time_ms));
    let arrived = messages[0].headers().unwrap();
    let pairs = |headers: &OwnedHeaders| format!("{:?}", headers.iter().collect::<Vec<_>>());
    assert_eq!(pairs(arrived), pairs(&headers));
}
