//! Cameras that film faster than the model can look: each loses frame rate as the other does, what is
//! shown stays new, every frame is accounted for, and photos get through.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use pipeline::detections::{Detections, Timings};
use pipeline::frame::{DEFAULT_LIVE_DEADLINE_MS, Frame, FrameId, Lane, SourceId};
use pipeline::kafka::Sink;
use pipeline::record::{Record, encode_frame};
use pipeline::service::DropReason;
use tests::kafka::{acknowledged, sink, until, within};
use tests::spine::invariants::{every_durable_frame_ended, order_is_kept};
use tests::spine::pictures::{belt_photo, small_jpeg};
use tests::spine::recorder::{Read, Recorder};
use tests::spine::service::Service;
use tests::spine::{On, Spine};

/// Together far more than the model can look at.
const CAMERAS: [&str; 2] = [
    "belt-1=belt://?seed=1&fps=15&size=640x480",
    "belt-2=belt://?seed=2&fps=15&size=640x480",
];
const FRAME_GAP_MS: f64 = 1000.0 / 15.0;

/// Results that are enough to judge by.
const RESULTS: usize = 40;
const PHOTOS: u64 = 4;

/// A live frame of a source of its own, worth showing for longer than the test takes.
fn probe() -> Frame {
    let id = FrameId::new();
    let source = SourceId::new(format!("probe-{id}")).unwrap();
    let mut frame = Frame::new(source, Timestamp::now(), small_jpeg(0));
    frame.deadline_ms = Some(600_000);
    frame
}

/// A detector sees of the live lane what comes after its partitions were given to it; waits until it
/// has them all, and has looked at all that was sent to find that out.
async fn has_all_partitions(spine: &Spine) {
    let sink = sink(spine.kafka());
    let partitions = spine.recorder.ends_of(&spine.topics().live()).await.len();
    for partition in 0..partitions as i32 {
        within(
            "the detector has the partition",
            answered(spine, &sink, partition),
        )
        .await;
    }
}

async fn answered(spine: &Spine, sink: &Sink, partition: i32) {
    let live = spine.topics().live();
    loop {
        let frame = probe();
        let record: Record = encode_frame(&frame);
        let sent = sink.send(&live, Some(partition), &record).unwrap();
        acknowledged(sent).await;
        for _look in 0..40 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if spine.recorder.has_result(frame.id) {
                return;
            }
        }
    }
}

fn of_cameras(recorder: &Recorder) -> Vec<Read<Detections>> {
    let mut results = recorder.results();
    results.retain(|result| result.value.source.as_str().starts_with("belt-"));
    results
}

async fn photos_get_through(spine: &Spine) {
    let gateway = spine.gateway().await;
    for number in 0..PHOTOS {
        let (jpeg, _) = belt_photo(7_300_021, number);
        let upload = gateway.upload(&jpeg).await;
        gateway.done(upload.id()).await;
    }
}

/// What came onto the live lane is either a result or a skipped frame with a reason.
async fn all_are_accounted_for(spine: &Spine, detector: &Service, skipped_before: f64) {
    let frames = spine.recorder.frames(Lane::Live).into_iter();
    let filmed: HashSet<FrameId> = frames
        .filter(|frame| frame.value.source.as_str().starts_with("belt-"))
        .map(|frame| frame.value.id)
        .collect();
    let balanced = async {
        loop {
            let skipped = detector.dropped(None).await - skipped_before;
            spine.recorder.caught_up().await;
            let shown = of_cameras(&spine.recorder).len();
            if shown as f64 + skipped >= filmed.len() as f64 {
                assert_eq!(shown + skipped as usize, filmed.len(), "{shown} shown");
                println!("{} filmed, {shown} shown, {skipped} skipped", filmed.len());
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within("every filmed frame is accounted for", balanced).await;
}

/// What the detector does for one frame, from its pixels to its picture.
fn run_ms(timings: &Timings) -> f64 {
    f64::from(timings.decode + timings.infer + timings.annotate + timings.encode)
}

/// From the shutter to the result on the topic.
fn age_ms(result: &Read<Detections>) -> f64 {
    (result.sent_ms - result.value.captured_at.as_millisecond()) as f64
}

/// The shown frame was filmed while the model was busy with the one before, or with a photo: two runs
/// and one frame gap, and one more run for what the machine does besides.
fn shown_frames_are_new(results: &[Read<Detections>]) {
    let mut runs: Vec<f64> = results
        .iter()
        .map(|result| run_ms(&result.value.timings_ms))
        .collect();
    let longest = runs.iter().copied().fold(0.0, f64::max);
    runs.sort_unstable_by(f64::total_cmp);
    let typical = runs[runs.len() / 2];
    let mut ages: Vec<f64> = results.iter().map(age_ms).collect();
    ages.sort_unstable_by(f64::total_cmp);
    let (middle, oldest) = (ages[ages.len() / 2], ages[ages.len() - 1]);
    println!("run {typical:.0} ms (longest {longest:.0}), age {middle:.0} ms (oldest {oldest:.0})");
    assert!(
        middle <= 3.0 * typical + FRAME_GAP_MS,
        "the lane is not fresh"
    );
    let deadline = f64::from(DEFAULT_LIVE_DEADLINE_MS);
    assert!(
        oldest <= deadline + 3.0 * longest,
        "older than its deadline when it was chosen"
    );
}

#[tokio::test]
async fn overload_takes_frame_rate_from_every_camera_and_adds_no_delay() {
    let spine = Spine::with_parts(On::ApacheKafka, "overload").await;
    let detector = spine.detector(&[]).await;
    has_all_partitions(&spine).await;
    let skipped_before = detector.dropped(None).await;
    let cameras = spine.cameras(&CAMERAS).await;
    let recorder = &spine.recorder;
    until("the cameras are seen", || !of_cameras(recorder).is_empty()).await;
    photos_get_through(&spine).await;
    until("enough is seen", || of_cameras(recorder).len() >= RESULTS).await;
    cameras.end().await;
    recorder.caught_up().await;
    all_are_accounted_for(&spine, &detector, skipped_before).await;

    let superseded = detector.dropped(Some(DropReason::Superseded)).await;
    let stale = detector.dropped(Some(DropReason::Stale)).await;
    println!("{superseded} superseded, {stale} stale");
    assert!(superseded > 0.0, "the cameras were not too fast");
    let results = of_cameras(recorder);
    let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
    for result in &results {
        *shares.entry(result.value.source.as_str()).or_default() += 1;
    }
    let (least, most) = (
        shares.values().min().unwrap(),
        shares.values().max().unwrap(),
    );
    println!("{shares:?}");
    assert_eq!(shares.len(), CAMERAS.len(), "{shares:?}");
    assert!(least * 10 >= most * 7, "unfair shares: {shares:?}");
    shown_frames_are_new(&results);
    order_is_kept(recorder);
    assert_eq!(
        every_durable_frame_ended(recorder).results.len() as u64,
        PHOTOS
    );
    let annotated = recorder.annotated();
    for picture in annotated
        .iter()
        .filter(|picture| picture.value.source.as_str().starts_with("belt-"))
    {
        assert!(picture.value.is_live(), "the wall would not show it");
    }
}
