//! Properties of masks that must hold for any pixels and any input string.

use pipeline::mask::{Crop, Mask, MaskError, Polygon, Ring, SignedCrop};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Bitmap {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Bitmap {
    fn mask(&self) -> Mask {
        Mask::from_bitmap(self.width, self.height, &self.pixels)
    }

    fn pixel(&self, x: i64, y: i64) -> u8 {
        let is_inside = (0..self.width.into()).contains(&x) && (0..self.height.into()).contains(&y);
        if is_inside {
            self.pixels[(y * i64::from(self.width) + x) as usize]
        } else {
            0
        }
    }
}

fn bitmap_of(width: u32, height: u32) -> impl Strategy<Value = Bitmap> {
    let pixels = prop::collection::vec(0..=1_u8, (width * height) as usize);
    pixels.prop_map(move |pixels| Bitmap {
        width,
        height,
        pixels,
    })
}

fn bitmap() -> impl Strategy<Value = Bitmap> {
    (1..40_u32, 1..40_u32).prop_flat_map(|(width, height)| bitmap_of(width, height))
}

fn two_bitmaps() -> impl Strategy<Value = (Bitmap, Bitmap)> {
    (1..30_u32, 1..30_u32).prop_flat_map(|(w, h)| (bitmap_of(w, h), bitmap_of(w, h)))
}

/// A box inside its bitmap, possibly empty.
fn bitmap_and_crop() -> impl Strategy<Value = (Bitmap, Crop)> {
    bitmap().prop_flat_map(|bitmap| {
        let (right, bottom) = (bitmap.width, bitmap.height);
        (Just(bitmap), 0..=right, 0..=bottom).prop_flat_map(|(bitmap, x, y)| {
            let crop =
                (0..=bitmap.width - x, 0..=bitmap.height - y).prop_map(move |(width, height)| {
                    Crop {
                        x,
                        y,
                        width,
                        height,
                    }
                });
            (Just(bitmap), crop)
        })
    })
}

proptest! {
    #[test]
    fn pixels_survive_the_round_trip(bitmap in bitmap()) {
        let mask = bitmap.mask();
        prop_assert_eq!(&mask.to_bitmap(), &bitmap.pixels);
        let read = Mask::from_counts(mask.size(), &mask.counts()).unwrap();
        prop_assert_eq!(&read, &mask);
        let json = serde_json::to_string(&mask).unwrap();
        prop_assert_eq!(serde_json::from_str::<Mask>(&json).unwrap(), mask);
    }

    #[test]
    fn runs_keep_their_form(bitmap in bitmap()) {
        let mask = bitmap.mask();
        prop_assert!(mask.runs()[1..].iter().all(|&run| run > 0));
        prop_assert_eq!(mask.runs().iter().sum::<u32>(), bitmap.width * bitmap.height);
    }

    #[test]
    fn a_crop_of_a_mask_is_the_crop_of_its_pixels((bitmap, crop) in bitmap_and_crop()) {
        let pixels = bitmap.mask().crop_to_bitmap(crop);
        let mut expected = Vec::new();
        for y in crop.y..crop.y + crop.height {
            for x in crop.x..crop.x + crop.width {
                expected.push(bitmap.pixel(x.into(), y.into()));
            }
        }
        prop_assert_eq!(pixels, expected);
    }

    #[test]
    fn a_clipped_crop_keeps_what_the_frame_shows(
        crop in bitmap(),
        (width, height) in (1..30_u32, 1..30_u32),
        (x, y) in (-50..50_i32, -50..50_i32),
    ) {
        let place = SignedCrop { x, y, width: crop.width, height: crop.height };
        let mask = Mask::from_clipped_crop(width, height, place, &crop.pixels);
        let mut expected = Vec::new();
        for row in 0..i64::from(height) {
            for column in 0..i64::from(width) {
                expected.push(crop.pixel(column - i64::from(x), row - i64::from(y)));
            }
        }
        prop_assert_eq!(mask.to_bitmap(), expected);
    }

    #[test]
    fn overlap_equals_counting_pixels((first, second) in two_bitmaps()) {
        let pairs = || first.pixels.iter().zip(&second.pixels);
        let both = pairs().filter(|&(a, b)| a & b == 1).count() as u32;
        let either: Vec<u8> = pairs().map(|(a, b)| a | b).collect();
        let (first_mask, second_mask) = (first.mask(), second.mask());
        prop_assert_eq!(first_mask.intersection_area(&second_mask).unwrap(), both);
        let union = first_mask.union(&second_mask).unwrap();
        prop_assert_eq!(union, Mask::from_bitmap(first.width, first.height, &either));
    }

    #[test]
    fn outlines_enclose_exactly_the_pixels(bitmap in bitmap()) {
        let polygons = bitmap.mask().polygons();
        let mut enclosed = vec![0; bitmap.pixels.len()];
        for polygon in &polygons {
            check_orientation(polygon)?;
            let rings = std::iter::once(&polygon.exterior).chain(&polygon.holes);
            for ring in rings {
                toggle_enclosed(ring, bitmap.width as usize, &mut enclosed);
            }
        }
        prop_assert_eq!(&enclosed, &bitmap.pixels);
    }

    #[test]
    fn any_counts_string_is_read_or_refused(
        size in prop::array::uniform2(0..70_000_u32),
        counts in "\\PC{0,64}",
    ) {
        refused_or_well_formed(size, &counts)?;
    }

    #[test]
    fn any_string_of_the_alphabet_is_read_or_refused(
        size in prop::array::uniform2(1..6_u32),
        counts in "[0-o]{0,24}",
    ) {
        refused_or_well_formed(size, &counts)?;
    }
}

fn refused_or_well_formed(size: [u32; 2], counts: &str) -> Result<(), TestCaseError> {
    if let Ok(mask) = Mask::from_counts(size, counts) {
        let read_again = Mask::from_counts(size, &mask.counts());
        prop_assert_eq!(read_again, Ok(mask.clone()));
        prop_assert!(mask.area() <= size[0] * size[1]);
    }
    Ok(())
}

/// Twice the enclosed area, positive when the ring is clockwise on a screen.
fn doubled_area(ring: &Ring) -> i64 {
    let corners = ring.iter().zip(ring.iter().cycle().skip(1));
    corners
        .map(|(a, b)| i64::from(a[0]) * i64::from(b[1]) - i64::from(b[0]) * i64::from(a[1]))
        .sum()
}

fn check_orientation(polygon: &Polygon) -> Result<(), TestCaseError> {
    prop_assert!(doubled_area(&polygon.exterior) > 0);
    prop_assert!(polygon.holes.iter().all(|hole| doubled_area(hole) < 0));
    Ok(())
}

/// Even-odd filling: every vertical edge toggles the pixels to its right.
fn toggle_enclosed(ring: &Ring, width: usize, enclosed: &mut [u8]) {
    for (from, to) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        if from[0] != to[0] {
            continue;
        }
        for y in from[1].min(to[1])..from[1].max(to[1]) {
            let row = &mut enclosed[y as usize * width..][..width];
            row[from[0] as usize..]
                .iter_mut()
                .for_each(|pixel| *pixel ^= 1);
        }
    }
}

#[test]
fn corners_and_holes_are_kept_apart() {
    #[rustfmt::skip]
    let pixels = [
        1, 1, 1, 0,
        1, 0, 1, 0,
        1, 1, 1, 0,
        0, 0, 0, 1,
    ];
    let polygons = Mask::from_bitmap(4, 4, &pixels).polygons();
    let ring = Polygon {
        exterior: vec![[0, 0], [3, 0], [3, 3], [0, 3]],
        holes: vec![vec![[1, 1], [1, 2], [2, 2], [2, 1]]],
    };
    let pixel = Polygon {
        exterior: vec![[3, 3], [4, 3], [4, 4], [3, 4]],
        holes: vec![],
    };
    assert_eq!(polygons, [ring, pixel]);
    assert!(Mask::empty(4, 4).polygons().is_empty());
}

#[test]
fn counts_that_describe_no_mask_are_refused_with_the_reason() {
    let refusal = |size, counts: &str| Mask::from_counts(size, counts).unwrap_err();
    assert_eq!(
        refusal([0, 4], "0"),
        MaskError::Size {
            height: 0,
            width: 4
        }
    );
    assert_eq!(
        refusal([65_536, 1], "0"),
        MaskError::Size {
            height: 65_536,
            width: 1
        }
    );
    assert_eq!(
        refusal([60_000, 60_000], "0"),
        MaskError::Size {
            height: 60_000,
            width: 60_000
        }
    );
    assert_eq!(
        refusal([2, 2], ""),
        MaskError::Coverage {
            covered: 0,
            expected: 4
        }
    );
    assert_eq!(
        refusal([2, 2], "3"),
        MaskError::Coverage {
            covered: 3,
            expected: 4
        }
    );
    assert_eq!(
        refusal([2, 2], "32"),
        MaskError::Coverage {
            covered: 5,
            expected: 4
        }
    );
    assert_eq!(
        refusal([2, 2], "2 2"),
        MaskError::Character {
            position: 1,
            byte: b' '
        }
    );
    assert_eq!(
        refusal([2, 2], "2é"),
        MaskError::Character {
            position: 1,
            byte: 0xc3
        }
    );
    assert_eq!(refusal([2, 2], "2P"), MaskError::Truncated);
    assert_eq!(refusal([2, 2], "2O"), MaskError::Run { position: 1 });
    assert_eq!(refusal([2, 2], "ooooooo0"), MaskError::Run { position: 6 });
}

#[test]
fn runs_of_no_length_are_merged_when_read() {
    // 1 unset, 2 set, 0 unset, 1 set: what a careless encoder writes for 1 unset, 3 set.
    let mask = Mask::from_counts([2, 2], "120O").unwrap();
    assert_eq!(mask.runs(), [1, 3]);
}

#[test]
fn masks_of_different_frames_are_not_compared() {
    let error = Mask::empty(4, 3).iou(&Mask::empty(3, 4)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "masks of size [3, 4] and [4, 3] (height, width) do not belong to one frame"
    );
}

#[test]
#[should_panic(expected = "is not inside a frame of 4x4")]
fn a_crop_outside_the_frame_is_a_mistake_of_the_caller() {
    Mask::from_crop(
        4,
        4,
        Crop {
            x: 3,
            y: 0,
            width: 2,
            height: 1,
        },
        &[1, 1],
    );
}

#[test]
#[should_panic(expected = "a crop of 2x1 needs 2 pixels, not 3")]
fn pixels_must_fit_the_crop() {
    Mask::from_crop(
        4,
        4,
        Crop {
            x: 0,
            y: 0,
            width: 2,
            height: 1,
        },
        &[1, 1, 1],
    );
}
