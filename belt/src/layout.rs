//! What lies where on an endless belt.
//!
//! The belt is cut into blocks of two columns of places. A block's parts follow from the seed and
//! the block's number alone, so any stretch of the belt can be drawn without the rest.

use crate::config::BeltConfig;
use crate::defect::{Defect, kinds_for};
use crate::maths::{Vec2, vec2};
use crate::paint::PaintColor;
use crate::random::Random;
use crate::shape::Shape;
use crate::truth::{Class, DefectKind};

/// Length of a block along the belt, in drawing units.
const BLOCK_LENGTH: f32 = 300.0;
const COLUMNS: usize = 2;
/// The width across the belt that one part needs.
const LANE_WIDTH: f32 = 141.0;
/// Width of each side rail.
pub(crate) const RAIL_WIDTH: f32 = 26.0;

/// One part as it lies on the belt, in drawing units.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// Even; the part's defect, if it has one, bears the odd number that follows.
    pub(crate) id: u64,
    pub(crate) class: Class,
    pub(crate) color: PaintColor,
    pub(crate) shape: Shape,
    pub(crate) defect: Option<Defect>,
    /// The direction of its x axis.
    pub(crate) turn: Vec2,
    /// From the left end of its block and the upper edge of the frame.
    pub(crate) centre: Vec2,
    /// Higher parts lie on lower ones.
    pub(crate) level: u32,
    /// For everything that makes it look like no other.
    pub(crate) seed: u64,
}

/// A belt's plan: turns block numbers into parts.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    seed: u64,
    density: f32,
    defect_rate: f32,
    lanes: usize,
    height: f32,
    /// Length of a block in whole pixels.
    pub(crate) block_px: u64,
    /// How far the belt had already come before the first frame.
    phase_px: u64,
}

impl Layout {
    pub(crate) fn new(config: &BeltConfig) -> Self {
        let scale = config.scale();
        let height = config.height as f32 / scale;
        let block_px = (BLOCK_LENGTH * scale).round() as u64;
        Self {
            seed: config.seed,
            density: config.density,
            defect_rate: config.defect_rate,
            lanes: (((height - 2.0 * RAIL_WIDTH) / LANE_WIDTH).round() as usize).max(1),
            height,
            block_px,
            phase_px: Random::new(config.seed, 1).bits() % block_px,
        }
    }

    /// The numbers of the blocks that may be seen, and where each begins in the frame.
    pub(crate) fn blocks_in_view(
        &self,
        config: &BeltConfig,
        frame_index: u64,
    ) -> impl Iterator<Item = (u64, i64)> + use<> {
        let travelled = config
            .travelled_px(frame_index)
            .saturating_add(self.phase_px);
        let (width, block_px) = (u64::from(config.width), self.block_px);
        // Block 0 enters first, so higher numbers lie further left. A part may reach half a block
        // over its block's ends.
        let reach = block_px / 2;
        let first = (travelled.saturating_sub(reach) / block_px).saturating_sub(1);
        let last = travelled.saturating_add(width + reach) / block_px;
        (first..=last).filter_map(move |block| {
            let right_end = i128::from(travelled) + i128::from(width)
                - i128::from(block) * i128::from(block_px);
            let left = i64::try_from(right_end - i128::from(block_px)).ok()?;
            let (reach, length) = (reach as i64, block_px as i64);
            (left - reach < width as i64 && left + length + reach > 0).then_some((block, left))
        })
    }

    /// The parts of one block.
    pub(crate) fn parts(&self, block: u64) -> Vec<Part> {
        let mut random = Random::new(self.seed, block.wrapping_add(0x626c_6f63_6b00_0000));
        let places = COLUMNS * self.lanes;
        let mut slots: Vec<Option<Part>> = (0..places)
            .map(|place| {
                let place_seed = random.bits();
                let id = block
                    .wrapping_mul(places as u64)
                    .wrapping_add(place as u64 + 1);
                random
                    .chance(self.density)
                    .then(|| self.part(place, place_seed, id.wrapping_mul(2)))
            })
            .collect();
        lean(&mut slots, &mut random);
        slots
            .into_iter()
            .flatten()
            .map(|part| self.kept_on_belt(part))
            .collect()
    }

    fn part(&self, place: usize, seed: u64, id: u64) -> Part {
        let mut random = Random::new(seed, 2);
        let class = random.pick(&Class::PARTS);
        let color = random.pick(&PaintColor::ALL);
        let mut shape = Shape::random(class, &mut random);
        let defect = random
            .chance(self.defect_rate)
            .then(|| damage(class, color, &mut shape, &mut random))
            .flatten();
        let belt_width = self.height - 2.0 * RAIL_WIDTH;
        let lane = belt_width / self.lanes as f32;
        let column = BLOCK_LENGTH / COLUMNS as f32;
        let centre = vec2(
            column * ((place % COLUMNS) as f32 + 0.5) + random.range(-20.0, 20.0),
            RAIL_WIDTH + lane * ((place / COLUMNS) as f32 + 0.5) + random.range(-16.0, 16.0),
        );
        let turn = Vec2::direction(random.range(0.0, std::f32::consts::TAU));
        Part {
            id,
            class,
            color,
            shape,
            defect,
            turn,
            centre,
            level: random.bits() as u32,
            seed,
        }
    }

    /// Moves a part off the rails.
    fn kept_on_belt(&self, mut part: Part) -> Part {
        let room = reach(&part).y + 4.0;
        let (top, bottom) = (RAIL_WIDTH + room, self.height - RAIL_WIDTH - room);
        part.centre.y = if top > bottom {
            self.height / 2.0
        } else {
            part.centre.y.clamp(top, bottom)
        };
        part
    }
}

fn damage(
    class: Class,
    color: PaintColor,
    shape: &mut Shape,
    random: &mut Random,
) -> Option<Defect> {
    let kinds = kinds_for(class, color);
    if kinds.is_empty() {
        return None;
    }
    let kind = random.pick(&kinds);
    if let (DefectKind::MissingTooth, Shape::Gear(gear)) = (kind, &mut *shape) {
        gear.break_tooth(random);
    }
    Defect::place(kind, shape, random)
}

/// Half the size of the upright box around a turned part.
fn reach(part: &Part) -> Vec2 {
    let half_size = part.shape.half_size();
    let (across, down) = (part.turn.x.abs(), part.turn.y.abs());
    vec2(
        half_size.x * across + half_size.y * down,
        half_size.x * down + half_size.y * across,
    )
}

/// Pushes some neighbours together until one lies on the other.
fn lean(slots: &mut [Option<Part>], random: &mut Random) {
    let mut leaning = vec![false; slots.len()];
    for place in 0..slots.len() {
        let across = random.chance(0.5);
        let wanted = random.chance(0.42);
        let overlap = random.range(0.15, 0.45);
        let is_last_column = place % COLUMNS == COLUMNS - 1;
        let other = if across { place + COLUMNS } else { place + 1 };
        if !wanted || other >= slots.len() || (!across && is_last_column) {
            continue;
        }
        if leaning[place] || leaning[other] {
            continue;
        }
        let (before, after) = slots.split_at_mut(other);
        let (Some(one), Some(two)) = (&mut before[place], &mut after[0]) else {
            continue;
        };
        push_together(one, two, overlap);
        leaning[place] = true;
        leaning[other] = true;
    }
}

/// Brings two parts so close along the line between them that the share `overlap` of the smaller
/// one's extent is shared.
fn push_together(one: &mut Part, two: &mut Part, overlap: f32) {
    let apart = two.centre - one.centre;
    let distance = apart.length().max(1.0);
    let direction = apart * (1.0 / distance);
    let extent = |part: &Part| {
        let half_size = part.shape.half_size();
        let along = direction.unrotated(part.turn);
        vec2(half_size.x * along.x, half_size.y * along.y).length()
    };
    let (near, far) = (extent(one), extent(two));
    let wanted = near + far - 2.0 * near.min(far) * overlap;
    let shift = (distance - wanted).max(0.0) / 2.0;
    one.centre = one.centre + direction * shift;
    two.centre = two.centre - direction * shift;
}
