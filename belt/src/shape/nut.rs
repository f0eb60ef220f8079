//! A hexagonal nut seen from above.

use super::{Surface, bevel};
use crate::maths::{Vec2, smooth_step, vec2};
use crate::random::Random;

#[derive(Debug, Clone)]
pub(crate) struct Nut {
    /// From the centre to the middle of a side.
    apothem: f32,
    hole_radius: f32,
}

/// Corner distance of a hexagon whose sides are 1 away from the centre.
const CORNER: f32 = 1.154_700_5;
/// Half of the square root of three.
const HALF_ROOT_3: f32 = 0.866_025_4;

impl Nut {
    pub(crate) fn random(random: &mut Random) -> Self {
        let apothem = random.range(33.0, 48.0);
        Self {
            apothem,
            hole_radius: apothem * random.range(0.44, 0.52),
        }
    }

    pub(crate) fn half_size(&self) -> Vec2 {
        vec2(self.apothem * CORNER, self.apothem)
    }

    pub(crate) fn surface(&self, point: Vec2) -> Surface {
        let radius = point.length();
        let slanted = point.x.abs() * HALF_ROOT_3 + point.y.abs() * 0.5;
        let hexagon = (slanted.max(point.y.abs()) - self.apothem).max(radius - self.apothem * 1.13);
        let hole = self.hole_radius - radius;
        let distance = hexagon.max(hole);
        // The turned chamfer cuts the corners away in a circle; the thread's mouth is a funnel.
        let chamfer = (radius - self.apothem * 0.93).max(0.0) * 0.55;
        let funnel = (self.hole_radius + 6.0 - radius).max(0.0) * 0.8;
        let rim = smooth_step(self.hole_radius, self.hole_radius + 5.0, radius);
        Surface {
            distance,
            height: bevel(hexagon, 3.0) - chamfer - funnel,
            tone: 0.62 + 0.38 * rim,
        }
    }
}
