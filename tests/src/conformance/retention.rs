//! Retention by bytes and by time: old segments go, young ones stay, readers go on at the start.

use std::time::{SystemTime, UNIX_EPOCH};

use rdkafka::{Message, Offset};

use super::clients::{read, reader, watermarks};
use super::requests::{list_offset, produce};
use super::{Target, until_some};
use crate::wire::Batch;

/// The least that Apache Kafka takes for `segment.bytes`.
const SEGMENT_BYTES: &str = "1048576";

const HOUR_MS: i64 = 3_600_000;

async fn until_start(
    target: &Target,
    topic: &str,
    what: &str,
    is_there: impl Fn(i64) -> bool,
) -> i64 {
    let mut client = target.client().await;
    until_some(what, async || {
        let start = list_offset(&mut client, (topic, 0), -2).await.offset;
        is_there(start).then_some(start)
    })
    .await
}

pub async fn by_bytes(target: &Target) {
    let settings = [
        ("segment.bytes", SEGMENT_BYTES),
        ("retention.bytes", "2097152"),
    ];
    let topic = target.topic_with("bytes", 1, &settings).await;
    let mut client = target.client().await;
    let value = "x".repeat(250_000);
    for offset in 0..40 {
        let batch = Batch::of(&[&value]).encode();
        assert_eq!(
            produce(&mut client, (&topic, 0), batch).await.base_offset,
            offset
        );
    }
    // 10 MB came. 2 MiB stay, and up to a segment more, since segments go as a whole.
    let start = until_start(target, &topic, "old segments go", |start| start >= 26).await;
    assert!(start <= 32, "{start}: 2 MiB of records have to stay");
    assert_eq!(watermarks(target, &topic).1, 40);
    let messages = read(&reader(target, &topic, Offset::Beginning), 1).await;
    assert_eq!(messages[0].offset(), start);
}

pub async fn by_time(target: &Target) {
    let settings = [
        ("segment.bytes", SEGMENT_BYTES),
        ("retention.ms", "3600000"),
    ];
    let topic = target.topic_with("time", 1, &settings).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let long_ago_ms = now.as_millis() as i64 - 2 * HOUR_MS;
    let mut client = target.client().await;
    let value = "x".repeat(400_000);
    for _ in 0..6 {
        let batch = Batch::at_times(&[(long_ago_ms, &value)]).encode();
        assert_eq!(produce(&mut client, (&topic, 0), batch).await.error_code, 0);
    }
    // All of it has expired, the active segment too; the offsets go on.
    until_start(target, &topic, "everything expires", |start| start == 6).await;
    let young = produce(&mut client, (&topic, 0), Batch::of(&["young"]).encode()).await;
    assert_eq!(young.base_offset, 6);
    let messages = read(&reader(target, &topic, Offset::Beginning), 1).await;
    assert_eq!(messages[0].offset(), 6);
}

pub async fn shortened_while_the_topic_is_in_use(target: &Target) {
    let settings = [("segment.bytes", SEGMENT_BYTES)];
    let topic = target.topic_with("shortened", 1, &settings).await;
    let mut client = target.client().await;
    let value = "x".repeat(400_000);
    for _ in 0..8 {
        produce(&mut client, (&topic, 0), Batch::of(&[&value]).encode()).await;
    }
    assert_eq!(watermarks(target, &topic), (0, 8));
    super::wire_settings::set(&mut client, &topic, &[("retention.bytes", "1000000")]).await;
    let start = until_start(target, &topic, "old segments go", |start| start >= 4).await;
    assert!(start <= 6, "{start}: a million bytes have to stay");
}
