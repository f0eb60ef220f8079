//! Boxes that networks tell by their difference from boxes that are known: anchors, and proposals.

use crate::model::geometry::Corners;

/// Faster R-CNN's way of telling a box: how far its middle is away, in sides of the known box, and
/// the logarithm of how much larger it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxCoding {
    /// `dx`, `dy`, `dw` and `dh` are divided by these.
    pub weights: [f32; 4],
    /// `dw` and `dh` are limited to this, so that no box becomes endless.
    pub max_log_scale: f32,
}

impl BoxCoding {
    /// The box that differs from `known` by `dx`, `dy`, `dw`, `dh`.
    pub fn decode(&self, known: Corners, deltas: [f32; 4]) -> Corners {
        let [dx, dy, dw, dh] = deltas;
        let [wx, wy, ww, wh] = self.weights;
        let (width, height) = (known.x1 - known.x0, known.y1 - known.y0);
        let scale = |logarithm: f32| logarithm.min(self.max_log_scale).exp();
        Corners::around(
            known.x0 + width / 2.0 + dx / wx * width,
            known.y0 + height / 2.0 + dy / wy * height,
            scale(dw / ww) * width,
            scale(dh / wh) * height,
        )
    }
}

/// The anchors of the cell in the corner: squares of this side, stretched to these ratios of height
/// to width with the area kept, around the corner itself and rounded to whole pixels.
pub(super) fn anchors_of_cell(side: f64, ratios: &[f64]) -> Vec<Corners> {
    let anchor = |&ratio: &f64| {
        // In single precision, as torchvision computes them.
        let height_ratio = (ratio as f32).sqrt();
        let (width, height) = (1.0 / height_ratio * side as f32, height_ratio * side as f32);
        let half = |length: f32| (length / 2.0).round_ties_even();
        Corners {
            x0: -half(width),
            y0: -half(height),
            x1: half(width),
            y1: half(height),
        }
    };
    ratios.iter().map(anchor).collect()
}

/// The anchor of another cell.
pub(super) fn moved(anchor: Corners, x: f32, y: f32) -> Corners {
    Corners {
        x0: anchor.x0 + x,
        y0: anchor.y0 + y,
        x1: anchor.x1 + x,
        y1: anchor.y1 + y,
    }
}

/// Whether both sides are as long as that; never for what is not a number.
pub(super) fn has_sides(corners: Corners, least: f32) -> bool {
    corners.x1 - corners.x0 >= least && corners.y1 - corners.y0 >= least
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corners(x0: f32, y0: f32, x1: f32, y1: f32) -> Corners {
        Corners { x0, y0, x1, y1 }
    }

    #[test]
    fn anchors_keep_their_area_and_are_whole() {
        // 24 / sqrt(0.5) = 33.94 and 24 * sqrt(0.5) = 16.97.
        let anchors = anchors_of_cell(24.0, &[0.5, 1.0, 2.0]);
        let expected = [
            corners(-17.0, -8.0, 17.0, 8.0),
            corners(-12.0, -12.0, 12.0, 12.0),
            corners(-8.0, -17.0, 8.0, 17.0),
        ];
        assert_eq!(anchors, expected);
        // Half to even.
        assert_eq!(
            anchors_of_cell(5.0, &[1.0]),
            [corners(-2.0, -2.0, 2.0, 2.0)]
        );
        assert_eq!(
            anchors_of_cell(7.0, &[1.0]),
            [corners(-4.0, -4.0, 4.0, 4.0)]
        );
        assert_eq!(moved(anchors[1], 8.0, 16.0), corners(-4.0, 4.0, 20.0, 28.0));
    }

    #[test]
    fn differences_are_measured_in_the_known_box() {
        let coding = BoxCoding {
            weights: [10.0, 10.0, 5.0, 5.0],
            max_log_scale: (1000.0_f32 / 16.0).ln(),
        };
        let known = corners(10.0, 20.0, 30.0, 60.0);
        let same = coding.decode(known, [0.0; 4]);
        assert_eq!(same, known);
        // The middle moves by a tenth of 5 sides, the width doubles, the height halves.
        let half = 5.0 * 2.0_f32.ln();
        let other = coding.decode(known, [5.0, -5.0, half, -half]);
        let wanted = corners(10.0, 10.0, 50.0, 30.0);
        for (edge, wanted) in [
            (other.x0, wanted.x0),
            (other.y0, wanted.y0),
            (other.x1, wanted.x1),
            (other.y1, wanted.y1),
        ] {
            assert!((edge - wanted).abs() < 1e-4, "{other:?}");
        }
        let endless = coding.decode(known, [0.0, 0.0, 1e9, 0.0]);
        assert!(
            (endless.x1 - endless.x0 - 20.0 * 62.5).abs() < 0.01,
            "{endless:?}"
        );
    }

    #[test]
    fn what_is_not_a_number_has_no_sides() {
        assert!(has_sides(corners(1.0, 1.0, 2.0, 2.0), 1.0));
        assert!(!has_sides(corners(1.0, 1.0, 2.0, 1.5), 1.0));
        assert!(!has_sides(corners(f32::NAN, 1.0, 2.0, 3.0), 0.0));
    }
}
