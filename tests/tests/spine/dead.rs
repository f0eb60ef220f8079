//! What cannot be looked at ends as a dead letter that says why, and holds nobody up.

use bytes::Bytes;
use hyper::StatusCode;
use jiff::Timestamp;
use pipeline::frame::{Frame, Lane, SourceId};
use pipeline::kafka::{Delivered, Sink};
use pipeline::record::{DeadLetter, FailureKind, Record, encode_frame};
use pipeline::service::DropReason;
use tests::kafka::{acknowledged, sink, until};
use tests::spine::invariants::{every_durable_frame_ended, order_is_kept};
use tests::spine::pictures::{corrupt_jpeg, small_jpeg};
use tests::spine::{On, Spine};

/// A record that cannot be handled, and what its dead letter has to say.
struct Bad {
    what: &'static str,
    record: Record,
    kind: FailureKind,
}

fn frame(source: &str, jpeg: Bytes) -> Frame {
    Frame::new(SourceId::new(source).unwrap(), Timestamp::now(), jpeg)
}

fn bad(what: &'static str, kind: FailureKind, record: Record) -> Bad {
    // A header that nobody knows has to be there still.
    let mut record = record;
    record.headers.push(("x-case".to_owned(), what.into()));
    Bad { what, record, kind }
}

fn bad_records(source: &str) -> Vec<Bad> {
    let with_model = |model: &str| {
        let model = Some(model.parse().unwrap());
        let frame = frame(source, small_jpeg(1));
        encode_frame(&Frame { model, ..frame })
    };
    let foreign = |key: Option<&str>, value: &'static [u8]| Record {
        key: key.map(|key| Bytes::copy_from_slice(key.as_bytes())),
        value: Bytes::from_static(value),
        headers: Vec::new(),
    };
    vec![
        bad(
            "corrupt",
            FailureKind::BadImage,
            encode_frame(&frame(source, corrupt_jpeg())),
        ),
        bad(
            "no JPEG",
            FailureKind::BadRecord,
            foreign(Some(source), b"{\"temperature\": 21}"),
        ),
        bad(
            "zero bytes",
            FailureKind::BadRecord,
            foreign(Some(source), b""),
        ),
        bad(
            "cut short",
            FailureKind::BadImage,
            foreign(Some(source), &[0xff, 0xd8, 0xff]),
        ),
        bad(
            "unknown model",
            FailureKind::UnknownModel,
            with_model("squares"),
        ),
        bad(
            "unknown version",
            FailureKind::UnknownModel,
            with_model("square@7"),
        ),
        bad(
            "no source",
            FailureKind::BadRecord,
            foreign(None, &[0xff, 0xd8, 0xff, 0xe0]),
        ),
    ]
}

async fn send(sink: &Sink, topic: &str, record: &Record) -> Delivered {
    let sent = sink.send_when_room(topic, None, record).await;
    acknowledged(sent.unwrap()).await
}

fn assert_letter(letter: &DeadLetter, bad: &Bad, topic: &str, sent: &Delivered) {
    let what = bad.what;
    assert_eq!(letter.kind, bad.kind, "{what}: {}", letter.error);
    assert!(
        letter.error.len() > 10,
        "{what}: {:?} is no reason",
        letter.error
    );
    assert_eq!(letter.topic, topic, "{what}");
    assert_eq!(
        (letter.partition, letter.offset),
        (sent.partition, sent.offset),
        "{what}"
    );
    assert!(letter.attempts >= 1, "{what}");
    assert_eq!(letter.original, bad.record, "{what}: as it was sent");
}

/// Good frames of the same source stand between the bad ones.
async fn bad_ones_are_set_aside(on: On) {
    let spine = Spine::with_quick_model(on, "dead").await;
    let detector = spine.detector(&[]).await;
    let (sink, topic) = (sink(spine.kafka()), spine.topics().frames());
    let (mut sent, mut good) = (Vec::new(), Vec::new());
    for (number, bad) in bad_records("line-7").into_iter().enumerate() {
        let place = send(&sink, &topic, &bad.record).await;
        sent.push((bad, place));
        let next = frame("line-7", small_jpeg(number));
        send(&sink, &topic, &encode_frame(&next)).await;
        good.push(next.id);
    }
    let recorder = &spine.recorder;
    until("the good ones are served", || {
        recorder.results().len() >= good.len()
    })
    .await;
    until("the bad ones are set aside", || {
        recorder.dead().len() >= sent.len()
    })
    .await;
    // In order: nothing more comes afterwards.
    detector.end().await;
    recorder.caught_up().await;

    let results: Vec<_> = recorder
        .results()
        .iter()
        .map(|result| result.value.id)
        .collect();
    assert_eq!(results, good);
    let letters = recorder.dead();
    assert_eq!(letters.len(), sent.len());
    for (bad, place) in &sent {
        let is_of = |letter: &DeadLetter| {
            (letter.partition, letter.offset) == (place.partition, place.offset)
        };
        let letter = letters.iter().find(|letter| is_of(&letter.value));
        let letter = letter.unwrap_or_else(|| panic!("no dead letter for {}", bad.what));
        assert_letter(&letter.value, bad, &topic, place);
    }
    assert_eq!(
        every_durable_frame_ended(recorder).results.len(),
        good.len()
    );
    order_is_kept(recorder);
}

#[tokio::test]
async fn a_bad_record_is_set_aside_and_the_next_one_is_served() {
    bad_ones_are_set_aside(On::ApacheKafka).await;
}

#[tokio::test]
async fn bad_records_are_set_aside_on_the_embedded_broker_too() {
    bad_ones_are_set_aside(On::EmbeddedBroker).await;
}

#[tokio::test]
async fn the_client_of_a_dead_upload_is_told_why() {
    let spine = Spine::with_quick_model(On::ApacheKafka, "told").await;
    let gateway = spine.gateway().await;
    // As an upload whose bytes were damaged after the gateway had looked at them.
    let mut damaged = frame("upload", corrupt_jpeg());
    damaged.source = SourceId::new(format!("upload-{}", damaged.id)).unwrap();
    let sink = sink(spine.kafka());
    send(
        &sink,
        &spine.topics().of_lane(Lane::Durable),
        &encode_frame(&damaged),
    )
    .await;
    let fine = gateway.upload(&small_jpeg(3)).await;
    let _detector = spine.detector(&[]).await;

    gateway.done(fine.id()).await;
    let failed = gateway.outcome(damaged.id).await;
    assert_eq!(failed.status(), "failed", "{}", failed.0);
    let error = &failed.0["error"];
    assert_eq!(error["code"], "bad_image", "{}", failed.0);
    for field in ["message", "hint"] {
        assert!(
            error[field].as_str().is_some_and(|text| text.len() > 10),
            "{}",
            failed.0
        );
    }
    spine.recorder.caught_up().await;
    let outcomes = every_durable_frame_ended(&spine.recorder);
    assert_eq!((outcomes.results.len(), outcomes.dead.len()), (1, 1));
}

#[tokio::test]
async fn an_upload_past_its_deadline_is_a_dead_letter_and_its_client_is_told() {
    let spine = Spine::with_quick_model(On::EmbeddedBroker, "deadline").await;
    let gateway = spine.gateway().await;
    let patient = gateway.upload(&small_jpeg(1)).await;
    let picture = small_jpeg(2);
    // No detector is there in time.
    let waiting = gateway.post("/api/frames?wait=60s&deadline=1ms", &picture);
    let working = async {
        let recorder = &spine.recorder;
        until("both are on Kafka", || {
            recorder.frames(Lane::Durable).len() == 2
        })
        .await;
        spine.detector(&[]).await
    };
    let (answer, detector) = tokio::join!(waiting, working);
    let told = answer.expect(StatusCode::GATEWAY_TIMEOUT).json();
    assert_eq!(told["error"]["code"], "deadline", "{told}");
    let hint = told["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("longer deadline"), "{told}");

    gateway.done(patient.id()).await;
    spine.recorder.caught_up().await;
    let letters = spine.recorder.dead();
    assert_eq!(letters[0].value.kind, FailureKind::Deadline);
    let reason = &letters[0].value.error;
    assert!(reason.contains("within 1ms"), "{reason}");
    let dropped = detector.dropped(Some(DropReason::Deadline)).await;
    assert!((dropped - 1.0).abs() < f64::EPSILON, "{dropped}");
    let outcomes = every_durable_frame_ended(&spine.recorder);
    assert_eq!((outcomes.results.len(), outcomes.dead.len()), (1, 1));
    let pictures = spine.recorder.annotated();
    assert!(pictures.iter().all(|picture| !picture.value.is_live()));
}
