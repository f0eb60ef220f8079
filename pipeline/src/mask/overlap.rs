//! How two masks lie on each other: what they share and what they cover, on runs alone.

use super::Mask;
use super::runs::{RunBuilder, walk_pair};

/// Two masks of different frames cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("masks of size {first:?} and {second:?} (height, width) do not belong to one frame")]
pub struct SizeMismatch {
    /// The size of the mask asked.
    pub first: [u32; 2],
    /// The size of the other one.
    pub second: [u32; 2],
}

impl Mask {
    /// Intersection over union as pycocotools' `iou`; zero when the masks do not touch, also when both are empty.
    pub fn iou(&self, other: &Self) -> Result<f64, SizeMismatch> {
        let both = self.intersection_area(other)?;
        let either = self.area() + other.area() - both;
        Ok(ratio(both, either))
    }

    /// The share of this mask that a crowd region covers: pycocotools' `iou` with `iscrowd` set.
    pub fn iou_with_crowd(&self, crowd: &Self) -> Result<f64, SizeMismatch> {
        Ok(ratio(self.intersection_area(crowd)?, self.area()))
    }

    /// How many pixels are set in both.
    pub fn intersection_area(&self, other: &Self) -> Result<u32, SizeMismatch> {
        self.same_size(other)?;
        let mut area = 0;
        walk_pair(self, other, |length, in_first, in_second| {
            if in_first && in_second {
                area += length;
            }
        });
        Ok(area)
    }

    /// The pixels set in either, as pycocotools' `merge`.
    pub fn union(&self, other: &Self) -> Result<Self, SizeMismatch> {
        self.same_size(other)?;
        let mut builder = RunBuilder::default();
        walk_pair(self, other, |length, in_first, in_second| {
            builder.push(in_first || in_second, length);
        });
        Ok(Self {
            runs: builder.finish(),
            ..*self
        })
    }

    fn same_size(&self, other: &Self) -> Result<(), SizeMismatch> {
        if self.size() == other.size() {
            return Ok(());
        }
        Err(SizeMismatch {
            first: self.size(),
            second: other.size(),
        })
    }
}

fn ratio(part: u32, whole: u32) -> f64 {
    if part == 0 {
        0.0
    } else {
        f64::from(part) / f64::from(whole)
    }
}
