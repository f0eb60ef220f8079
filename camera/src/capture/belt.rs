//! Pictures of the simulated conveyor.

use belt::{Belt, BeltConfig};
use bytes::Bytes;

use super::error::CaptureError;
use super::{Pictures, jpeg::JpegEncoder};

/// A belt and the encoder of its pictures; both are kept from frame to frame.
pub(super) struct BeltPictures {
    belt: Belt,
    encoder: JpegEncoder,
    frame_index: u64,
    fps: f64,
}

impl BeltPictures {
    pub(super) fn open(config: &BeltConfig) -> Result<Self, CaptureError> {
        Ok(Self {
            belt: Belt::new(config.clone())?,
            encoder: JpegEncoder::new()?,
            frame_index: 0,
            fps: config.fps.into(),
        })
    }
}

impl Pictures for BeltPictures {
    fn fps(&self) -> f64 {
        self.fps
    }

    /// The belt moved on while nobody looked.
    fn pass_over(&mut self, count: u64) -> u64 {
        self.frame_index += count;
        count
    }

    fn next(&mut self) -> Result<Option<Bytes>, CaptureError> {
        let picture = self.belt.scene(self.frame_index).image;
        self.frame_index += 1;
        let jpeg = self.encoder.encode(turbojpeg::Image {
            pixels: picture.as_raw().as_slice(),
            width: picture.width() as usize,
            pitch: picture.width() as usize * 3,
            height: picture.height() as usize,
            format: turbojpeg::PixelFormat::RGB,
        })?;
        Ok(Some(jpeg))
    }
}
