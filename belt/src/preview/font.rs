//! A bitmap font of 5x7 pixels, enough for labels and legends.

use image::{Rgb, RgbImage};

/// Width of a character with the gap after it, in font pixels.
pub(crate) const ADVANCE: u32 = 6;
pub(crate) const HEIGHT: u32 = 8;

/// Letters that hang below the line by one font pixel.
const fn descends(character: char) -> bool {
    matches!(character, 'g' | 'j' | 'p' | 'q' | 'y')
}

/// Rows from top to bottom, the highest of the five bits leftmost.
const fn glyph(character: char) -> [u8; 7] {
    match character {
        'a' => [0, 0, 0b01110, 0b00001, 0b01111, 0b10001, 0b01111],
        'b' => [
            0b10000, 0b10000, 0b11110, 0b10001, 0b10001, 0b10001, 0b11110,
        ],
        'c' => [0, 0, 0b01110, 0b10001, 0b10000, 0b10001, 0b01110],
        'd' => [
            0b00001, 0b00001, 0b01111, 0b10001, 0b10001, 0b10001, 0b01111,
        ],
        'e' => [0, 0, 0b01110, 0b10001, 0b11111, 0b10000, 0b01110],
        'f' => [
            0b00110, 0b01001, 0b01000, 0b11100, 0b01000, 0b01000, 0b01000,
        ],
        'g' => [0, 0b01111, 0b10001, 0b10001, 0b01111, 0b00001, 0b01110],
        'h' => [
            0b10000, 0b10000, 0b11110, 0b10001, 0b10001, 0b10001, 0b10001,
        ],
        'i' => [0b00100, 0, 0b01100, 0b00100, 0b00100, 0b00100, 0b01110],
        'j' => [0b00010, 0, 0b00110, 0b00010, 0b00010, 0b10010, 0b01100],
        'k' => [
            0b10000, 0b10000, 0b10010, 0b10100, 0b11000, 0b10100, 0b10010,
        ],
        'l' => [
            0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110,
        ],
        'm' => [0, 0, 0b11010, 0b10101, 0b10101, 0b10101, 0b10101],
        'n' => [0, 0, 0b11110, 0b10001, 0b10001, 0b10001, 0b10001],
        'o' => [0, 0, 0b01110, 0b10001, 0b10001, 0b10001, 0b01110],
        'p' => [0, 0b11110, 0b10001, 0b10001, 0b11110, 0b10000, 0b10000],
        'q' => [0, 0b01111, 0b10001, 0b10001, 0b01111, 0b00001, 0b00001],
        'r' => [0, 0, 0b10110, 0b11001, 0b10000, 0b10000, 0b10000],
        's' => [0, 0, 0b01111, 0b10000, 0b01110, 0b00001, 0b11110],
        't' => [
            0b01000, 0b01000, 0b11100, 0b01000, 0b01000, 0b01001, 0b00110,
        ],
        'u' => [0, 0, 0b10001, 0b10001, 0b10001, 0b10011, 0b01101],
        'v' => [0, 0, 0b10001, 0b10001, 0b10001, 0b01010, 0b00100],
        'w' => [0, 0, 0b10001, 0b10101, 0b10101, 0b10101, 0b01010],
        'x' => [0, 0, 0b10001, 0b01010, 0b00100, 0b01010, 0b10001],
        'y' => [0, 0b10001, 0b10001, 0b10001, 0b01111, 0b00001, 0b01110],
        'z' => [0, 0, 0b11111, 0b00010, 0b00100, 0b01000, 0b11111],
        '0' => [
            0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110,
        ],
        '1' => [
            0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110,
        ],
        '2' => [
            0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111,
        ],
        '3' => [
            0b11110, 0b00001, 0b00001, 0b01110, 0b00001, 0b00001, 0b11110,
        ],
        '4' => [
            0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010,
        ],
        '5' => [
            0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110,
        ],
        '6' => [
            0b01110, 0b10000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110,
        ],
        '7' => [
            0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000,
        ],
        '8' => [
            0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110,
        ],
        '9' => [
            0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00001, 0b01110,
        ],
        '#' => [
            0b01010, 0b01010, 0b11111, 0b01010, 0b11111, 0b01010, 0b01010,
        ],
        '%' => [
            0b11000, 0b11001, 0b00010, 0b00100, 0b01000, 0b10011, 0b00011,
        ],
        _ => [0; 7],
    }
}

/// How wide a text is, without the gap after its last character.
pub(crate) fn text_width(text: &str, zoom: u32) -> u32 {
    (text.chars().count() as u32 * ADVANCE).saturating_sub(1) * zoom
}

/// Writes a text with its upper left corner at `corner`; what lies outside the image is cut off.
pub(crate) fn draw_text(
    image: &mut RgbImage,
    text: &str,
    corner: (i64, i64),
    style: (u32, Rgb<u8>),
) {
    let (zoom, color) = style;
    for (position, character) in text.chars().enumerate() {
        let left = corner.0 + i64::from(position as u32 * ADVANCE * zoom);
        let top = corner.1 + i64::from(zoom) * i64::from(descends(character));
        for (row, bits) in glyph(character).into_iter().enumerate() {
            for column in (0..5_u32).filter(|column| bits & (0b10000 >> column) != 0) {
                for (dx, dy) in (0..zoom * zoom).map(|dot| (dot % zoom, dot / zoom)) {
                    let x = left + i64::from(column * zoom + dx);
                    let y = top + i64::from(row as u32 * zoom + dy);
                    let inside = u32::try_from(x).ok().zip(u32::try_from(y).ok());
                    if let Some(pixel) = inside.and_then(|(x, y)| image.get_pixel_mut_checked(x, y))
                    {
                        *pixel = color;
                    }
                }
            }
        }
    }
}
