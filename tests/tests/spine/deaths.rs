//! A frame that its detectors die of: tried three times over all of them, then buried, and the
//! frames around it are looked at all the same.

use jiff::Timestamp;
use pipeline::frame::{Frame, SourceId};
use pipeline::record::{FailureKind, encode_frame};
use tests::kafka::{acknowledged, sink, until, within};
use tests::spine::invariants::every_durable_frame_ended;
use tests::spine::pictures::Picture;
use tests::spine::{On, Spine};

const BATCHES: &str = "kadr_detector_batch_frames_count";

fn frame(source: &str, grey: u8) -> Frame {
    let jpeg = Picture::plain(64, 64, [grey; 3]).encode(90);
    Frame::new(SourceId::new(source).unwrap(), Timestamp::now(), jpeg)
}

/// The model `endless` does not answer for a bright picture.
fn deadly(source: &str) -> Frame {
    let mut frame = frame(source, 255);
    frame.model = Some("endless".parse().unwrap());
    frame
}

async fn three_deaths(on: On) {
    let spine = Spine::with_quick_model(on, "deaths").await;
    let (kafka_sink, frames) = (sink(spine.kafka()), spine.topics().frames());
    let killer = deadly("job");
    let all = [
        frame("job", 40),
        killer.clone(),
        frame("job", 60),
        frame("other", 80),
    ];
    for frame in &all {
        let sent = kafka_sink
            .send(&frames, None, &encode_frame(frame))
            .unwrap();
        acknowledged(sent).await;
    }
    for _death in 0..3 {
        let detector = spine.detector(&["--run-limit", "10m"]).await;
        let is_in_hand = async {
            while detector.metric(BATCHES, &[("model", "endless")]).await < 1.0 {
                tokio::task::yield_now().await;
            }
        };
        within("the frame is in the model's hands", is_in_hand).await;
        detector.kill().await;
    }
    let detector = spine.detector(&["--run-limit", "10m"]).await;
    until("the frame is buried", || !spine.recorder.dead().is_empty()).await;
    until("the others have results", || {
        let goods = [&all[0], &all[2], &all[3]];
        goods
            .iter()
            .all(|frame| spine.recorder.has_result(frame.id))
    })
    .await;
    assert_eq!(
        detector.metric(BATCHES, &[("model", "endless")]).await as i64,
        0
    );
    detector.end().await;

    spine.recorder.caught_up().await;
    let outcomes = every_durable_frame_ended(&spine.recorder);
    assert_eq!((outcomes.results.len(), outcomes.dead.len()), (3, 1));
    let letter = spine.recorder.dead().remove(0).value;
    assert_eq!(
        (letter.kind, letter.attempts),
        (FailureKind::ModelFailed, 3)
    );
    assert!(letter.error.contains("died"), "{}", letter.error);
    assert_eq!(letter.original.value, killer.jpeg);
}

#[tokio::test]
async fn after_three_deaths_a_frame_is_buried_on_apache_kafka() {
    three_deaths(On::ApacheKafka).await;
}

#[tokio::test]
async fn after_three_deaths_a_frame_is_buried_on_the_embedded_broker() {
    three_deaths(On::EmbeddedBroker).await;
}

#[tokio::test]
async fn a_run_that_hangs_is_ended_three_times_and_the_detector_goes_on() {
    let spine = Spine::with_quick_model(On::EmbeddedBroker, "hang").await;
    let (kafka_sink, frames) = (sink(spine.kafka()), spine.topics().frames());
    let detector = spine.detector(&["--run-limit", "1s"]).await;
    let after = frame("job", 60);
    for frame in [&deadly("job"), &after] {
        let sent = kafka_sink
            .send(&frames, None, &encode_frame(frame))
            .unwrap();
        acknowledged(sent).await;
    }
    until("the next frame is served", || {
        spine.recorder.has_result(after.id)
    })
    .await;
    until("the frame is buried", || !spine.recorder.dead().is_empty()).await;
    let letter = spine.recorder.dead().remove(0).value;
    assert_eq!(
        (letter.kind, letter.attempts),
        (FailureKind::ModelFailed, 3)
    );
    assert!(letter.error.contains("1s"), "{}", letter.error);
    let labels = [("model", "endless"), ("how", "ended")];
    let ended = detector
        .metric("kadr_detector_cut_runs_total", &labels)
        .await;
    assert_eq!(ended as i64, 3);
    assert_eq!(
        detector.metric("kadr_detector_lost_threads", &[]).await as i64,
        0
    );
    detector.end().await;
}
