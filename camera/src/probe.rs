//! Tries a source, for those who want to know before they start.

use pipeline::{frame::SourceId, service::Metrics};

use crate::{
    address::Address,
    capture::{CaptureError, Reel},
    stats::FrameCounters,
};

/// Opens the source and takes one picture.
pub async fn probe(address: Address) -> Result<(), CaptureError> {
    let metrics = Metrics::new("camera").expect("names by the rule, registered once");
    let counters = FrameCounters::register(&metrics).expect("names by the rule, registered once");
    let id = SourceId::new("probe").expect("plain letters");
    let reel = Reel::open(address, counters.for_camera(&id).into()).await?;
    reel.take_one().await
}
