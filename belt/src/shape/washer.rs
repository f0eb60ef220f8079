//! A flat washer: a plain ring with a wide hole.

use super::{Surface, bevel};
use crate::maths::{Vec2, vec2};
use crate::random::Random;

#[derive(Debug, Clone)]
pub(crate) struct Washer {
    radius: f32,
    hole_radius: f32,
    /// A stamped groove around the middle of the ring.
    grooved: bool,
}

impl Washer {
    pub(crate) fn random(random: &mut Random) -> Self {
        let radius = random.range(37.0, 56.0);
        Self {
            radius,
            hole_radius: radius * random.range(0.52, 0.62),
            grooved: random.chance(0.3),
        }
    }

    pub(crate) fn half_size(&self) -> Vec2 {
        vec2(self.radius, self.radius)
    }

    pub(crate) fn surface(&self, point: Vec2) -> Surface {
        let radius = point.length();
        let distance = (radius - self.radius).max(self.hole_radius - radius);
        let mut height = bevel(distance, 2.8);
        let mut tone = 1.0;
        if self.grooved {
            let middle = f32::midpoint(self.radius, self.hole_radius);
            let depth = (1.0 - ((radius - middle) / 2.2).abs()).max(0.0);
            height -= depth * 1.6;
            tone -= depth * 0.15;
        }
        Surface {
            distance,
            height,
            tone,
        }
    }
}
