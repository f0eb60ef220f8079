//! Eight ways of holding a camera, one upright picture.

use image::{DynamicImage, ImageFormat, metadata::Orientation};

use crate::fixtures::{
    LIMITS, assert_alike, exif_segment, file_of, jpeg_of, photo, pixels_of, take_in, tiff,
    with_segments,
};

/// The upright picture as a camera held that way stores it.
fn stored(orientation: u8) -> DynamicImage {
    let display = Orientation::from_exif(orientation).expect("1 to 8");
    let undo = match display {
        Orientation::Rotate90 => Orientation::Rotate270,
        Orientation::Rotate270 => Orientation::Rotate90,
        // Turning over undoes itself.
        other => other,
    };
    let mut image = DynamicImage::ImageRgb8(photo(60, 40));
    image.apply_orientation(undo);
    image
}

#[test]
fn every_jpeg_comes_out_upright() {
    for orientation in 1..=8_u8 {
        for big_endian in [false, true] {
            let jpeg = jpeg_of(&stored(orientation).to_rgb8());
            let exif = exif_segment(orientation.into(), big_endian);
            let picture = take_in(&with_segments(&jpeg, &[exif]), LIMITS).unwrap();
            let what = format!("orientation {orientation}, big endian: {big_endian}");
            assert_alike(&pixels_of(&picture.jpeg), &photo(60, 40), &what);
            assert_eq!((picture.width, picture.height), (60, 40), "{what}");
            let leaks = picture.jpeg.windows(4).any(|window| window == b"Exif");
            assert!(!leaks, "{what}");
        }
    }
}

#[test]
fn every_png_and_webp_comes_out_upright() {
    for orientation in 1..=8_u8 {
        let image = stored(orientation);
        let exif = tiff(orientation.into(), true);
        let png = with_png_chunk(&file_of(&image, ImageFormat::Png), *b"eXIf", &exif);
        let picture = take_in(&png, LIMITS).unwrap();
        let what = format!("PNG, orientation {orientation}");
        assert_alike(&pixels_of(&picture.jpeg), &photo(60, 40), &what);
        for prefix in [&b""[..], b"Exif\0\0"] {
            let exif = [prefix, &exif].concat();
            let webp = with_webp_exif(&file_of(&image, ImageFormat::WebP), &exif);
            let picture = take_in(&webp, LIMITS).unwrap();
            let what = format!("WebP, orientation {orientation}");
            assert_alike(&pixels_of(&picture.jpeg), &photo(60, 40), &what);
        }
    }
}

#[test]
fn an_orientation_that_means_nothing_leaves_the_picture_alone() {
    let jpeg = jpeg_of(&photo(60, 40));
    for orientation in [0, 9, 65_535] {
        let upload = with_segments(&jpeg, &[exif_segment(orientation, false)]);
        assert_eq!(take_in(&upload, LIMITS).unwrap().jpeg, jpeg);
    }
}

/// The chunk before the end, where it may stand as well as anywhere.
fn with_png_chunk(png: &[u8], kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let end = png.len() - 12;
    let length = (data.len() as u32).to_be_bytes();
    let checked = [&kind[..], data].concat();
    let checksum = crc32(&checked).to_be_bytes();
    [&png[..end], &length, &checked, &checksum, &png[end..]].concat()
}

/// PNG's checksum, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, &byte: &u8| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    };
    !bytes.iter().fold(u32::MAX, step)
}

/// The same lossless picture in the extended form, which may carry EXIF.
fn with_webp_exif(webp: &[u8], exif: &[u8]) -> Vec<u8> {
    let mut body = b"WEBP".to_vec();
    let image = image::load_from_memory_with_format(webp, ImageFormat::WebP).expect("a WebP");
    let side = |length: u32| [&(length - 1).to_le_bytes()[..3]].concat();
    body.extend(webp_chunk(
        *b"VP8X",
        &[
            &[0b1000, 0, 0, 0][..],
            &side(image.width()),
            &side(image.height()),
        ]
        .concat(),
    ));
    body.extend(&webp[12..]);
    body.extend(webp_chunk(*b"EXIF", exif));
    [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat()
}

fn webp_chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let padding = &[0][..data.len() % 2];
    [&kind[..], &(data.len() as u32).to_le_bytes(), data, padding].concat()
}
