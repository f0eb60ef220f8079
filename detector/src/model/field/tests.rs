//! Small fields made by hand.

use super::*;
use crate::model::geometry::{Placement, Size};

fn size(width: u32, height: u32) -> Size {
    Size { width, height }
}

fn paste(
    (values, width): (&[f32], usize),
    (frame, placement): (Size, Placement),
    within: Option<Corners>,
) -> Mask {
    let field = Field {
        values,
        width,
        height: values.len() / width,
    };
    let way_back = placement.frame_from_network(frame, None);
    FieldPaster::new(way_back, width, field.height).paste(field, 0.5, within)
}

fn stretched(frame: Size) -> (Size, Placement) {
    (frame, Placement::stretched(size(4, 4)))
}

#[test]
fn a_field_of_the_frames_size_is_copied() {
    let values = [0.0, 0.5, 0.49, 1.0, 0.0, 0.0];
    let mask = paste((&values, 3), stretched(size(3, 2)), None);
    assert_eq!(mask.to_bitmap(), [0, 1, 0, 1, 0, 0]);
}

#[test]
fn between_middles_it_is_blended_and_edges_go_on() {
    // Middles at 2 and 6 of 8 columns; the value reaches 0.5 half-way.
    let mask = paste((&[1.0, 0.0], 2), stretched(size(8, 1)), None);
    assert_eq!(mask.to_bitmap(), [1, 1, 1, 1, 0, 0, 0, 0]);
    // 1 - 0.75 × (c - 1.5) / 4 at column c: 0.53 at 4 and 0.34 at 5.
    let flat = paste((&[1.0, 0.25], 2), stretched(size(8, 1)), None);
    assert_eq!(flat.to_bitmap(), [1, 1, 1, 1, 1, 0, 0, 0]);
}

#[test]
fn every_pixel_of_a_shrunken_frame_reads_one_place() {
    let values: Vec<f32> = (0..100).map(|cell: u8| f32::from(cell == 55)).collect();
    assert!(paste((&values, 10), stretched(size(1, 1)), None).is_empty());
    let around: Vec<f32> = (0..100)
        .map(|cell: u8| f32::from((4..6).contains(&(cell / 10)) && (4..6).contains(&(cell % 10))))
        .collect();
    assert_eq!(paste((&around, 10), stretched(size(1, 1)), None).area(), 1);
}

#[test]
fn only_pixels_with_their_middle_in_the_box_are_kept() {
    let within = Corners {
        x0: 1.4,
        y0: 0.0,
        x1: 3.5,
        y1: 1.6,
    };
    let mask = paste((&[1.0], 1), stretched(size(5, 3)), Some(within));
    let expected = [0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(mask.to_bitmap(), expected);
    let beside = Corners {
        x0: 8.0,
        x1: 9.0,
        ..within
    };
    assert!(paste((&[1.0], 1), stretched(size(5, 3)), Some(beside)).is_empty());
}

#[test]
fn padding_is_not_part_of_the_frame() {
    let frame = size(8, 4);
    let placement = Placement::letterboxed(frame, size(4, 4));
    // Rows of the field: padding, frame, frame, padding.
    let values = [1.0, 0.0, 1.0, 1.0];
    let mask = paste((&values, 1), (frame, placement), None);
    let set_rows: Vec<bool> = mask
        .to_bitmap()
        .chunks_exact(8)
        .map(|row| row.iter().all(|&pixel| pixel == 1))
        .collect();
    assert_eq!(set_rows, [false, false, true, true]);
}

#[test]
fn all_below_the_threshold_is_empty_and_numbers_that_are_none_are_unset() {
    assert!(paste((&[0.4; 9], 3), stretched(size(6, 6)), None).is_empty());
    assert!(paste((&[f32::NAN; 9], 3), stretched(size(6, 6)), None).is_empty());
    let mask = paste((&[f32::NAN, 1.0], 2), stretched(size(2, 1)), None);
    assert_eq!(mask.to_bitmap(), [0, 1]);
}
