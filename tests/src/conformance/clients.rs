//! librdkafka clients for the cases, and the wire requests that many cases make.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::OwnedMessage;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::Target;
use crate::kafka::within;

/// How long one blocking call of librdkafka may take.
pub(super) const TIMEOUT: Duration = Duration::from_mins(1);

fn client(target: &Target, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", target.bootstrap());
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config
}

/// A producer with librdkafka's defaults and these settings.
pub(super) fn producer(target: &Target, settings: &[(&str, &str)]) -> FutureProducer {
    client(target, settings).create().unwrap()
}

/// A consumer that commits nothing by itself and begins at the start.
pub(super) fn consumer(target: &Target, group: &str, settings: &[(&str, &str)]) -> StreamConsumer {
    let mut config = client(target, &[("group.id", group)]);
    config.set("enable.auto.commit", "false");
    config.set("auto.offset.reset", "earliest");
    config.set("session.timeout.ms", "6000");
    config.set("fetch.wait.max.ms", "100");
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

pub(super) fn admin(target: &Target) -> AdminClient<DefaultClientContext> {
    client(target, &[]).create().unwrap()
}

pub(super) fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(TIMEOUT))
        .operation_timeout(Some(TIMEOUT))
}

/// One partition and a position in it.
pub(super) fn position(topic: &str, partition: i32, offset: Offset) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, offset).unwrap();
    list
}

/// A consumer without a group membership that reads one partition from `offset` on.
pub(super) fn reader(target: &Target, topic: &str, offset: Offset) -> StreamConsumer {
    let reader = consumer(target, topic, &[]);
    reader.assign(&position(topic, 0, offset)).unwrap();
    reader
}

/// The next messages.
pub(super) async fn read(consumer: &StreamConsumer, count: usize) -> Vec<OwnedMessage> {
    let mut messages = Vec::with_capacity(count);
    while messages.len() < count {
        let what = format!("message {} of {count}", messages.len() + 1);
        let message = within(&what, consumer.recv()).await;
        messages.push(message.unwrap().detach());
    }
    messages
}

pub(super) fn offsets(messages: &[OwnedMessage]) -> Vec<i64> {
    messages.iter().map(Message::offset).collect()
}

pub(super) fn payloads(messages: &[OwnedMessage]) -> Vec<String> {
    let text = |message: &OwnedMessage| {
        String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned()
    };
    messages.iter().map(text).collect()
}

/// Sends the values to one partition and waits for all acknowledgements; returns their offsets.
pub(super) async fn send_all<S: AsRef<str>>(
    producer: &FutureProducer,
    (topic, partition): (&str, i32),
    values: &[S],
) -> Vec<i64> {
    let mut deliveries = Vec::new();
    for value in values {
        let record: FutureRecord<'_, (), str> = FutureRecord::to(topic)
            .partition(partition)
            .payload(value.as_ref());
        let delivery = producer.send_result(record);
        deliveries.push(delivery.map_err(|(error, _)| error).unwrap());
    }
    let mut offsets = Vec::new();
    for delivery in deliveries {
        let delivered = within("an acknowledgement", delivery).await.unwrap();
        offsets.push(delivered.map_err(|(error, _)| error).unwrap().offset);
    }
    offsets
}

/// `count` values, `0` first.
pub(super) fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

/// The first and the next offset of partition 0.
pub(super) fn watermarks(target: &Target, topic: &str) -> (i64, i64) {
    let consumer = consumer(target, "watermarks", &[]);
    consumer.fetch_watermarks(topic, 0, TIMEOUT).unwrap()
}
