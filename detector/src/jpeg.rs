//! From pixels back to a JPEG: the annotated picture.

use bytes::Bytes;
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

use crate::image::{ImageError, RgbImage};

/// The quality of annotated pictures unless the caller says otherwise.
pub const DEFAULT_QUALITY: u8 = 85;

/// How annotated pictures keep colour: at half the resolution, as cameras do.
pub const SUBSAMPLING: Subsamp = Subsamp::Sub2x2;

/// Encodes pictures one after another with one native handle.
#[derive(Debug)]
pub struct JpegEncoder {
    compressor: Compressor,
    quality: u8,
}

impl JpegEncoder {
    /// An encoder of this quality, 1 to 100.
    pub fn new(quality: u8) -> Result<Self, ImageError> {
        let mut compressor = Compressor::new()?;
        compressor.set_quality(quality.into())?;
        compressor.set_subsamp(SUBSAMPLING)?;
        Ok(Self {
            compressor,
            quality,
        })
    }

    /// The quality it was made with.
    pub fn quality(&self) -> u8 {
        self.quality
    }

    /// The picture as a JPEG file.
    pub fn encode(&mut self, picture: &RgbImage) -> Result<Bytes, ImageError> {
        let image = Image {
            pixels: picture.pixels(),
            width: picture.width() as usize,
            pitch: picture.width() as usize * 3,
            height: picture.height() as usize,
            format: PixelFormat::RGB,
        };
        Ok(self.compressor.compress_to_vec(image)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{DEFAULT_MAX_PIXELS, JpegDecoder};

    fn gradient() -> RgbImage {
        let pixels = (0..48 * 64_u32).flat_map(|at| {
            let (x, y) = (at % 64, at / 64);
            [(x * 4) as u8, (y * 5) as u8, 90]
        });
        RgbImage::new(64, 48, pixels.collect()).unwrap()
    }

    #[test]
    fn what_is_encoded_decodes_to_nearly_the_same() {
        let picture = gradient();
        let jpeg = JpegEncoder::new(95).unwrap().encode(&picture).unwrap();
        let mut decoder = JpegDecoder::new(DEFAULT_MAX_PIXELS).unwrap();
        let decoded = decoder.decode(&jpeg).unwrap();
        assert_eq!((decoded.width(), decoded.height()), (64, 48));
        let differences = decoded.pixels().iter().zip(picture.pixels());
        let worst = differences.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= 16, "{worst}");
    }

    #[test]
    fn a_lower_quality_is_smaller_and_an_encoder_goes_on() {
        let picture = gradient();
        let mut fine = JpegEncoder::new(95).unwrap();
        let first = fine.encode(&picture).unwrap();
        let coarse = JpegEncoder::new(30).unwrap().encode(&picture).unwrap();
        assert!(coarse.len() < first.len());
        assert_eq!(fine.encode(&picture).unwrap(), first);
    }
}
