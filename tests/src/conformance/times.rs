//! Lookups by time through librdkafka, in plain and in compressed batches.

use kafka_protocol::records::Compression;
use rdkafka::Offset;
use rdkafka::consumer::Consumer;

use super::Target;
use super::clients::{TIMEOUT, consumer, position};
use super::requests::{FOREVER, produce};
use crate::wire::Batch;

/// The first record at or after a time.
fn lookup(target: &Target, topic: &str, time_ms: i64) -> Offset {
    let asked = position(topic, 0, Offset::Offset(time_ms));
    let found = consumer(target, topic, &[]).offsets_for_times(asked, TIMEOUT);
    found.unwrap().find_partition(topic, 0).unwrap().offset()
}

async fn lookups_with(target: &Target, compression: Compression) {
    let topic = target.topic_with("times", 1, FOREVER).await;
    let first = Batch::at_times(&[(1_000, "a"), (2_000, "b"), (3_000, "c")]);
    let second = Batch::at_times(&[(4_000, "d"), (5_000, "e")]);
    let mut client = target.client().await;
    for batch in [first, second] {
        let records = batch.compressed(compression).encode();
        assert_eq!(
            produce(&mut client, (&topic, 0), records).await.error_code,
            0
        );
    }
    for (time_ms, expected) in [
        (0, Offset::Offset(0)),
        (1_000, Offset::Offset(0)),
        (1_001, Offset::Offset(1)),
        (2_000, Offset::Offset(1)),
        (2_500, Offset::Offset(2)),
        (3_001, Offset::Offset(3)),
        (4_500, Offset::Offset(4)),
        (5_000, Offset::Offset(4)),
        (5_001, Offset::End),
        (4_000_000_000_000, Offset::End),
    ] {
        let found = lookup(target, &topic, time_ms);
        assert_eq!(found, expected, "{time_ms} with {compression:?}");
    }
}

pub async fn lookups_in_plain_batches(target: &Target) {
    lookups_with(target, Compression::None).await;
}

pub async fn lookups_in_gzip_batches(target: &Target) {
    lookups_with(target, Compression::Gzip).await;
}

pub async fn lookups_in_snappy_batches(target: &Target) {
    lookups_with(target, Compression::Snappy).await;
}

pub async fn lookups_in_lz4_batches(target: &Target) {
    lookups_with(target, Compression::Lz4).await;
}

pub async fn lookups_in_zstd_batches(target: &Target) {
    lookups_with(target, Compression::Zstd).await;
}

pub async fn lookups_where_times_go_back(target: &Target) {
    let topic = target.topic_with("back", 1, FOREVER).await;
    let mut client = target.client().await;
    for times in [[5_000, 1_000, 3_000], [2_000, 9_000, 4_000]] {
        let batch = Batch::at_times(&times.map(|time| (time, "x"))).encode();
        produce(&mut client, (&topic, 0), batch).await;
    }
    for (time_ms, expected) in [
        (500, Offset::Offset(0)),
        (2_000, Offset::Offset(0)),
        (5_001, Offset::Offset(4)),
        (9_001, Offset::End),
    ] {
        assert_eq!(lookup(target, &topic, time_ms), expected, "{time_ms}");
    }
}

pub async fn lookups_in_an_empty_log(target: &Target) {
    let topic = target.topic("empty", 1).await;
    assert_eq!(lookup(target, &topic, 0), Offset::End);
}
