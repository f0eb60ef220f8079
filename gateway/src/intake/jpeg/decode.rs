//! Pixels of JPEGs that have to be recoded.

use image::RgbImage;
use turbojpeg::{Decompressor, Image, PixelFormat, Subsamp};

use super::{Colours, Recoding};
use crate::intake::{Format, IntakeError};

/// The walk over the file has counted them before.
const MAX_SCANS: u32 = 100;

/// Whether a high number means much ink or little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Inverted,
}

pub(super) struct Decoded {
    pub(super) image: RgbImage,
    /// That of the upload, so that encoding it again loses no more than it must.
    pub(super) subsampling: Subsamp,
}

pub(super) fn decode(jpeg: &[u8], recoding: &Recoding) -> Result<Decoded, IntakeError> {
    let failed =
        |error: turbojpeg::Error| IntakeError::damaged(Format::Jpeg, reason_of(&error.to_string()));
    let mut decompressor = Decompressor::new().map_err(failed)?;
    decompressor.set_scan_limit(MAX_SCANS).map_err(failed)?;
    let header = decompressor.read_header(jpeg).map_err(failed)?;
    if (header.width, header.height) != (recoding.width as usize, recoding.height as usize) {
        return Err(IntakeError::damaged(Format::Jpeg, "it says two sizes"));
    }
    let (format, channels) = match recoding.colours {
        Colours::Inks(_) => (PixelFormat::CMYK, 4),
        _ => (PixelFormat::RGB, 3),
    };
    let pitch = header.width * channels;
    let mut pixels = vec![0; pitch * header.height];
    let output = Image {
        pixels: pixels.as_mut_slice(),
        width: header.width,
        pitch,
        height: header.height,
        format,
    };
    decompressor.decompress(jpeg, output).map_err(failed)?;
    if let Colours::Inks(ink) = recoding.colours {
        pixels = rgb_of_inks(&pixels, ink);
    }
    let image = RgbImage::from_raw(recoding.width, recoding.height, pixels);
    Ok(Decoded {
        image: image.expect("three bytes for every pixel"),
        subsampling: match header.subsamp {
            Subsamp::Gray | Subsamp::Unknown => Subsamp::None,
            known => known,
        },
    })
}

/// Without the function names in which libjpeg-turbo wraps its messages.
fn reason_of(message: &str) -> String {
    let message = message
        .rsplit_once("(): ")
        .map_or(message, |(_, reason)| reason);
    format!("the decoder says: {message}")
}

/// What inks leave of white paper.
fn rgb_of_inks(pixels: &[u8], ink: Ink) -> Vec<u8> {
    let paper = |value: u8| match ink {
        Ink::Plain => u32::from(255 - value),
        Ink::Inverted => u32::from(value),
    };
    let (quads, _) = pixels.as_chunks::<4>();
    quads
        .iter()
        .flat_map(|&[cyan, magenta, yellow, black]| {
            [cyan, magenta, yellow].map(|colour| ((paper(colour) * paper(black) + 127) / 255) as u8)
        })
        .collect()
}
