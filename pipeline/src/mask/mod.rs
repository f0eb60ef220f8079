//! COCO run-length masks, byte for byte as pycocotools writes them.
//!
//! A [`Mask`] is as large as its frame but costs memory only for its outline: it keeps the lengths of
//! alternating runs of unset and set pixels, down each column and column after column, as COCO does.
//! Everything here works on those runs; a full-frame bitmap exists only where a caller asks for one.
//!
//! - this file: the type, its limits, area and bounding box
//! - `counts`: the compressed string of COCO, both ways
//! - `crop`: masks from the pixels of a box, and the pixels of a box from a mask
//! - `overlap`: what two masks share and cover
//! - `polygon`: outlines with holes
//! - `runs`: building and walking runs
//! - `segmentation`: the JSON form, `{"size": [h, w], "counts": "…"}`

mod counts;
mod crop;
mod overlap;
mod polygon;
mod runs;
mod segmentation;

pub use crop::{Crop, SignedCrop};
pub use overlap::SizeMismatch;
pub use polygon::{Polygon, Ring};
pub use runs::Span;
pub use segmentation::Segmentation;

use crate::detections::BBox;

/// The longest side a mask may have: what a JPEG can hold, and exact as an `f32`.
pub const MAX_SIDE: u32 = 65_535;

/// The most pixels a mask may cover, so that decoding one is bounded to 256 MiB.
pub const MAX_PIXELS: u32 = 1 << 28;

/// The pixels of one instance, as large as the frame it was seen in.
///
/// Two masks are equal when they have the same size and the same pixels: runs are kept in the one
/// form that pycocotools writes, whatever form they were read from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mask {
    width: u32,
    height: u32,
    /// Unset, set, unset, …; only the first may be zero, and together they cover the frame.
    runs: Vec<u32>,
}

impl Mask {
    /// A mask of this size with no pixel set.
    ///
    /// # Panics
    /// When the size is outside the limits ([`MAX_SIDE`], [`MAX_PIXELS`]) or a side is zero.
    pub fn empty(width: u32, height: u32) -> Self {
        let pixels = assert_size(width, height);
        Self {
            width,
            height,
            runs: vec![pixels],
        }
    }

    /// Height and width, in COCO's order.
    pub fn size(&self) -> [u32; 2] {
        [self.height, self.width]
    }

    /// The width of the frame in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// The height of the frame in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The run lengths in column-major order, starting with unset pixels.
    pub fn runs(&self) -> &[u32] {
        &self.runs
    }

    /// How many pixels are set.
    pub fn area(&self) -> u32 {
        self.runs.iter().skip(1).step_by(2).sum()
    }

    /// Whether no pixel is set.
    pub fn is_empty(&self) -> bool {
        self.runs.len() == 1
    }

    /// The tightest box around the set pixels, all zero for an empty mask, as pycocotools' `toBbox`.
    pub fn bbox(&self) -> BBox {
        let Some(first_run) = self.set_runs().next() else {
            return BBox::default();
        };
        let last_run = self.set_runs().last().unwrap_or(first_run);
        let (left, right) = (first_run.0 / self.height, (last_run.1 - 1) / self.height);
        let (mut top, mut bottom) = (self.height, 0);
        for (start, end) in self.set_runs() {
            let (first, last) = (start, end - 1);
            if first / self.height == last / self.height {
                top = top.min(first % self.height);
                bottom = bottom.max(last % self.height);
            } else {
                // A run that goes on in the next column touches the bottom of one and the top of the other.
                (top, bottom) = (0, self.height - 1);
                break;
            }
        }
        BBox {
            x: left as f32,
            y: top as f32,
            w: (right - left + 1) as f32,
            h: (bottom - top + 1) as f32,
        }
    }
}

/// Why a COCO segmentation could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// A side is zero or the mask is larger than this product handles.
    #[error(
        "mask size [{height}, {width}] is out of range: sides are 1 to {MAX_SIDE}, and at most {MAX_PIXELS} pixels"
    )]
    Size {
        /// The height asked for.
        height: u32,
        /// The width asked for.
        width: u32,
    },
    /// The counts hold a byte that COCO's alphabet (`0` to `o`) lacks.
    #[error(
        "mask counts hold byte {byte:#04x} at position {position}; only `0` to `o` are allowed"
    )]
    Character {
        /// Where the byte stands in the string.
        position: usize,
        /// The byte.
        byte: u8,
    },
    /// The counts end inside a number.
    #[error("mask counts end inside a number; the string was cut short")]
    Truncated,
    /// A run is negative or longer than the mask.
    #[error("mask counts hold a run that is negative or too long, ending at position {position}")]
    Run {
        /// Where the number ends in the string.
        position: usize,
    },
    /// The runs do not add up to the size.
    #[error("mask counts cover {covered} pixels, but the size says {expected}")]
    Coverage {
        /// What the runs add up to.
        covered: u64,
        /// Height times width.
        expected: u64,
    },
}

/// The number of pixels of a size within the limits.
fn checked_pixels(width: u32, height: u32) -> Result<u32, MaskError> {
    let side_in_range = |side: u32| (1..=MAX_SIDE).contains(&side);
    if !side_in_range(width) || !side_in_range(height) {
        return Err(MaskError::Size { height, width });
    }
    match width.checked_mul(height) {
        Some(pixels) if pixels <= MAX_PIXELS => Ok(pixels),
        _ => Err(MaskError::Size { height, width }),
    }
}

fn assert_size(width: u32, height: u32) -> u32 {
    match checked_pixels(width, height) {
        Ok(pixels) => pixels,
        Err(error) => panic!("{error}"),
    }
}
