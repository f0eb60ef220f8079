//! Consuming through librdkafka without a group: positions, watermarks, deleted records, waiting.

use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::Target;
use super::clients::{
    TIMEOUT, admin, consumer, numbers, offsets, options, payloads, position, producer, read,
    reader, send_all, watermarks,
};
use crate::kafka::within;

/// A topic of one partition with records 0..count.
async fn filled(target: &Target, purpose: &str, count: usize) -> String {
    let topic = target.topic(purpose, 1).await;
    send_all(&producer(target, &[]), (&topic, 0), &numbers(count)).await;
    topic
}

async fn delete_before(target: &Target, topic: &str, offset: Offset) -> Result<Offset, KafkaError> {
    let list = position(topic, 0, offset);
    let deleted = admin(target)
        .delete_records(&list, &options())
        .await
        .unwrap();
    let element = deleted.find_partition(topic, 0).unwrap();
    element.error().map(|()| element.offset())
}

async fn error_of(consumer: &StreamConsumer) -> KafkaError {
    match within("an error", consumer.recv()).await {
        Err(error) => error,
        Ok(message) => panic!("a message at {} instead of an error", message.offset()),
    }
}

pub async fn watermarks_follow_the_log(target: &Target) {
    let topic = target.topic("marks", 1).await;
    assert_eq!(watermarks(target, &topic), (0, 0));
    let producer = producer(target, &[]);
    send_all(&producer, (&topic, 0), &numbers(500)).await;
    assert_eq!(watermarks(target, &topic), (0, 500));
    let deleted = delete_before(target, &topic, Offset::Offset(123)).await;
    assert_eq!(deleted, Ok(Offset::Offset(123)));
    assert_eq!(watermarks(target, &topic), (123, 500));
    let deleted = delete_before(target, &topic, Offset::End).await;
    assert_eq!(deleted, Ok(Offset::Offset(500)));
    assert_eq!(watermarks(target, &topic), (500, 500));
    send_all(&producer, (&topic, 0), &numbers(1)).await;
    assert_eq!(watermarks(target, &topic), (500, 501));
}

pub async fn deleted_records_stay_deleted_and_the_others_stay(target: &Target) {
    let topic = filled(target, "deleted", 100).await;
    delete_before(target, &topic, Offset::Offset(40))
        .await
        .unwrap();
    let messages = read(&reader(target, &topic, Offset::Beginning), 60).await;
    assert_eq!(offsets(&messages), (40..100).collect::<Vec<_>>());
    assert_eq!(payloads(&messages), numbers(100)[40..]);
    delete_before(target, &topic, Offset::Offset(10))
        .await
        .unwrap();
    assert_eq!(
        watermarks(target, &topic),
        (40, 100),
        "the start never goes back"
    );
    let beyond = delete_before(target, &topic, Offset::Offset(101)).await;
    let code = beyond.unwrap_err().rdkafka_error_code();
    assert_eq!(code, Some(RDKafkaErrorCode::OffsetOutOfRange));
}

pub async fn positions_outside_the_log_are_reset_as_asked(target: &Target) {
    let topic = filled(target, "outside", 50).await;
    delete_before(target, &topic, Offset::Offset(20))
        .await
        .unwrap();
    for outside in [5, 51] {
        let strict = consumer(target, &topic, &[("auto.offset.reset", "error")]);
        let place = position(&topic, 0, Offset::Offset(outside));
        strict.assign(&place).unwrap();
        let code = error_of(&strict).await.rdkafka_error_code();
        assert_eq!(code, Some(RDKafkaErrorCode::AutoOffsetReset), "{outside}");
        let lenient = consumer(target, &topic, &[]);
        lenient.assign(&place).unwrap();
        assert_eq!(offsets(&read(&lenient, 1).await), [20], "{outside}");
    }
}

pub async fn every_way_to_name_a_position_leads_there(target: &Target) {
    let topic = filled(target, "places", 100).await;
    for (place, expected) in [
        (Offset::Beginning, 0),
        (Offset::Offset(37), 37),
        (Offset::OffsetTail(3), 97),
        (Offset::OffsetTail(100), 0),
    ] {
        let messages = read(&reader(target, &topic, place), 1).await;
        assert_eq!(offsets(&messages), [expected], "{place:?}");
    }
    let consumer = reader(target, &topic, Offset::Offset(90));
    read(&consumer, 5).await;
    consumer
        .seek(&topic, 0, Offset::Beginning, TIMEOUT)
        .unwrap();
    assert_eq!(offsets(&read(&consumer, 2).await), [0, 1]);
}

pub async fn a_reader_that_waits_at_the_end_sees_what_comes(target: &Target) {
    let topic = filled(target, "waiting", 10).await;
    let consumer = reader(target, &topic, Offset::Offset(10));
    let producer = producer(target, &[("linger.ms", "0")]);
    for round in 10..30 {
        send_all(&producer, (&topic, 0), &[round.to_string()]).await;
        let messages = read(&consumer, 1).await;
        assert_eq!(offsets(&messages), [round]);
        assert_eq!(payloads(&messages), [round.to_string()]);
    }
}

pub async fn one_reader_gets_every_partition(target: &Target) {
    let topic = target.topic("many", 12).await;
    let producer = producer(target, &[]);
    let mut all = TopicPartitionList::new();
    for partition in 0..12 {
        send_all(&producer, (&topic, partition), &numbers(30)).await;
        all.add_partition_offset(&topic, partition, Offset::Beginning)
            .unwrap();
    }
    let consumer = consumer(target, &topic, &[]);
    consumer.assign(&all).unwrap();
    let messages = read(&consumer, 12 * 30).await;
    for partition in 0..12 {
        let of_partition = messages
            .iter()
            .filter(|found| found.partition() == partition);
        let found: Vec<i64> = of_partition.map(Message::offset).collect();
        assert_eq!(found, (0..30).collect::<Vec<_>>(), "partition {partition}");
    }
}

pub async fn a_topic_that_does_not_exist_is_an_error_and_stays_absent(target: &Target) {
    let absent = crate::kafka::unique("absent");
    let consumer = consumer(target, &absent, &[]);
    consumer.subscribe(&[&absent]).unwrap();
    let code = error_of(&consumer).await.rdkafka_error_code();
    assert_eq!(code, Some(RDKafkaErrorCode::UnknownTopicOrPartition));
    let all = consumer.fetch_metadata(None, TIMEOUT).unwrap();
    assert!(all.topics().iter().all(|topic| topic.name() != absent));
}
