//! Resizes RGB pictures bit for bit as Pillow's `BILINEAR` does, which is how nearly every network
//! was fed in its training.
//!
//! Pillow sums bytes with weights of 22 bits, one axis after the other, and rounds to bytes after
//! each. Libraries that are made for speed keep weights of 16 bits and choose their own order, so
//! up to a quarter of their bytes are off by a level, and what a network makes of that is anybody's
//! guess.
//!
//! A pass across works on strips of rows that are laid out column by column, so that both passes
//! are the same loop over neighbouring bytes, compiled for the vectors that the machine has.

use super::geometry::Size;

/// Bits behind the point of a weight: a byte and two bits of overflow fit before it.
const WEIGHT_BITS: u32 = 32 - 8 - 2;

/// One half, added before the bits behind the point are cut off.
const HALF: i32 = 1 << (WEIGHT_BITS - 1);

/// Rows of a strip.
const STRIP_ROWS: usize = 16;

/// Bytes of a pixel.
const CHANNELS: usize = 3;

/// Bytes that are summed at a time: what the registers hold.
const BLOCK: usize = STRIP_ROWS * CHANNELS;

/// Width and height in pixels.
type Sides = (usize, usize);

/// Resizes pictures one after another with the same buffers.
#[derive(Debug)]
pub(super) struct Resampler {
    is_averaging: bool,
    vectors: pulp::Arch,
    strip: Vec<u8>,
    resized_strip: Vec<u8>,
    between: Vec<u8>,
}

/// What one pixel of the target is made of, along one axis.
#[derive(Debug, PartialEq)]
struct Window {
    first: usize,
    weights: Vec<i32>,
}

impl Resampler {
    /// Either averages all that a pixel of a smaller picture covers, or looks at its two neighbours
    /// along each axis only.
    pub(super) fn new(is_averaging: bool) -> Self {
        Self {
            is_averaging,
            vectors: pulp::Arch::new(),
            strip: Vec::new(),
            resized_strip: Vec::new(),
            between: Vec::new(),
        }
    }

    /// Makes `target` the picture in its new size.
    pub(super) fn resize(&mut self, (source, from): (&[u8], Size), to: Size, target: &mut Vec<u8>) {
        let from @ (width, height) = sides(from);
        let (new_width, new_height) = sides(to);
        // As Pillow: across first, unless only the height shrinks.
        let mut between = std::mem::take(&mut self.between);
        if new_height < height && new_width >= width {
            self.resize_down((source, from), new_height, &mut between);
            self.resize_across((&between, (width, new_height)), new_width, target);
        } else {
            self.resize_across((source, from), new_width, &mut between);
            self.resize_down((&between, (new_width, height)), new_height, target);
        }
        self.between = between;
    }

    /// Gives the picture a new height.
    fn resize_down(
        &self,
        (source, (width, height)): (&[u8], Sides),
        new_height: usize,
        target: &mut Vec<u8>,
    ) {
        target.resize(width * new_height * CHANNELS, 0);
        if new_height == height {
            target.copy_from_slice(source);
            return;
        }
        let windows = windows(height, new_height, self.is_averaging);
        self.vectors.dispatch(SumLines {
            source,
            line: width * CHANNELS,
            windows: &windows,
            target,
        });
    }

    /// Gives the picture a new width.
    fn resize_across(
        &mut self,
        (source, (width, height)): (&[u8], Sides),
        new_width: usize,
        target: &mut Vec<u8>,
    ) {
        target.resize(new_width * height * CHANNELS, 0);
        if new_width == width {
            target.copy_from_slice(source);
            return;
        }
        let windows = windows(width, new_width, self.is_averaging);
        self.strip.resize(width * BLOCK, 0);
        self.resized_strip.resize(new_width * BLOCK, 0);
        let rows = source.chunks(width * CHANNELS * STRIP_ROWS);
        let new_rows = target.chunks_mut(new_width * CHANNELS * STRIP_ROWS);
        for (rows, new_rows) in rows.zip(new_rows) {
            lay_by_columns(rows, width, &mut self.strip);
            self.vectors.dispatch(SumLines {
                source: &self.strip,
                line: BLOCK,
                windows: &windows,
                target: &mut self.resized_strip,
            });
            lay_by_rows(&self.resized_strip, new_width, new_rows);
        }
    }
}

/// Lays the pixels of some rows one below the other side by side; missing rows are filled up.
fn lay_by_columns(rows: &[u8], width: usize, strip: &mut [u8]) {
    let row_of = |row: usize| rows.chunks_exact(width * CHANNELS).nth(row);
    let pixels: [&[[u8; CHANNELS]]; STRIP_ROWS] =
        std::array::from_fn(|row| row_of(row).unwrap_or(rows).as_chunks().0);
    let columns = strip.as_chunks_mut::<CHANNELS>().0;
    let columns = columns.as_chunks_mut::<STRIP_ROWS>().0;
    // Columns in the outer loop, or the strip is driven through the cache once a row.
    for (column, cells) in columns.iter_mut().enumerate() {
        for (cell, pixels) in cells.iter_mut().zip(pixels) {
            *cell = pixels[column];
        }
    }
}

/// Takes the rows out of a strip again.
fn lay_by_rows(strip: &[u8], width: usize, rows: &mut [u8]) {
    for (row, pixels) in rows.chunks_exact_mut(width * CHANNELS).enumerate() {
        let cells = strip.as_chunks::<CHANNELS>().0[row..].iter();
        let pixels = pixels.as_chunks_mut::<CHANNELS>().0;
        for (pixel, cell) in pixels.iter_mut().zip(cells.step_by(STRIP_ROWS)) {
            *pixel = *cell;
        }
    }
}

/// Makes each line of the target from those of the source in its window.
struct SumLines<'a> {
    source: &'a [u8],
    /// Bytes of a line.
    line: usize,
    windows: &'a [Window],
    target: &'a mut [u8],
}

impl pulp::WithSimd for SumLines<'_> {
    type Output = ();

    #[expect(
        clippy::inline_always,
        reason = "what is not inlined is compiled without the vectors"
    )]
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _vectors: S) {
        let line = self.line;
        for (window, sums) in self.windows.iter().zip(self.target.chunks_exact_mut(line)) {
            let lines = &self.source[window.first * line..];
            let (blocks, rest) = sums.as_chunks_mut::<BLOCK>();
            for (index, block) in blocks.iter_mut().enumerate() {
                let mut exact = [HALF; BLOCK];
                for (&weight, bytes) in window.weights.iter().zip(lines.chunks_exact(line)) {
                    let bytes = &bytes.as_chunks::<BLOCK>().0[index];
                    for (sum, &byte) in exact.iter_mut().zip(bytes) {
                        *sum += i32::from(byte) * weight;
                    }
                }
                for (byte, sum) in block.iter_mut().zip(exact) {
                    *byte = (sum >> WEIGHT_BITS) as u8;
                }
            }
            let start = line - rest.len();
            let mut exact = [HALF; BLOCK];
            for (&weight, bytes) in window.weights.iter().zip(lines.chunks_exact(line)) {
                for (sum, &byte) in exact.iter_mut().zip(&bytes[start..]) {
                    *sum += i32::from(byte) * weight;
                }
            }
            for (byte, sum) in rest.iter_mut().zip(exact) {
                *byte = (sum >> WEIGHT_BITS) as u8;
            }
        }
    }
}

fn sides(size: Size) -> Sides {
    (size.width as usize, size.height as usize)
}

/// The windows of all pixels along one axis, with a triangle for a filter.
fn windows(length: usize, new_length: usize, is_averaging: bool) -> Vec<Window> {
    let scale = length as f64 / new_length as f64;
    let reach = if is_averaging { scale.max(1.0) } else { 1.0 };
    let per_pixel = 1.0 / reach;
    let window = |pixel: usize| {
        let centre = (pixel as f64 + 0.5) * scale;
        let first = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(length);
        let heights: Vec<f64> = (first..end)
            .map(|at| (1.0 - ((at as f64 - centre + 0.5) * per_pixel).abs()).max(0.0))
            .collect();
        let total: f64 = heights.iter().sum();
        let one = f64::from(1_u32 << WEIGHT_BITS);
        let weights = heights
            .iter()
            .map(|height| (height / total * one + 0.5) as i32);
        Window {
            first,
            weights: weights.collect(),
        }
    };
    (0..new_length).map(window).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size((width, height): (u32, u32)) -> Size {
        Size { width, height }
    }

    /// Bytes without any order, of a formula that the sums below were made with too.
    fn picture((width, height): (u32, u32)) -> Vec<u8> {
        let mut pixels = Vec::new();
        for y in 0..height {
            for x in 0..width {
                pixels.extend(
                    (0..3).map(|channel| ((x * 7 + y * 13 + channel * 29) ^ (x * y)) as u8),
                );
            }
        }
        pixels
    }

    fn adler32(bytes: &[u8]) -> u32 {
        let (mut low, mut high) = (1_u32, 0_u32);
        for &byte in bytes {
            low = (low + u32::from(byte)) % 65_521;
            high = (high + low) % 65_521;
        }
        (high << 16) | low
    }

    #[test]
    fn every_byte_is_what_pillow_makes() {
        // zlib.adler32(Image.fromarray(picture).resize(to, Image.Resampling.BILINEAR).tobytes())
        // of Pillow 13.0.0: smaller, larger, both at once either way, one axis alone.
        let sums = [
            ((30, 20), (12, 9), 2_602_481_222),
            ((20, 30), (25, 9), 622_751_499),
            ((7, 5), (16, 16), 715_711_086),
            ((300, 4), (19, 1), 926_424_091),
            ((64, 48), (64, 20), 4_069_958_797),
            ((1, 1), (3, 2), 303_366_667),
            ((40, 30), (32, 45), 3_174_948_100),
        ];
        let mut resampler = Resampler::new(true);
        let mut resized = Vec::new();
        for (from, to, sum) in sums {
            resampler.resize((&picture(from), size(from)), size(to), &mut resized);
            assert_eq!(resized.len(), (to.0 * to.1 * 3) as usize);
            assert_eq!(adler32(&resized), sum, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn the_weights_of_a_window_are_one() {
        for (length, new_length) in [(3840, 171), (97, 96), (40, 3), (1, 64), (64, 48)] {
            let made = windows(length, new_length, true);
            assert_eq!(made.len(), new_length);
            for window in made {
                let sum: i32 = window.weights.iter().sum();
                let off = (sum - (1 << WEIGHT_BITS)).unsigned_abs() as usize;
                assert!(off <= window.weights.len(), "{window:?}");
                assert!(window.first + window.weights.len() <= length);
            }
        }
    }
}
