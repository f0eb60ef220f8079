//! Takes pictures at the asked rate and leaves each, as JPEG, in the slot of its camera.

use std::{sync::Arc, time::Duration};

use belt::{Belt, BeltConfig};
use bytes::Bytes;
use jiff::Timestamp;
use pipeline::service::{Context, DropReason, Part};
use tokio::time::{MissedTickBehavior, interval};

use crate::{address::Address, newest::Newest};

/// What cameras send by habit.
const JPEG_QUALITY: i32 = 85;

/// A picture as it left the camera.
#[derive(Debug)]
pub(crate) struct Shot {
    pub(crate) sequence: u64,
    pub(crate) captured_at: Timestamp,
    pub(crate) jpeg: Bytes,
}

/// Why a camera cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaptureError {
    #[error(transparent)]
    Belt(#[from] belt::BeltError),
    #[error("cannot encode a frame as JPEG")]
    Encode(#[from] turbojpeg::Error),
    #[error("the camera thread ended early")]
    Thread(#[from] tokio::task::JoinError),
}

/// Captures until the shutdown. A picture that nobody took before the next one is counted as superseded.
pub(crate) async fn run(
    address: Address,
    slot: Arc<Newest<Shot>>,
    context: Context,
    part: Part,
) -> Result<(), CaptureError> {
    let Address::Belt(config) = address;
    let mut ticks = interval(Duration::from_secs_f32(1.0 / config.fps));
    // A camera that was held up goes on at its rate; it does not catch up in a burst.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut studio = Studio::new(config)?;
    let stop = context.shutdown.token();
    for sequence in 0.. {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let captured_at = Timestamp::now();
        // Drawing and encoding take milliseconds of a core: not on the async threads.
        let (returned, jpeg) = tokio::task::spawn_blocking(move || {
            let jpeg = studio.draw(sequence);
            (studio, jpeg)
        })
        .await?;
        studio = returned;
        part.ready();
        if slot
            .put(Shot {
                sequence,
                captured_at,
                jpeg: jpeg?,
            })
            .is_some()
        {
            context.metrics.frame_dropped(DropReason::Superseded);
        }
    }
    part.retire();
    Ok(())
}

/// A belt and the encoder of its pictures; both are kept from frame to frame.
struct Studio {
    belt: Belt,
    compressor: turbojpeg::Compressor,
}

impl Studio {
    fn new(config: BeltConfig) -> Result<Self, CaptureError> {
        let mut compressor = turbojpeg::Compressor::new()?;
        compressor.set_quality(JPEG_QUALITY)?;
        compressor.set_subsamp(turbojpeg::Subsamp::Sub2x2)?;
        Ok(Self {
            belt: Belt::new(config)?,
            compressor,
        })
    }

    fn draw(&mut self, frame_index: u64) -> Result<Bytes, turbojpeg::Error> {
        let picture = self.belt.scene(frame_index).image;
        let image = turbojpeg::Image {
            pixels: picture.as_raw().as_slice(),
            width: picture.width() as usize,
            pitch: picture.width() as usize * 3,
            height: picture.height() as usize,
            format: turbojpeg::PixelFormat::RGB,
        };
        Ok(self.compressor.compress_to_vec(image)?.into())
    }
}
