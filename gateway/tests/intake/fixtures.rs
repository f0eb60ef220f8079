//! Pictures, the files that hold them, and what a camera writes around them.
#![expect(clippy::unwrap_used, reason = "helpers of a test fail it by panicking")]

use std::io::Cursor;

use bytes::Bytes;
use gateway::intake::{Inspected, IntakeError, Limits, Picture, inspect};
use image::{DynamicImage, ImageFormat, RgbImage};
use turbojpeg::{Colorspace, Compressor, Image, PixelFormat, Subsamp};

/// Room for all that the tests send, and no more.
pub(crate) const LIMITS: Limits = Limits {
    max_pixels: 1_000_000,
    max_jpeg_bytes: 4 << 20,
};

/// A picture that looks different from each side, in colours that JPEG keeps well.
pub(crate) fn photo(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (right, low) = (x * 2 >= width, y * 2 >= height);
        image::Rgb(match (right, low) {
            (false, false) => [220, 40, 30],
            (true, false) => [40, 190, 60],
            (false, true) => [30, 60, 200],
            (true, true) => [230, 220, 90],
        })
    })
}

/// How a fixture is encoded.
pub(crate) struct Form {
    pub(crate) colours: Colorspace,
    pub(crate) subsampling: Subsamp,
    pub(crate) progressive: bool,
    pub(crate) arithmetic: bool,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            colours: Colorspace::YCbCr,
            subsampling: Subsamp::None,
            progressive: false,
            arithmetic: false,
        }
    }
}

/// The picture as a JPEG of our own habit.
pub(crate) fn jpeg_of(image: &RgbImage) -> Vec<u8> {
    jpeg_as(image, &Form::default())
}

pub(crate) fn jpeg_as(image: &RgbImage, form: &Form) -> Vec<u8> {
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(95).unwrap();
    compressor.set_subsamp(form.subsampling).unwrap();
    compressor.set_colorspace(form.colours).unwrap();
    compressor.set_progressive(form.progressive).unwrap();
    compressor.set_arithmetic(form.arithmetic).unwrap();
    let inks = matches!(form.colours, Colorspace::CMYK | Colorspace::YCCK);
    let pixels: Vec<u8> = if inks {
        // Inverted, as Adobe writes them: what remains of white, and no black.
        image
            .pixels()
            .flat_map(|pixel| [pixel.0[0], pixel.0[1], pixel.0[2], 255])
            .collect()
    } else {
        image.as_raw().clone()
    };
    let (format, channels) = if inks {
        (PixelFormat::CMYK, 4)
    } else {
        (PixelFormat::RGB, 3)
    };
    let source = Image {
        pixels: pixels.as_slice(),
        width: image.width() as usize,
        pitch: image.width() as usize * channels,
        height: image.height() as usize,
        format,
    };
    compressor.compress_to_vec(source).unwrap()
}

/// A segment with its marker and length.
pub(crate) fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap();
    [&[0xff, marker][..], &length.to_be_bytes(), body].concat()
}

/// The JPEG with more segments behind its first one, which is JFIF's.
pub(crate) fn with_segments(jpeg: &[u8], segments: &[Vec<u8>]) -> Vec<u8> {
    let first = 4 + usize::from(u16::from_be_bytes([jpeg[4], jpeg[5]]));
    [&jpeg[..first], &segments.concat(), &jpeg[first..]].concat()
}

/// TIFF data as cameras write it: a make, an orientation and a place.
pub(crate) fn tiff(orientation: u16, big_endian: bool) -> Vec<u8> {
    let short = |value: u16| {
        if big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    };
    let long = |value: u32| {
        if big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    };
    let entry = |tag, kind, count, value: [u8; 4]| {
        [&short(tag)[..], &short(kind), &long(count), &value].concat()
    };
    let [o0, o1] = short(orientation);
    let entries = [
        entry(0x010f, 2, 12, long(50)),
        entry(0x0112, 3, 1, [o0, o1, 0, 0]),
        entry(0x8825, 4, 1, long(62)),
    ];
    let mut tiff = if big_endian {
        b"MM\0*".to_vec()
    } else {
        b"II*\0".to_vec()
    };
    tiff.extend(long(8));
    tiff.extend(short(entries.len() as u16));
    tiff.extend(entries.concat());
    tiff.extend(long(0));
    tiff.extend(b"SecretMaker\0");
    // The directory of the place, with one entry.
    tiff.extend(short(1));
    tiff.extend(entry(1, 2, 2, *b"N\0\0\0"));
    tiff.extend(long(0));
    tiff
}

pub(crate) fn exif_segment(orientation: u16, big_endian: bool) -> Vec<u8> {
    segment(
        0xe1,
        &[b"Exif\0\0", &tiff(orientation, big_endian)[..]].concat(),
    )
}

pub(crate) fn file_of(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Vec::new();
    image.write_to(&mut Cursor::new(&mut file), format).unwrap();
    file
}

/// The whole way of an upload.
pub(crate) fn take_in(upload: &[u8], limits: Limits) -> Result<Picture, IntakeError> {
    match inspect(&Bytes::copy_from_slice(upload), limits)? {
        Inspected::Ready(picture) => Ok(picture),
        Inspected::Convert(conversion) => conversion.run(),
    }
}

pub(crate) fn passes_through(upload: &[u8]) -> bool {
    let inspected = inspect(&Bytes::copy_from_slice(upload), LIMITS);
    matches!(inspected.unwrap(), Inspected::Ready(_))
}

pub(crate) fn pixels_of(jpeg: &[u8]) -> RgbImage {
    let image = turbojpeg::decompress(jpeg, PixelFormat::RGB).unwrap();
    RgbImage::from_raw(image.width as u32, image.height as u32, image.pixels).unwrap()
}

/// Fails unless both show the same, but for what JPEG loses; the edges of the colours lose more.
pub(crate) fn assert_alike(actual: &RgbImage, expected: &RgbImage, what: &str) {
    assert_eq!(actual.dimensions(), expected.dimensions(), "{what}");
    let far = actual
        .pixels()
        .zip(expected.pixels())
        .filter(|(a, b)| a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) > 12))
        .count();
    let pixels = (actual.width() * actual.height()) as usize;
    assert!(far * 20 < pixels, "{what}: {far} of {pixels} pixels differ");
}
