//! Produce requests on the wire: versions, acknowledgements, and every way to be wrong.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kafka_protocol::messages::produce_response::PartitionProduceResponse;

use super::requests::{code, fetch, leader_epoch, list_offset, produce, produce_request};
use super::{Target, differences};
use crate::wire::{Batch, tampered};

/// Where things stand in a batch.
const BASE_OFFSET_AT: usize = 7;
const LENGTH_AT: usize = 11;
const LEADER_EPOCH_AT: usize = 15;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 22;
const LAST_DELTA_AT: usize = 26;
const COUNT_AT: usize = 60;
/// Before the records.
const HEADER_BYTES: usize = 61;

/// Produces to a new topic, and checks that nothing was written if it was refused.
async fn produced(target: &Target, records: Option<Bytes>) -> PartitionProduceResponse {
    let topic = target.topic("produce", 1).await;
    let mut client = target.client().await;
    let request = produce_request((&topic, 0), records);
    let mut answer = client.call(9, &request).await;
    let answer = answer.responses.remove(0).partition_responses.remove(0);
    if answer.error_code != code::NONE {
        assert_eq!(answer.base_offset, -1);
        assert_eq!(list_offset(&mut client, (&topic, 0), -1).await.offset, 0);
    }
    answer
}

pub async fn every_version_appends(target: &Target) {
    let topic = target.topic("versions", 1).await;
    let mut client = target.client().await;
    let request = produce_request((&topic, 0), Some(Batch::of(&["a", "b"]).encode()));
    for version in 3..=9 {
        let answer = client.call(version, &request).await;
        assert_eq!(answer.responses.len(), 1);
        assert_eq!(answer.responses[0].name.as_str(), topic);
        let partition = &answer.responses[0].partition_responses[0];
        assert_eq!((partition.index, partition.error_code), (0, code::NONE));
        assert_eq!(partition.base_offset, 2 * i64::from(version - 3));
        assert_eq!(partition.log_append_time_ms, -1);
        let log_start = if version >= 5 { 0 } else { -1 };
        assert_eq!(partition.log_start_offset, log_start, "version {version}");
        assert!(partition.record_errors.is_empty());
        assert_eq!(partition.error_message, None);
    }
}

pub async fn acknowledgements_are_as_asked(target: &Target) {
    let topic = target.topic("acks", 1).await;
    let mut client = target.client().await;
    let request = produce_request((&topic, 0), Some(Batch::of(&["x"]).encode()));
    // Nothing answers this one: what comes next answers the next request.
    client.send(9, &request.clone().with_acks(0)).await;
    for (acks, base_offset) in [(1, 1), (-1, 2)] {
        let answer = client.call(9, &request.clone().with_acks(acks)).await;
        let answer = &answer.responses[0].partition_responses[0];
        assert_eq!(
            (answer.error_code, answer.base_offset),
            (code::NONE, base_offset)
        );
    }
    for acks in [2, 7, -2] {
        let answer = client.call(9, &request.clone().with_acks(acks)).await;
        let answer = &answer.responses[0].partition_responses[0];
        assert_eq!(answer.error_code, code::INVALID_REQUIRED_ACKS);
        assert_eq!(answer.base_offset, -1);
    }
}

pub async fn an_error_nobody_waits_for_closes_the_connection(target: &Target) {
    let mut client = target.client().await;
    let request = produce_request(("t-no-such-topic", 0), Some(Batch::of(&["x"]).encode()));
    client.send(9, &request.with_acks(0)).await;
    assert_eq!(client.receive_frame().await, None);
}

pub async fn unknown_topics_and_partitions(target: &Target) {
    let topic = target.topic("unknown", 2).await;
    let mut client = target.client().await;
    for place in [("t-no-such-topic", 0), (&topic, 2), (&topic, -1)] {
        let answer = produce(&mut client, place, Batch::of(&["x"]).encode()).await;
        assert_eq!(
            answer.error_code,
            code::UNKNOWN_TOPIC_OR_PARTITION,
            "{place:?}"
        );
        assert_eq!(answer.base_offset, -1);
    }
}

pub async fn a_wrong_checksum(target: &Target) {
    let batch = Batch::of(&["x"]).encode();
    let batch = tampered(&batch, CRC_AT, !batch[CRC_AT], false);
    let answer = produced(target, Some(batch)).await;
    assert_eq!(answer.error_code, code::CORRUPT_MESSAGE);
}

pub async fn a_changed_record(target: &Target) {
    let batch = Batch::of(&["x"]).encode();
    let last = batch.len() - 2;
    let batch = tampered(&batch, last, b'y', false);
    assert_eq!(
        produced(target, Some(batch)).await.error_code,
        code::CORRUPT_MESSAGE
    );
}

pub async fn old_formats(target: &Target) {
    let batch = Batch::of(&["x"]).encode();
    for magic in [0, 1] {
        let batch = tampered(&batch, MAGIC_AT, magic, false);
        let answer = produced(target, Some(batch)).await;
        assert_eq!(answer.error_code, code::INVALID_RECORD, "magic {magic}");
    }
}

pub async fn a_format_of_the_future(target: &Target) {
    let batch = tampered(&Batch::of(&["x"]).encode(), MAGIC_AT, 3, false);
    assert_eq!(
        produced(target, Some(batch)).await.error_code,
        code::CORRUPT_MESSAGE
    );
}

pub async fn no_batch_at_all(target: &Target) {
    let empty = produced(target, Some(Bytes::new())).await;
    assert_eq!(empty.error_code, code::INVALID_RECORD);
}

pub async fn half_a_batch(target: &Target) {
    let batch = Batch::of(&["x"]).encode();
    for length in [10, HEADER_BYTES, batch.len() - 1] {
        let half = batch.slice(..length);
        let answer = produced(target, Some(half)).await;
        assert_eq!(answer.error_code, code::INVALID_RECORD, "{length} bytes");
    }
}

pub async fn two_batches_in_one_request(target: &Target) {
    let batch = Batch::of(&["x"]).encode();
    let two = Bytes::from([&batch[..], &batch[..]].concat());
    assert_eq!(
        produced(target, Some(two)).await.error_code,
        code::INVALID_RECORD
    );
}

pub async fn counts_that_do_not_fit(target: &Target) {
    let batch = Batch::of(&["x", "y"]).encode();
    for (at, byte) in [
        (COUNT_AT, 1),
        (COUNT_AT, 3),
        (COUNT_AT, 0),
        (LAST_DELTA_AT, 4),
    ] {
        let batch = tampered(&batch, at, byte, true);
        let answer = produced(target, Some(batch)).await;
        assert_eq!(answer.error_code, code::INVALID_RECORD, "{byte} at {at}");
    }
}

pub async fn a_length_that_does_not_fit(target: &Target) {
    let batch = Batch::of(&["x"]).encode();
    let batch = tampered(&batch, LENGTH_AT, 5, false);
    assert_eq!(
        produced(target, Some(batch)).await.error_code,
        code::CORRUPT_MESSAGE
    );
}

pub async fn an_unknown_compression(target: &Target) {
    let batch = tampered(&Batch::of(&["x"]).encode(), ATTRIBUTES_AT, 5, true);
    let answer = produced(target, Some(batch)).await;
    let expected = differences::unknown_compression_code(target);
    assert_eq!(answer.error_code, expected);
}

pub async fn a_control_batch(target: &Target) {
    let batch = tampered(&Batch::of(&["x"]).encode(), ATTRIBUTES_AT, 0x20, true);
    assert_eq!(
        produced(target, Some(batch)).await.error_code,
        code::INVALID_RECORD
    );
}

pub async fn times_far_in_the_future(target: &Target) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let in_two_hours_ms = now.as_millis() as i64 + 7_200_000;
    let batch = Batch::at_times(&[(in_two_hours_ms, "x")]).encode();
    let answer = produced(target, Some(batch)).await;
    assert_eq!(answer.error_code, code::INVALID_TIMESTAMP);
}

pub async fn sizes_up_to_the_limit(target: &Target) {
    let batch = Batch::of(&[&"x".repeat(3000)]).encode();
    let limit = batch.len().to_string();
    let settings = [("max.message.bytes", limit.as_str())];
    let topic = target.topic_with("sizes", 1, &settings).await;
    let mut client = target.client().await;
    let taken = produce(&mut client, (&topic, 0), batch).await;
    assert_eq!((taken.error_code, taken.base_offset), (code::NONE, 0));
    let larger = Batch::of(&[&"x".repeat(3001)]).encode();
    assert_eq!(
        larger.len().to_string(),
        (limit.parse::<usize>().unwrap() + 1).to_string()
    );
    let refused = produce(&mut client, (&topic, 0), larger).await;
    assert_eq!(refused.error_code, code::MESSAGE_TOO_LARGE);
    assert_eq!(list_offset(&mut client, (&topic, 0), -1).await.offset, 1);
}

pub async fn one_wrong_partition_does_not_harm_the_others(target: &Target) {
    let topic = target.topic("mixed", 2).await;
    let mut client = target.client().await;
    let good = Batch::of(&["x"]).encode();
    let bad = tampered(&good, CRC_AT, !good[CRC_AT], false);
    let mut request = produce_request((&topic, 0), Some(bad));
    let other = produce_request((&topic, 1), Some(good))
        .topic_data
        .remove(0);
    request.topic_data[0]
        .partition_data
        .extend(other.partition_data);
    let answer = client.call(9, &request).await;
    let partitions = &answer.responses[0].partition_responses;
    let error_of = |index| {
        partitions
            .iter()
            .find(|found| found.index == index)
            .unwrap()
            .error_code
    };
    assert_eq!(
        (error_of(0), error_of(1)),
        (code::CORRUPT_MESSAGE, code::NONE)
    );
}

pub async fn requests_of_one_connection_are_answered_in_order(target: &Target) {
    let topic = target.topic("pipeline", 1).await;
    let mut client = target.client().await;
    for _ in 0..20 {
        let request = produce_request((&topic, 0), Some(Batch::of(&["x"]).encode()));
        client.send(9, &request.with_acks(0)).await;
    }
    let last = produce(&mut client, (&topic, 0), Batch::of(&["x"]).encode()).await;
    assert_eq!(last.base_offset, 20);
}

pub async fn a_base_offset_of_the_clients_own(target: &Target) {
    let batch = tampered(&Batch::of(&["x"]).encode(), BASE_OFFSET_AT, 9, false);
    let answer = produced(target, Some(batch)).await;
    assert_eq!(answer.error_code, code::INVALID_RECORD);
}

pub async fn offsets_and_leader_epochs_are_the_brokers(target: &Target) {
    let topic = target.topic("stamped", 1).await;
    let mut client = target.client().await;
    let batch = Batch::of(&["x"]).encode();
    // It lies outside the checksum, and whatever the client wrote there is overwritten.
    let odd = tampered(&batch, LEADER_EPOCH_AT, 99, false);
    for offset in 0..2 {
        let answer = produce(&mut client, (&topic, 0), odd.clone()).await;
        assert_eq!(
            (answer.error_code, answer.base_offset),
            (code::NONE, offset)
        );
    }
    let epoch = leader_epoch(&mut client, &topic).await;
    let records = fetch(&mut client, (&topic, 0), 1).await.records.unwrap();
    assert_eq!(records[..8], 1_i64.to_be_bytes());
    assert_eq!(records[12..16], epoch.to_be_bytes());
    assert_eq!(records[16..], batch[16..], "all else is kept as it came");
}
