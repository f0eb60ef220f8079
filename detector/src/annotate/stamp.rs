//! One instance's mask: half-transparent inside, with a darker outline along its edge.

use std::ops::Range;

use pipeline::mask::Mask;

use super::surface::{Ink, Surface};

/// What a cell of the stamp is.
const OUTSIDE: u8 = 0;
const INSIDE: u8 = 1;
const OUTLINE: u8 = 2;

/// How a mask is painted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub(super) fill: Ink,
    pub(super) outline: Ink,
    /// The outline lies within the mask and is this wide, in pixels.
    pub(super) line_width: u32,
}

/// Paints masks one after another with the same buffer, which is as large as the mask's box.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    cells: Vec<u8>,
    width: usize,
    left: u32,
    top: u32,
}

impl Stamp {
    /// Paints a mask that is as large as the surface.
    pub(super) fn paint(&mut self, surface: &mut impl Surface, mask: &Mask, paint: &Paint) {
        if mask.is_empty() || mask.size() != [surface.height(), surface.width()] {
            return;
        }
        self.cut(mask, paint.line_width);
        for (row, cells) in (self.top..).zip(self.cells.chunks_exact_mut(self.width)) {
            mark_ends(cells, paint.line_width as usize);
            for (piece, cell) in pieces(cells) {
                let ink = if cell == OUTLINE {
                    paint.outline
                } else {
                    paint.fill
                };
                let columns = self.left + piece.start as u32..self.left + piece.end as u32;
                surface.mix(row, columns, ink);
            }
        }
    }

    /// Fills the cells from the mask's columns; what is near the end of a column is outline.
    fn cut(&mut self, mask: &Mask, line_width: u32) {
        let bounds = mask.bbox();
        (self.left, self.top) = (bounds.x as u32, bounds.y as u32);
        self.width = bounds.w as usize;
        self.cells.clear();
        self.cells.resize(self.width * bounds.h as usize, OUTSIDE);
        for span in mask.spans() {
            let column = (span.x - self.left) as usize;
            let inner = span.top.saturating_add(line_width)..span.bottom.saturating_sub(line_width);
            for row in span.top..span.bottom {
                let cell = if inner.contains(&row) {
                    INSIDE
                } else {
                    OUTLINE
                };
                self.cells[(row - self.top) as usize * self.width + column] = cell;
            }
        }
    }
}

/// Turns what is near the end of a run of a row into outline.
fn mark_ends(row: &mut [u8], line_width: usize) {
    let mut from = 0;
    while let Some(start) = row[from..].iter().position(|&cell| cell != OUTSIDE) {
        let start = from + start;
        let length = row[start..].iter().take_while(|&&cell| cell != OUTSIDE);
        let end = start + length.count();
        let width = line_width.min(end - start);
        row[start..start + width].fill(OUTLINE);
        row[end - width..end].fill(OUTLINE);
        from = end;
    }
}

/// The pieces of a row that get ink, each with its kind of cell.
fn pieces(row: &[u8]) -> impl Iterator<Item = (Range<usize>, u8)> {
    let mut start = 0;
    row.chunk_by(|left, right| left == right)
        .map(move |piece| {
            let columns = start..start + piece.len();
            start = columns.end;
            (columns, piece[0])
        })
        .filter(|(_, cell)| *cell != OUTSIDE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::RgbImage;

    const FILL: Ink = Ink {
        rgb: [255, 0, 0],
        opacity: 128,
    };
    const EDGE: Ink = Ink {
        rgb: [0, 0, 255],
        opacity: 256,
    };

    /// Draws a mask given as text on black, and shows the picture the same way.
    fn painted(lines: &[&str], line_width: u32) -> Vec<String> {
        let (width, height) = (lines[0].len(), lines.len());
        let bitmap: Vec<u8> = lines
            .concat()
            .bytes()
            .map(|byte| u8::from(byte == b'#'))
            .collect();
        let mask = Mask::from_bitmap(width as u32, height as u32, &bitmap);
        let black = vec![0; width * height * 3];
        let mut picture = RgbImage::new(width as u32, height as u32, black).unwrap();
        let paint = Paint {
            fill: FILL,
            outline: EDGE,
            line_width,
        };
        Stamp::default().paint(&mut picture, &mask, &paint);
        let letter = |pixel: &[u8; 3]| match pixel {
            [0, 0, 0] => '.',
            [128, 0, 0] => 'f',
            [0, 0, 255] => 'o',
            other => panic!("unexpected colour {other:?}"),
        };
        let pixels = picture.pixels().as_chunks::<3>().0;
        pixels
            .chunks(width)
            .map(|row| row.iter().map(letter).collect())
            .collect()
    }

    #[test]
    fn the_inside_is_mixed_and_the_edge_is_drawn() {
        let mask = [
            "........", ".#####..", ".######.", ".######.", ".######.", "........",
        ];
        let expected = [
            "........", ".ooooo..", ".offffo.", ".offffo.", ".oooooo.", "........",
        ];
        assert_eq!(painted(&mask, 1), expected);
    }

    #[test]
    fn a_hole_has_an_edge_of_its_own() {
        let mask = ["#######", "#######", "##..###", "#######", "#######"];
        let expected = ["ooooooo", "ofooffo", "oo..ofo", "ofooffo", "ooooooo"];
        assert_eq!(painted(&mask, 1), expected);
    }

    #[test]
    fn a_wide_outline_swallows_a_thin_mask_and_no_more() {
        let mask = ["......", ".####.", ".####.", "......"];
        let expected = ["......", ".oooo.", ".oooo.", "......"];
        assert_eq!(painted(&mask, 3), expected);
    }

    #[test]
    fn a_mask_at_the_border_stays_within_the_picture() {
        let expected = ["oooo", "offo", "oooo"];
        assert_eq!(painted(&["####"; 3], 1), expected);
    }

    #[test]
    fn an_empty_mask_and_one_of_another_size_are_left_out() {
        let mut picture = RgbImage::new(2, 2, vec![7; 12]).unwrap();
        let before = picture.clone();
        let paint = Paint {
            fill: FILL,
            outline: EDGE,
            line_width: 1,
        };
        let mut stamp = Stamp::default();
        stamp.paint(&mut picture, &Mask::empty(2, 2), &paint);
        stamp.paint(&mut picture, &Mask::from_bitmap(1, 1, &[1]), &paint);
        assert_eq!(picture, before);
    }
}
