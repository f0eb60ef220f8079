//! The decoded picture: RGB bytes with a size that fits them, and the JPEG decoder that makes it.

mod spare;

use pipeline::mask::{MAX_PIXELS, MAX_SIDE};
use turbojpeg::{Decompressor, Image, PixelFormat};

/// Pixels a JPEG may unfold to unless the caller says otherwise: 8K with room to spare.
pub const DEFAULT_MAX_PIXELS: u64 = 64 * 1024 * 1024;

/// Scans a progressive JPEG may have; an ordinary one has about ten, a hostile one thousands.
const MAX_SCANS: u32 = 100;

/// Bytes of one RGB pixel.
const CHANNELS: usize = 3;

/// A decoded frame: rows from the top, three bytes (red, green, blue) a pixel, no padding.
#[derive(Clone, PartialEq, Eq)]
pub struct RgbImage {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

/// Why a picture cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A picture without pixels has no place in a pipeline.
    #[error("the picture is {width}x{height}; it needs at least one pixel")]
    Empty {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// The buffer does not hold the size it claims.
    #[error("{bytes} bytes cannot be a {width}x{height} RGB picture")]
    WrongLength {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes in the buffer.
        bytes: usize,
    },
    /// Decoding would take more memory than one picture may have.
    #[error(
        "the picture is {width}x{height}; at most {max_pixels} pixels and {MAX_SIDE} a side are \
         allowed, so send it smaller"
    )]
    TooLarge {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// The limit it exceeds.
        max_pixels: u64,
    },
    /// The bytes are not a JPEG that can be decoded to the end.
    #[error("not a readable JPEG")]
    Jpeg(#[from] turbojpeg::Error),
}

impl RgbImage {
    /// Takes rows of red, green, blue bytes; at most as large as a mask may be.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Result<Self, ImageError> {
        if width == 0 || height == 0 {
            return Err(ImageError::Empty {
                width: width as usize,
                height: height as usize,
            });
        }
        let pixel_count = u64::from(width) * u64::from(height);
        if width > MAX_SIDE || height > MAX_SIDE || pixel_count > u64::from(MAX_PIXELS) {
            return Err(ImageError::TooLarge {
                width: width as usize,
                height: height as usize,
                max_pixels: MAX_PIXELS.into(),
            });
        }
        if pixels.len() as u64 != pixel_count * CHANNELS as u64 {
            return Err(ImageError::WrongLength {
                width,
                height,
                bytes: pixels.len(),
            });
        }
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// Width in pixels, at least one.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least one.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The bytes: rows from the top, red, green, blue.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The same, to be drawn on.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }
}

impl Drop for RgbImage {
    fn drop(&mut self) {
        spare::give_back(std::mem::take(&mut self.pixels));
    }
}

impl std::fmt::Debug for RgbImage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "RgbImage({}x{})", self.width, self.height)
    }
}

/// Decodes JPEGs one after another with one native handle.
#[derive(Debug)]
pub struct JpegDecoder {
    decompressor: Decompressor,
    max_pixels: u64,
}

impl JpegDecoder {
    /// A decoder that refuses pictures of more than `max_pixels` before it allocates for them.
    pub fn new(max_pixels: u64) -> Result<Self, ImageError> {
        Ok(Self {
            decompressor: new_decompressor()?,
            max_pixels: max_pixels.min(MAX_PIXELS.into()),
        })
    }

    /// Decodes a whole JPEG; a truncated one is an error.
    pub fn decode(&mut self, jpeg: &[u8]) -> Result<RgbImage, ImageError> {
        let outcome = self.decode_once(jpeg);
        if outcome.is_err() {
            // After a broken header libjpeg-turbo goes on in the middle of it and refuses the next
            // picture, so one bad picture would spoil a good one.
            self.decompressor = new_decompressor()?;
        }
        outcome
    }

    fn decode_once(&mut self, jpeg: &[u8]) -> Result<RgbImage, ImageError> {
        let header = self.decompressor.read_header(jpeg)?;
        let (width, height) = (header.width, header.height);
        if width == 0 || height == 0 {
            return Err(ImageError::Empty { width, height });
        }
        if width as u64 * height as u64 > self.max_pixels {
            return Err(ImageError::TooLarge {
                width,
                height,
                max_pixels: self.max_pixels,
            });
        }
        let pitch = width * CHANNELS;
        let mut pixels = spare::take(pitch * height);
        let output = Image {
            pixels: pixels.as_mut_slice(),
            width,
            pitch,
            height,
            format: PixelFormat::RGB,
        };
        self.decompressor.decompress(jpeg, output)?;
        RgbImage::new(width as u32, height as u32, pixels)
    }
}

fn new_decompressor() -> Result<Decompressor, ImageError> {
    let mut decompressor = Decompressor::new()?;
    decompressor.set_scan_limit(MAX_SCANS)?;
    Ok(decompressor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jpeg_of(width: usize, height: usize, rgb: [u8; 3]) -> Vec<u8> {
        let pixels = rgb.repeat(width * height);
        let image = Image {
            pixels: pixels.as_slice(),
            width,
            pitch: width * CHANNELS,
            height,
            format: PixelFormat::RGB,
        };
        turbojpeg::compress(image, 95, turbojpeg::Subsamp::None)
            .unwrap()
            .to_vec()
    }

    #[test]
    fn a_jpeg_decodes_to_rgb_in_its_own_size() {
        let jpeg = jpeg_of(7, 5, [200, 30, 60]);
        let image = JpegDecoder::new(DEFAULT_MAX_PIXELS)
            .unwrap()
            .decode(&jpeg)
            .unwrap();
        assert_eq!((image.width(), image.height()), (7, 5));
        for pixel in image.pixels().chunks_exact(3) {
            for (decoded, painted) in pixel.iter().zip([200u8, 30, 60]) {
                assert!(decoded.abs_diff(painted) <= 3, "{pixel:?}");
            }
        }
    }

    #[test]
    fn pictures_over_the_limit_are_refused_by_size() {
        let jpeg = jpeg_of(40, 30, [0, 0, 0]);
        let error = JpegDecoder::new(1199).unwrap().decode(&jpeg).unwrap_err();
        assert!(matches!(
            error,
            ImageError::TooLarge {
                width: 40,
                height: 30,
                max_pixels: 1199
            }
        ));
        assert!(JpegDecoder::new(1200).unwrap().decode(&jpeg).is_ok());
    }

    #[test]
    fn bad_pictures_are_errors_and_do_not_spoil_the_next() {
        let jpeg = jpeg_of(64, 64, [10, 200, 90]);
        let too_large = jpeg_of(80, 80, [0, 0, 0]);
        let mut decoder = JpegDecoder::new(64 * 64).unwrap();
        // Cut at every length: inside the header, between its parts, inside the pixels.
        let cut = (0..jpeg.len() - 2).map(|length| &jpeg[..length]);
        for bad in cut.chain([&b"not a picture"[..], &too_large]) {
            assert!(decoder.decode(bad).is_err(), "{} bytes", bad.len());
            assert_eq!(
                decoder.decode(&jpeg).unwrap().width(),
                64,
                "after {} bytes",
                bad.len()
            );
        }
    }

    #[test]
    fn a_buffer_must_hold_its_size() {
        assert!(matches!(
            RgbImage::new(2, 2, vec![0; 11]),
            Err(ImageError::WrongLength {
                width: 2,
                height: 2,
                bytes: 11
            })
        ));
        assert!(matches!(
            RgbImage::new(0, 2, vec![]),
            Err(ImageError::Empty { .. })
        ));
        assert!(matches!(
            RgbImage::new(MAX_SIDE + 1, 1, vec![0; 3]),
            Err(ImageError::TooLarge { .. })
        ));
    }
}
