//! Fetch requests on the wire: limits, waiting, positions outside the log, sessions.

use bytes::Bytes;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_response::PartitionData;

use super::Target;
use super::requests::{code, fetch, fetch_request, leader_epoch, produce};
use super::wire_offsets::delete_before;
use crate::wire::{Batch, Client, batches_of};

/// Longer than a test waits: who wakes a fetch earlier has to have a reason.
const NEVER_MS: i32 = 3_600_000;

/// A topic with batches of these many records, each 1,000 bytes.
async fn filled(target: &Target, client: &mut Client, counts: &[usize]) -> String {
    let topic = target.topic("fetch", 1).await;
    let value = "x".repeat(1000);
    for count in counts {
        let batch = Batch::of(&vec![value.as_str(); *count]).encode();
        assert_eq!(
            produce(client, (&topic, 0), batch).await.error_code,
            code::NONE
        );
    }
    topic
}

async fn one(client: &mut Client, request: &FetchRequest) -> PartitionData {
    let mut answer = client.call(11, request).await;
    assert_eq!(answer.error_code, code::NONE);
    answer.responses.remove(0).partitions.remove(0)
}

fn batches(data: &PartitionData) -> Vec<(i64, i32)> {
    batches_of(data.records.as_ref().unwrap_or(&Bytes::new()))
}

pub async fn every_version_answers_alike(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client, &[3, 2]).await;
    for version in 4..=12 {
        let mut request = fetch_request((&topic, 0), 3);
        request.topics[0].partitions[0].current_leader_epoch = -1;
        request.topics[0].partitions[0].last_fetched_epoch = -1;
        request.max_bytes = 1_048_576;
        let answer = client.call(version, &request).await;
        assert_eq!((answer.error_code, answer.session_id), (code::NONE, 0));
        assert_eq!(answer.responses[0].topic.as_str(), topic);
        let data = &answer.responses[0].partitions[0];
        assert_eq!((data.partition_index, data.error_code), (0, code::NONE));
        assert_eq!((data.high_watermark, data.last_stable_offset), (5, 5));
        assert_eq!(data.log_start_offset, if version >= 5 { 0 } else { -1 });
        assert!(data.aborted_transactions.as_ref().is_none_or(Vec::is_empty));
        assert_eq!(batches(data), [(3, 2)], "version {version}");
    }
}

pub async fn a_position_inside_a_batch_gets_the_whole_batch(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client, &[5, 5]).await;
    for (offset, expected) in [
        (0, vec![(0, 5), (5, 5)]),
        (4, vec![(0, 5), (5, 5)]),
        (5, vec![(5, 5)]),
        (9, vec![(5, 5)]),
        (10, vec![]),
    ] {
        let data = fetch(&mut client, (&topic, 0), offset).await;
        assert_eq!(
            (data.error_code, batches(&data)),
            (code::NONE, expected),
            "{offset}"
        );
    }
}

pub async fn positions_outside_the_log(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client, &[1, 1, 1]).await;
    delete_before(&mut client, (&topic, 0), 2).await;
    for offset in [0, 1, 4, -1, i64::MAX] {
        let data = fetch(&mut client, (&topic, 0), offset).await;
        assert_eq!(data.error_code, code::OFFSET_OUT_OF_RANGE, "{offset}");
        assert_eq!(data.high_watermark, -1);
        assert!(batches(&data).is_empty());
    }
    let data = fetch(&mut client, (&topic, 0), 2).await;
    assert_eq!((data.log_start_offset, data.high_watermark), (2, 3));
    assert_eq!(batches(&data), [(2, 1)]);
}

pub async fn unknown_topics_and_partitions(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client, &[1]).await;
    for place in [("t-no-such-topic", 0), (&topic, 1), (&topic, -1)] {
        let data = fetch(&mut client, place, 0).await;
        assert_eq!(
            data.error_code,
            code::UNKNOWN_TOPIC_OR_PARTITION,
            "{place:?}"
        );
        assert_eq!(data.high_watermark, -1);
    }
}

pub async fn a_batch_larger_than_every_limit_comes_whole(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client, &[20, 1, 1]).await;
    let mut request = fetch_request((&topic, 0), 0).with_max_bytes(100);
    assert_eq!(batches(&one(&mut client, &request).await), [(0, 20)]);
    request.max_bytes = i32::MAX;
    request.topics[0].partitions[0].partition_max_bytes = 100;
    assert_eq!(batches(&one(&mut client, &request).await), [(0, 20)]);
    request.topics[0].partitions[0].partition_max_bytes = 0;
    assert_eq!(batches(&one(&mut client, &request).await), [(0, 20)]);
}

pub async fn limits_hold_for_what_comes_after_the_first_batch(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client, &[1; 10]).await;
    let mut request = fetch_request((&topic, 0), 0);
    request.topics[0].partitions[0].partition_max_bytes = 3500;
    let data = one(&mut client, &request).await;
    assert!(data.records.as_ref().unwrap().len() <= 3500);
    assert_eq!(batches(&data), [(0, 1), (1, 1), (2, 1)]);
    let mut request = fetch_request((&topic, 0), 0).with_max_bytes(3500);
    request.topics[0].partitions[0].partition_max_bytes = i32::MAX;
    assert_eq!(
        batches(&one(&mut client, &request).await),
        [(0, 1), (1, 1), (2, 1)]
    );
}

pub async fn one_limit_is_shared_by_all_partitions(target: &Target) {
    let topic = target.topic("shared", 2).await;
    let mut client = target.client().await;
    let batch = Batch::of(&[&"x".repeat(5000)]).encode();
    for partition in [0, 1] {
        produce(&mut client, (&topic, partition), batch.clone()).await;
    }
    let mut request = fetch_request((&topic, 0), 0).with_max_bytes(6000);
    let second = fetch_request((&topic, 1), 0).topics.remove(0).partitions;
    request.topics[0].partitions.extend(second);
    let answer = client.call(11, &request).await;
    let sizes = answer.responses[0].partitions.iter();
    let sizes: Vec<usize> = sizes.map(|data| batches(data).len()).collect();
    assert_eq!(sizes, [1, 0], "the second has its turn another time");
}

pub async fn an_empty_fetch_ends_when_a_record_comes(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client, &[1]).await;
    let request = fetch_request((&topic, 0), 1);
    let mut waiting = target.client().await;
    let request = request.with_max_wait_ms(NEVER_MS).with_min_bytes(1);
    waiting.send(11, &request).await;
    produce(&mut client, (&topic, 0), Batch::of(&["x"]).encode()).await;
    let answer = waiting.receive::<FetchRequest>(11).await.unwrap();
    assert_eq!(batches(&answer.responses[0].partitions[0]), [(1, 1)]);
}

pub async fn a_fetch_waits_for_as_many_bytes_as_it_asks_for(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client, &[1]).await;
    let request = fetch_request((&topic, 0), 0).with_max_bytes(1_000_000);
    let mut waiting = target.client().await;
    let request = request.with_max_wait_ms(NEVER_MS).with_min_bytes(3000);
    waiting.send(11, &request).await;
    let value = "x".repeat(1000);
    for _ in 0..2 {
        produce(&mut client, (&topic, 0), Batch::of(&[&value]).encode()).await;
    }
    let answer = waiting.receive::<FetchRequest>(11).await.unwrap();
    assert_eq!(
        batches(&answer.responses[0].partitions[0]),
        [(0, 1), (1, 1), (2, 1)]
    );
}

pub async fn a_fetch_that_waited_in_vain_gets_what_there_is(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client, &[2]).await;
    let request = fetch_request((&topic, 0), 0);
    let request = request.with_max_wait_ms(50).with_min_bytes(1_000_000);
    assert_eq!(batches(&one(&mut client, &request).await), [(0, 2)]);
}

pub async fn a_position_outside_the_log_ends_a_fetch_at_once(target: &Target) {
    let topic = target.topic("at-once", 2).await;
    let mut client = target.client().await;
    let mut request = fetch_request((&topic, 0), 0);
    let outside = fetch_request((&topic, 1), 7).topics.remove(0).partitions;
    request.topics[0].partitions.extend(outside);
    let request = request.with_max_wait_ms(NEVER_MS).with_min_bytes(1);
    let answer = client.call(11, &request).await;
    let codes = answer.responses[0].partitions.iter();
    let codes: Vec<_> = codes
        .map(|data| (data.partition_index, data.error_code))
        .collect();
    assert!(codes.contains(&(1, code::OFFSET_OUT_OF_RANGE)), "{codes:?}");
}

pub async fn sessions_nobody_has_begun(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client, &[1]).await;
    for session_epoch in [1, 7] {
        let request = fetch_request((&topic, 0), 0);
        let request = request
            .with_session_id(123_456)
            .with_session_epoch(session_epoch);
        let answer = client.call(11, &request).await;
        assert_eq!(answer.error_code, code::FETCH_SESSION_NOT_FOUND);
        assert!(answer.responses.is_empty());
    }
}

pub async fn a_fetch_that_offers_a_session_gets_its_records(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client, &[1]).await;
    let request = fetch_request((&topic, 0), 0).with_session_epoch(0);
    // Whether the broker takes up the offer is its own affair.
    assert_eq!(batches(&one(&mut client, &request).await), [(0, 1)]);
    let request = fetch_request((&topic, 0), 0).with_session_epoch(-1);
    let answer = client.call(11, &request).await;
    assert_eq!(answer.session_id, 0, "this one wants no session");
}

pub async fn leader_epochs_of_the_future(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client, &[1]).await;
    let epoch = leader_epoch(&mut client, &topic).await;
    let mut request = fetch_request((&topic, 0), 0);
    request.topics[0].partitions[0].current_leader_epoch = epoch;
    assert_eq!(one(&mut client, &request).await.error_code, code::NONE);
    request.topics[0].partitions[0].current_leader_epoch = epoch + 1;
    assert_eq!(
        one(&mut client, &request).await.error_code,
        code::UNKNOWN_LEADER_EPOCH
    );
}

pub async fn readers_of_committed_records_see_everything(target: &Target) {
    let mut client = target.client().await;
    let topic = filled(target, &mut client, &[1, 1]).await;
    let request = fetch_request((&topic, 0), 0).with_isolation_level(1);
    let data = one(&mut client, &request).await;
    assert_eq!((data.last_stable_offset, data.high_watermark), (2, 2));
    assert_eq!(batches(&data), [(0, 1), (1, 1)]);
    assert!(
        data.aborted_transactions
            .is_none_or(|aborted| aborted.is_empty())
    );
}
