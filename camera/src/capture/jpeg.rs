//! Pixels to JPEG, as cameras send it by habit.

use bytes::Bytes;

/// What cameras send by habit.
const QUALITY: i32 = 85;

/// An encoder that is kept from picture to picture.
pub(super) struct JpegEncoder(turbojpeg::Compressor);

impl JpegEncoder {
    pub(super) fn new() -> Result<Self, turbojpeg::Error> {
        let mut compressor = turbojpeg::Compressor::new()?;
        compressor.set_quality(QUALITY)?;
        compressor.set_subsamp(turbojpeg::Subsamp::Sub2x2)?;
        Ok(Self(compressor))
    }

    pub(super) fn encode(
        &mut self,
        image: turbojpeg::Image<&[u8]>,
    ) -> Result<Bytes, turbojpeg::Error> {
        Ok(self.0.compress_to_vec(image)?.into())
    }
}
