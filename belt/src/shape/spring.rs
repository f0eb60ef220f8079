//! A coil spring seen from the side.

use std::f32::consts::TAU;

use super::Surface;
use crate::maths::{Vec2, arc_sine, cos, floor, vec2};
use crate::random::Random;

#[derive(Debug, Clone)]
pub(crate) struct Spring {
    half_length: f32,
    /// From the axis to the middle of the wire.
    coil_radius: f32,
    wire_radius: f32,
    pitch: f32,
}

impl Spring {
    pub(crate) fn random(random: &mut Random) -> Self {
        let half_length = random.range(46.0, 71.0);
        let turns = (2.0 * half_length / random.range(11.0, 14.5)).round();
        Self {
            half_length,
            coil_radius: random.range(15.0, 23.0),
            wire_radius: random.range(3.3, 4.3),
            pitch: 2.0 * half_length / turns,
        }
    }

    pub(crate) fn half_size(&self) -> Vec2 {
        vec2(self.half_length, self.coil_radius + self.wire_radius)
    }

    pub(crate) fn surface(&self, point: Vec2) -> Surface {
        let turn = point.x / self.pitch;
        // The wire turns back at the upper edge a quarter turn after the axis, at the lower before.
        let crest = if point.y > 0.0 {
            turn - 0.25
        } else {
            turn + 0.25
        };
        let swell = 0.5 + 0.5 * cos(crest * TAU);
        let edge = self.coil_radius + self.wire_radius * (1.35 * swell - 0.35);
        let side = (point.y.abs() - edge) * 0.8;
        let distance = side.max(point.x.abs() - self.half_length);

        let sideways = (point.y / self.coil_radius).clamp(-1.0, 1.0);
        let lean = arc_sine(sideways) / TAU;
        let depth = (1.0 - sideways * sideways).sqrt();
        // Close to the edges the wire runs along the outline and shows its full thickness longer.
        let steepness = self.pitch * (1.0 - 0.35 * (1.0 - depth));
        let front = off_whole(turn - lean) * steepness;
        let back = off_whole(turn + lean - 0.5) * steepness;
        let tube = |offset: f32| {
            (self.wire_radius * self.wire_radius - offset * offset)
                .max(0.0)
                .sqrt()
        };
        let (height, tone) = if front < self.wire_radius {
            (tube(front) + depth * self.coil_radius * 0.5, 1.0)
        } else if back < self.wire_radius {
            (tube(back) - depth * self.coil_radius * 0.5, 0.42)
        } else {
            (-self.coil_radius * 0.5, 0.16)
        };
        Surface {
            distance,
            height,
            tone,
        }
    }
}

/// Distance to the nearest whole number.
fn off_whole(value: f32) -> f32 {
    (value - floor(value + 0.5)).abs()
}
