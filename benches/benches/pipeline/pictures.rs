//! The pictures that are measured with: frames of the simulated belt, always the same.

use belt::{Belt, BeltConfig};
use detector::image::RgbImage;
use turbojpeg::{Image, PixelFormat, Subsamp};

use crate::same::decoded;

/// As fine as phones make them: 458 KB at 1920x1080, near what the goals were set with.
const QUALITY: i32 = 95;

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
        let image = Image {
            pixels: scene.image.as_raw().as_slice(),
            width: width as usize,
            pitch: width as usize * 3,
            height: height as usize,
            format: PixelFormat::RGB,
        };
        let jpeg = turbojpeg::compress(image, QUALITY, Subsamp::Sub2x2).expect("a JPEG");
        Self {
            width,
            height,
            jpeg: jpeg.to_vec(),
        }
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
