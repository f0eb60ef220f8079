//! Damage on the parts: where it lies and how it changes the surface.
//!
//! A scratch and a crack follow a path that walks over the part and steers clear of its edges, rust
//! is a blotch, and a missing tooth is the work of [`crate::shape::Gear`].

use std::f32::consts::{PI, TAU};

use crate::maths::{Vec2, lerp, smooth_step, vec2};
use crate::noise::Noise;
use crate::paint::PaintColor;
use crate::random::Random;
use crate::shape::Shape;
use crate::truth::{Class, DefectKind};

/// One defect, in its part's coordinates.
#[derive(Debug, Clone)]
pub(crate) struct Defect {
    pub(crate) kind: DefectKind,
    path: Vec<Vec2>,
    half_width: f32,
    /// Shifts the noise so that no two blotches look alike.
    noise_offset: Vec2,
}

/// What a defect does to the surface at one point inside it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stain {
    pub(crate) rgb: [f32; 3],
    /// 1 hides the paint, 0 leaves it.
    pub(crate) strength: f32,
    /// Multiplies the paint's gloss.
    pub(crate) gloss: f32,
}

const PATH_STEP: f32 = 4.0;
/// Paths keep at least this far from the outline.
const CLEARANCE: f32 = 4.0;
/// Paths of fewer steps are too short to be seen.
const MIN_STEPS: usize = 6;

/// The kinds that stand out on a class in a colour: no dark crack on black, no rust on brass.
pub(crate) fn kinds_for(class: Class, color: PaintColor) -> Vec<DefectKind> {
    use PaintColor::{Black, Brass, Grey, Orange, Red, White, Yellow};
    let mut kinds = Vec::new();
    if class == Class::Gear {
        kinds.extend([DefectKind::MissingTooth; 3]);
    }
    if !matches!(color, Brass | Orange | Red) {
        kinds.push(DefectKind::Rust);
    }
    // Lines drown in the windings of a spring.
    if class != Class::Spring {
        if !matches!(color, White | Yellow | Grey) {
            kinds.push(DefectKind::Scratch);
        }
        if color != Black {
            kinds.push(DefectKind::Crack);
        }
    }
    kinds
}

impl Defect {
    /// A defect somewhere on the part; none if the part has no place for it.
    pub(crate) fn place(kind: DefectKind, shape: &Shape, random: &mut Random) -> Option<Self> {
        let noise_offset = vec2(random.range(0.0, 200.0), random.range(0.0, 200.0));
        let (path, half_width) = match kind {
            DefectKind::Scratch => (walk(shape, random, 0.35)?, random.range(4.6, 5.8)),
            DefectKind::Crack => (walk(shape, random, 0.6)?, random.range(4.4, 5.4)),
            DefectKind::Rust => {
                let radius = random.range(13.0, 22.0);
                (vec![blotch_centre(shape, random, radius)?], radius)
            }
            DefectKind::MissingTooth => (Vec::new(), 0.0),
        };
        Some(Self {
            kind,
            path,
            half_width,
            noise_offset,
        })
    }

    /// Signed distance to the damaged region, not yet clipped to the part.
    pub(crate) fn distance(&self, point: Vec2, shape: &Shape, noise: &Noise) -> f32 {
        match self.kind {
            DefectKind::MissingTooth => match shape {
                Shape::Gear(gear) => gear.gap(point).unwrap_or(f32::MAX),
                _ => f32::MAX,
            },
            DefectKind::Rust => {
                let grain = point * 0.11 + self.noise_offset;
                let lobes =
                    noise.at(grain.x, grain.y) + 0.5 * noise.at(grain.x * 2.7, grain.y * 2.7);
                (point - self.path[0]).length() - self.half_width * (0.88 + 0.24 * lobes)
            }
            DefectKind::Scratch | DefectKind::Crack => {
                let grain = point * 0.3 + self.noise_offset;
                path_distance(&self.path, point)
                    - self.half_width
                    - 0.7 * noise.at(grain.x, grain.y)
            }
        }
    }

    /// How the surface looks `distance` (negative) inside the region.
    pub(crate) fn stain(&self, point: Vec2, distance: f32, noise: &Noise) -> Stain {
        let grain = point * 0.45 + self.noise_offset;
        let speckle = noise.at(grain.x, grain.y);
        match self.kind {
            DefectKind::Scratch => {
                // Bare bright metal in the middle, pale primer where the paint chipped off.
                let core = smooth_step(1.6, 3.2, -distance);
                let level = lerp(176.0, 244.0, core) + 9.0 * speckle;
                Stain {
                    rgb: [level, level, level - 4.0],
                    strength: lerp(0.86, 1.0, core),
                    gloss: 0.8,
                }
            }
            DefectKind::Crack => {
                let core = smooth_step(2.2, 3.4, -distance);
                let level = lerp(66.0, 8.0, core) + 7.0 * speckle * (1.0 - core);
                Stain {
                    rgb: [level, level * 0.97, level * 0.94],
                    strength: lerp(0.84, 1.0, core),
                    gloss: 0.1,
                }
            }
            DefectKind::Rust => {
                let pits = noise.at(grain.x * 1.9, grain.y * 1.9);
                let share = (0.5 + 0.45 * speckle + 0.3 * pits).clamp(0.0, 1.0);
                let rgb = [
                    lerp(88.0, 176.0, share),
                    lerp(40.0, 88.0, share),
                    lerp(20.0, 34.0, share),
                ];
                Stain {
                    rgb,
                    strength: 0.96,
                    gloss: 0.05,
                }
            }
            // What is left of the tooth: raw metal where it broke.
            DefectKind::MissingTooth => {
                let level = 150.0 + 42.0 * speckle;
                Stain {
                    rgb: [level, level * 0.99, level * 0.96],
                    strength: 1.0,
                    gloss: 0.5,
                }
            }
        }
    }
}

/// A random point well inside the outline.
fn inner_point(shape: &Shape, random: &mut Random, clearance: f32) -> Option<Vec2> {
    let half_size = shape.half_size();
    (0..64).find_map(|_| {
        let point = vec2(
            random.range(-half_size.x, half_size.x),
            random.range(-half_size.y, half_size.y),
        );
        (shape.surface(point).distance < -clearance).then_some(point)
    })
}

/// The best of several paths of 26 to 56 units; `jitter` is how sharply it turns, in radians.
fn walk(shape: &Shape, random: &mut Random, jitter: f32) -> Option<Vec<Vec2>> {
    let steps = (random.range(26.0, 56.0) / PATH_STEP) as usize;
    let mut best: Vec<Vec2> = Vec::new();
    for _ in 0..12 {
        let Some(start) = inner_point(shape, random, CLEARANCE + 1.0) else {
            continue;
        };
        let mut heading = random.range(0.0, TAU);
        let mut path = vec![start];
        while path.len() <= steps {
            let swing = if path.len() % 2 == 0 { jitter } else { -jitter };
            let wanted = heading + swing * random.range(0.3, 1.0);
            let Some(turned) = clear_heading(shape, &path, wanted) else {
                break;
            };
            // Keep to the general direction, but follow where the outline forces a turn.
            heading += turned - wanted + random.range(-0.15, 0.15);
            path.push(path[path.len() - 1] + Vec2::direction(turned) * PATH_STEP);
        }
        if path.len() > best.len() {
            best = path;
        }
        if best.len() > steps {
            break;
        }
    }
    (best.len() >= MIN_STEPS).then_some(best)
}

/// The heading closest to the wanted one that stays on the part and does not fold the path back onto
/// itself; none in a dead end.
fn clear_heading(shape: &Shape, path: &[Vec2], wanted: f32) -> Option<f32> {
    let (from, earlier) = (path[path.len() - 1], &path[..path.len() - 1]);
    (0..8_u8).find_map(|attempt| {
        let side = if attempt % 2 == 0 { 1.0 } else { -1.0 };
        let heading = wanted + side * f32::from(attempt.div_ceil(2)) * (PI / 9.0);
        let next = from + Vec2::direction(heading) * PATH_STEP;
        let unfolded = earlier
            .iter()
            .all(|point| (*point - next).length() > PATH_STEP * 1.5);
        (unfolded && shape.surface(next).distance < -CLEARANCE).then_some(heading)
    })
}

/// Where a blotch of this radius covers the most of the part.
fn blotch_centre(shape: &Shape, random: &mut Random, radius: f32) -> Option<Vec2> {
    let covered = |centre: Vec2| {
        let ring = (0..12_u8).filter(|step| {
            let reach = if step % 2 == 0 { 0.5 } else { 0.9 };
            let offset = Vec2::direction(f32::from(*step) * (TAU / 12.0)) * (radius * reach);
            shape.surface(centre + offset).distance < 0.0
        });
        ring.count()
    };
    (0..6)
        .filter_map(|_| inner_point(shape, random, 2.0))
        .max_by_key(|centre| covered(*centre))
}

fn path_distance(path: &[Vec2], point: Vec2) -> f32 {
    let mut nearest = f32::MAX;
    for pair in path.windows(2) {
        let along = pair[1] - pair[0];
        let offset = point - pair[0];
        let share = (offset.dot(along) / along.dot(along)).clamp(0.0, 1.0);
        nearest = nearest.min((offset - along * share).length());
    }
    nearest
}
