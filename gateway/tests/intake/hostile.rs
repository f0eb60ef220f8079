//! Files cut off anywhere and files with bytes changed: an error or a picture, never a panic, and
//! never more memory than the limits allow.

use std::process::Command;

use gateway::intake::IntakeError;
use image::{DynamicImage, ImageFormat};
use proptest::{collection::vec, prelude::*, sample::Index};
use turbojpeg::{Colorspace, Subsamp};

use crate::fixtures::{
    Form, LIMITS, exif_segment, file_of, jpeg_as, jpeg_of, photo, take_in, with_segments,
};

/// One small file of every kind that takes a way of its own.
fn seeds() -> Vec<Vec<u8>> {
    let photo = photo(24, 16);
    let form = |colours, progressive| Form {
        colours,
        progressive,
        subsampling: Subsamp::None,
        arithmetic: false,
    };
    let image = DynamicImage::ImageRgb8(photo.clone());
    let turned = with_segments(&jpeg_of(&photo), &[exif_segment(6, true)]);
    vec![
        jpeg_of(&photo),
        turned,
        jpeg_as(&photo, &form(Colorspace::YCbCr, true)),
        jpeg_as(&photo, &form(Colorspace::YCCK, false)),
        file_of(&image, ImageFormat::Png),
        file_of(
            &DynamicImage::ImageRgba8(image.to_rgba8()),
            ImageFormat::Png,
        ),
        file_of(&image, ImageFormat::WebP),
        LOSSY_WEBP.to_vec(),
    ]
}

/// 8 by 8 pixels of lossy WebP, which nothing here can write.
const LOSSY_WEBP: &[u8] = include_bytes!("lossy.webp");

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    for (number, seed) in seeds().into_iter().enumerate() {
        assert!(take_in(&seed, LIMITS).is_ok(), "seed {number} is good");
        for length in 0..seed.len() {
            let error = take_in(&seed[..length], LIMITS).expect_err("it is not whole");
            let is_told = match error {
                IntakeError::Truncated { .. } => true,
                // Too little is left to tell what it was.
                IntakeError::Format { .. } | IntakeError::Empty => length < 12,
                _ => false,
            };
            assert!(
                is_told,
                "seed {number} at {length} of {}: {error}",
                seed.len()
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_file_with_changed_bytes_is_refused_or_becomes_a_clean_picture(
        seed in any::<Index>(),
        changes in vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let seeds = seeds();
        let mut upload = seeds[seed.index(seeds.len())].clone();
        for (at, value) in changes {
            let at = at.index(upload.len());
            upload[at] = value;
        }
        if let Ok(picture) = take_in(&upload, LIMITS) {
            let again = take_in(&picture.jpeg, LIMITS).expect("what was let in is sound");
            prop_assert_eq!(again, picture);
        }
    }
}

/// The same again in a process that may not have much memory: an allocation that a few bytes of a
/// file can make as large as they like would end it.
#[test]
fn hostile_files_take_no_more_memory_than_the_limits_allow() {
    let this = std::env::current_exe().expect("the test itself");
    let test = "hostile::a_file_with_changed_bytes_is_refused_or_becomes_a_clean_picture";
    let output = Command::new("sh")
        .args([
            "-c",
            "ulimit -v 400000 && exec \"$0\" --exact \"$1\" --test-threads 1",
        ])
        .arg(this)
        .arg(test)
        .output()
        .expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}
