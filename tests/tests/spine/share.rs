//! Several detectors: they share the partitions, come and go, and every frame is looked at once and in
//! the order of its source.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use pipeline::frame::{Frame, Lane, SourceId};
use pipeline::kafka::Sink;
use pipeline::record::encode_frame;
use tests::kafka::{acknowledged, sink, until, within};
use tests::spine::groups::all_committed;
use tests::spine::invariants::{
    every_durable_frame_ended, every_result_has_its_picture, order_is_kept,
};
use tests::spine::pictures::small_jpeg;
use tests::spine::service::Service;
use tests::spine::{On, Spine};
use tokio::task::JoinHandle;

/// Sources of the durable lane; enough of them to have some on every partition.
const JOBS: usize = 8;
/// Sources of the live lane.
const CAMERAS: usize = 4;
/// A live frame of these tests is worth showing for longer than any test takes.
const NO_HURRY_MS: u32 = 600_000;
/// Results that prove that a detector works.
const SOME: f64 = 40.0;

/// Frames of several sources on both lanes, until it is told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Load {
    fn start(spine: &Spine) -> Self {
        let (stop, sent) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let sink = sink(spine.kafka());
        let (durable, live) = (spine.topics().frames(), spine.topics().live());
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&sent));
        let task = tokio::spawn(async move {
            for sequence in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let jobs = (0..JOBS).map(|job| (&durable, frame(Lane::Durable, job, sequence)));
                let cameras =
                    (0..CAMERAS).map(|number| (&live, frame(Lane::Live, number, sequence)));
                send_all(&sink, jobs.chain(cameras)).await;
                counted.fetch_add((JOBS + CAMERAS) as u64, Ordering::Relaxed);
                // A pace that detectors on a busy machine keep up with.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Self { stop, sent, task }
    }

    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        within("the last frames are sent", self.task).await.unwrap();
        self.sent.load(Ordering::Relaxed)
    }
}

async fn send_all<'a>(sink: &Sink, frames: impl Iterator<Item = (&'a String, Frame)>) {
    let mut deliveries = Vec::new();
    for (topic, frame) in frames {
        let sent = sink
            .send_when_room(topic, None, &encode_frame(&frame))
            .await;
        deliveries.push(sent.unwrap());
    }
    for delivery in deliveries {
        acknowledged(delivery).await;
    }
}

/// Every second job asks for the classifier, which takes two pictures at once.
fn frame(lane: Lane, number: usize, sequence: u64) -> Frame {
    let name = match lane {
        Lane::Durable => format!("job-{number}"),
        Lane::Live => format!("camera-{number}"),
    };
    let source = SourceId::new(name).unwrap();
    let jpeg = small_jpeg(sequence as usize);
    let mut frame = Frame::new(source, Timestamp::now(), jpeg);
    frame.sequence = Some(sequence);
    frame.deadline_ms = (lane == Lane::Live).then_some(NO_HURRY_MS);
    let is_batched = lane == Lane::Durable && number % 2 == 1;
    frame.model = is_batched.then(|| "colour".parse().unwrap());
    frame
}

/// Waits until a detector has made more results than it had.
async fn works(detector: &Service, before: f64) {
    let poll = async {
        while detector.results().await < before + SOME {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within("the detector works", poll).await;
}

async fn detectors_come_and_go(on: On) {
    let spine = Spine::with_quick_model(on, "share").await;
    let first = spine.detector(&[]).await;
    let load = Load::start(&spine);
    works(&first, 0.0).await;
    let second = spine.detector(&[]).await;
    works(&second, 0.0).await;
    // Both at the same time, not one after the other.
    works(&first, first.results().await).await;
    works(&second, second.results().await).await;
    first.end().await;
    works(&second, second.results().await).await;
    let sent = load.end().await;

    all_committed(&spine, &spine.topics().frames()).await;
    second.end().await;
    let recorder = &spine.recorder;
    recorder.caught_up().await;
    let outcomes = every_durable_frame_ended(recorder);
    assert!(outcomes.dead.is_empty(), "{:?}", recorder.dead());
    assert!(
        outcomes.repeated.is_empty(),
        "looked at twice: {:?}",
        outcomes.repeated
    );
    every_result_has_its_picture(recorder);
    let counts = order_is_kept(recorder);
    assert_eq!(counts.len(), JOBS + CAMERAS, "{counts:?}");
    println!("{sent} frames: {counts:?}");
}

#[tokio::test]
async fn two_detectors_share_the_partitions_and_one_may_leave() {
    detectors_come_and_go(On::ApacheKafka).await;
}

#[tokio::test]
async fn they_share_the_embedded_broker_too() {
    detectors_come_and_go(On::EmbeddedBroker).await;
}

#[tokio::test]
async fn a_detector_that_is_asked_to_end_finishes_what_it_holds() {
    let spine = Spine::with_quick_model(On::ApacheKafka, "grace").await;
    let first = spine.detector(&[]).await;
    let load = Load::start(&spine);
    works(&first, 0.0).await;
    first.end().await;
    load.end().await;
    let recorder = &spine.recorder;
    recorder.caught_up().await;
    let before = recorder.count(&spine.topics().results());
    let second = spine.detector(&[]).await;
    until("the rest is done", || {
        recorder.count(&spine.topics().results()) > before
    })
    .await;
    all_committed(&spine, &spine.topics().frames()).await;
    second.end().await;
    recorder.caught_up().await;
    let outcomes = every_durable_frame_ended(recorder);
    assert!(
        outcomes.repeated.is_empty(),
        "looked at twice: {:?}",
        outcomes.repeated
    );
}
