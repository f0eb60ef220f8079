//! What primitives draw on: a picture, or the record of which pixels they may change.

use std::ops::Range;

use pipeline::mask::Mask;

use crate::image::RgbImage;

/// A colour and how much of it covers what was there, in 256ths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ink {
    pub(super) rgb: [u8; 3],
    pub(super) opacity: u16,
}

/// Full cover.
pub(super) const OPAQUE: u16 = 256;

impl Ink {
    pub(super) fn new(rgb: [u8; 3], opacity: f32) -> Self {
        Self {
            rgb,
            opacity: (opacity.clamp(0.0, 1.0) * f32::from(OPAQUE)).round() as u16,
        }
    }

    /// The same colour, thinner: `coverage` is the part of the pixel that it reaches.
    pub(super) fn covering(self, coverage: f32) -> Self {
        let opacity = (f32::from(self.opacity) * coverage.clamp(0.0, 1.0)).round() as u16;
        Self { opacity, ..self }
    }
}

/// Everything that is drawn is drawn by mixing ink into pieces of rows.
pub(super) trait Surface {
    fn width(&self) -> u32;

    fn height(&self) -> u32;

    /// Mixes ink into the pixels of `columns` in `row`, which must lie on the surface.
    fn mix(&mut self, row: u32, columns: Range<u32>, ink: Ink);

    /// Takes the colours away from the pixels of `columns` in `row`, which must lie on the surface.
    fn turn_grey(&mut self, row: u32, columns: Range<u32>);
}

impl Surface for RgbImage {
    fn width(&self) -> u32 {
        RgbImage::width(self)
    }

    fn height(&self) -> u32 {
        RgbImage::height(self)
    }

    fn mix(&mut self, row: u32, columns: Range<u32>, ink: Ink) {
        let start = row as usize * RgbImage::width(self) as usize;
        let pixels = (start + columns.start as usize) * 3..(start + columns.end as usize) * 3;
        let mixing = Mixing::new(ink);
        let (blocks, rest) = self.pixels_mut()[pixels].as_chunks_mut::<BLOCK>();
        for block in blocks {
            mixing.apply(block);
        }
        mixing.apply(rest);
    }

    fn turn_grey(&mut self, row: u32, columns: Range<u32>) {
        let start = row as usize * RgbImage::width(self) as usize;
        let pixels = (start + columns.start as usize) * 3..(start + columns.end as usize) * 3;
        for pixel in self.pixels_mut()[pixels].as_chunks_mut::<3>().0 {
            let [red, green, blue] = pixel.map(u32::from);
            // Luma by ITU-R BT.601, in 256ths.
            *pixel = [((77 * red + 150 * green + 29 * blue + 128) >> 8) as u8; 3];
        }
    }
}

/// Bytes that are mixed at a time: whole pixels, and whole registers of the processor.
const BLOCK: usize = 48;

/// An ink made ready to be mixed into many pixels.
struct Mixing {
    kept: u16,
    /// What is added to each byte, times 256, with half of that for rounding. With what is kept it
    /// stays below 65 536, as both parts make 256 together.
    added: [u16; BLOCK],
}

impl Mixing {
    fn new(ink: Ink) -> Self {
        let added = ink
            .rgb
            .map(|channel| u16::from(channel) * ink.opacity + OPAQUE / 2);
        Self {
            kept: OPAQUE - ink.opacity,
            added: std::array::from_fn(|byte| added[byte % 3]),
        }
    }

    /// Mixes into at most a block of bytes that begin with a pixel.
    #[inline]
    fn apply(&self, bytes: &mut [u8]) {
        for (value, added) in bytes.iter_mut().zip(self.added) {
            *value = ((u16::from(*value) * self.kept + added) >> 8) as u8;
        }
    }
}

/// Remembers what was drawn on, and draws nothing.
#[derive(Debug)]
pub(super) struct Footprint {
    width: u32,
    height: u32,
    touched: Vec<u8>,
}

impl Footprint {
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            touched: vec![0; width as usize * height as usize],
        }
    }

    pub(super) fn into_mask(self) -> Mask {
        Mask::from_bitmap(self.width, self.height, &self.touched)
    }
}

impl Surface for Footprint {
    fn width(&self) -> u32 {
        self.width
    }

    fn height(&self) -> u32 {
        self.height
    }

    fn mix(&mut self, row: u32, columns: Range<u32>, ink: Ink) {
        if ink.opacity == 0 {
            return;
        }
        let start = row as usize * self.width as usize;
        let pixels = start + columns.start as usize..start + columns.end as usize;
        self.touched[pixels].fill(1);
    }

    fn turn_grey(&mut self, row: u32, columns: Range<u32>) {
        let start = row as usize * self.width as usize;
        self.touched[start + columns.start as usize..start + columns.end as usize].fill(1);
    }
}

/// A rectangle in pixels; it may lie partly off the surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rectangle {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// Fills what of the rectangle lies on the surface.
pub(super) fn fill(surface: &mut impl Surface, rectangle: Rectangle, ink: Ink) {
    let columns = visible(rectangle.left, rectangle.width, surface.width());
    if columns.is_empty() {
        return;
    }
    for row in visible(rectangle.top, rectangle.height, surface.height()) {
        surface.mix(row, columns.clone(), ink);
    }
}

/// The part of `start..start + length` that lies within `0..side`.
pub(super) fn visible(start: i32, length: u32, side: u32) -> Range<u32> {
    let end = i64::from(start) + i64::from(length);
    let first = i64::from(start).clamp(0, side.into()) as u32;
    let end = end.clamp(first.into(), side.into()) as u32;
    first..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32) -> RgbImage {
        RgbImage::new(width, height, vec![100; (width * height * 3) as usize]).unwrap()
    }

    #[test]
    fn half_an_ink_is_the_mean_of_both_colours() {
        let mut picture = grey(3, 2);
        picture.mix(1, 1..2, Ink::new([200, 0, 101], 0.5));
        let mut expected = vec![100; 18];
        expected[12..15].copy_from_slice(&[150, 50, 101]);
        assert_eq!(picture.pixels(), expected);
    }

    #[test]
    fn full_ink_covers_and_no_ink_changes_nothing() {
        let mut picture = grey(2, 1);
        picture.mix(0, 0..1, Ink::new([1, 254, 255], 1.0));
        picture.mix(0, 1..2, Ink::new([1, 254, 255], 0.0));
        assert_eq!(picture.pixels(), [1, 254, 255, 100, 100, 100]);
    }

    #[test]
    fn a_rectangle_is_cut_to_the_surface() {
        let mut footprint = Footprint::new(4, 3);
        let outside = Rectangle {
            left: -2,
            top: 1,
            width: 3,
            height: 9,
        };
        fill(&mut footprint, outside, Ink::new([0; 3], 1.0));
        let expected = [0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(footprint.into_mask().to_bitmap(), expected);
    }

    #[test]
    fn nothing_of_what_lies_outside_is_visible() {
        assert_eq!(visible(-5, 3, 10), 0..0);
        assert_eq!(visible(12, 3, 10), 10..10);
        assert_eq!(visible(i32::MAX, u32::MAX, 10), 10..10);
        assert_eq!(visible(-5, 100, 10), 0..10);
    }
}
