//! What a semantic segmentation says of each cell, and of the pixels between cells.

use super::super::instances::sigmoid;
use crate::model::field::Sample;

/// A pixel of no class.
pub(super) const NOTHING: u16 = u16::MAX;

/// How far apart the numbers of one image lie.
#[derive(Clone, Copy)]
pub(super) struct Strides {
    pub(super) class: usize,
    pub(super) cell: usize,
}

/// The numbers of one image.
#[derive(Clone, Copy)]
pub(super) struct Logits<'a> {
    pub(super) values: &'a [f32],
    pub(super) classes: usize,
    pub(super) strides: Strides,
}

impl Logits<'_> {
    fn at(&self, class: usize, cell: usize) -> f32 {
        self.values[class * self.strides.class + cell * self.strides.cell]
    }

    /// The class of the largest number, the first of equal ones.
    fn largest(&self, value_of: impl Fn(usize) -> f32) -> usize {
        let mut best = (0, f32::NEG_INFINITY);
        for class in 0..self.classes {
            let value = value_of(class);
            if value > best.1 {
                best = (class, value);
            }
        }
        best.0
    }
}

/// What the network says of the cells of one image.
pub(super) struct Cells<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    /// The class of each cell.
    classes: Vec<u16>,
    /// The share of that class; without shares it is one.
    shares: Option<Vec<f32>>,
    /// For the pixels between cells of different classes.
    logits: Option<Between<'a>>,
}

/// How the class between cells is found.
#[derive(Clone, Copy)]
struct Between<'a> {
    logits: Logits<'a>,
    /// The logit from which a single class is there.
    threshold: f32,
}

impl<'a> Cells<'a> {
    /// Cells whose classes the network names itself.
    pub(super) fn of_classes(classes: Vec<u16>, (width, height): (usize, usize)) -> Self {
        Self {
            width,
            height,
            classes,
            shares: None,
            logits: None,
        }
    }

    /// What the largest number of each cell says.
    pub(super) fn of_logits(
        logits: Logits<'a>,
        (width, height): (usize, usize),
        threshold: f32,
    ) -> Self {
        let mut classes = Vec::with_capacity(width * height);
        let mut shares = Vec::with_capacity(width * height);
        for cell in 0..width * height {
            if logits.classes == 1 {
                let value = logits.at(0, cell);
                classes.push(if value >= threshold { 0 } else { NOTHING });
                shares.push(sigmoid(value));
                continue;
            }
            let best = logits.largest(|class| logits.at(class, cell));
            let largest = logits.at(best, cell);
            let sum: f32 = (0..logits.classes)
                .map(|class| (logits.at(class, cell) - largest).exp())
                .sum();
            classes.push(best as u16);
            shares.push(1.0 / sum);
        }
        Self {
            width,
            height,
            classes,
            shares: Some(shares),
            logits: Some(Between { logits, threshold }),
        }
    }

    /// The class at a pixel.
    pub(super) fn class_at(&self, column: Sample, row: Sample) -> u16 {
        let Some(Between { logits, threshold }) = self.logits else {
            return self.classes[row.nearest * self.width + column.nearest];
        };
        let corners = [
            row.cell * self.width + column.cell,
            row.cell * self.width + column.next,
            row.next * self.width + column.cell,
            row.next * self.width + column.next,
        ];
        let class = self.classes[corners[0]];
        // What is the largest at all four corners is the largest between them.
        if corners.iter().all(|&corner| self.classes[corner] == class) {
            return class;
        }
        let blended = |class: usize| {
            let [a, b, c, d] = corners.map(|corner| logits.at(class, corner));
            row.between(column.between(a, b), column.between(c, d))
        };
        if logits.classes == 1 {
            return if blended(0) >= threshold { 0 } else { NOTHING };
        }
        logits.largest(blended) as u16
    }

    /// The class's share in the cell that a pixel lies in.
    pub(super) fn share_at(&self, class: u16, column: Sample, row: Sample) -> f32 {
        let cell = row.nearest * self.width + column.nearest;
        let (Some(shares), Some(Between { logits, .. })) = (&self.shares, self.logits) else {
            return 1.0;
        };
        let best = self.classes[cell];
        if best == class || best == NOTHING {
            return shares[cell];
        }
        let behind = logits.at(class.into(), cell) - logits.at(best.into(), cell);
        shares[cell] * behind.exp()
    }
}
