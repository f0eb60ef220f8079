//! Pictures of many sizes, all cut from one frame of the simulated belt.

use belt::{Belt, BeltConfig};
use turbojpeg::{Image, PixelFormat, Subsamp};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 960;
const QUALITY: i32 = 85;

/// One size and its JPEG; the source says which size it is.
pub(super) struct Picture<'a> {
    pub(super) source: String,
    pub(super) jpeg: &'a [u8],
}

pub(super) struct Pictures(Vec<((u32, u32), Vec<u8>)>);

impl Pictures {
    /// How many sizes there are.
    pub(super) const SIZES: usize = 200;

    pub(super) fn draw() -> Self {
        let config = BeltConfig {
            width: WIDTH,
            height: HEIGHT,
            ..BeltConfig::default()
        };
        let mut belt = Belt::new(config).expect("a valid configuration");
        let scene = belt.scene(60);
        let pixels = scene.image.as_raw().as_slice();
        let cut = |number| {
            let (width, height) = size(number);
            let image = Image {
                pixels,
                width: width as usize,
                pitch: WIDTH as usize * 3,
                height: height as usize,
                format: PixelFormat::RGB,
            };
            let jpeg = turbojpeg::compress(image, QUALITY, Subsamp::Sub2x2).expect("a JPEG");
            ((width, height), jpeg.to_vec())
        };
        Self((0..Self::SIZES as u32).map(cut).collect())
    }

    /// One size after the other, and again.
    pub(super) fn of(&self, number: u64) -> Picture<'_> {
        let size = (number % Self::SIZES as u64) as usize;
        Picture {
            source: format!("size-{size}"),
            jpeg: &self.0[size].1,
        }
    }

    /// Columns and rows of what that source sends.
    pub(super) fn size_of(&self, source: &str) -> Option<(u32, u32)> {
        let number: usize = source.strip_prefix("size-")?.parse().ok()?;
        self.0.get(number).map(|(size, _jpeg)| *size)
    }
}

/// No two alike, from small to large, from tall to wide.
fn size(number: u32) -> (u32, u32) {
    let sizes = Pictures::SIZES as u32;
    (160 + 5 * number, 120 + number * 37 % sizes * 4)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_sizes_are_alike_and_all_fit() {
        let all: HashSet<_> = (0..Pictures::SIZES as u32).map(size).collect();
        assert_eq!(all.len(), Pictures::SIZES);
        assert!(all.iter().all(|(w, h)| *w <= WIDTH && *h <= HEIGHT));
        let shapes: HashSet<_> = all.iter().map(|(w, h)| 100 * w / h).collect();
        assert!(shapes.len() > 100, "{} shapes", shapes.len());
    }

    #[test]
    fn a_source_tells_its_size() {
        let pictures = Pictures::draw();
        let picture = pictures.of(Pictures::SIZES as u64 + 7);
        assert_eq!(picture.source, "size-7");
        let header = turbojpeg::read_header(picture.jpeg).unwrap();
        let found = (header.width as u32, header.height as u32);
        assert_eq!(pictures.size_of("size-7"), Some(found));
        assert_eq!(pictures.size_of("size-200"), None);
    }
}
