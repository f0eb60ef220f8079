//! Results and dead letters as they come, from the end of their topics.

use std::convert::Infallible;

use pipeline::{
    kafka::{Seen, Tail},
    topic::Topics,
};
use tokio_util::sync::CancellationToken;

use super::{Outcomes, is_upload, read};

/// Notes what becomes of uploads, until `stop`.
pub(crate) async fn follow(
    tail: Tail,
    topics: Topics,
    outcomes: Outcomes,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let dead_topic = topics.dead();
    loop {
        let seen = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            seen = tail.recv() => seen,
        };
        if !is_upload(seen.record.key.as_ref()) {
            continue;
        }
        let place = seen.place.clone();
        if let Err(error) = note(seen, &dead_topic, &outcomes) {
            tracing::warn!(%error, ?place, "a record about an upload cannot be read");
        }
    }
}

fn note(
    seen: Seen,
    dead_topic: &str,
    outcomes: &Outcomes,
) -> Result<(), pipeline::record::RecordError> {
    if *seen.place.topic == *dead_topic {
        if let (Some(id), fate) = read::dead_letter(seen)? {
            outcomes.note(id, fate);
        }
    } else {
        let (id, fate) = read::result(seen.record)?;
        outcomes.note(id, fate);
    }
    Ok(())
}
