//! What an upload becomes: told by its signature, checked, stripped of metadata, turned upright, and
//! an ordinary 8-bit colour JPEG in the end. Pure: no network, no clock.
//!
//! Layout, in the order an upload meets it:
//!
//! - `sniff`: the format, by the first bytes and never by what the client claims
//! - `jpeg`: a JPEG's structure without decoding it; a good one goes through as it is
//! - `raster`: PNG and WebP to pixels; `chunks` tells whether such a file is whole
//! - `encode`: pixels to JPEG
//! - `error`: why an upload is refused, and what to send instead

mod chunks;
mod encode;
mod error;
mod jpeg;
mod raster;
mod sniff;

use bytes::Bytes;
use image::RgbImage;
use pipeline::mask::{MAX_PIXELS, MAX_SIDE};

pub use error::IntakeError;
pub use sniff::Format;

/// libjpeg's own limit on a side is a little below what the format can hold.
const LONGEST_SIDE: u32 = 65_500;

/// What an upload may unfold to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Width times height of the picture.
    pub max_pixels: u64,
    /// Bytes of the JPEG that goes to Kafka.
    pub max_jpeg_bytes: usize,
}

impl Limits {
    fn check_size(&self, width: u32, height: u32) -> Result<(), IntakeError> {
        let max_side = LONGEST_SIDE.min(MAX_SIDE);
        if width > max_side || height > max_side {
            return Err(IntakeError::SideTooLong {
                width,
                height,
                max_side,
            });
        }
        let max_pixels = self.max_pixels.min(MAX_PIXELS.into());
        if u64::from(width) * u64::from(height) > max_pixels {
            return Err(IntakeError::TooManyPixels {
                width,
                height,
                max_pixels,
            });
        }
        Ok(())
    }

    fn check_bytes(&self, bytes: usize) -> Result<(), IntakeError> {
        if bytes > self.max_jpeg_bytes {
            return Err(IntakeError::ResultTooBig {
                bytes,
                limit: self.max_jpeg_bytes,
            });
        }
        Ok(())
    }
}

/// A picture that may go to Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// An upright 8-bit `YCbCr` JPEG without metadata.
    pub jpeg: Bytes,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// What is left to do for an upload whose structure is sound.
#[derive(Debug)]
pub enum Inspected {
    /// Nothing: the pixels are those of the upload, bit for bit.
    Ready(Picture),
    /// It has to be decoded and encoded again.
    Convert(Conversion),
}

/// A conversion that has not begun; it takes memory and a core.
#[derive(Debug)]
pub struct Conversion {
    upload: Bytes,
    limits: Limits,
    way: Way,
    memory_bytes: u64,
}

#[derive(Debug)]
enum Way {
    Jpeg(jpeg::Recoding),
    Raster(raster::Raster),
}

/// Looks at an upload without decoding it.
pub fn inspect(upload: &Bytes, limits: Limits) -> Result<Inspected, IntakeError> {
    match sniff::format_of(upload)? {
        Format::Jpeg => jpeg::inspect(upload, limits),
        format => {
            let raster = raster::inspect(format, upload)?;
            limits.check_size(raster.width, raster.height)?;
            Ok(Inspected::Convert(Conversion {
                upload: upload.clone(),
                limits,
                memory_bytes: raster.memory_bytes(),
                way: Way::Raster(raster),
            }))
        }
    }
}

/// Width and height of a JPEG, as its frame header says.
pub(crate) fn size_of(jpeg: &[u8]) -> Option<(u32, u32)> {
    jpeg::size_of(jpeg)
}

impl Conversion {
    /// About the most memory that [`Conversion::run`] takes at a time.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// Decodes, turns upright and encodes; blocks the thread for as long as that takes.
    pub fn run(self) -> Result<Picture, IntakeError> {
        let jpeg = match &self.way {
            Way::Jpeg(recoding) => recoding.run(&self.upload)?,
            Way::Raster(raster) => raster.run(&self.upload)?,
        };
        self.limits.check_bytes(jpeg.bytes.len())?;
        Ok(Picture {
            jpeg: jpeg.bytes.into(),
            width: jpeg.width,
            height: jpeg.height,
        })
    }
}

/// Memory for `bytes_per_pixel` at this size.
fn memory_of(width: u32, height: u32, bytes_per_pixel: u64) -> u64 {
    u64::from(width) * u64::from(height) * bytes_per_pixel
}

/// The same picture with its top at the top.
fn upright(image: RgbImage, orientation: image::metadata::Orientation) -> RgbImage {
    let mut image = image::DynamicImage::ImageRgb8(image);
    image.apply_orientation(orientation);
    image.into_rgb8()
}
