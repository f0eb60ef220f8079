//! The outlines and surfaces of the parts.
//!
//! Every shape is a function of a point in its own coordinates: centred on the part, the long side
//! along x, lengths in pixels of a 640x480 frame. Distances are negative inside the part.

mod bolt;
mod bracket;
mod gear;
mod nut;
mod spring;
mod washer;

pub(crate) use gear::Gear;

use crate::maths::Vec2;
use crate::random::Random;
use crate::truth::Class;

/// A part's surface at one point.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surface {
    /// Signed distance to the outline.
    pub(crate) distance: f32,
    /// Height above the plate; its slope is what the light sees.
    pub(crate) height: f32,
    /// Multiplies the paint: grooves and deep places are darker.
    pub(crate) tone: f32,
}

/// One part's form with all its measures.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Bolt(bolt::Bolt),
    Nut(nut::Nut),
    Washer(washer::Washer),
    Gear(Gear),
    Bracket(bracket::Bracket),
    Spring(spring::Spring),
}

impl Shape {
    /// A random specimen of a class; a defect has no shape of its own.
    pub(crate) fn random(class: Class, random: &mut Random) -> Self {
        match class {
            Class::Bolt => Self::Bolt(bolt::Bolt::random(random)),
            Class::Nut => Self::Nut(nut::Nut::random(random)),
            Class::Washer => Self::Washer(washer::Washer::random(random)),
            Class::Gear => Self::Gear(Gear::random(random)),
            Class::Bracket => Self::Bracket(bracket::Bracket::random(random)),
            Class::Spring => Self::Spring(spring::Spring::random(random)),
            Class::Defect => unreachable!("defects lie on parts and are drawn by `defect`"),
        }
    }

    pub(crate) fn surface(&self, point: Vec2) -> Surface {
        match self {
            Self::Bolt(bolt) => bolt.surface(point),
            Self::Nut(nut) => nut.surface(point),
            Self::Washer(washer) => washer.surface(point),
            Self::Gear(gear) => gear.surface(point),
            Self::Bracket(bracket) => bracket.surface(point),
            Self::Spring(spring) => spring.surface(point),
        }
    }

    /// Half the width and height of a box around the shape, before it is turned.
    pub(crate) fn half_size(&self) -> Vec2 {
        match self {
            Self::Bolt(bolt) => bolt.half_size(),
            Self::Nut(nut) => nut.half_size(),
            Self::Washer(washer) => washer.half_size(),
            Self::Gear(gear) => gear.half_size(),
            Self::Bracket(bracket) => bracket.half_size(),
            Self::Spring(spring) => spring.half_size(),
        }
    }
}

/// Height of a rounded edge of `width`: rises from the outline and levels off.
fn bevel(distance: f32, width: f32) -> f32 {
    let depth = (-distance / width).clamp(0.0, 1.0);
    width * (1.0 - (1.0 - depth) * (1.0 - depth))
}

/// Distance to a box of the given half size with corners of radius `rounding`.
fn rounded_box(point: Vec2, half_size: Vec2, rounding: f32) -> f32 {
    let beyond_x = point.x.abs() - half_size.x + rounding;
    let beyond_y = point.y.abs() - half_size.y + rounding;
    let outside = crate::maths::vec2(beyond_x.max(0.0), beyond_y.max(0.0)).length();
    outside + beyond_x.max(beyond_y).min(0.0) - rounding
}
