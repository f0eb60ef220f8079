//! From JPEG to pixels, off the async threads, while the model looks at the batch before.

use std::cell::RefCell;
use std::time::Instant;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use pipeline::{frame::ModelRef, kafka::Received, record::FailureKind};
use tokio::{
    sync::mpsc::{self, OwnedPermit},
    task::{JoinError, spawn_blocking},
};

use super::{
    job::{Decoded, Failed, Finished, Job, Outcome, give_up, milliseconds},
    metrics::Meters,
    model_thread::Batch,
    shares::Reservation,
};
use crate::image::{ImageError, JpegDecoder, RgbImage};

thread_local! {
    /// Native handles are dear to make, and a decoder serves one thread.
    static DECODER: RefCell<Option<(u64, JpegDecoder)>> = const { RefCell::new(None) };
}

/// Frames for one model, and the place in front of the model thread that is kept for them.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) model: ModelRef,
    pub(crate) frames: Vec<Received<Job>>,
    /// Held until the model has looked at them.
    pub(crate) reservation: Reservation,
    pub(crate) place: OwnedPermit<Batch>,
}

/// The stage.
#[derive(Debug)]
pub(crate) struct Decode {
    pub(crate) chosen: mpsc::Receiver<Chosen>,
    pub(crate) failures: mpsc::Sender<Outcome<Finished>>,
    pub(crate) meters: Meters,
    pub(crate) max_pixels: u64,
    /// Frames decoded at the same time.
    pub(crate) width: usize,
}

impl Decode {
    /// Decodes until nothing more can be chosen.
    pub(crate) async fn run(mut self) -> Result<(), JoinError> {
        while let Some(chosen) = self.chosen.recv().await {
            self.decode(chosen).await?;
        }
        Ok(())
    }

    async fn decode(&self, chosen: Chosen) -> Result<(), JoinError> {
        let max_pixels = self.max_pixels;
        let decoding = chosen.frames.into_iter().map(|frame| {
            let meters = self.meters.clone();
            spawn_blocking(move || decode_in_time(frame, max_pixels, &meters))
        });
        let mut decoded = stream::iter(decoding).buffered(self.width);
        let mut frames = Vec::new();
        while let Some(outcome) = decoded.next().await {
            let Some(outcome) = outcome? else {
                continue;
            };
            let (outcome, token) = outcome.into_parts();
            match outcome {
                Ok(frame) => frames.push(Received::from_parts(frame, token)),
                Err(failed) => {
                    let failed = Received::from_parts(Err(failed), token);
                    // Without a publisher the frame is not completed, and so comes again.
                    drop(self.failures.send(failed).await);
                }
            }
        }
        if !frames.is_empty() {
            chosen.place.send(Batch {
                model: chosen.model,
                frames,
                reservation: Some(chosen.reservation),
            });
        }
        Ok(())
    }
}

/// Decodes a frame, unless its time ran out while those before it were decoded.
fn decode_in_time(
    frame: Received<Job>,
    max_pixels: u64,
    meters: &Meters,
) -> Option<Outcome<Decoded>> {
    let now = Timestamp::now();
    if frame.value().is_late(now) {
        return give_up(frame, now, meters);
    }
    Some(frame.map(|job| decode(job, max_pixels)))
}

fn decode(mut job: Job, max_pixels: u64) -> Result<Decoded, Failed> {
    let started = Instant::now();
    match decode_jpeg(&job.frame.jpeg, max_pixels) {
        Ok(picture) => {
            let decoded = Instant::now();
            job.timings.decode = milliseconds(decoded - started);
            job.origin.trace.until("turn", started);
            job.origin.trace.until("decode", decoded);
            Ok(Decoded { job, picture })
        }
        Err(error) => {
            let kind = match error {
                ImageError::TooLarge { .. } => FailureKind::TooBig,
                _ => FailureKind::BadImage,
            };
            let reason = pipeline::service::shutdown::describe(&error);
            Err(job.origin.failed(kind, reason))
        }
    }
}

/// Decodes with this thread's own decoder.
pub(crate) fn decode_jpeg(jpeg: &[u8], max_pixels: u64) -> Result<RgbImage, ImageError> {
    DECODER.with_borrow_mut(|kept| match kept {
        Some((limit, decoder)) if *limit == max_pixels => decoder.decode(jpeg),
        _ => {
            let decoder = JpegDecoder::new(max_pixels)?;
            kept.insert((max_pixels, decoder)).1.decode(jpeg)
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pipeline::frame::Lane;

    use super::super::job::tests::job;
    use super::super::metrics::tests::meters;
    use super::super::shares::Shares;
    use super::*;
    use crate::jpeg::JpegEncoder;

    fn jpeg(width: u32, height: u32) -> Vec<u8> {
        let pixels = vec![90; (width * height * 3) as usize];
        let picture = RgbImage::new(width, height, pixels).unwrap();
        JpegEncoder::new(85)
            .unwrap()
            .encode(&picture)
            .unwrap()
            .to_vec()
    }

    fn reservation() -> Reservation {
        let shares = Shares::default();
        let turn = shares.turn(&"parts".parse().unwrap());
        shares.reserve(Lane::Durable, &turn)
    }

    fn kind_of(jpeg: &[u8], max_pixels: u64) -> Result<(u32, u32), FailureKind> {
        match decode(job("a", "parts", jpeg), max_pixels) {
            Ok(Decoded { job, picture }) => {
                assert!(job.timings.decode > 0.0);
                Ok((picture.width(), picture.height()))
            }
            Err(failed) => {
                assert_eq!(
                    failed.origin.record.value, jpeg,
                    "the letter keeps the picture"
                );
                Err(failed.kind)
            }
        }
    }

    #[test]
    fn pictures_decode_and_what_is_none_says_why() {
        let whole = jpeg(40, 30);
        assert_eq!(kind_of(&whole, 1200), Ok((40, 30)));
        assert_eq!(kind_of(&whole, 1199), Err(FailureKind::TooBig));
        assert_eq!(kind_of(b"\xff\xd8 no", 1200), Err(FailureKind::BadImage));
        let cut = &whole[..whole.len() / 2];
        assert_eq!(kind_of(cut, 1200), Err(FailureKind::BadImage));
        assert_eq!(kind_of(&whole, 1200), Ok((40, 30)), "and the next is fine");
    }

    #[tokio::test]
    async fn a_bad_picture_leaves_the_batch_and_the_others_go_on() {
        let (batches, mut next_batch) = mpsc::channel(1);
        let (failures, mut failed) = mpsc::channel(4);
        let (choose, chosen) = mpsc::channel(1);
        let stage = Decode {
            chosen,
            failures,
            meters: meters().0,
            max_pixels: 1200,
            width: 2,
        };
        let running = tokio::spawn(stage.run());
        let good = jpeg(8, 8);
        let jobs = [("a", &good[..]), ("b", b"\xff\xd8 no"), ("c", &good[..])];
        let frames = jobs.map(|(source, jpeg)| Received::untracked(job(source, "parts", jpeg)));
        let chosen = Chosen {
            model: "parts".parse().unwrap(),
            frames: frames.into(),
            reservation: reservation(),
            place: batches.clone().reserve_owned().await.unwrap(),
        };
        choose.send(chosen).await.unwrap();
        let batch = next_batch.recv().await.unwrap();
        let sources: Vec<_> = batch
            .frames
            .into_iter()
            .map(|frame| frame.complete().job.frame.source.to_string())
            .collect();
        assert_eq!(sources, ["a", "c"]);
        let failure = failed.recv().await.unwrap().complete().unwrap_err();
        assert_eq!(failure.kind, FailureKind::BadImage);

        let all_bad = Chosen {
            model: "parts".parse().unwrap(),
            frames: vec![Received::untracked(job("d", "parts", b"\xff\xd8"))],
            reservation: reservation(),
            place: batches.clone().reserve_owned().await.unwrap(),
        };
        choose.send(all_bad).await.unwrap();
        failed.recv().await.unwrap().complete().unwrap_err();
        // A batch of nothing gives its place back.
        batches.reserve_owned().await.unwrap();
        drop(choose);
        running.await.unwrap().unwrap();
    }

    #[test]
    fn a_frame_that_is_late_is_not_decoded() {
        let (meters, metrics) = meters();
        let late = |lane| {
            let mut job = job("a", "parts", b"\xff\xd8 not even a picture");
            job.deadline = Some(Duration::from_secs(1));
            job.origin.lane = lane;
            decode_in_time(Received::untracked(job), 1200, &meters)
        };
        let durable = late(Lane::Durable).unwrap().complete().unwrap_err();
        assert_eq!(durable.kind, FailureKind::Deadline);
        assert!(late(Lane::Live).is_none(), "nobody is told of a live one");
        let dropped = pipeline::service::metrics::FRAMES_DROPPED_TOTAL;
        assert!((metrics.sum(dropped, &[("reason", "stale")]) - 1.0).abs() < f64::EPSILON);
    }
}
