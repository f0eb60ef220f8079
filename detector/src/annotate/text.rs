//! Words on a surface, in `DejaVu` Sans, which knows Latin, Greek and Cyrillic letters.

use std::collections::HashMap;
use std::sync::LazyLock;

use ab_glyph::{Font as _, FontRef, PxScale, ScaleFont as _};

use super::surface::{Ink, Surface, visible};

static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("font/DejaVuSans.ttf"))
        .expect("the font beside this file is a font")
});

/// Glyphs kept; labels of every language and size together stay far below.
const MAX_GLYPHS: usize = 2048;

/// Sets lines of text and keeps the glyphs that it has drawn before.
#[derive(Debug, Default)]
pub(super) struct Typesetter {
    glyphs: HashMap<(char, u32), Glyph>,
}

/// A line of text, where it begins and how large it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) text: &'a str,
    pub(super) left: i32,
    pub(super) top: i32,
    /// From the top of the highest letter to the bottom of the lowest, in pixels.
    pub(super) height: u32,
}

/// A drawn letter: how much of each pixel it covers.
#[derive(Debug)]
struct Glyph {
    advance: f32,
    left: i32,
    /// Below the line's top.
    top: i32,
    width: u32,
    coverage: Vec<f32>,
}

impl Typesetter {
    /// How many pixels wide the text is.
    pub(super) fn width(&mut self, text: &str, height: u32) -> u32 {
        let advance: f32 = text
            .chars()
            .map(|letter| self.glyph(letter, height).advance.round())
            .sum();
        advance as u32
    }

    /// Writes one line; what does not fit on the surface is cut off.
    pub(super) fn write(&mut self, surface: &mut impl Surface, line: Line<'_>, ink: Ink) {
        let mut pen = line.left;
        for letter in line.text.chars() {
            let glyph = self.glyph(letter, line.height);
            glyph.draw(surface, (pen, line.top), ink);
            // Whole pixels, so that a letter looks the same wherever it stands.
            pen += glyph.advance.round() as i32;
        }
    }

    fn glyph(&mut self, letter: char, height: u32) -> &Glyph {
        if self.glyphs.len() >= MAX_GLYPHS {
            self.glyphs.clear();
        }
        self.glyphs
            .entry((letter, height))
            .or_insert_with(|| Glyph::new(letter, height))
    }
}

impl Glyph {
    fn new(letter: char, height: u32) -> Self {
        let font = FONT.as_scaled(PxScale::from(height as f32));
        let glyph = font.scaled_glyph(letter);
        let advance = font.h_advance(glyph.id);
        let Some(outline) = font.outline_glyph(glyph) else {
            return Self {
                advance,
                left: 0,
                top: 0,
                width: 0,
                coverage: Vec::new(),
            };
        };
        let bounds = outline.px_bounds();
        let width = bounds.width() as u32;
        let mut coverage = vec![0.0; width as usize * bounds.height() as usize];
        outline.draw(|x, y, covered| coverage[(y * width + x) as usize] = covered);
        Self {
            advance,
            left: bounds.min.x as i32,
            top: (font.ascent() + bounds.min.y).round() as i32,
            width,
            coverage,
        }
    }

    fn draw(&self, surface: &mut impl Surface, (pen, line_top): (i32, i32), ink: Ink) {
        if self.width == 0 {
            return;
        }
        let left = pen + self.left;
        let columns = visible(left, self.width, surface.width());
        let rows = self.coverage.chunks_exact(self.width as usize);
        for (row, coverage) in (line_top + self.top..).zip(rows) {
            if !(0..surface.height() as i32).contains(&row) {
                continue;
            }
            for column in columns.clone() {
                let covered = coverage[(column as i32 - left) as usize];
                if covered > 0.0 {
                    surface.mix(row as u32, column..column + 1, ink.covering(covered));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::surface::Footprint;
    use super::*;

    const INK: Ink = Ink {
        rgb: [255; 3],
        opacity: 256,
    };

    fn written(text: &str, left: i32, top: i32) -> pipeline::mask::Mask {
        let line = Line {
            text,
            left,
            top,
            height: 20,
        };
        let mut footprint = Footprint::new(200, 40);
        Typesetter::default().write(&mut footprint, line, INK);
        footprint.into_mask()
    }

    #[test]
    fn letters_stay_between_the_top_and_the_bottom_of_their_line() {
        let bounds = written("Ågjy|", 10, 8).bbox();
        // Faint edges of a letter may reach into the next row of pixels.
        assert!(bounds.y >= 7.0 && bounds.y + bounds.h <= 29.0, "{bounds:?}");
        assert!(bounds.x >= 9.0, "{bounds:?}");
    }

    #[test]
    fn the_width_is_that_of_the_letters() {
        let mut typesetter = Typesetter::default();
        let width = typesetter.width("gear 97%", 20) as f32;
        let bounds = written("gear 97%", 0, 0).bbox();
        assert!((bounds.w - width).abs() <= 4.0, "{width} and {bounds:?}");
        assert_eq!(typesetter.width("", 20), 0);
    }

    #[test]
    fn every_script_that_is_promised_has_letters_of_its_own() {
        let unknown = written("\u{4e00}", 0, 0);
        let mut seen = vec![unknown];
        for letter in ["A", "é", "ž", "Ω", "Ж", "–", "€"] {
            let drawn = written(letter, 0, 0);
            assert!(!drawn.is_empty() && !seen.contains(&drawn), "{letter}");
            seen.push(drawn);
        }
    }

    #[test]
    fn text_is_cut_at_the_edge() {
        for (left, top) in [(-5, 0), (195, 0), (0, -12), (0, 30), (500, 500)] {
            written("gear", left, top);
        }
        assert!(written("gear", 500, 500).is_empty());
        assert!(!written("gear", -5, -5).is_empty());
    }
}
