//! A broker that stops and comes back: data, settings, offsets, groups and producers are kept.

use std::time::Duration;

use pipeline::kafka::{Source, SourceConfig, StartPosition};
use rdkafka::Offset;
use rdkafka::consumer::{CommitMode, Consumer};

use super::Target;
use super::clients::{
    TIMEOUT, consumer, numbers, payloads, position, producer, read, reader, send_all, watermarks,
};
use super::members::Member;
use super::requests::{code, list_offset, produce, producer_id};
use crate::kafka::{metrics, number_of, numbered, sink, within};
use crate::wire::Batch;

pub async fn everything_is_kept_over_a_stop_and_over_a_kill(target: &Target) {
    let target = target.own("kept").await;
    let topic = target
        .topic_with("kept", 1, &[("retention.ms", "7200000")])
        .await;
    let group = target.group("kept").await;
    let values = numbers(100);
    send_all(&producer(&target, &[]), (&topic, 0), &values).await;
    let producer = producer_id(&target).await;
    let batch = |sequence| Batch::of(&["x"]).by(producer, sequence).encode();
    let mut client = target.client().await;
    assert_eq!(
        produce(&mut client, (&topic, 0), batch(0))
            .await
            .base_offset,
        100
    );
    let place = position(&topic, 0, Offset::Offset(42));
    consumer(&target, &group, &[])
        .commit(&place, CommitMode::Sync)
        .unwrap();
    let mut member = Member::alone(&target, &target.group("member").await).await;

    for round in 0..2 {
        if round == 0 {
            target.stop().await;
        } else {
            target.kill().await;
        }
        target.start_again().await;
        target.until_ready(&topic, 1).await;
        assert_eq!(watermarks(&target, &topic), (0, 101 + round));
        let messages = read(&reader(&target, &topic, Offset::Beginning), 100).await;
        assert_eq!(payloads(&messages), values);
        let asked = position(&topic, 0, Offset::Invalid);
        let found = consumer(&target, &group, &[]).committed_offsets(asked, TIMEOUT);
        let found = found.unwrap().find_partition(&topic, 0).unwrap().offset();
        assert_eq!(found, Offset::Offset(42));
        // A member goes on beating, in its generation.
        member.client = target.client().await;
        member.until_heartbeat(code::NONE).await;
        let mut client = target.client().await;
        let settings = super::wire_settings::told(&mut client, &topic, "retention.ms").await;
        assert_eq!(settings.as_deref(), Some("7200000"));
        // The last batch sent before comes again, as after a lost answer.
        let sequence = i32::try_from(round).unwrap();
        let again = produce(&mut client, (&topic, 0), batch(sequence)).await;
        assert_eq!(
            (again.error_code, again.base_offset),
            (code::NONE, 100 + round)
        );
        let gap = produce(&mut client, (&topic, 0), batch(sequence + 2)).await;
        assert_eq!(gap.error_code, code::OUT_OF_ORDER_SEQUENCE);
        let next = produce(&mut client, (&topic, 0), batch(sequence + 1)).await;
        assert_eq!(
            (next.error_code, next.base_offset),
            (code::NONE, 101 + round)
        );
        let fresh = producer_id(&target).await.0;
        assert!(fresh > producer.0, "{fresh} was given away before");
    }
    assert_eq!(
        list_offset(&mut target.client().await, (&topic, 0), -1)
            .await
            .offset,
        103
    );
}

pub async fn live_clients_go_on_over_a_restart(target: &Target) {
    let target = target.own("live").await;
    let topic = target.topic("live", 1).await;
    let group = target.group("live").await;
    let sink = sink(&target.config());
    let settings = SourceConfig::new(&group, &[&topic], StartPosition::Earliest);
    let mut source = Source::start(&target.config(), settings, &metrics().1).unwrap();
    let mut deliveries = Vec::new();
    let mut next = 0;
    for round in 0..3 {
        for number in round * 100..(round + 1) * 100 {
            let sent = sink
                .send_when_room(&topic, Some(0), &numbered("cam", number))
                .await;
            deliveries.push(sent.unwrap());
        }
        if round == 1 {
            // Some of these records are under way.
            target.stop().await;
            target.start_again().await;
        }
        while next < (round + 1) * 100 {
            let received = within("a record", source.recv()).await.unwrap();
            let number = number_of(received.value());
            assert!(number <= next, "{next} is missing, {number} came");
            next = next.max(number + 1);
            received.complete();
        }
    }
    for delivery in deliveries {
        within("an acknowledgement", delivery).await.unwrap();
    }
    within("the source closes", source.close(Duration::from_secs(5))).await;
    assert_eq!(watermarks(&target, &topic), (0, 300), "each record once");
}
