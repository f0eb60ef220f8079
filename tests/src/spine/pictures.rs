//! Pictures to send: belts with their truth, small ones, and broken ones.

use belt::{Belt, BeltConfig, Truth};
use bytes::Bytes;
use turbojpeg::{Compressor, Decompressor, Image, PixelFormat, Subsamp};

/// What a good photo camera writes.
const PHOTO_QUALITY: i32 = 90;

/// Rows of red, green and blue bytes.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Three bytes a pixel.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// One colour everywhere.
    pub fn plain(width: usize, height: usize, rgb: [u8; 3]) -> Self {
        Self {
            width,
            height,
            rgb: rgb.repeat(width * height),
        }
    }

    /// What a JPEG shows.
    pub fn decode(jpeg: &[u8]) -> Self {
        let mut decompressor = Decompressor::new().expect("libjpeg-turbo");
        let header = decompressor.read_header(jpeg).expect("a JPEG");
        let (width, height) = (header.width, header.height);
        let mut rgb = vec![0; width * height * 3];
        let image = Image {
            pixels: rgb.as_mut_slice(),
            width,
            pitch: width * 3,
            height,
            format: PixelFormat::RGB,
        };
        decompressor.decompress(jpeg, image).expect("a whole JPEG");
        Self { width, height, rgb }
    }

    /// As JPEG of this quality with halved colours, as cameras and phones write it.
    pub fn encode(&self, quality: i32) -> Bytes {
        let mut compressor = Compressor::new().expect("libjpeg-turbo");
        compressor.set_quality(quality).expect("1 to 100");
        compressor
            .set_subsamp(Subsamp::Sub2x2)
            .expect("a known way");
        let image = Image {
            pixels: self.rgb.as_slice(),
            width: self.width,
            pitch: self.width * 3,
            height: self.height,
            format: PixelFormat::RGB,
        };
        compressor.compress_to_vec(image).expect("a picture").into()
    }

    /// The greatest difference of a channel at each pixel.
    pub fn difference(&self, other: &Self) -> Vec<u8> {
        assert_eq!((self.width, self.height), (other.width, other.height));
        let pairs = self.rgb.chunks_exact(3).zip(other.rgb.chunks_exact(3));
        pairs
            .map(|(one, other)| {
                let channels = one.iter().zip(other);
                channels.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
            })
            .collect()
    }
}

/// A photo of a belt, and what is really on it.
pub fn belt_photo(seed: u64, frame_index: u64) -> (Bytes, Vec<Truth>) {
    let config = BeltConfig {
        seed,
        ..BeltConfig::default()
    };
    let scene = Belt::new(config).expect("a valid belt").scene(frame_index);
    let picture = Picture {
        width: scene.image.width() as usize,
        height: scene.image.height() as usize,
        rgb: scene.image.into_raw(),
    };
    (picture.encode(PHOTO_QUALITY), scene.instances)
}

/// A small picture of a few hundred bytes; each number has a grey of its own.
pub fn small_jpeg(number: usize) -> Bytes {
    let grey = (40 + number % 160) as u8;
    Picture::plain(48, 32, [grey; 3]).encode(PHOTO_QUALITY)
}

/// A picture of the size of a belt's, with nothing on it; quick to send, and work to look at.
pub fn grey_photo(number: usize) -> Bytes {
    let grey = (40 + number % 160) as u8;
    Picture::plain(640, 480, [grey; 3]).encode(PHOTO_QUALITY)
}

/// The header of a JPEG, and rubbish where its picture should be.
pub fn corrupt_jpeg() -> Bytes {
    let whole = Picture::plain(64, 48, [90; 3]).encode(PHOTO_QUALITY);
    let mut bytes = whole[..20].to_vec();
    bytes.extend((0..600_u32).map(|number| (number * 37 % 251) as u8));
    bytes.into()
}
