//! The lamp over the belt: where it stands, how bright it is, and how both drift.

use std::f32::consts::TAU;

use crate::maths::{Vec2, sin, vec2};
use crate::random::Random;
use crate::sprite::Texel;

/// Fixed-point one for colour factors.
const ONE: i32 = 1 << 12;

/// The light at one moment.
pub(crate) struct Light {
    /// Towards the lamp, 127 being one, like a sprite's normals.
    lamp: [i32; 3],
    /// Halfway between lamp and camera: surfaces facing this way shine.
    halfway: [i32; 3],
    /// Where shadows fall per unit of height.
    pub(crate) shadow: Vec2,
    /// Gain of the middle of the frame for red, green and blue.
    pub(crate) gain: [f32; 3],
    /// How much brighter the frame gets from one side to the other.
    pub(crate) gradient: Vec2,
    /// How much darker the corners are than the middle.
    pub(crate) vignette: f32,
    shine: [u8; 256],
}

/// What a belt's lamp does over all time.
pub(crate) struct Lamp {
    azimuth: f32,
    brightness: f32,
    tint: [f32; 3],
    vignette: f32,
    swing_phase: f32,
    flicker_phase: f32,
    shine: [u8; 256],
}

/// The lamp swings and breathes at these periods.
const SWING_PERIOD_S: f64 = 97.0;
const BREATH_PERIOD_S: f64 = 61.0;

impl Lamp {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, 6);
        let warmth = random.range(-0.05, 0.05);
        let mut shine = [0; 256];
        for (index, level) in shine.iter_mut().enumerate() {
            let facing = index as f32 / 255.0;
            let fourth = facing * facing * facing * facing;
            let twelfth = fourth * fourth * fourth;
            *level = (twelfth * twelfth * twelfth * fourth * 255.0) as u8;
        }
        Self {
            azimuth: random.range(0.0, TAU),
            brightness: random.range(0.92, 1.14),
            tint: [1.0 + warmth, 1.0, 1.0 - warmth],
            vignette: random.range(0.12, 0.3),
            swing_phase: random.range(0.0, TAU),
            flicker_phase: random.range(0.0, TAU),
            shine,
        }
    }

    pub(crate) fn at(&self, seconds: f64) -> Light {
        let wave =
            |period_s: f64, phase: f32| sin(((seconds / period_s).fract() as f32) * TAU + phase);
        let azimuth = self.azimuth + 0.55 * wave(SWING_PERIOD_S, self.swing_phase);
        let brightness = self.brightness * (1.0 + 0.06 * wave(BREATH_PERIOD_S, self.flicker_phase));
        let direction = Vec2::direction(azimuth);
        let (low, high) = (0.62, 0.785);
        let lamp = [direction.x * low, direction.y * low, high];
        let halfway = [lamp[0], lamp[1], lamp[2] + 1.0];
        let length =
            (halfway[0] * halfway[0] + halfway[1] * halfway[1] + halfway[2] * halfway[2]).sqrt();
        let fixed = |vector: [f32; 3]| vector.map(|part| (part * 127.0).round() as i32);
        Light {
            lamp: fixed(lamp),
            halfway: fixed(halfway.map(|part| part / length)),
            shadow: vec2(-direction.x, -direction.y),
            gain: self.tint.map(|tint| tint * brightness),
            gradient: direction * 0.09,
            vignette: self.vignette,
            shine: self.shine,
        }
    }
}

impl Light {
    /// How a texel looks under this light; may be brighter than white.
    pub(crate) fn shade(&self, texel: Texel) -> [i32; 3] {
        let facing = |direction: &[i32; 3]| {
            i32::from(texel.normal[0]) * direction[0]
                + i32::from(texel.normal[1]) * direction[1]
                + i32::from(texel.normal[2]) * direction[2]
        };
        // 127 * 127 is one; a flat surface (0.785) should come out as painted.
        let lit = facing(&self.lamp).max(0);
        let diffuse = 1500 + lit * (ONE - 1500) / 12_661;
        let mirrored = (facing(&self.halfway).max(0) * 255 / 16_129).min(255);
        let shine = i32::from(self.shine[mirrored as usize]) * i32::from(texel.gloss) / 255;
        texel
            .rgb
            .map(|level| ((i32::from(level) * diffuse) >> 12) + shine)
    }
}
