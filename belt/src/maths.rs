//! Small vector and angle functions, built from basic arithmetic alone.
//!
//! The standard library's `sin` and `atan2` may differ from one platform to the next; these do not,
//! which is what lets a seed stand for the same pixels everywhere.

use std::f32::consts::{FRAC_PI_2, PI, TAU};
use std::ops::{Add, Mul, Sub};

/// A point or direction in the plane.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Vec2 {
    pub(crate) x: f32,
    pub(crate) y: f32,
}

pub(crate) const fn vec2(x: f32, y: f32) -> Vec2 {
    Vec2 { x, y }
}

impl Vec2 {
    pub(crate) fn length(self) -> f32 {
        (self.x * self.x + self.y * self.y).sqrt()
    }

    pub(crate) fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y
    }

    pub(crate) fn direction(radians: f32) -> Self {
        vec2(cos(radians), sin(radians))
    }

    /// Turned by the angle whose direction is `turn`.
    pub(crate) fn rotated(self, turn: Self) -> Self {
        vec2(
            self.x * turn.x - self.y * turn.y,
            self.x * turn.y + self.y * turn.x,
        )
    }

    /// Turned back by the angle whose direction is `turn`.
    pub(crate) fn unrotated(self, turn: Self) -> Self {
        self.rotated(vec2(turn.x, -turn.y))
    }
}

impl Add for Vec2 {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        vec2(self.x + other.x, self.y + other.y)
    }
}

impl Sub for Vec2 {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        vec2(self.x - other.x, self.y - other.y)
    }
}

impl Mul<f32> for Vec2 {
    type Output = Self;
    fn mul(self, factor: f32) -> Self {
        vec2(self.x * factor, self.y * factor)
    }
}

/// Rounds down; unlike the standard library's, never a function call. For values below 2^31.
pub(crate) fn floor(value: f32) -> f32 {
    let cut = value as i32 as f32;
    if cut > value { cut - 1.0 } else { cut }
}

pub(crate) fn sin(radians: f32) -> f32 {
    let turns = radians / TAU;
    let mut turn = turns - floor(turns + 0.5);
    if turn > 0.25 {
        turn = 0.5 - turn;
    } else if turn < -0.25 {
        turn = -0.5 - turn;
    }
    let x = turn * TAU;
    let square = x * x;
    let inner = 1.0 / 120.0 - square * (1.0 / 5040.0 - square / 362_880.0);
    x * (1.0 - square * (1.0 / 6.0 - square * inner))
}

pub(crate) fn cos(radians: f32) -> f32 {
    sin(radians + FRAC_PI_2)
}

/// The angle of `point` in `-PI..=PI`, good to about a thousandth of a radian.
pub(crate) fn angle_of(point: Vec2) -> f32 {
    let (width, height) = (point.x.abs(), point.y.abs());
    let largest = width.max(height);
    if largest == 0.0 {
        return 0.0;
    }
    let slope = width.min(height) / largest;
    let square = slope * slope;
    let bend = ((-0.046_496_475 * square + 0.159_314_22) * square - 0.327_622_76) * square;
    let mut angle = slope + bend * slope;
    if height > width {
        angle = FRAC_PI_2 - angle;
    }
    if point.x < 0.0 {
        angle = PI - angle;
    }
    if point.y < 0.0 { -angle } else { angle }
}

/// Arc sine, `value` clamped to `-1..=1`; good to about a ten-thousandth of a radian.
pub(crate) fn arc_sine(value: f32) -> f32 {
    let size = value.abs().min(1.0);
    let series = ((-0.018_729_3 * size + 0.074_261) * size - 0.212_114_4) * size + 1.570_728_8;
    let angle = FRAC_PI_2 - (1.0 - size).sqrt() * series;
    if value < 0.0 { -angle } else { angle }
}

/// 0 below `low`, 1 above `high`, smooth in between.
pub(crate) fn smooth_step(low: f32, high: f32, value: f32) -> f32 {
    let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

pub(crate) fn lerp(from: f32, to: f32, share: f32) -> f32 {
    from + (to - from) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_agree_with_the_standard_library() {
        for step in -400_i16..400 {
            let angle = f32::from(step) * 0.05;
            assert!((sin(angle) - angle.sin()).abs() < 1e-4, "sin {angle}");
            assert!((cos(angle) - angle.cos()).abs() < 1e-4, "cos {angle}");
            let point = Vec2::direction(angle) * 3.0;
            assert!(
                (angle_of(point) - point.y.atan2(point.x)).abs() < 2e-3,
                "angle {angle}"
            );
        }
        for step in -100_i16..=100 {
            let value = f32::from(step) / 100.0;
            assert!(
                (arc_sine(value) - value.asin()).abs() < 2e-4,
                "asin {value}"
            );
        }
    }

    #[test]
    fn turning_there_and_back_changes_nothing() {
        let turn = Vec2::direction(0.7);
        let point = vec2(3.0, -2.0);
        assert!((point.rotated(turn).unrotated(turn) - point).length() < 1e-3);
    }
}
