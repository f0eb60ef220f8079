//! One part turned into pixels, ready to be lit and laid on the belt.
//!
//! The light drifts, so a sprite keeps paint and surface direction rather than finished colours.

use crate::layout::Part;
use crate::maths::{Vec2, lerp, smooth_step, vec2};
use crate::noise::Noise;
use crate::random::Random;
use crate::truth::DefectKind;

/// One pixel of a part before it is lit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Texel {
    pub(crate) rgb: [u8; 3],
    /// How much of the pixel the part covers; 128 or more counts as the part.
    pub(crate) coverage: u8,
    /// The surface's direction, 127 being one.
    pub(crate) normal: [i8; 3],
    pub(crate) gloss: u8,
}

/// A part's pixels in a box that also holds its shadow's soft edge.
pub(crate) struct Sprite {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// From the left end of the part's block and the upper edge of the frame.
    pub(crate) left: i64,
    pub(crate) top: i64,
    pub(crate) texels: Vec<Texel>,
    /// Which pixels are the defect's; empty if there is none.
    pub(crate) defect: Vec<bool>,
    /// The part's outline softened, 255 being full shade.
    pub(crate) shade: Vec<u8>,
    /// Pixels of the part and of its defect when nothing hides them.
    pub(crate) part_area: u64,
    pub(crate) defect_area: u64,
}

/// Room around a part for its soft shadow, in drawing units.
const MARGIN: f32 = 9.0;
const SHADOW_SOFTNESS: f32 = 3.5;

/// What rasterising one sprite needs at every pixel.
struct Painter<'a> {
    part: &'a Part,
    noise: &'a Noise,
    scale: f32,
    centre: Vec2,
    paint: [f32; 3],
    grain_offset: Vec2,
    wear: f32,
    metal: bool,
}

/// One pixel's worth of surface, before heights become directions.
#[derive(Clone, Copy, Default)]
struct Sample {
    rgb: [f32; 3],
    distance: f32,
    height: f32,
    gloss: f32,
    in_defect: bool,
}

impl Sprite {
    pub(crate) fn new(part: &Part, scale: f32, noise: &Noise) -> Self {
        let half_size = part.shape.half_size();
        let (across, down) = (part.turn.x.abs(), part.turn.y.abs());
        let reach_x = half_size.x * across + half_size.y * down + MARGIN;
        let reach_y = half_size.x * down + half_size.y * across + MARGIN;
        let left = ((part.centre.x - reach_x) * scale).floor() as i64;
        let top = ((part.centre.y - reach_y) * scale).floor() as i64;
        let width = (reach_x * 2.0 * scale).ceil() as usize + 1;
        let height = (reach_y * 2.0 * scale).ceil() as usize + 1;
        let origin = vec2(left as f32, top as f32);
        let painter = Painter::new(part, scale, noise, part.centre * scale - origin);
        let samples = painter.samples(width, height);
        let mut sprite = Self {
            width,
            height,
            left,
            top,
            texels: vec![Texel::default(); width * height],
            defect: Vec::new(),
            shade: Vec::new(),
            part_area: 0,
            defect_area: 0,
        };
        sprite.fill(&samples, scale);
        if let Some(defect) = &part.defect {
            sprite.mark_defect(&samples, defect.kind);
        }
        sprite.cast_shade(scale);
        sprite
    }

    pub(crate) fn is_part(&self, index: usize) -> bool {
        self.texels[index].coverage >= 128
    }

    fn fill(&mut self, samples: &[Sample], scale: f32) {
        let width = self.width;
        for row in 1..self.height - 1 {
            for column in 1..width - 1 {
                let index = row * width + column;
                let sample = &samples[index];
                let coverage = (0.5 - sample.distance * scale).clamp(0.0, 1.0);
                if coverage <= 0.0 {
                    continue;
                }
                let slope = |before: usize, after: usize| {
                    (samples[after].height - samples[before].height) * scale * 0.5
                };
                let normal = normal_from_slopes(
                    slope(index - 1, index + 1),
                    slope(index - width, index + width),
                );
                let texel = &mut self.texels[index];
                texel.rgb = sample.rgb.map(|level| level.clamp(0.0, 255.0) as u8);
                texel.coverage = (coverage * 255.0 + 0.5) as u8;
                texel.normal = normal;
                texel.gloss = (sample.gloss * 255.0).clamp(0.0, 255.0) as u8;
                self.part_area += u64::from(texel.coverage >= 128);
            }
        }
    }

    /// Notes which pixels are damaged. Only a missing tooth reaches over the part.
    fn mark_defect(&mut self, samples: &[Sample], kind: DefectKind) {
        self.defect = samples
            .iter()
            .enumerate()
            .map(|(index, sample)| {
                sample.in_defect && (kind == DefectKind::MissingTooth || self.is_part(index))
            })
            .collect();
        self.defect_area = self.defect.iter().filter(|&&inside| inside).count() as u64;
    }

    fn cast_shade(&mut self, scale: f32) {
        let mut shade: Vec<u8> = self.texels.iter().map(|texel| texel.coverage).collect();
        let radius = (SHADOW_SOFTNESS * scale).round().max(1.0) as usize;
        for _ in 0..2 {
            blur_rows(&mut shade, self.width, radius);
            blur_columns(&mut shade, self.width, radius);
        }
        self.shade = shade;
    }
}

impl<'a> Painter<'a> {
    fn new(part: &'a Part, scale: f32, noise: &'a Noise, centre: Vec2) -> Self {
        let mut random = Random::new(part.seed, 3);
        // No two tins of paint are quite the same.
        let lightness = random.range(0.9, 1.08);
        let paint = part
            .color
            .rgb()
            .map(|level| f32::from(level) * lightness * random.range(0.96, 1.04));
        Self {
            part,
            noise,
            scale,
            centre,
            paint,
            grain_offset: vec2(random.range(0.0, 200.0), random.range(0.0, 200.0)),
            wear: random.range(0.1, 0.5),
            metal: part.color.is_metal(),
        }
    }

    fn samples(&self, width: usize, height: usize) -> Vec<Sample> {
        let mut samples = Vec::with_capacity(width * height);
        for row in 0..height {
            for column in 0..width {
                let offset = vec2(column as f32 + 0.5, row as f32 + 0.5) - self.centre;
                samples.push(self.pixel(offset));
            }
        }
        samples
    }

    /// Small pictures take four points per pixel, so that threads do not turn into moiré.
    fn pixel(&self, offset: Vec2) -> Sample {
        if self.scale >= 0.8 {
            return self.sample(offset);
        }
        let quarter = [
            vec2(-0.25, -0.25),
            vec2(0.25, -0.25),
            vec2(-0.25, 0.25),
            vec2(0.25, 0.25),
        ];
        let points = quarter.map(|shift| self.sample(offset + shift));
        let mean = |value: fn(&Sample) -> f32| points.iter().map(value).sum::<f32>() / 4.0;
        Sample {
            rgb: [mean(|s| s.rgb[0]), mean(|s| s.rgb[1]), mean(|s| s.rgb[2])],
            distance: mean(|s| s.distance),
            height: mean(|s| s.height),
            gloss: mean(|s| s.gloss),
            in_defect: points.iter().filter(|sample| sample.in_defect).count() >= 2,
        }
    }

    fn sample(&self, offset: Vec2) -> Sample {
        let point = offset.unrotated(self.part.turn) * (1.0 / self.scale);
        let surface = self.part.shape.surface(point);
        let mut sample = Sample {
            distance: surface.distance,
            height: surface.height,
            ..Sample::default()
        };
        // Nothing to paint outside, except that a missing tooth reaches there.
        let outside = surface.distance * self.scale > 1.5;
        if !outside {
            let worn = self.wear * smooth_step(-2.6, -0.4, surface.distance);
            let tone = surface.tone * (1.0 + self.mottling(point)) + worn * 0.35;
            sample.rgb = self.paint.map(|level| level * tone + worn * 12.0);
            sample.gloss = if self.metal { 0.62 } else { 0.42 };
        }
        if let Some(defect) = &self.part.defect {
            let distance = defect.distance(point, &self.part.shape, self.noise);
            sample.in_defect = distance < 0.0;
            if distance < 0.0 && !outside {
                let stain = defect.stain(point, distance, self.noise);
                for (level, stained) in sample.rgb.iter_mut().zip(stain.rgb) {
                    *level = lerp(*level, stained, stain.strength);
                }
                sample.gloss *= stain.gloss;
            }
        }
        sample
    }

    /// Uneven paint, or the brush strokes of bare metal.
    fn mottling(&self, point: Vec2) -> f32 {
        let grain = point + self.grain_offset;
        let cloudy = self.noise.at(grain.x * 0.06, grain.y * 0.06) * 0.045;
        if self.metal {
            cloudy + self.noise.at(grain.x * 0.05, grain.y * 0.9) * 0.07
        } else {
            cloudy + self.noise.at(grain.x * 0.5, grain.y * 0.5) * 0.02
        }
    }
}

fn normal_from_slopes(slope_x: f32, slope_y: f32) -> [i8; 3] {
    let length = (slope_x * slope_x + slope_y * slope_y + 1.0).sqrt();
    [-slope_x / length, -slope_y / length, 1.0 / length].map(|part| (part * 127.0).round() as i8)
}

fn blur_rows(values: &mut [u8], width: usize, radius: usize) {
    let mut source = vec![0_u8; width];
    for row in values.chunks_exact_mut(width) {
        source.copy_from_slice(row);
        blur_line(&source, radius, |column, value| row[column] = value);
    }
}

fn blur_columns(values: &mut [u8], width: usize, radius: usize) {
    let mut source = vec![0_u8; values.len() / width];
    for column in 0..width {
        for (row, value) in source.iter_mut().enumerate() {
            *value = values[row * width + column];
        }
        blur_line(&source, radius, |row, value| {
            values[row * width + column] = value;
        });
    }
}

/// A running mean over `2 * radius + 1` values; beyond the ends lies nothing.
fn blur_line(source: &[u8], radius: usize, mut write: impl FnMut(usize, u8)) {
    let window = (2 * radius + 1) as u32;
    let mut sum: u32 = source
        .iter()
        .take(radius)
        .map(|&value| u32::from(value))
        .sum();
    for index in 0..source.len() {
        sum += source
            .get(index + radius)
            .map_or(0, |&value| u32::from(value));
        write(index, (sum / window) as u8);
        if let Some(leaving) = index.checked_sub(radius) {
            sum -= u32::from(source[leaving]);
        }
    }
}
