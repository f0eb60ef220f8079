//! A flat L-shaped bracket with screw holes.

use super::{Surface, bevel, rounded_box};
use crate::maths::{Vec2, vec2};
use crate::random::Random;

#[derive(Debug, Clone)]
pub(crate) struct Bracket {
    /// Outer length of the arm along x and of the one along y.
    arms: Vec2,
    width: f32,
    hole_radius: f32,
    holes: Vec<Vec2>,
    /// Holes on the long arm are slots of this half length.
    slot: f32,
}

impl Bracket {
    pub(crate) fn random(random: &mut Random) -> Self {
        let width = random.range(27.0, 36.0);
        let arms = vec2(random.range(92.0, 118.0), random.range(72.0, 98.0));
        let slot = if random.chance(0.35) {
            random.range(4.0, 7.0)
        } else {
            0.0
        };
        let inner = width / 2.0;
        let far_x = arms.x - width * 0.55 - slot;
        let mut holes = vec![vec2(far_x, inner), vec2(inner, arms.y - width * 0.55)];
        if random.chance(0.6) {
            holes.push(vec2(f32::midpoint(far_x, width * 0.7) + 2.0, inner));
        }
        if random.chance(0.4) {
            holes.push(vec2(inner, inner));
        }
        Self {
            arms,
            width,
            hole_radius: width * random.range(0.19, 0.25),
            holes,
            slot,
        }
    }

    pub(crate) fn half_size(&self) -> Vec2 {
        self.arms * 0.5
    }

    pub(crate) fn surface(&self, point: Vec2) -> Surface {
        // From the outer corner of the L.
        let corner = point + self.half_size();
        let half = self.width / 2.0;
        let along_x = vec2(self.arms.x / 2.0, half);
        let along_y = vec2(half, self.arms.y / 2.0);
        let first = rounded_box(corner - along_x, along_x, 6.0);
        let second = rounded_box(corner - along_y, along_y, 6.0);
        // A fillet in the inner corner.
        let blend = (5.0 - (first - second).abs()).max(0.0);
        let plate = first.min(second) - blend * blend / 20.0;
        let mut hole = f32::MIN;
        for centre in &self.holes {
            let offset = corner - *centre;
            let slot = if centre.x > self.width {
                self.slot
            } else {
                0.0
            };
            let along = (offset.x.abs() - slot).max(0.0);
            hole = hole.max(self.hole_radius - vec2(along, offset.y).length());
        }
        let distance = plate.max(hole);
        let countersink = (hole + 3.5).max(0.0);
        Surface {
            distance,
            height: bevel(plate, 2.6) - countersink * 0.7,
            tone: 1.0 - 0.06 * countersink,
        }
    }
}
