//! The features of a place in the picture, in a size that the heads take (RoIAlign): every cell is the
//! average of a few samples between the features around them.
//!
//! A sample between four features weighs them by how near they are, across times down. So a region is
//! read in two passes, each along one axis and each for all channels at once: features are laid out
//! with a cell's channels side by side, once for all regions of a picture.

use super::Features;
use crate::model::decode::{OutputError, Tensor};
use crate::model::geometry::Corners;

/// Channels that are summed up in registers.
const LANES: usize = 16;

/// How regions are pooled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pooling {
    /// Cells of a region along a side.
    pub size: usize,
    /// Samples of a cell along a side.
    pub sampling: usize,
    /// Whether the middle of a feature is half a cell from its corner; its corner is meant otherwise.
    pub is_aligned: bool,
    /// Which features a region is pooled from.
    pub rule: LevelRule,
}

/// Which level of the features fits a box: from the canonical one, one level finer for a box half as
/// large.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LevelRule {
    /// The side of a square that is pooled from the canonical level.
    pub canonical_side: f32,
    /// That level's number.
    pub canonical_level: u32,
    /// The number of the finest level.
    pub first_level: u32,
    /// How many levels there are.
    pub levels: usize,
}

impl LevelRule {
    /// The index of the level among the features.
    pub fn level_of(&self, corners: Corners) -> usize {
        /// What keeps the canonical side itself from falling below its level.
        const ROUNDING: f32 = 1e-6;
        let side = corners.area().sqrt();
        let steps = (side / self.canonical_side).log2();
        let level = (self.canonical_level as f32 + steps + ROUNDING).floor();
        let index = (level - self.first_level as f32).max(0.0) as usize;
        index.min(self.levels - 1)
    }
}

/// Memory that outlives the pictures.
#[derive(Debug, Default)]
pub struct PoolMemory {
    /// Of each level, the channels of a cell side by side.
    interleaved: Vec<Vec<f32>>,
    across: Axis,
    down: Axis,
    /// Rows of features, pooled across.
    rows: Vec<f32>,
    /// A region, the channels of a cell side by side.
    region: Vec<f32>,
    pooled: Vec<f32>,
}

/// The features of one picture.
#[derive(Debug)]
pub struct Pyramid<'a> {
    levels: Vec<Level<'a>>,
    channels: usize,
    memory: &'a mut PoolMemory,
}

#[derive(Debug)]
struct Level<'a> {
    features: Tensor<'a, f32>,
    height: usize,
    width: usize,
    stride: usize,
    is_interleaved: bool,
}

impl<'a> Pyramid<'a> {
    /// The trunk's features, after checking that they are planes of the same number of channels.
    pub fn new(
        about: &[Features],
        tensors: Vec<Tensor<'a, f32>>,
        memory: &'a mut PoolMemory,
    ) -> Result<Self, OutputError> {
        let channels = tensors.first().and_then(|tensor| tensor.shape.first());
        let channels = channels.copied().unwrap_or_default();
        let levels = about
            .iter()
            .zip(tensors)
            .map(|(about, features)| match features.shape[..] {
                [found, height, width]
                    if found == channels && height > 0 && width > 0 && features.is_complete() =>
                {
                    Ok(Level {
                        features,
                        height,
                        width,
                        stride: about.stride,
                        is_interleaved: false,
                    })
                }
                _ => {
                    let expected = format!("[{channels}, rows, columns]");
                    Err(features.unexpected(&about.output, expected))
                }
            });
        let levels = levels.collect::<Result<Vec<_>, _>>()?;
        memory.interleaved.resize_with(levels.len(), Vec::new);
        Ok(Self {
            levels,
            channels,
            memory,
        })
    }

    /// The shape of so many pooled regions.
    pub fn shape(&self, regions: usize, pooling: &Pooling) -> [usize; 4] {
        [regions, self.channels, pooling.size, pooling.size]
    }

    /// The regions, one after another, each `[channels, size, size]`.
    pub fn pool(&mut self, regions: &[Corners], pooling: &Pooling) -> &[f32] {
        let length = self.shape(1, pooling).iter().product::<usize>();
        if self.memory.pooled.len() < regions.len() * length {
            self.memory.pooled.resize(regions.len() * length, 0.0);
        }
        for (index, &corners) in regions.iter().enumerate() {
            let level = pooling.rule.level_of(corners);
            self.interleave(level);
            self.pool_region(level, corners, pooling);
            let pooled = &mut self.memory.pooled[index * length..][..length];
            let cells = pooling.size * pooling.size;
            transpose(&self.memory.region, (cells, self.channels), pooled);
        }
        &self.memory.pooled[..regions.len() * length]
    }

    fn interleave(&mut self, level: usize) {
        let (interleaved, level) = (&mut self.memory.interleaved[level], &mut self.levels[level]);
        if !level.is_interleaved {
            interleaved.resize(level.features.values.len(), 0.0);
            let shape = (self.channels, level.height * level.width);
            transpose(&level.features.values, shape, interleaved);
            level.is_interleaved = true;
        }
    }

    /// Leaves the region in the memory, the channels of a cell side by side.
    fn pool_region(&mut self, level: usize, corners: Corners, pooling: &Pooling) {
        let PoolMemory {
            interleaved,
            across,
            down,
            rows,
            region,
            ..
        } = &mut *self.memory;
        let (features, level, channels) = (&interleaved[level], &self.levels[level], self.channels);
        let cells_a_pixel = 1.0 / level.stride as f32;
        across.span(
            (corners.x0, corners.x1),
            cells_a_pixel,
            (pooling, level.width),
        );
        down.span(
            (corners.y0, corners.y1),
            cells_a_pixel,
            (pooling, level.height),
        );
        let size = pooling.size;
        rows.resize(down.places.len() * size * channels, 0.0);
        for (pooled, &row) in rows.chunks_exact_mut(size * channels).zip(&down.places) {
            for (cell, pooled) in pooled.chunks_exact_mut(channels).enumerate() {
                let parts = across.parts(cell).iter();
                let start = |place: usize| (row * level.width + across.places[place]) * channels;
                let parts = parts.map(|&(place, weight)| (start(place), weight));
                weighted_sum(pooled, features, &parts);
            }
        }
        region.resize(size * size * channels, 0.0);
        for (at, pooled) in region.chunks_exact_mut(channels).enumerate() {
            let (row, column) = (at / size, at % size);
            let parts = down.parts(row).iter();
            let start = |place: usize| (place * size + column) * channels;
            let parts = parts.map(|&(place, weight)| (start(place), weight));
            weighted_sum(pooled, rows, &parts);
        }
    }
}

/// What the cells of a region are made of, along one axis.
#[derive(Debug, Default)]
struct Axis {
    /// Rows or columns of the features that are needed, in their order.
    places: Vec<usize>,
    /// Which of these, and how much of each; the parts of a cell side by side.
    parts: Vec<(usize, f32)>,
    /// Where the parts of each cell end.
    ends: Vec<usize>,
}

impl Axis {
    /// Prepares a region from `near` to `far`, in pixels, on features of so many rows or columns.
    fn span(
        &mut self,
        (near, far): (f32, f32),
        cells_a_pixel: f32,
        (pooling, limit): (&Pooling, usize),
    ) {
        self.places.clear();
        self.parts.clear();
        self.ends.clear();
        let half_a_cell = if pooling.is_aligned { 0.5 } else { 0.0 };
        let start = near * cells_a_pixel - half_a_cell;
        let mut length = far * cells_a_pixel - half_a_cell - start;
        if !pooling.is_aligned {
            length = length.max(1.0);
        }
        let cell = length / pooling.size as f32;
        for index in 0..pooling.size {
            let first = self.parts.len();
            for sample in 0..pooling.sampling {
                let share = (sample as f32 + 0.5) * cell / pooling.sampling as f32;
                let at = start + index as f32 * cell + share;
                self.add_sample(at, limit, (first, 1.0 / pooling.sampling as f32));
            }
            self.ends.push(self.parts.len());
        }
    }

    /// Adds a sample to the cell whose parts begin at `first`. Samples further than a cell outside
    /// are nothing, nearer ones are the border's.
    fn add_sample(&mut self, at: f32, limit: usize, (first, weight): (usize, f32)) {
        if !(-1.0..=limit as f32).contains(&at) {
            return;
        }
        let at = at.max(0.0);
        let low = at as usize;
        if low >= limit - 1 {
            return self.add(limit - 1, (first, weight));
        }
        let beyond = at - low as f32;
        self.add(low, (first, weight * (1.0 - beyond)));
        self.add(low + 1, (first, weight * beyond));
    }

    fn add(&mut self, place: usize, (first, weight): (usize, f32)) {
        // Samples come in order: what is needed again was needed just before.
        let known = self.places.iter().rposition(|&known| known == place);
        let place = known.unwrap_or_else(|| {
            self.places.push(place);
            self.places.len() - 1
        });
        let mut parts = self.parts[first..].iter_mut();
        match parts.find(|(known, _)| *known == place) {
            Some((_, so_far)) => *so_far += weight,
            None => self.parts.push((place, weight)),
        }
    }

    fn parts(&self, cell: usize) -> &[(usize, f32)] {
        let first = cell.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.parts[first..self.ends[cell]]
    }
}

/// `sum` becomes the sum of some runs of `values`, which begin at these places, each times its weight.
fn weighted_sum(
    sum: &mut [f32],
    values: &[f32],
    parts: &(impl Iterator<Item = (usize, f32)> + Clone),
) {
    let (chunks, rest) = sum.as_chunks_mut::<LANES>();
    let done = chunks.len() * LANES;
    for (index, chunk) in chunks.iter_mut().enumerate() {
        let mut lanes = [0.0; LANES];
        for (start, weight) in parts.clone() {
            let values = &values[start + index * LANES..][..LANES];
            for (lane, value) in lanes.iter_mut().zip(values) {
                *lane += weight * value;
            }
        }
        *chunk = lanes;
    }
    for (index, sum) in rest.iter_mut().enumerate() {
        let parts = parts.clone();
        *sum = parts
            .map(|(start, weight)| weight * values[start + done + index])
            .sum();
    }
}

/// Rows become columns. In blocks, so that what is written lies near what was written just before.
fn transpose(source: &[f32], (rows, columns): (usize, usize), target: &mut [f32]) {
    const BLOCK: usize = 16;
    for (index, block) in target.chunks_mut(BLOCK * rows).enumerate() {
        let (first, count) = (index * BLOCK, block.len() / rows);
        for row in 0..rows {
            let values = &source[row * columns + first..][..count];
            for (place, value) in block[row..].iter_mut().step_by(rows).zip(values) {
                *place = *value;
            }
        }
    }
}

#[cfg(test)]
mod tests;
