//! A spur gear seen from above.

use std::f32::consts::TAU;

use super::{Surface, bevel};
use crate::maths::{Vec2, angle_of, floor, smooth_step, vec2};
use crate::random::Random;

#[derive(Debug, Clone)]
pub(crate) struct Gear {
    radius: f32,
    root_radius: f32,
    hole_radius: f32,
    hub_radius: f32,
    teeth: u32,
    /// Round holes that save weight; zero for a solid disc.
    openings: u32,
    /// The tooth that broke off.
    missing_tooth: Option<u32>,
}

impl Gear {
    pub(crate) fn random(random: &mut Random) -> Self {
        let radius = random.range(47.0, 68.0);
        let root_radius = radius * random.range(0.76, 0.81);
        let teeth = 9 + random.below(6) as u32;
        let openings = if radius > 54.0 && random.chance(0.4) {
            4 + random.below(3) as u32
        } else {
            0
        };
        let hole_radius = radius * random.range(0.15, 0.24);
        Self {
            radius,
            root_radius,
            hole_radius,
            hub_radius: hole_radius + radius * 0.12,
            teeth,
            openings,
            missing_tooth: None,
        }
    }

    pub(crate) fn half_size(&self) -> Vec2 {
        vec2(self.radius, self.radius)
    }

    pub(crate) fn break_tooth(&mut self, random: &mut Random) {
        self.missing_tooth = Some(random.below(self.teeth as usize) as u32);
    }

    /// Distance to the sector where the broken tooth should be; none if all teeth are there.
    pub(crate) fn gap(&self, point: Vec2) -> Option<f32> {
        let tooth = self.missing_tooth?;
        let pitch = TAU / self.teeth as f32;
        let along = angle_of(point.unrotated(Vec2::direction(tooth as f32 * pitch)));
        let radius = point.length();
        let side = (along.abs() - pitch * 0.62) * radius;
        let inner = self.root_radius - self.radius * 0.1;
        Some(side.max(inner - radius).max(radius - self.radius))
    }

    pub(crate) fn surface(&self, point: Vec2) -> Surface {
        let radius = point.length();
        let toothed = self.toothed_distance(point, radius);
        let mut distance = toothed.max(self.hole_radius - radius);
        // A hub and a rim stand above the web between them.
        let rim_start = self.root_radius - self.radius * 0.14;
        if self.openings > 0 {
            let ring = f32::midpoint(self.hub_radius, rim_start);
            let size = (rim_start - self.hub_radius) * 0.32;
            let opening = size - (fold(point, self.openings).0 - vec2(ring, 0.0)).length();
            distance = distance.max(opening);
        }
        let hub = 1.0 - smooth_step(self.hub_radius, self.hub_radius + 3.0, radius);
        let rim = smooth_step(rim_start - 3.0, rim_start, radius);
        let raised = hub.max(rim);
        Surface {
            distance,
            height: bevel(distance, 3.0) + raised * 3.0,
            tone: 0.84 + 0.16 * raised,
        }
    }

    fn toothed_distance(&self, point: Vec2, radius: f32) -> f32 {
        let (folded, tooth) = fold(point, self.teeth);
        let disc = radius - self.root_radius;
        if self.missing_tooth == Some(tooth) {
            return disc;
        }
        // A trapezoid: wide at the root, narrow at the tip.
        let pitch_width = self.root_radius * TAU / self.teeth as f32;
        let rise =
            ((folded.x - self.root_radius) / (self.radius - self.root_radius)).clamp(-0.5, 1.0);
        let half_width = pitch_width * (0.3 - 0.11 * rise);
        let flank = (folded.y.abs() - half_width) * 0.94;
        let trapezoid = flank.max(radius - self.radius).max(-folded.x);
        disc.min(trapezoid)
    }
}

/// Turns the point into the nearest of `count` equal sectors, and says which that was.
fn fold(point: Vec2, count: u32) -> (Vec2, u32) {
    let pitch = TAU / count as f32;
    let sector = floor(angle_of(point) / pitch + 0.5);
    let folded = point.unrotated(Vec2::direction(sector * pitch));
    (folded, (sector as i32).rem_euclid(count as i32) as u32)
}
