//! Idempotent producers on the wire: duplicates, gaps, epochs, and who gets a producer id.

use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{InitProducerIdRequest, TransactionalId};

use super::requests::{code, list_offset, produce, producer_id};
use super::{Target, differences};
use crate::wire::{Batch, Client, text};

/// An idempotent producer on a topic of its own.
struct Producer {
    client: Client,
    topic: String,
    id: (i64, i16),
}

impl Producer {
    async fn new(target: &Target) -> Self {
        Self {
            client: target.client().await,
            topic: target.topic("producer", 1).await,
            id: producer_id(target).await,
        }
    }

    async fn answer(&mut self, sequence: i32, count: usize) -> PartitionProduceResponse {
        let batch = Batch::of(&vec!["x"; count]).by(self.id, sequence).encode();
        produce(&mut self.client, (&self.topic, 0), batch).await
    }

    /// Error code and base offset.
    async fn send(&mut self, sequence: i32, count: usize) -> (i16, i64) {
        let answer = self.answer(sequence, count).await;
        (answer.error_code, answer.base_offset)
    }

    async fn end(&mut self) -> i64 {
        list_offset(&mut self.client, (&self.topic, 0), -1)
            .await
            .offset
    }
}

pub async fn ids_are_given_once(target: &Target) {
    let mut ids = Vec::new();
    for _ in 0..20 {
        let (id, epoch) = producer_id(target).await;
        assert_eq!(epoch, 0);
        ids.push(id);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20);
}

pub async fn ids_in_every_version(target: &Target) {
    let first = producer_id(target).await.0;
    let mut client = target.client().await;
    for version in 0..=4 {
        let request = InitProducerIdRequest::default().with_transactional_id(None);
        let request = request
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        let answer = client.call(version, &request).await;
        assert_eq!((answer.error_code, answer.producer_epoch), (code::NONE, 0));
        assert_ne!(answer.producer_id.0, first);
    }
}

pub async fn ids_for_transactions(target: &Target) {
    let request = |id: &str| {
        InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text(id))))
            .with_transaction_timeout_ms(10_000)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1)
    };
    let mut client = target.client().await;
    let empty = client.call(4, &request("")).await;
    assert_eq!(empty.error_code, code::INVALID_REQUEST);
    let expected = differences::transactional_producer_codes(target);
    let answer = client.call(4, &request("t-transactional")).await.error_code;
    assert!(expected.contains(&answer), "{answer}, not {expected:?}");
}

pub async fn a_batch_sent_again_is_answered_as_the_first_time(target: &Target) {
    let mut producer = Producer::new(target).await;
    let sizes = [3, 1, 2, 4, 5];
    let mut sent = Vec::new();
    let (mut sequence, mut offset) = (0, 0);
    for count in sizes {
        assert_eq!(producer.send(sequence, count).await, (code::NONE, offset));
        sent.push((sequence, count, offset));
        sequence += count as i32;
        offset += count as i64;
    }
    for (sequence, count, offset) in sent {
        assert_eq!(producer.send(sequence, count).await, (code::NONE, offset));
    }
    assert_eq!(producer.end().await, 15);
}

pub async fn a_batch_older_than_the_last_five_is_no_longer_known(target: &Target) {
    let mut producer = Producer::new(target).await;
    for sequence in 0..6 {
        assert_eq!(
            producer.send(sequence, 1).await,
            (code::NONE, i64::from(sequence))
        );
    }
    assert_eq!(producer.send(0, 1).await, (code::OUT_OF_ORDER_SEQUENCE, -1));
    assert_eq!(producer.send(1, 1).await, (code::NONE, 1));
    assert_eq!(producer.end().await, 6);
}

pub async fn a_gap_is_refused(target: &Target) {
    let mut producer = Producer::new(target).await;
    assert_eq!(producer.send(0, 2).await, (code::NONE, 0));
    for sequence in [3, 10, i32::MAX] {
        let answer = producer.answer(sequence, 1).await;
        assert_eq!(answer.error_code, code::OUT_OF_ORDER_SEQUENCE, "{sequence}");
        assert_eq!(answer.base_offset, -1);
    }
    assert_eq!(producer.send(2, 1).await, (code::NONE, 2));
}

pub async fn a_batch_that_overlaps_the_last_is_refused(target: &Target) {
    let mut producer = Producer::new(target).await;
    assert_eq!(producer.send(0, 4).await, (code::NONE, 0));
    assert_eq!(producer.send(0, 2).await.0, code::OUT_OF_ORDER_SEQUENCE);
    assert_eq!(producer.send(2, 4).await.0, code::OUT_OF_ORDER_SEQUENCE);
    assert_eq!(producer.send(4, 1).await, (code::NONE, 4));
}

pub async fn an_old_epoch_is_refused_and_a_new_one_starts_over(target: &Target) {
    let mut producer = Producer::new(target).await;
    assert_eq!(producer.send(0, 1).await, (code::NONE, 0));
    producer.id.1 = 1;
    assert_eq!(producer.send(1, 1).await.0, code::OUT_OF_ORDER_SEQUENCE);
    assert_eq!(producer.send(0, 1).await, (code::NONE, 1));
    producer.id.1 = 0;
    assert_eq!(producer.send(1, 1).await.0, code::INVALID_PRODUCER_EPOCH);
    assert_eq!(producer.end().await, 2);
}

pub async fn a_producer_nobody_knows_may_start_anywhere(target: &Target) {
    let mut producer = Producer::new(target).await;
    assert_eq!(producer.send(7, 1).await, (code::NONE, 0));
    assert_eq!(producer.send(9, 1).await.0, code::OUT_OF_ORDER_SEQUENCE);
    assert_eq!(producer.send(8, 1).await, (code::NONE, 1));
}

pub async fn sequences_wrap(target: &Target) {
    let mut producer = Producer::new(target).await;
    assert_eq!(producer.send(i32::MAX - 1, 2).await, (code::NONE, 0));
    assert_eq!(producer.send(0, 1).await, (code::NONE, 2));
    assert_eq!(producer.send(1, 1).await, (code::NONE, 3));
    assert_eq!(producer.send(i32::MAX - 1, 2).await, (code::NONE, 0));
}

pub async fn producers_and_partitions_are_counted_apart(target: &Target) {
    let topic = target.topic("apart", 2).await;
    let (one, other) = (producer_id(target).await, producer_id(target).await);
    let mut client = target.client().await;
    for (id, partition, base_offset) in [(one, 0, 0), (other, 0, 1), (one, 1, 0), (other, 1, 1)] {
        let batch = Batch::of(&["x"]).by(id, 0).encode();
        let answer = produce(&mut client, (&topic, partition), batch).await;
        assert_eq!(
            (answer.error_code, answer.base_offset),
            (code::NONE, base_offset)
        );
    }
}

pub async fn records_of_a_transaction_are_refused_without_one(target: &Target) {
    let mut producer = Producer::new(target).await;
    let batch = Batch::of(&["x"])
        .by(producer.id, 0)
        .transactional()
        .encode();
    let answer = produce(&mut producer.client, (&producer.topic, 0), batch).await;
    let expected = differences::transactional_batch_codes(target);
    assert!(
        expected.contains(&answer.error_code),
        "{}",
        answer.error_code
    );
    assert_eq!(producer.end().await, 0);
}
