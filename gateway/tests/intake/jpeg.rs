//! JPEGs: the good ones keep every bit of their pixels and lose everything else; odd ones are recoded.

use gateway::intake::IntakeError;
use turbojpeg::{Colorspace, Subsamp};

use crate::fixtures::{
    Form, LIMITS, assert_alike, exif_segment, jpeg_as, jpeg_of, passes_through, photo, pixels_of,
    segment, take_in, with_segments,
};

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

/// From the first scan on.
fn scans(jpeg: &[u8]) -> &[u8] {
    let start = jpeg.windows(2).position(|marker| marker == [0xff, 0xda]);
    &jpeg[start.expect("a scan")..]
}

#[test]
fn a_clean_jpeg_is_taken_as_it_is() {
    for progressive in [false, true] {
        let form = Form {
            progressive,
            subsampling: Subsamp::Sub2x2,
            ..Form::default()
        };
        let upload = jpeg_as(&photo(50, 40), &form);
        let picture = take_in(&upload, LIMITS).unwrap();
        assert_eq!(picture.jpeg, upload, "progressive: {progressive}");
        assert_eq!((picture.width, picture.height), (50, 40));
    }
}

#[test]
fn metadata_goes_and_the_pixels_stay_bit_for_bit() {
    let clean = jpeg_of(&photo(64, 48));
    let secrets = [
        exif_segment(1, true),
        segment(
            0xe1,
            b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta owner='Secret'/>",
        ),
        segment(0xed, b"Photoshop 3.0\0Secret caption"),
        segment(0xe2, b"MPF\0Secret second picture"),
        segment(0xe0, b"JFXX\0\x10Secret thumbnail"),
        segment(0xef, b"Secret"),
        segment(0xfe, b"Secret comment"),
    ];
    let mut upload = with_segments(&clean, &secrets);
    upload.extend(jpeg_of(&photo(8, 8)));
    upload.extend(b"Secret video behind the end");
    assert!(passes_through(&upload));
    let picture = take_in(&upload, LIMITS).unwrap();
    assert_eq!(picture.jpeg, clean);
    assert!(!contains(&picture.jpeg, b"Secret") && !contains(&picture.jpeg, b"Exif"));
}

#[test]
fn a_thumbnail_inside_jfif_goes() {
    let clean = jpeg_of(&photo(32, 32));
    let with_thumbnail = [b"JFIF\0\x01\x02\x01\0\x48\0\x48\x01\x02", &b"Secret"[..]].concat();
    let upload = [&clean[..2], &segment(0xe0, &with_thumbnail), &clean[20..]].concat();
    let picture = take_in(&upload, LIMITS).unwrap();
    let bare = segment(0xe0, b"JFIF\0\x01\x02\x01\0\x48\0\x48\0\0");
    assert_eq!(picture.jpeg, [&clean[..2], &bare, &clean[20..]].concat());
}

#[test]
fn a_colour_profile_stays_within_reason() {
    let clean = jpeg_of(&photo(32, 32));
    let profile = segment(0xe2, b"ICC_PROFILE\0\x01\x01Display P3");
    let upload = with_segments(&clean, &[profile.clone(), segment(0xfe, b"gone")]);
    assert_eq!(
        take_in(&upload, LIMITS).unwrap().jpeg,
        with_segments(&clean, std::slice::from_ref(&profile))
    );
    let huge = segment(
        0xe2,
        &[&b"ICC_PROFILE\0\x01\x01"[..], &vec![7; 60_000]].concat(),
    );
    let upload = with_segments(&clean, &vec![huge; 18]);
    assert_eq!(take_in(&upload, LIMITS).unwrap().jpeg, clean);

    let turned = with_segments(&clean, &[exif_segment(3, false), profile]);
    let picture = take_in(&turned, LIMITS).unwrap();
    assert!(
        contains(&picture.jpeg, b"Display P3"),
        "a turned photo keeps its colours"
    );
    assert!(passes_through(&picture.jpeg));
}

#[test]
fn garbage_between_segments_and_fill_bytes_are_passed_over() {
    let clean = jpeg_of(&photo(32, 32));
    let upload = [&clean[..20], &[0, 0, 0xff, 0xff], &clean[20..]].concat();
    let picture = take_in(&upload, LIMITS).unwrap();
    assert_alike(&pixels_of(&picture.jpeg), &photo(32, 32), "with garbage");
    assert_eq!(scans(&picture.jpeg), scans(&clean));
}

#[test]
fn other_colours_and_codings_become_an_ordinary_jpeg() {
    let photo = photo(48, 32);
    for (name, colours, arithmetic) in [
        ("RGB", Colorspace::RGB, false),
        ("CMYK", Colorspace::CMYK, false),
        ("YCCK", Colorspace::YCCK, false),
        ("arithmetic", Colorspace::YCbCr, true),
    ] {
        let form = Form {
            colours,
            arithmetic,
            ..Form::default()
        };
        let upload = jpeg_as(&photo, &form);
        assert!(!passes_through(&upload), "{name}");
        let picture = take_in(&upload, LIMITS).unwrap();
        assert_alike(&pixels_of(&picture.jpeg), &photo, name);
        assert!(passes_through(&picture.jpeg), "{name}");
    }
}

#[test]
fn a_grey_jpeg_becomes_a_colour_jpeg_of_the_same_greys() {
    let grey = image::DynamicImage::ImageRgb8(photo(48, 32)).to_luma8();
    let grey = image::DynamicImage::ImageLuma8(grey).to_rgb8();
    let form = Form {
        colours: Colorspace::Gray,
        subsampling: Subsamp::Gray,
        ..Form::default()
    };
    let upload = jpeg_as(&grey, &form);
    assert!(!passes_through(&upload));
    let picture = take_in(&upload, LIMITS).unwrap();
    assert!(passes_through(&picture.jpeg), "three components");
    assert_alike(&pixels_of(&picture.jpeg), &grey, "grey");
}

#[test]
fn inks_without_adobes_marker_are_plain() {
    let white = image::RgbImage::from_pixel(16, 16, image::Rgb([255; 3]));
    let form = Form {
        colours: Colorspace::CMYK,
        ..Form::default()
    };
    let upload = jpeg_as(&white, &form);
    let adobe = upload
        .windows(5)
        .position(|window| window == b"Adobe")
        .unwrap();
    let plain = [&upload[..adobe - 4], &upload[adobe + 12..]].concat();
    let pixels = pixels_of(&take_in(&plain, LIMITS).unwrap().jpeg);
    // All four inks at full strength.
    assert!(
        pixels
            .pixels()
            .all(|pixel| pixel.0.iter().all(|&value| value < 8))
    );
}

/// The fixture with one byte of its frame header changed: 0 is the marker, 4 the precision.
fn with_frame_byte(offset: usize, value: u8) -> Vec<u8> {
    let mut jpeg = jpeg_of(&photo(16, 16));
    let frame = jpeg
        .windows(2)
        .position(|marker| marker == [0xff, 0xc0])
        .expect("a frame header");
    jpeg[frame + offset] = value;
    jpeg
}

#[test]
fn what_cannot_be_read_is_named_with_what_to_do() {
    for (upload, name) in [
        (with_frame_byte(4, 12), "12 bits"),
        (with_frame_byte(4, 9), "other than 8 bits"),
        (with_frame_byte(1, 0xc5), "hierarchical"),
    ] {
        let error = take_in(&upload, LIMITS).unwrap_err();
        assert!(matches!(error, IntakeError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
        assert!(error.advice().contains("8-bit RGB"));
    }
}

#[test]
fn impossible_structures_are_named() {
    let good = jpeg_of(&photo(16, 16));
    let scan = good
        .windows(2)
        .position(|marker| marker == [0xff, 0xda])
        .unwrap();
    let frame = good
        .windows(2)
        .position(|marker| marker == [0xff, 0xc0])
        .unwrap();
    let frame_segment = &good[frame..frame + 19];
    let without_frame = [&good[..frame], &good[frame + 19..]].concat();
    let two_frames = [&good[..scan], frame_segment, &good[scan..]].concat();
    let foreign_scan = {
        let mut jpeg = good.clone();
        jpeg[scan + 5] = 77;
        jpeg
    };
    for (upload, reason) in [
        (without_frame, "before the frame header"),
        (two_frames, "two frame headers"),
        (foreign_scan, "component that the picture lacks"),
        (with_frame_byte(6, 0), "says no size"),
        (with_frame_byte(11, 0x05), "sampling factors"),
        (with_frame_byte(9, 2), "number of components"),
        (
            [&good[..20], &[0xff, 0xd8], &good[20..]].concat(),
            "second picture",
        ),
        (
            [&good[..20], &[0xff, 0xfe, 0, 1], &good[20..]].concat(),
            "its own length",
        ),
        (vec![0xff, 0xd8, 0xff, 0xd9], "no frame header"),
    ] {
        let upload = if reason == "says no size" {
            let mut upload = upload;
            upload[frame + 5] = 0;
            upload
        } else {
            upload
        };
        let error = take_in(&upload, LIMITS).unwrap_err().to_string();
        assert!(error.contains(reason), "{error} instead of {reason}");
    }
}

#[test]
fn scans_and_segments_are_counted() {
    let good = jpeg_of(&photo(16, 16));
    let scan = good
        .windows(2)
        .position(|marker| marker == [0xff, 0xda])
        .unwrap();
    let body = &good[scan..good.len() - 2];
    let many = [&good[..scan], &body.repeat(101), &[0xff, 0xd9]].concat();
    let error = take_in(&many, LIMITS).unwrap_err().to_string();
    assert!(error.contains("more than 100 scans"), "{error}");
    let comments = vec![segment(0xfe, b""); 2_001];
    let error = take_in(&with_segments(&good, &comments), LIMITS)
        .unwrap_err()
        .to_string();
    assert!(error.contains("more than 2000 segments"), "{error}");
}
