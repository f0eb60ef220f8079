//! `[batching]` of `model.toml`, checked.

use std::time::Duration;

use super::super::raw::{RawBatching, RawManifest, RawResizeMode};
use super::super::{MAX_BATCH_SIZE, MAX_QUEUE_DELAY, Queueing};
use super::Issue;

pub(super) fn validate_batching(raw: &RawManifest) -> Result<usize, Issue> {
    let Some(max_batch_size) = &raw.batching.max_batch_size else {
        return Ok(1);
    };
    let issue = |problem: &str, advice: &str| Issue::at(max_batch_size.span(), problem, advice);
    let frames = *max_batch_size.get_ref();
    if frames == 0 || frames > MAX_BATCH_SIZE {
        return Err(issue(
            &format!("max_batch_size = {frames} is not possible"),
            &format!("write a number from 1 to {MAX_BATCH_SIZE}"),
        ));
    }
    if frames == 1 {
        return Ok(frames);
    }
    let layout = *raw.input.layout.get_ref();
    if !layout.has_batch() {
        return Err(issue(
            &format!("layout {:?} has no batch dimension", layout.as_str()),
            "write max_batch_size = 1, or export with a batch dimension and layout = \"nchw\"",
        ));
    }
    let mode = raw.input.resize.get_ref().mode;
    if !matches!(mode, RawResizeMode::Fixed | RawResizeMode::Letterbox) {
        return Err(issue(
            "frames of different shapes cannot share a batch when the network sees them in different sizes",
            "write max_batch_size = 1, or resize with mode = \"fixed\" or \"letterbox\"",
        ));
    }
    Ok(frames)
}

pub(super) fn validate_queueing(
    raw: &RawBatching,
    max_batch_size: usize,
) -> Result<Queueing, Issue> {
    let mut queueing = Queueing::default();
    if let Some(delay) = &raw.max_queue_delay_ms {
        let asked = Duration::from_millis(*delay.get_ref());
        if asked > MAX_QUEUE_DELAY {
            return Err(Issue::at(
                delay.span(),
                format!("max_queue_delay_ms = {} is too long", delay.get_ref()),
                format!(
                    "write milliseconds from 0 to {}",
                    MAX_QUEUE_DELAY.as_millis()
                ),
            ));
        }
        queueing.max_delay = asked;
    }
    if let Some(preferred) = &raw.preferred_batch_sizes {
        let mut sizes = preferred.get_ref().clone();
        sizes.sort_unstable();
        sizes.dedup();
        let possible = 1..=max_batch_size;
        if sizes.is_empty() || !sizes.iter().all(|size| possible.contains(size)) {
            return Err(Issue::at(
                preferred.span(),
                format!("preferred_batch_sizes = {sizes:?} is not possible"),
                format!("list sizes from 1 to max_batch_size, which is {max_batch_size}"),
            ));
        }
        queueing.preferred_sizes = sizes;
    }
    Ok(queueing)
}
