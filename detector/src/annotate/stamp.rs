//! One instance's mask: half-transparent inside, with a darker outline along its edge.

use pipeline::mask::{Mask, Span};

use super::row_runs::RowRuns;
use super::surface::{Ink, Surface};

/// How a mask is painted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub(super) fill: Ink,
    pub(super) outline: Ink,
    /// The outline lies within the mask and is this wide, in pixels.
    pub(super) line_width: u32,
}

/// Paints masks one after another with the same buffers.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    whole: RowRuns,
    inner: RowRuns,
}

impl Stamp {
    /// Paints a mask that is as large as the surface.
    pub(super) fn paint(&mut self, surface: &mut impl Surface, mask: &Mask, paint: &Paint) {
        if mask.is_empty() || mask.size() != [surface.height(), surface.width()] {
            return;
        }
        let line_width = paint.line_width;
        let inner = mask
            .spans()
            .filter_map(|span| without_ends(span, line_width));
        let mut inner = self.inner.of(inner, surface.height()).iter().peekable();
        for run in self.whole.of(mask.spans(), surface.height()) {
            let mut done = run.start;
            // What is away from the ends of its column lies within one run; the outline is what
            // remains of the run, and the run's own ends.
            while let Some(piece) =
                inner.next_if(|piece| piece.row == run.row && piece.end <= run.end)
            {
                let start = piece.start.max(run.start.saturating_add(line_width));
                let end = piece.end.min(run.end.saturating_sub(line_width));
                if start < end {
                    surface.mix(run.row, done..start, paint.outline);
                    surface.mix(run.row, start..end, paint.fill);
                    done = end;
                }
            }
            surface.mix(run.row, done..run.end, paint.outline);
        }
    }
}

/// The span without `width` pixels at either end, if anything is left of it.
fn without_ends(span: Span, width: u32) -> Option<Span> {
    let top = span.top.saturating_add(width);
    let bottom = span.bottom.saturating_sub(width);
    (top < bottom).then_some(Span {
        top,
        bottom,
        ..span
    })
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

    /// Every pixel by the rule: outline is what has an end of its row's or column's run within reach.
    #[test]
    fn every_pixel_of_a_ragged_mask_follows_the_rule() {
        const SIDE: usize = 23;
        let mut noise = 1u32;
        let mut is_set = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise >> 29 != 0
        };
        let grid: Vec<Vec<bool>> = (0..SIDE)
            .map(|_| (0..SIDE).map(|_| is_set()).collect())
            .collect();
        let at = |x: i32, y: i32| {
            let row = usize::try_from(y).ok().and_then(|y| grid.get(y));
            let cell = usize::try_from(x).ok().and_then(|x| row?.get(x));
            cell.copied().unwrap_or(false)
        };
        let text = |row: &Vec<bool>| row.iter().map(|&set| if set { '#' } else { '.' }).collect();
        let lines: Vec<String> = grid.iter().map(text).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        for line_width in 1..4 {
            let picture = painted(&lines, line_width as u32);
            for (y, row) in (0..).zip(&picture) {
                for (x, letter) in (0..).zip(row.chars()) {
                    let is_inner =
                        (-line_width..=line_width).all(|step| at(x + step, y) && at(x, y + step));
                    let expected = match (at(x, y), is_inner) {
                        (false, _) => '.',
                        (true, false) => 'o',
                        (true, true) => 'f',
                    };
                    assert_eq!(letter, expected, "width {line_width} at {x}, {y}");
                }
            }
        }
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
