//! Masks from the pixels of a box, and the pixels of a box from a mask.
//!
//! A detector or a renderer knows an instance as a small bitmap somewhere in the frame. Runs are made
//! from that bitmap directly; the frame around it costs one addition per column.

use super::runs::RunBuilder;
use super::{Mask, assert_size};

/// A box that lies inside the frame, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    /// The leftmost column.
    pub x: u32,
    /// The topmost row.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// A box that may lie partly or wholly outside the frame, in frame pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedCrop {
    /// The leftmost column, negative when left of the frame.
    pub x: i32,
    /// The topmost row, negative when above the frame.
    pub y: i32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Mask {
    /// The mask of a frame in which `crop` shows `pixels` (row-major, any non-zero byte is set) and
    /// everything else is unset.
    ///
    /// # Panics
    /// When the frame is outside the limits, `crop` is not inside it, or `pixels` is not
    /// `crop.width * crop.height` long.
    pub fn from_crop(frame_width: u32, frame_height: u32, crop: Crop, pixels: &[u8]) -> Self {
        assert_size(frame_width, frame_height);
        assert_inside(frame_width, frame_height, crop);
        assert_pixel_count(pixels, crop.width, crop.height);
        let view = View {
            pixels,
            stride: crop.width as usize,
            column: 0,
            row: 0,
        };
        encode(frame_width, frame_height, crop, view)
    }

    /// As [`Mask::from_crop`], but what lies outside the frame is cut off.
    ///
    /// # Panics
    /// When the frame is outside the limits or `pixels` is not `crop.width * crop.height` long.
    pub fn from_clipped_crop(
        frame_width: u32,
        frame_height: u32,
        crop: SignedCrop,
        pixels: &[u8],
    ) -> Self {
        assert_size(frame_width, frame_height);
        assert_pixel_count(pixels, crop.width, crop.height);
        let columns = clip(crop.x, crop.width, frame_width);
        let rows = clip(crop.y, crop.height, frame_height);
        let (Some(columns), Some(rows)) = (columns, rows) else {
            return Self::empty(frame_width, frame_height);
        };
        let visible = Crop {
            x: columns.start_in_frame,
            y: rows.start_in_frame,
            width: columns.length,
            height: rows.length,
        };
        let view = View {
            pixels,
            stride: crop.width as usize,
            column: columns.skipped as usize,
            row: rows.skipped as usize,
        };
        encode(frame_width, frame_height, visible, view)
    }

    /// The mask of a whole row-major bitmap; any non-zero byte is set.
    ///
    /// # Panics
    /// When the frame is outside the limits or `pixels` is not `width * height` long.
    pub fn from_bitmap(width: u32, height: u32, pixels: &[u8]) -> Self {
        Self::from_crop(
            width,
            height,
            Crop {
                x: 0,
                y: 0,
                width,
                height,
            },
            pixels,
        )
    }

    /// The whole frame as a row-major bitmap of zeros and ones: as many bytes as the frame has pixels.
    pub fn to_bitmap(&self) -> Vec<u8> {
        self.crop_to_bitmap(Crop {
            x: 0,
            y: 0,
            width: self.width,
            height: self.height,
        })
    }

    /// The pixels of `crop` as a row-major bitmap of zeros and ones.
    ///
    /// # Panics
    /// When `crop` is not inside the frame.
    pub fn crop_to_bitmap(&self, crop: Crop) -> Vec<u8> {
        assert_inside(self.width, self.height, crop);
        let stride = crop.width as usize;
        let mut bitmap = vec![0; stride * crop.height as usize];
        let columns = crop.x..crop.x + crop.width;
        let spans = self.spans().skip_while(|span| span.x < columns.start);
        for span in spans.take_while(|span| span.x < columns.end) {
            let top = span.top.max(crop.y) - crop.y;
            let bottom = span.bottom.min(crop.y + crop.height).saturating_sub(crop.y);
            let column = (span.x - crop.x) as usize;
            for row in top..bottom {
                bitmap[row as usize * stride + column] = 1;
            }
        }
        bitmap
    }
}

fn assert_inside(frame_width: u32, frame_height: u32, crop: Crop) {
    let fits = |start: u32, length: u32, side: u32| {
        start.checked_add(length).is_some_and(|end| end <= side)
    };
    assert!(
        fits(crop.x, crop.width, frame_width) && fits(crop.y, crop.height, frame_height),
        "{crop:?} is not inside a frame of {frame_width}x{frame_height}",
    );
}

fn assert_pixel_count(pixels: &[u8], width: u32, height: u32) {
    let expected = u64::from(width) * u64::from(height);
    assert!(
        pixels.len() as u64 == expected,
        "a crop of {width}x{height} needs {expected} pixels, not {}",
        pixels.len(),
    );
}

/// The visible part of one axis of a box.
struct Clipped {
    start_in_frame: u32,
    skipped: u32,
    length: u32,
}

fn clip(start: i32, length: u32, side: u32) -> Option<Clipped> {
    let (start, length, side) = (i64::from(start), i64::from(length), i64::from(side));
    let first = start.max(0);
    let end = (start + length).min(side);
    (first < end).then(|| Clipped {
        start_in_frame: first as u32,
        skipped: (first - start) as u32,
        length: (end - first) as u32,
    })
}

/// Row-major pixels, read from `column` and `row` on.
#[derive(Clone, Copy)]
struct View<'a> {
    pixels: &'a [u8],
    stride: usize,
    column: usize,
    row: usize,
}

impl<'a> View<'a> {
    fn row_from(&self, row: u32, column: u32, length: usize) -> &'a [u8] {
        let start = (self.row + row as usize) * self.stride + self.column + column as usize;
        &self.pixels[start..start + length]
    }
}

/// Columns encoded together: the bytes of a `u64`.
const STRIP: usize = 8;

/// Walks strips of eight columns, so that rows are read eight pixels at a time and only changes cost work.
fn encode(frame_width: u32, frame_height: u32, crop: Crop, view: View<'_>) -> Mask {
    let mut builder = RunBuilder::default();
    let mut changes: [Vec<u32>; STRIP] = Default::default();
    builder.push(false, crop.x * frame_height);
    for strip_x in (0..crop.width).step_by(STRIP) {
        let columns = STRIP.min((crop.width - strip_x) as usize);
        collect_changes(view, strip_x, &mut changes[..columns], crop.height);
        for column_changes in &changes[..columns] {
            push_column(&mut builder, frame_height, crop, column_changes);
        }
    }
    let columns_after = frame_width - crop.x - crop.width;
    builder.push(false, columns_after * frame_height);
    Mask {
        width: frame_width,
        height: frame_height,
        runs: builder.finish(),
    }
}

/// For each column of a strip, the rows at which its pixels change, starting from unset.
fn collect_changes(view: View<'_>, strip_x: u32, changes: &mut [Vec<u32>], rows: u32) {
    for column_changes in changes.iter_mut() {
        column_changes.clear();
    }
    let columns = changes.len();
    let mut above = 0;
    for row in 0..rows {
        let mut bytes = [0; STRIP];
        bytes[..columns].copy_from_slice(view.row_from(row, strip_x, columns));
        let current = nonzero_bytes(u64::from_le_bytes(bytes));
        let mut changed = current ^ above;
        while changed != 0 {
            changes[(changed.trailing_zeros() / 8) as usize].push(row);
            changed &= changed - 1;
        }
        above = current;
    }
}

/// The top bit of every byte that is not zero.
fn nonzero_bytes(word: u64) -> u64 {
    const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    (((word & LOW_BITS) + LOW_BITS) | word) & !LOW_BITS
}

fn push_column(builder: &mut RunBuilder, frame_height: u32, crop: Crop, changes: &[u32]) {
    builder.push(false, crop.y);
    let mut is_set = false;
    let mut start = 0;
    for &row in changes {
        builder.push(is_set, row - start);
        is_set = !is_set;
        start = row;
    }
    builder.push(is_set, crop.height - start);
    builder.push(false, frame_height - crop.y - crop.height);
}
