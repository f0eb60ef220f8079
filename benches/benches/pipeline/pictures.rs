//! The pictures that are measured with: frames of the simulated belt, always the same.

use belt::{Belt, BeltConfig};
use detector::image::RgbImage;
use turbojpeg::{Image, PixelFormat, Subsamp};

use crate::same::decoded;

/// As fine as phones make them: 458 KB at 1920x1080, near what the goals were set with.
const QUALITY: i32 = 95;

/// What pictures of many sizes are made of.
const TILE: (u32, u32) = (1280, 960);

/// As cameras send: the largest, of 33 megapixels, must fit into a record.
const TILED_QUALITY: i32 = 75;

/// A picture as it is sent.
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) jpeg: Vec<u8>,
}

impl Picture {
    /// A frame of the belt with that many columns and rows.
    pub(crate) fn of_belt(width: u32, height: u32) -> Self {
        let config = BeltConfig {
            width,
            height,
            ..BeltConfig::default()
        };
        let mut belt = Belt::new(config).expect("a valid configuration");
        let scene = belt.scene(60);
        Self::of_pixels(scene.image.as_raw(), (width, height), QUALITY)
    }

    /// A frame of the belt cut and repeated to that size, so that every size has as much to encode
    /// in a pixel.
    pub(crate) fn tiled(width: u32, height: u32) -> Self {
        let (tile_width, tile_height) = TILE;
        let tile = Self::of_belt(tile_width, tile_height).decoded();
        let rows = tile.pixels().chunks_exact(tile_width as usize * 3);
        let rows: Vec<&[u8]> = rows.collect();
        let pixels: Vec<u8> = (0..height as usize)
            .flat_map(|row| {
                let row = rows[row % rows.len()];
                row.iter().copied().cycle().take(width as usize * 3)
            })
            .collect();
        Self::of_pixels(&pixels, (width, height), TILED_QUALITY)
    }

    fn of_pixels(rgb: &[u8], (width, height): (u32, u32), quality: i32) -> Self {
        let image = Image {
            pixels: rgb,
            width: width as usize,
            pitch: width as usize * 3,
            height: height as usize,
            format: PixelFormat::RGB,
        };
        let jpeg = turbojpeg::compress(image, quality, Subsamp::Sub2x2).expect("a JPEG");
        Self {
            width,
            height,
            jpeg: jpeg.to_vec(),
        }
    }

    /// Millions of pixels.
    pub(crate) fn megapixels(&self) -> f64 {
        f64::from(self.width) * f64::from(self.height) / 1e6
    }

    /// Columns and rows, as they are written.
    pub(crate) fn size(&self) -> String {
        format!("{}x{}", self.width, self.height)
    }

    /// Its size as a file.
    pub(crate) fn kilobytes(&self) -> f64 {
        self.jpeg.len() as f64 / 1e3
    }

    /// Its pixels.
    pub(crate) fn decoded(&self) -> RgbImage {
        decoded(&self.jpeg)
    }
}
