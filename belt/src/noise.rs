//! Smooth noise for surfaces and grain for the camera's sensor, both from small tables.

use crate::maths::{floor, lerp};
use crate::random::Random;

/// A power of two, so that indices wrap with a mask.
const SIDE: i32 = 256;

/// Value noise over a table of random bytes.
pub(crate) struct Noise {
    table: Vec<u8>,
}

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, 0x006e_6f69_7365);
        let table = (0..SIDE * SIDE / 8)
            .flat_map(|_| random.bits().to_le_bytes())
            .collect();
        Self { table }
    }

    /// Smooth noise in `-1..=1`, one random value per unit of `x` and `y`.
    pub(crate) fn at(&self, x: f32, y: f32) -> f32 {
        let (left, across) = split(x);
        let left = (left & (SIDE - 1)) as usize;
        self.blend((left, (left + 1) % SIDE as usize), across, y)
    }

    /// Like [`Noise::at`], but repeating every `period` (at most 256) units of `x`.
    pub(crate) fn wrapped(&self, x: f32, y: f32, period: i32) -> f32 {
        let (left, across) = split(x);
        let left = left.rem_euclid(period);
        let right = if left + 1 == period { 0 } else { left + 1 };
        self.blend((left as usize, right as usize), across, y)
    }

    fn blend(&self, columns: (usize, usize), across: f32, y: f32) -> f32 {
        let (top, down) = split(y);
        let upper = self.row(top);
        let lower = self.row(top + 1);
        let (across, down) = (ease(across), ease(down));
        let value = |row: &[u8], column: usize| f32::from(row[column]);
        let upper = lerp(value(upper, columns.0), value(upper, columns.1), across);
        let lower = lerp(value(lower, columns.0), value(lower, columns.1), across);
        lerp(upper, lower, down) / 127.5 - 1.0
    }

    fn row(&self, row: i32) -> &[u8] {
        let start = ((row & (SIDE - 1)) * SIDE) as usize;
        &self.table[start..start + SIDE as usize]
    }
}

/// Whole and fractional part; the fraction is never negative.
fn split(value: f32) -> (i32, f32) {
    let whole = floor(value);
    (whole as i32, value - whole)
}

fn ease(share: f32) -> f32 {
    share * share * (3.0 - 2.0 * share)
}

/// Sensor grain: a strip of bell-shaped noise that every row reads from another place.
pub(crate) struct Grain {
    strip: Vec<i8>,
    seed: u64,
}

/// Longer than any row's samples would need to look unrepeated.
const STRIP: usize = 1 << 16;

impl Grain {
    /// Grain for rows of `row_samples` values with a standard deviation of `sigma` levels.
    pub(crate) fn new(seed: u64, sigma: f32, row_samples: usize) -> Self {
        let mut random = Random::new(seed, 0x0067_7261_696e);
        let strip = (0..STRIP + row_samples)
            .map(|_| {
                let sum: i32 = random
                    .bits()
                    .to_le_bytes()
                    .iter()
                    .map(|&byte| i32::from(byte))
                    .sum();
                // Eight uniform bytes: mean 1020, standard deviation 209.
                (((sum - 1020) as f32 / 209.0) * sigma)
                    .round()
                    .clamp(-127.0, 127.0) as i8
            })
            .collect();
        Self { strip, seed }
    }

    /// The grain of one row of one frame.
    pub(crate) fn row(&self, frame_index: u64, row: u32, samples: usize) -> &[i8] {
        let mut random = Random::new(self.seed ^ frame_index.rotate_left(20), u64::from(row));
        let start = random.below(STRIP);
        &self.strip[start..start + samples]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_smooth_and_repeats_after_its_period() {
        let noise = Noise::new(1);
        for step in 0_u8..200 {
            let x = f32::from(step) * 0.05;
            assert!((noise.at(x, 0.3) - noise.at(x + 0.01, 0.3)).abs() < 0.1);
            assert!((noise.wrapped(x, 2.5, 16) - noise.wrapped(x + 16.0, 2.5, 16)).abs() < 1e-3);
        }
    }

    #[test]
    fn grain_has_the_asked_strength() {
        let grain = Grain::new(1, 4.0, 3000);
        let row = grain.row(5, 7, 3000);
        let variance = row
            .iter()
            .map(|&level| f32::from(level) * f32::from(level))
            .sum::<f32>()
            / 3000.0;
        assert!(
            (3.5..4.5).contains(&variance.sqrt()),
            "sigma {}",
            variance.sqrt()
        );
        assert_ne!(row, grain.row(6, 7, 3000));
    }
}
