//! The belt's rubber and the steel rails beside it, drawn once and reused for every frame.

use std::f32::consts::TAU;

use crate::layout::RAIL_WIDTH;
use crate::maths::{Vec2, lerp, sin, smooth_step, vec2};
use crate::noise::Noise;
use crate::random::Random;

/// Length of belt before its pattern repeats, in drawing units.
const PERIOD: f32 = 1280.0;

/// A strip of belt that repeats along x, as tall as the frame; panels are drawn when first seen.
pub(crate) struct BeltTexture {
    pub(crate) width: usize,
    /// RGB rows, `width` pixels each.
    pub(crate) pixels: Vec<u8>,
    panels_drawn: Vec<bool>,
    rubber: Rubber,
    scale: f32,
}

/// Columns that are drawn at a time.
const PANEL: usize = 64;

/// A pale rub mark along the belt.
struct Scuff {
    start: Vec2,
    length: f32,
    half_width: f32,
    strength: f32,
}

/// Everything that makes one belt look different from the next.
struct Rubber {
    rgb: [f32; 3],
    weave_columns: f32,
    weave: f32,
    dirt: f32,
    splice_x: f32,
    splice_lean: f32,
    scuffs: Vec<Scuff>,
    height: f32,
}

impl BeltTexture {
    pub(crate) fn new(seed: u64, frame_height: u32, scale: f32) -> Self {
        let width = (PERIOD * scale).round() as usize;
        Self {
            width,
            pixels: vec![0; width * frame_height as usize * 3],
            panels_drawn: vec![false; width.div_ceil(PANEL)],
            rubber: Rubber::new(seed, frame_height as f32 / scale, scale),
            scale,
        }
    }

    /// Makes sure that `count` columns from `start` on, wrapping around, are drawn.
    pub(crate) fn draw(&mut self, start: usize, count: usize, noise: &Noise) {
        for panel in 0..self.panels_drawn.len() {
            let first = panel * PANEL;
            let last = (first + PANEL).min(self.width) - 1;
            let after_start = |column: usize| (column + self.width - start) % self.width;
            let is_seen = after_start(first) < count || after_start(last) < count;
            if is_seen && !self.panels_drawn[panel] {
                self.draw_columns(first, last, noise);
                self.panels_drawn[panel] = true;
            }
        }
    }

    fn draw_columns(&mut self, first: usize, last: usize, noise: &Noise) {
        for (row, pixels) in self.pixels.chunks_exact_mut(self.width * 3).enumerate() {
            let y = (row as f32 + 0.5) / self.scale;
            for column in first..=last {
                let x = (column as f32 + 0.5) / self.width as f32 * PERIOD;
                let rgb = self.rubber.at(vec2(x, y), noise);
                let levels = rgb.map(|level| level.clamp(0.0, 255.0) as u8);
                pixels[column * 3..column * 3 + 3].copy_from_slice(&levels);
            }
        }
    }
}

impl Rubber {
    fn new(seed: u64, height: f32, scale: f32) -> Self {
        let mut random = Random::new(seed, 4);
        let rgb = match random.below(8) {
            0 => [42.0, 62.0, 54.0],
            1 => [46.0, 56.0, 72.0],
            2 => [72.0, 70.0, 68.0],
            _ => [56.0, 58.0, 61.0],
        };
        let lightness = random.range(0.85, 1.2);
        let scuffs = (0..9)
            .map(|_| Scuff {
                start: vec2(
                    random.range(0.0, PERIOD),
                    random.range(RAIL_WIDTH, height - RAIL_WIDTH),
                ),
                length: random.range(40.0, 240.0),
                half_width: random.range(0.8, 2.6),
                strength: random.range(5.0, 16.0),
            })
            .collect();
        Self {
            rgb: rgb.map(|level: f32| level * lightness),
            weave_columns: (PERIOD / random.range(6.5, 9.5)).round(),
            // Too fine a weave for the pixels would only flicker.
            weave: random.range(4.0, 8.0) * smooth_step(0.3, 0.7, scale),
            dirt: random.range(5.0, 14.0),
            splice_x: random.range(100.0, PERIOD - 100.0),
            splice_lean: random.range(-0.35, 0.35),
            scuffs,
            height,
        }
    }

    fn at(&self, point: Vec2, noise: &Noise) -> [f32; 3] {
        let turn = point.x / PERIOD;
        let across = point.y / PERIOD * self.weave_columns;
        let along = turn * self.weave_columns;
        let weave = sin((along + across) * TAU) * sin((along - across) * TAU);
        // Noise periods are whole numbers of cells per turn of the pattern.
        let broad = noise.wrapped(turn * 13.0, point.y / 90.0, 13);
        let bent = vec2(
            turn * 51.0 + 0.9 * broad,
            point.y / 24.0 + 31.0 + 1.3 * broad,
        );
        let patches = noise.wrapped(bent.x, bent.y, 51)
            + 0.45 * noise.wrapped(bent.x * 2.0 + 11.0, bent.y * 2.1, 102);
        let fine = noise.wrapped(turn * 256.0, point.y / 3.0 + 77.0, 256);
        let streaks = noise.wrapped(turn * 9.0, point.y / 2.4 + 130.0, 9);
        let mut level = self.weave * weave
            + self.dirt * (0.55 * broad + 0.4 * patches)
            + 3.0 * fine
            + 4.5 * streaks;
        // Oil has soaked in where two noises meet.
        level -= 10.0 * smooth_step(0.35, 0.9, broad * 0.6 + patches * 0.6);
        level += self.splice(point) + self.scuffed(point, noise);
        level -= self.edge_shade(point.y);
        self.rgb.map(|base| base + level * (0.6 + base / 150.0))
    }

    /// Where the belt's two ends were joined: a slanting band between two stitched lines.
    fn splice(&self, point: Vec2) -> f32 {
        let offset =
            (point.x - self.splice_x - (point.y - self.height / 2.0) * self.splice_lean).abs();
        if offset > 26.0 {
            return 0.0;
        }
        let band = 5.0 * (1.0 - smooth_step(15.0, 17.0, offset));
        let groove = 17.0 * (1.0 - smooth_step(0.6, 2.4, (offset - 16.0).abs()));
        let stitch = (1.0 - smooth_step(0.8, 2.0, (offset - 10.0).abs()))
            * smooth_step(0.1, 0.4, sin(point.y * TAU / 11.0));
        band - groove + 16.0 * stitch
    }

    fn scuffed(&self, point: Vec2, noise: &Noise) -> f32 {
        let mut level = 0.0;
        for scuff in &self.scuffs {
            let down = (point.y - scuff.start.y).abs() / scuff.half_width;
            let offset = point.x - scuff.start.x;
            let wrapped_offset = if offset < 0.0 {
                offset + PERIOD
            } else {
                offset
            };
            let along = wrapped_offset / scuff.length;
            if down < 1.0 && along < 1.0 {
                let fade = 4.0 * along * (1.0 - along);
                let patchy = 0.6 + 0.4 * noise.at(point.x * 0.2, scuff.start.y);
                level += scuff.strength * (1.0 - down) * fade * patchy;
            }
        }
        level
    }

    /// The rails stand over the belt and shade it.
    fn edge_shade(&self, y: f32) -> f32 {
        let from_rail = (y - RAIL_WIDTH).min(self.height - RAIL_WIDTH - y).max(0.0);
        22.0 * (1.0 - smooth_step(0.0, 16.0, from_rail))
    }
}

/// The upper and the lower rail: RGB rows of the whole frame width.
pub(crate) struct Rails {
    pub(crate) rows: usize,
    pub(crate) upper: Vec<u8>,
    pub(crate) lower: Vec<u8>,
}

const SCREW_SPACING: f32 = 176.0;

impl Rails {
    pub(crate) fn new(seed: u64, frame_width: u32, scale: f32, noise: &Noise) -> Self {
        let rows = (RAIL_WIDTH * scale).round() as usize;
        let mut random = Random::new(seed, 5);
        let shift = vec2(random.range(0.0, 200.0), random.range(0.0, 200.0));
        let draw = |inner_edge_below: bool| {
            let mut pixels = Vec::with_capacity(rows * frame_width as usize * 3);
            for row in 0..rows {
                let from_top = (row as f32 + 0.5) / scale;
                let depth = if inner_edge_below {
                    RAIL_WIDTH - from_top
                } else {
                    from_top
                };
                for column in 0..frame_width {
                    let x = (column as f32 + 0.5) / scale;
                    pixels.extend(rail_at(vec2(x, depth), shift, noise));
                }
            }
            pixels
        };
        Self {
            rows,
            upper: draw(true),
            lower: draw(false),
        }
    }
}

/// One point of a rail; `point.y` is the distance from its inner edge.
fn rail_at(point: Vec2, shift: Vec2, noise: &Noise) -> [u8; 3] {
    let brushed = noise.at((point.x + shift.x) * 0.02, (point.y + shift.y) * 1.3) * 7.0
        + noise.at(point.x * 0.008, shift.y) * 8.0;
    // A dark lip, a bright rounded edge, then the flat of the profile with a fold in it.
    let lip = smooth_step(1.0, 3.0, point.y);
    let edge = 1.0 - smooth_step(0.0, 3.5, (point.y - 5.0).abs());
    let fold = 1.0 - smooth_step(0.3, 1.6, (point.y - 18.5).abs());
    let mut level = lerp(34.0, 128.0, lip) + 62.0 * edge - 34.0 * fold + brushed * lip;
    let screw_x = (point.x + shift.x).rem_euclid(SCREW_SPACING) - SCREW_SPACING / 2.0;
    let screw = vec2(screw_x, point.y - 12.0);
    let radius = screw.length();
    if radius < 5.4 {
        let turned = screw.rotated(vec2(0.8, 0.6));
        let slot = 1.0 - smooth_step(0.6, 1.2, turned.y.abs());
        let dome = 150.0 - screw.y * 7.0 - 95.0 * slot;
        level = lerp(dome, 60.0, smooth_step(4.0, 5.4, radius));
    }
    [level, level * 1.01, level * 1.03].map(|value| value.clamp(0.0, 255.0) as u8)
}
