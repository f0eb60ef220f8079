//! The class of every pixel of a frame, and the region that each class covers.

use pipeline::mask::{Crop, Mask};

use super::cells::Cells;
use crate::model::field::{column_samples, row_samples};
use crate::model::geometry::{PlacedFrame, Size};

/// The class of every pixel of a frame.
pub(super) struct ClassMap {
    frame: Size,
    /// Row by row.
    classes: Vec<u16>,
    /// For each label where its pixels lie, if there are any.
    regions: Vec<Option<Region>>,
}

/// Where the pixels of a class lie.
#[derive(Clone, Copy)]
pub(super) struct Region {
    left: u32,
    right: u32,
    top: u32,
    bottom: u32,
    pixels: u32,
    sum_of_shares: f64,
}

impl Region {
    fn at(x: u32, y: u32) -> Self {
        Self {
            left: x,
            right: x,
            top: y,
            bottom: y,
            pixels: 0,
            sum_of_shares: 0.0,
        }
    }

    /// Rows are added from the top.
    fn add(&mut self, x: u32, y: u32, share: f32) {
        self.left = self.left.min(x);
        self.right = self.right.max(x);
        self.bottom = y;
        self.pixels += 1;
        self.sum_of_shares += f64::from(share);
    }

    /// The mean of what the network gives the class at its pixels.
    pub(super) fn mean_share(&self) -> f32 {
        (self.sum_of_shares / f64::from(self.pixels)) as f32
    }
}

impl ClassMap {
    pub(super) fn of(cells: &Cells<'_>, frame: &PlacedFrame, labels: usize) -> Self {
        let way_back = frame.frame_from_unit();
        let columns = column_samples(&way_back, cells.width);
        let rows = row_samples(&way_back, cells.height);
        let mut classes = Vec::with_capacity(columns.len() * rows.len());
        let mut regions: Vec<Option<Region>> = vec![None; labels];
        for (y, &row) in (0..).zip(&rows) {
            for (x, &column) in (0..).zip(&columns) {
                let class = cells.class_at(column, row);
                classes.push(class);
                // Pixels of no class have no region.
                if let Some(region) = regions.get_mut(usize::from(class)) {
                    let share = cells.share_at(class, column, row);
                    region.get_or_insert(Region::at(x, y)).add(x, y, share);
                }
            }
        }
        Self {
            frame: frame.frame,
            classes,
            regions,
        }
    }

    /// The classes that are there.
    pub(super) fn regions(&self) -> impl Iterator<Item = (usize, &Region)> {
        self.regions
            .iter()
            .enumerate()
            .filter_map(|(class, region)| Some((class, region.as_ref()?)))
    }

    pub(super) fn mask_of(&self, class: usize, region: &Region) -> Mask {
        let crop = Crop {
            x: region.left,
            y: region.top,
            width: region.right - region.left + 1,
            height: region.bottom - region.top + 1,
        };
        let width = self.frame.width as usize;
        let mut pixels = Vec::with_capacity(crop.width as usize * crop.height as usize);
        for y in region.top..=region.bottom {
            let row = &self.classes[y as usize * width..][..width];
            let row = &row[region.left as usize..=region.right as usize];
            pixels.extend(
                row.iter()
                    .map(|&found| u8::from(usize::from(found) == class)),
            );
        }
        Mask::from_crop(self.frame.width, self.frame.height, crop, &pixels)
    }
}
