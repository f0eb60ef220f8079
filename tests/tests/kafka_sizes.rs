//! Frames of real sizes: 1 MB and 6 MB pass unchanged, too large is refused in clear words.

use std::time::Duration;

use bytes::Bytes;
use pipeline::kafka::{SinkError, Source, SourceConfig, StartPosition, TopicSpec};
use pipeline::record::Record;
use tests::kafka::{TestTopic, acknowledged, config, metrics, sink, unique, within};

/// Bytes that no codec on the way could shrink or mistake for another frame's.
fn frame(bytes: usize, seed: u64) -> Record {
    let mut state = seed | 1;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    });
    Record {
        key: Some(Bytes::from_static(b"cam-1")),
        value: noise.take(bytes).collect(),
        headers: vec![("content-type".to_owned(), Bytes::from_static(b"image/jpeg"))],
    }
}

#[tokio::test]
async fn frames_of_1_mb_and_6_mb_arrive_byte_for_byte() {
    let topic = TestTopic::new("sizes", 1).await;
    let sink = sink(&config());
    let frames = [
        frame(1_000_000, 1),
        frame(6_000_000, 2),
        frame(1_000_000, 3),
    ];
    for frame in &frames {
        acknowledged(sink.send(topic.name(), None, frame).unwrap()).await;
    }
    let settings = SourceConfig::new(&unique("sizes"), &[topic.name()], StartPosition::Earliest);
    let mut source = Source::start(&config(), settings, &metrics().1).unwrap();
    for frame in &frames {
        let received = within("a frame", source.recv()).await.unwrap();
        assert!(
            received.value() == frame,
            "{} bytes changed on the way",
            frame.value.len()
        );
        received.complete();
    }
    within("the source closes", source.close(Duration::from_secs(5))).await;
}

#[tokio::test]
async fn the_largest_record_that_the_sink_takes_is_taken_by_the_topic() {
    let topic = TestTopic::new("largest", 1).await;
    let sink = sink(&config());
    let mut record = frame(0, 1);
    // What the batch header and the record's own header fields take is unknown here: search.
    let fits = |bytes: usize| {
        record.value = Bytes::from(vec![7; bytes]);
        match sink.send(topic.name(), None, &record) {
            Err(SinkError::TooBig { .. }) => None,
            other => Some(other.expect("the sink has room")),
        }
    };
    let mut fits = fits;
    let limit = sink.max_record_bytes();
    let delivery = (0..1000)
        .find_map(|less| fits(limit - less))
        .expect("a size that fits");
    acknowledged(delivery).await;
}

#[tokio::test]
async fn an_oversize_frame_is_refused_by_the_sink_with_both_numbers() {
    let topic = TestTopic::new("oversize", 1).await;
    let error = sink(&config())
        .send(topic.name(), None, &frame(9_000_000, 1))
        .unwrap_err();
    assert!(matches!(error, SinkError::TooBig { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("takes 90001"), "{text}");
    assert!(text.contains("8388608 bytes (message.max.bytes)"), "{text}");
}

#[tokio::test]
async fn a_frame_over_the_topics_own_limit_is_refused_and_the_next_one_passes() {
    let mut spec = TopicSpec::new(&unique("narrow"), 1, Duration::from_hours(1));
    spec.max_record_bytes = 1_000_000;
    let topic = TestTopic::on(&config(), spec).await;
    let sink = sink(&config());
    let refused = sink.send(topic.name(), None, &frame(2_000_000, 1)).unwrap();
    let error = within("the broker's answer", refused).await.unwrap_err();
    assert!(matches!(error, SinkError::TooBig { .. }), "{error}");
    assert!(error.to_string().contains("max.message.bytes"), "{error}");
    acknowledged(sink.send(topic.name(), None, &frame(500_000, 2)).unwrap()).await;
}
