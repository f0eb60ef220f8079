//! JPEGs as other programs write them: with four inks instead of three lights, or lying on their side
//! with a note saying so. The gateway has mended its uploads; other producers may not have.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage as Raster};

use super::{ImageError, RgbImage};

/// Marker of the segment that says how the picture lies.
const APP1: u8 = 0xe1;

/// Marker of the segment in which Adobe says how it stores colours.
const APP14: u8 = 0xee;

/// Start of the picture's data, after which no segment is read.
const START_OF_SCAN: u8 = 0xda;

const EXIF: &[u8] = b"Exif\0\0";
const ADOBE: &[u8] = b"Adobe";

/// The bodies of the segments with this marker, before the picture's data.
fn segments(jpeg: &[u8], wanted: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = jpeg.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        loop {
            let &[0xff, marker, high, low, ref after @ ..] = rest else {
                return None;
            };
            if marker == START_OF_SCAN {
                return None;
            }
            // The length counts its own two bytes.
            let length = usize::from(u16::from_be_bytes([high, low])).checked_sub(2)?;
            let (body, next) = after.split_at_checked(length)?;
            rest = next;
            if marker == wanted {
                return Some(body);
            }
        }
    })
}

/// How the stored picture has to be turned to be seen as it was meant.
pub(super) fn orientation_of(jpeg: &[u8]) -> Orientation {
    segments(jpeg, APP1)
        .filter_map(|body| body.strip_prefix(EXIF))
        .find_map(Orientation::from_exif_chunk)
        .unwrap_or(Orientation::NoTransforms)
}

/// The same picture with its top at the top.
pub(super) fn upright(image: RgbImage, orientation: Orientation) -> Result<RgbImage, ImageError> {
    if orientation == Orientation::NoTransforms {
        return Ok(image);
    }
    let (width, height) = (image.width(), image.height());
    let raster = Raster::from_raw(width, height, image.pixels().to_vec());
    let mut turned = DynamicImage::ImageRgb8(raster.expect("three bytes for every pixel"));
    turned.apply_orientation(orientation);
    let turned = turned.into_rgb8();
    RgbImage::new(turned.width(), turned.height(), turned.into_raw())
}

/// Whether the inks of a JPEG are stored the other way round, as Adobe and nearly everybody does.
pub(super) fn has_inverted_inks(jpeg: &[u8]) -> bool {
    segments(jpeg, APP14).any(|body| body.starts_with(ADOBE))
}

/// Appends what four inks leave of white paper.
pub(super) fn append_rgb_of_inks(inks: &[u8], are_inverted: bool, rgb: &mut Vec<u8>) {
    let paper = |value: u8| u32::from(if are_inverted { value } else { 255 - value });
    for &[cyan, magenta, yellow, black] in inks.as_chunks::<4>().0 {
        let left_over =
            [cyan, magenta, yellow].map(|ink| ((paper(ink) * paper(black) + 127) / 255) as u8);
        rgb.extend(left_over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JPEG's beginning with one segment.
    fn with_segment(marker: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u16 + 2).to_be_bytes();
        [
            &[0xff, 0xd8, 0xff, marker][..],
            &length,
            body,
            &[0xff, START_OF_SCAN],
        ]
        .concat()
    }

    /// EXIF that holds the orientation alone.
    fn exif(orientation: u8) -> Vec<u8> {
        let tag = [0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0];
        [EXIF, b"II*\0\x08\0\0\0\x01\0", &tag, &[0; 4]].concat()
    }

    #[test]
    fn the_way_a_picture_lies_is_read_and_undone() {
        let image = || RgbImage::new(2, 1, vec![1, 1, 1, 2, 2, 2]).unwrap();
        let sideways = orientation_of(&with_segment(APP1, &exif(6)));
        let turned = upright(image(), sideways).unwrap();
        assert_eq!((turned.width(), turned.height()), (1, 2));
        assert_eq!(turned.pixels(), [1, 1, 1, 2, 2, 2]);
        let on_its_head = orientation_of(&with_segment(APP1, &exif(3)));
        let turned = upright(image(), on_its_head).unwrap();
        assert_eq!(turned.pixels(), [2, 2, 2, 1, 1, 1]);
    }

    #[test]
    fn without_a_note_nothing_is_turned() {
        for jpeg in [
            with_segment(APP1, &exif(1)),
            with_segment(APP1, &exif(9)),
            with_segment(APP14, &exif(6)),
            with_segment(APP1, b"http://ns.adobe.com/xap/1.0/"),
            Vec::new(),
            vec![0xff, 0xd8, 0xff],
            vec![0xff, 0xd8, 0xff, APP1, 0, 1],
            vec![0xff, 0xd8, 0xff, APP1, 0xff, 0xff, 0],
        ] {
            assert_eq!(orientation_of(&jpeg), Orientation::NoTransforms, "{jpeg:?}");
        }
    }

    #[test]
    fn inks_become_what_they_leave_of_white_paper() {
        let rgb_of = |inks: [u8; 4], are_inverted: bool| {
            let mut rgb = Vec::new();
            append_rgb_of_inks(&inks, are_inverted, &mut rgb);
            rgb
        };
        assert_eq!(rgb_of([0, 255, 255, 0], false), [255, 0, 0]);
        assert_eq!(rgb_of([255, 0, 0, 255], true), [255, 0, 0]);
        assert_eq!(rgb_of([0, 0, 0, 255], false), [0, 0, 0]);
        assert_eq!(rgb_of([255, 255, 255, 128], true), [128, 128, 128]);
        assert!(has_inverted_inks(&with_segment(
            APP14,
            b"Adobe\0d\0\0\0\0\x02"
        )));
        assert!(!has_inverted_inks(&with_segment(APP14, b"Other")));
    }
}
