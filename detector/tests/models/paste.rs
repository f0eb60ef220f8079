//! Pasted masks against Detectron2's arithmetic, as `grid_sample` computed it for the fixtures.

use detector::model::geometry::{Corners, Size};
use detector::model::paste::{MaskGrid, Paster};
use pipeline::mask::Mask;
use serde::Deserialize;

const SIDE: usize = 28;

/// Made by `fixtures/make_paste_fixtures.py`.
#[derive(Deserialize)]
struct Case {
    frame: [u32; 2],
    #[serde(rename = "box")]
    corners: [f32; 4],
    threshold: f32,
    /// Probabilities in ten-thousandths.
    cells: Vec<u16>,
    size: [u32; 2],
    counts: String,
}

#[test]
fn pasted_masks_are_those_of_detectron2_pixel_for_pixel() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../fixtures/paste.json")).unwrap();
    assert!(cases.len() >= 20, "the fixture is not whole");
    for (index, case) in cases.iter().enumerate() {
        let cells: Vec<f32> = case
            .cells
            .iter()
            .map(|&cell| (f64::from(cell) / 10_000.0) as f32)
            .collect();
        let grid = MaskGrid {
            probabilities: &cells,
            width: SIDE,
            height: SIDE,
        };
        let [x0, y0, x1, y1] = case.corners;
        let frame = Size {
            width: case.frame[0],
            height: case.frame[1],
        };
        let corners = Corners { x0, y0, x1, y1 };
        let pasted = Paster::new(case.threshold).paste(grid, corners, frame);
        let expected = Mask::from_counts(case.size, &case.counts).unwrap();
        assert_eq!(
            pasted, expected,
            "case {index}: box {:?} in {:?}",
            case.corners, case.frame
        );
    }
}
