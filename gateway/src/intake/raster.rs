//! PNG and WebP to pixels: upright, on white, eight bits a channel, the first frame alone.

use std::io::Cursor;

use image::{
    ColorType, DynamicImage, ImageDecoder, ImageError, Limits, RgbImage,
    codecs::{png::PngDecoder, webp::WebPDecoder},
    error::LimitErrorKind,
    metadata::Orientation,
};
use turbojpeg::Subsamp;

use super::{
    Format, IntakeError, chunks,
    encode::{Encoded, Encoding, encode},
    memory_of, upright,
};

/// Screenshots have sharp coloured edges: full colour resolution, and few artefacts.
const ENCODING: Encoding = Encoding {
    quality: 92,
    subsampling: Subsamp::None,
};

/// Chunks and tables that the decoders keep besides pixels.
const DECODER_BYTES: u64 = 64 << 20;

/// What a picture's header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raster {
    format: Format,
    pub(super) width: u32,
    pub(super) height: u32,
    color: ColorType,
}

pub(super) fn inspect(format: Format, upload: &[u8]) -> Result<Raster, IntakeError> {
    chunks::check_complete(format, upload)?;
    let describe = |decoder: &dyn ImageDecoder| {
        let (width, height) = decoder.dimensions();
        Raster {
            format,
            width,
            height,
            color: decoder.color_type(),
        }
    };
    let raster = if format == Format::WebP {
        describe(&webp(upload)?)
    } else {
        describe(&png(upload, DECODER_BYTES)?)
    };
    if raster.width == 0 || raster.height == 0 {
        return Err(IntakeError::damaged(format, "it has no pixels"));
    }
    Ok(raster)
}

impl Raster {
    /// The decoded pixels, their RGB form and a turned copy; a WebP decoder keeps planes besides.
    pub(super) fn memory_bytes(&self) -> u64 {
        let decoded = u64::from(self.color.bytes_per_pixel());
        memory_of(self.width, self.height, decoded + 3 + 3 + 3)
    }

    pub(super) fn run(&self, upload: &[u8]) -> Result<Encoded, IntakeError> {
        let (image, orientation) = self.decode(upload)?;
        encode(&upright(on_white(image), orientation), ENCODING)
    }

    fn decode(&self, upload: &[u8]) -> Result<(DynamicImage, Orientation), IntakeError> {
        let exif = orientation_of(chunks::exif(self.format, upload));
        if self.format == Format::WebP {
            return Ok((pixels(webp(upload)?, self.format)?, exif));
        }
        let max_bytes = memory_of(self.width, self.height, 16) + DECODER_BYTES;
        Ok((pixels(png(upload, max_bytes)?, self.format)?, exif))
    }
}

fn png(upload: &[u8], max_bytes: u64) -> Result<PngDecoder<Cursor<&[u8]>>, IntakeError> {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(max_bytes);
    PngDecoder::with_limits(Cursor::new(upload), limits)
        .map_err(|error| refusal(Format::Png, upload.len(), &error))
}

fn webp(upload: &[u8]) -> Result<WebPDecoder<Cursor<&[u8]>>, IntakeError> {
    WebPDecoder::new(Cursor::new(upload))
        .map_err(|error| refusal(Format::WebP, upload.len(), &error))
}

fn pixels(decoder: impl ImageDecoder, format: Format) -> Result<DynamicImage, IntakeError> {
    DynamicImage::from_decoder(decoder).map_err(|error| refusal(format, 0, &error))
}

fn refusal(format: Format, bytes: usize, error: &ImageError) -> IntakeError {
    match error {
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            IntakeError::Truncated {
                format,
                bytes,
                within: "its pixels",
            }
        }
        ImageError::Limits(error) if error.kind() == LimitErrorKind::InsufficientMemory => {
            IntakeError::damaged(format, "its chunks take more memory than its pixels can")
        }
        other => IntakeError::damaged(format, other.to_string()),
    }
}

/// Some writers keep the marker that JPEG puts before EXIF.
fn orientation_of(exif: Option<&[u8]>) -> Orientation {
    exif.map(|exif| exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))
        .and_then(Orientation::from_exif_chunk)
        .unwrap_or(Orientation::NoTransforms)
}

/// Blends what is transparent with white, as a page would show it, and keeps eight bits a channel.
fn on_white(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let rgba = image.into_rgba8();
    let (width, height) = rgba.dimensions();
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    for pixel in rgba.pixels() {
        let [channels @ .., alpha] = pixel.0;
        let alpha = u32::from(alpha);
        rgb.extend(
            channels.map(|channel| {
                ((u32::from(channel) * alpha + 255 * (255 - alpha) + 127) / 255) as u8
            }),
        );
    }
    RgbImage::from_raw(width, height, rgb).expect("three bytes for every pixel")
}
