//! Pixels to JPEG.

use image::RgbImage;
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

use super::IntakeError;

/// Bytes of one RGB pixel.
const CHANNELS: usize = 3;

/// A JPEG that was made here.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// How to encode.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoding {
    pub(super) quality: i32,
    pub(super) subsampling: Subsamp,
}

pub(super) fn encode(image: &RgbImage, encoding: Encoding) -> Result<Encoded, IntakeError> {
    let failed = |error: turbojpeg::Error| IntakeError::Encode {
        reason: error.to_string(),
    };
    let mut compressor = Compressor::new().map_err(failed)?;
    compressor.set_quality(encoding.quality).map_err(failed)?;
    compressor
        .set_subsamp(encoding.subsampling)
        .map_err(failed)?;
    let (width, height) = image.dimensions();
    let pixels = Image {
        pixels: image.as_raw().as_slice(),
        width: width as usize,
        pitch: width as usize * CHANNELS,
        height: height as usize,
        format: PixelFormat::RGB,
    };
    Ok(Encoded {
        bytes: compressor.compress_to_vec(pixels).map_err(failed)?,
        width,
        height,
    })
}
