//! PNG and WebP: whatever they hold, the JPEG shows it on white.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbImage, RgbaImage, codecs::png::PngEncoder};
use image::{ImageBuffer, ImageEncoder, Luma, Rgba};

use crate::fixtures::{LIMITS, assert_alike, file_of, passes_through, photo, pixels_of, take_in};

#[test]
fn opaque_pictures_keep_their_colours() {
    let image = DynamicImage::ImageRgb8(photo(50, 40));
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        let picture = take_in(&file_of(&image, format), LIMITS).unwrap();
        assert_alike(&pixels_of(&picture.jpeg), &photo(50, 40), "opaque");
        assert!(passes_through(&picture.jpeg));
    }
}

#[test]
fn what_is_transparent_is_white_and_what_is_half_so_is_pale() {
    let image = RgbaImage::from_fn(30, 8, |x, _| match x / 10 {
        0 => Rgba([200, 0, 0, 0]),
        1 => Rgba([0, 0, 0, 128]),
        _ => Rgba([0, 0, 200, 255]),
    });
    let expected = RgbImage::from_fn(30, 8, |x, _| match x / 10 {
        0 => image::Rgb([255; 3]),
        1 => image::Rgb([127; 3]),
        _ => image::Rgb([0, 0, 200]),
    });
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        let upload = file_of(&DynamicImage::ImageRgba8(image.clone()), format);
        let jpeg = take_in(&upload, LIMITS).unwrap().jpeg;
        let pixels = pixels_of(&jpeg);
        for x in [3, 15, 26] {
            let (actual, wanted) = (pixels.get_pixel(x, 4).0, expected.get_pixel(x, 4).0);
            let near = actual.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) < 12);
            assert!(
                near,
                "{actual:?} instead of {wanted:?} at {x} of {format:?}"
            );
        }
    }
}

#[test]
fn sixteen_bits_become_eight() {
    let deep: ImageBuffer<Luma<u16>, Vec<u16>> =
        ImageBuffer::from_fn(20, 20, |x, _| Luma([if x < 10 { 0x4000 } else { 0xc000 }]));
    let upload = file_of(&DynamicImage::ImageLuma16(deep), ImageFormat::Png);
    let pixels = pixels_of(&take_in(&upload, LIMITS).unwrap().jpeg);
    assert!(pixels.get_pixel(3, 10).0[0].abs_diff(0x40) < 6);
    assert!(pixels.get_pixel(16, 10).0[0].abs_diff(0xc0) < 6);
}

#[test]
fn of_an_animation_the_first_frame_is_taken() {
    let picture = take_in(&animation(), LIMITS).unwrap();
    assert_alike(&pixels_of(&picture.jpeg), &photo(32, 24), "the first frame");
}

/// Two frames: the photo, then black.
fn animation() -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let padding = &[0][..data.len() % 2];
        [&kind[..], &(data.len() as u32).to_le_bytes(), data, padding].concat()
    };
    let side = |length: u32| (length - 1).to_le_bytes()[..3].to_vec();
    let frame = |image: RgbImage| {
        let webp = file_of(&DynamicImage::ImageRgb8(image), ImageFormat::WebP);
        let place = [&[0; 6][..], &side(32), &side(24), &[100, 0, 0, 0]].concat();
        chunk(b"ANMF", &[&place, &webp[12..]].concat())
    };
    let head = [&[0b10, 0, 0, 0][..], &side(32), &side(24)].concat();
    let body = [
        b"WEBP".to_vec(),
        chunk(b"VP8X", &head),
        chunk(b"ANIM", &[0; 6]),
        frame(photo(32, 24)),
        frame(RgbImage::new(32, 24)),
    ]
    .concat();
    [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat()
}

#[test]
fn a_profile_and_texts_of_a_png_do_not_come_along() {
    let photo = photo(32, 24);
    let mut upload = Vec::new();
    let mut encoder = PngEncoder::new(Cursor::new(&mut upload));
    encoder.set_icc_profile(b"Secret profile".to_vec()).unwrap();
    encoder
        .write_image(photo.as_raw(), 32, 24, image::ExtendedColorType::Rgb8)
        .unwrap();
    let jpeg = take_in(&upload, LIMITS).unwrap().jpeg;
    assert!(!jpeg.windows(6).any(|window| window == b"Secret"));
}
