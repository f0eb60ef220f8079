//! A bolt seen from the side: a hexagonal head on a threaded shank.

use super::{Surface, bevel, rounded_box};
use std::f32::consts::TAU;

use crate::maths::{Vec2, sin, smooth_step, vec2};
use crate::random::Random;

#[derive(Debug, Clone)]
pub(crate) struct Bolt {
    half_length: f32,
    head_length: f32,
    head_radius: f32,
    shank_radius: f32,
    thread_start: f32,
    thread_pitch: f32,
    flange: bool,
}

/// How far the thread's crests stand out.
const CREST: f32 = 1.3;
const FLANGE_LENGTH: f32 = 5.0;

impl Bolt {
    pub(crate) fn random(random: &mut Random) -> Self {
        let half_length = random.range(50.0, 73.0);
        let shank_radius = random.range(11.0, 15.0);
        let head_length = shank_radius * random.range(1.5, 1.9);
        let shank_length = 2.0 * half_length - head_length;
        Self {
            half_length,
            head_length,
            head_radius: shank_radius * random.range(1.75, 2.05),
            shank_radius,
            thread_start: -half_length + head_length + shank_length * random.range(0.08, 0.4),
            thread_pitch: random.range(5.6, 7.0),
            flange: random.chance(0.35),
        }
    }

    pub(crate) fn half_size(&self) -> Vec2 {
        vec2(self.half_length, self.head_radius + 2.0)
    }

    pub(crate) fn surface(&self, point: Vec2) -> Surface {
        let head = self.head(point);
        let shank = self.shank(point);
        if head.distance < shank.distance {
            head
        } else {
            shank
        }
    }

    fn head(&self, point: Vec2) -> Surface {
        let centre = vec2(-self.half_length + self.head_length / 2.0, 0.0);
        let half_size = vec2(self.head_length / 2.0, self.head_radius);
        let offset = point - centre;
        let mut distance = rounded_box(offset, half_size, 2.5);
        // The chamfer that every hexagonal head has on its outer face.
        let corner = offset.y.abs() - self.head_radius * 0.78 - (offset.x + half_size.x) * 0.9;
        distance = distance.max(corner * 0.74);
        let mut in_flange = false;
        if self.flange {
            let base = offset - vec2(half_size.x - FLANGE_LENGTH / 2.0, 0.0);
            let flange_size = vec2(FLANGE_LENGTH / 2.0, self.head_radius + 2.0);
            let flange = rounded_box(base, flange_size, 1.5);
            in_flange = base.x > -FLANGE_LENGTH / 2.0;
            distance = distance.min(flange);
        }
        // Three of the six faces are seen: a flat one between two that fall away.
        let across = offset.y.abs() / self.head_radius;
        let facet = self.head_radius * 0.9 * (1.0 - 1.1 * (across - 0.5).max(0.0));
        let crease = 1.0 - 0.28 * (1.0 - smooth_step(0.0, 0.05, (across - 0.5).abs()));
        let (height, tone) = if in_flange {
            (self.head_radius * 0.95, 0.92)
        } else {
            (facet, crease)
        };
        Surface {
            distance,
            height: height + bevel(distance, 4.0),
            tone,
        }
    }

    fn shank(&self, point: Vec2) -> Surface {
        let start = -self.half_length + self.head_length * 0.6;
        let threaded = smooth_step(self.thread_start, self.thread_start + 3.0, point.x);
        // The helix leans, so the lines on the near side do too.
        let turn = (point.x + point.y * 0.16) / self.thread_pitch;
        let wave = sin(turn * TAU) * threaded;
        let taper = smooth_step(self.half_length - 9.0, self.half_length, point.x) * 4.5;
        let radius = self.shank_radius - taper + wave * CREST * 0.75;
        let side = point.y.abs() - radius;
        let distance = side.max(start - point.x).max(point.x - self.half_length);
        let inside = (self.shank_radius * self.shank_radius - point.y * point.y).max(0.0);
        let tone = 1.0 - threaded * 0.3 * (0.5 - 0.5 * wave);
        Surface {
            distance,
            height: inside.sqrt() * 0.8 + wave * CREST,
            tone,
        }
    }
}
