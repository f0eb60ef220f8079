//! JPEG: a good one goes through as it is, without its metadata; others are decoded and encoded anew.
//!
//! - `layout`: where everything stands in the file
//! - `frame_header`: size, coding and colour components
//! - `clean`: the file without metadata, its entropy-coded data untouched
//! - `decode`: pixels of the ones that have to be recoded

mod clean;
mod decode;
mod frame_header;
mod layout;

use bytes::Bytes;
use image::metadata::Orientation;

use self::{
    decode::Ink,
    frame_header::{Coding, FrameHeader},
    layout::{Layout, marker},
};
use super::{
    Conversion, Inspected, IntakeError, Limits, Picture, Way,
    encode::{Encoded, Encoding, encode},
    memory_of, upright,
};

/// A photo that had to be turned shall not look any worse.
const RECODED_QUALITY: i32 = 95;

/// A progressive JPEG's coefficients, its pixels, and a turned copy of them.
const RECODING_BYTES_PER_PIXEL: u64 = 6 + 4 + 3 + 3;

const EXIF: &[u8] = b"Exif\0\0";
const JFIF: &[u8] = b"JFIF\0";
const ADOBE: &[u8] = b"Adobe";

/// The shortest segments that decoders take for JFIF's and Adobe's.
const JFIF_LENGTH: usize = 14;
const ADOBE_LENGTH: usize = 12;

/// What the components of a JPEG mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colours {
    Grey,
    YCbCr,
    Rgb,
    /// Four inks, plain or as `YCCK`.
    Inks(Ink),
    /// Two components: nothing reads it.
    Unknown,
}

pub(super) fn inspect(upload: &Bytes, limits: Limits) -> Result<Inspected, IntakeError> {
    let layout = Layout::of(upload)?;
    let frame = &layout.frame;
    limits.check_size(frame.width, frame.height)?;
    refuse_unreadable(frame)?;
    let colours = colours_of(&layout, upload);
    if colours == Colours::Unknown {
        let what = "a JPEG with two colour components";
        return Err(IntakeError::Unsupported { what });
    }
    let orientation = orientation_of(&layout, upload);
    let is_ordinary = matches!(frame.coding, Coding::Baseline | Coding::Progressive);
    let may_pass = is_ordinary && colours == Colours::YCbCr;
    if may_pass && orientation == Orientation::NoTransforms {
        let jpeg = clean::without_metadata(&layout, upload);
        limits.check_bytes(jpeg.len())?;
        return Ok(Inspected::Ready(Picture {
            jpeg,
            width: frame.width,
            height: frame.height,
        }));
    }
    Ok(Inspected::Convert(Conversion {
        memory_bytes: memory_of(frame.width, frame.height, RECODING_BYTES_PER_PIXEL),
        upload: upload.clone(),
        limits,
        way: Way::Jpeg(Recoding {
            width: frame.width,
            height: frame.height,
            colours,
            orientation,
            profile: clean::profile(&layout, upload),
        }),
    }))
}

pub(super) fn size_of(jpeg: &[u8]) -> Option<(u32, u32)> {
    let frame = Layout::of(jpeg).ok()?.frame;
    Some((frame.width, frame.height))
}

/// Kinds of JPEG that the decoder lacks.
fn refuse_unreadable(frame: &FrameHeader) -> Result<(), IntakeError> {
    let what = match (frame.coding, frame.precision_bits) {
        (Coding::Hierarchical, _) => "a hierarchical JPEG",
        (_, 8) => return Ok(()),
        (_, 12) => "a JPEG of 12 bits a colour",
        _ => "a JPEG of other than 8 bits a colour",
    };
    Err(IntakeError::Unsupported { what })
}

/// The same judgement as libjpeg's, so that what passes through looks the same to the detector.
fn colours_of(layout: &Layout, jpeg: &[u8]) -> Colours {
    let has_jfif = layout
        .find(jpeg, marker::APP0, JFIF)
        .is_some_and(|body| body.len() >= JFIF_LENGTH);
    let adobe = layout.find(jpeg, marker::APP14, ADOBE);
    let transform = adobe.and_then(|body| body.get(ADOBE_LENGTH - 1)).copied();
    match layout.frame.component_ids()[..] {
        [_] => Colours::Grey,
        [_, _] => Colours::Unknown,
        [_, _, _] if has_jfif => Colours::YCbCr,
        [_, _, _] if transform == Some(0) => Colours::Rgb,
        [b'R', b'G', b'B'] if transform.is_none() => Colours::Rgb,
        [_, _, _] => Colours::YCbCr,
        // Adobe writes inks the other way round, and so does nearly everybody else.
        _ if adobe.is_some() => Colours::Inks(Ink::Inverted),
        _ => Colours::Inks(Ink::Plain),
    }
}

fn orientation_of(layout: &Layout, jpeg: &[u8]) -> Orientation {
    layout
        .find(jpeg, marker::APP1, EXIF)
        .and_then(|body| Orientation::from_exif_chunk(&body[EXIF.len()..]))
        .unwrap_or(Orientation::NoTransforms)
}

/// A JPEG that has to be decoded and encoded anew.
#[derive(Debug)]
pub(super) struct Recoding {
    width: u32,
    height: u32,
    colours: Colours,
    orientation: Orientation,
    /// The segments of its colour profile.
    profile: Vec<u8>,
}

impl Recoding {
    pub(super) fn run(&self, upload: &[u8]) -> Result<Encoded, IntakeError> {
        let decoded = decode::decode(upload, self)?;
        let encoding = Encoding {
            quality: RECODED_QUALITY,
            subsampling: decoded.subsampling,
        };
        let mut encoded = encode(&upright(decoded.image, self.orientation), encoding)?;
        // A profile of greys or inks means nothing for the RGB that came of them.
        if matches!(self.colours, Colours::YCbCr | Colours::Rgb) {
            clean::insert_profile(&mut encoded.bytes, &self.profile);
        }
        Ok(encoded)
    }
}
