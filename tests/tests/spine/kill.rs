//! kill -9 of the detector in the middle of uploads: none is lost, none is shown twice.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use pipeline::frame::{FrameId, Lane};
use tests::kafka::within;
use tests::spine::groups::{all_committed, committed};
use tests::spine::invariants::{
    every_durable_frame_ended, every_result_has_its_picture, order_is_kept,
};
use tests::spine::pictures::grey_photo;
use tests::spine::uploads::Gateway;
use tests::spine::{On, Spine};

/// Uploads before the detector starts, until it is killed, and while nobody works.
const EARLY: usize = 250;
const AROUND: usize = 150;
const LATE: usize = 100;
const UPLOADS: usize = EARLY + AROUND + LATE;
/// Clients that upload at the same time.
const CLIENTS: usize = 8;

/// Uploads so many at once, and says which were accepted.
async fn upload(gateway: Arc<Gateway>, count: usize) -> HashSet<FrameId> {
    let one = |number| {
        let gateway = Arc::clone(&gateway);
        async move { gateway.upload(&grey_photo(number)).await.id() }
    };
    let uploads = stream::iter(0..count).map(one);
    uploads.buffer_unordered(CLIENTS).collect().await
}

async fn kill_in_the_middle(on: On) {
    let spine = Spine::with_quick_model(on, "kill").await;
    let gateway = Arc::new(spine.gateway().await);
    let (recorder, frames) = (&spine.recorder, spine.topics().frames());
    let mut accepted = upload(Arc::clone(&gateway), EARLY).await;
    let first = spine.detector(&[]).await;
    let uploading = tokio::spawn(upload(Arc::clone(&gateway), AROUND));
    // Now some is done for good, and most is not: what was committed too early would be lost.
    within("something is committed", async {
        while committed(&spine, &frames).await.is_empty() {}
    })
    .await;
    first.kill().await;
    let done = recorder.count(&spine.topics().results());
    println!("killed after {done} of {UPLOADS} results");
    let at_the_kill = committed(&spine, &frames).await;
    accepted.extend(uploading.await.unwrap());
    accepted.extend(upload(Arc::clone(&gateway), LATE).await);

    let _second = spine.detector(&[]).await;
    assert_eq!(accepted.len(), UPLOADS, "every id is its own");
    let at_the_end = all_committed(&spine, &frames).await;
    recorder.caught_up().await;
    let outcomes = every_durable_frame_ended(recorder);
    assert_eq!((&outcomes.results, outcomes.dead.len()), (&accepted, 0));
    every_result_has_its_picture(recorder);
    order_is_kept(recorder);
    only_what_was_in_flight_is_repeated(&spine, &outcomes.repeated, &at_the_kill);
    let mut first_results = HashMap::new();
    for result in recorder.results() {
        let result = result.value;
        first_results.entry(result.id).or_insert(result);
    }
    for id in accepted {
        let shown = gateway.done(id).await.result();
        assert_eq!(shown, first_results[&id], "a second result shows");
    }
    for (partition, offset) in at_the_kill {
        assert!(
            at_the_end[&partition] >= offset,
            "partition {partition} went back"
        );
    }
}

/// A result may be on the topic twice only when its frame was not committed at the kill.
fn only_what_was_in_flight_is_repeated(
    spine: &Spine,
    repeated: &[FrameId],
    committed: &HashMap<i32, i64>,
) {
    println!(
        "{} of {UPLOADS} results are on the topic twice",
        repeated.len()
    );
    for frame in spine.recorder.frames(Lane::Durable) {
        if repeated.contains(&frame.value.id) {
            let committed = committed.get(&frame.place.partition).copied().unwrap_or(0);
            assert!(
                frame.place.offset >= committed,
                "{:?} was done for good",
                frame.place
            );
        }
    }
}

#[tokio::test]
async fn a_killed_detector_loses_no_upload_and_shows_none_twice() {
    kill_in_the_middle(On::ApacheKafka).await;
}

#[tokio::test]
async fn nothing_is_lost_on_the_embedded_broker_either() {
    kill_in_the_middle(On::EmbeddedBroker).await;
}
