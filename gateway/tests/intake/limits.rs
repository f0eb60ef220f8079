//! Sizes are refused before anything is decoded, and the refusal says the limit.

use bytes::Bytes;
use gateway::intake::{Inspected, IntakeError, Limits, inspect};
use image::{DynamicImage, ImageFormat};

use crate::fixtures::{LIMITS, file_of, jpeg_of, photo, take_in};

fn all_formats(width: u32, height: u32) -> [Vec<u8>; 3] {
    let image = DynamicImage::ImageRgb8(photo(width, height));
    [
        jpeg_of(&photo(width, height)),
        file_of(&image, ImageFormat::Png),
        file_of(&image, ImageFormat::WebP),
    ]
}

#[test]
fn pixels_are_limited_in_every_format() {
    let limits = Limits {
        max_pixels: 1_199,
        ..LIMITS
    };
    for upload in all_formats(40, 30) {
        let error = inspect(&upload.clone().into(), limits).unwrap_err();
        assert!(
            matches!(
                error,
                IntakeError::TooManyPixels {
                    max_pixels: 1_199,
                    ..
                }
            ),
            "{error}"
        );
        let just_enough = Limits {
            max_pixels: 1_200,
            ..LIMITS
        };
        assert!(take_in(&upload, just_enough).is_ok());
    }
}

#[test]
fn the_refusal_says_both_sizes() {
    let upload = jpeg_of(&photo(1_000, 1_100));
    let error = take_in(&upload, LIMITS).unwrap_err().to_string();
    assert_eq!(
        error,
        "the picture is 1000x1100, 1.1 megapixels; the limit is 1.0"
    );
}

#[test]
fn a_side_too_long_for_a_jpeg_is_refused() {
    let upload = file_of(&DynamicImage::new_luma8(65_501, 1), ImageFormat::Png);
    let error = take_in(&upload, LIMITS).unwrap_err();
    assert!(
        matches!(
            error,
            IntakeError::SideTooLong {
                max_side: 65_500,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_result_too_big_for_a_record_is_refused_with_the_limit() {
    for upload in all_formats(100, 100) {
        let limits = Limits {
            max_jpeg_bytes: 300,
            ..LIMITS
        };
        let error = take_in(&upload, limits).unwrap_err();
        assert!(
            matches!(error, IntakeError::ResultTooBig { limit: 300, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("300"), "{error}");
    }
}

#[test]
fn a_conversion_says_how_much_memory_it_takes() {
    let upload = file_of(&DynamicImage::new_rgba16(100, 50), ImageFormat::Png);
    let Inspected::Convert(conversion) = inspect(&Bytes::from(upload), LIMITS).unwrap() else {
        panic!("a PNG has to be converted");
    };
    assert!(conversion.memory_bytes() >= 100 * 50 * (8 + 3));
}
