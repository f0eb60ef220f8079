//! The picture where nothing was found, without its colours, so that what was found stands out.

use pipeline::detections::{BBox, Instance};

use super::row_runs::RowRuns;
use super::surface::{Surface, visible};

/// Turns everything grey but the masks, and the boxes of things without one.
pub(super) fn turn_grey(surface: &mut impl Surface, instances: &[Instance]) {
    let (width, height) = (surface.width(), surface.height());
    let mut kept = Kept {
        width: width as usize,
        pixels: vec![false; width as usize * height as usize],
    };
    let mut runs = RowRuns::default();
    for instance in instances {
        match &instance.segmentation {
            Some(mask) if mask.size() == [height, width] => {
                for run in runs.of(mask.spans(), height) {
                    kept.keep(run.row, run.start..run.end);
                }
            }
            _ => kept.keep_box(instance.bbox, [height, width]),
        }
    }
    for (row, kept) in (0..height).zip(kept.pixels.chunks(width as usize)) {
        let mut start = 0;
        for piece in kept.chunk_by(|left, right| left == right) {
            let end = start + piece.len() as u32;
            if !piece[0] {
                surface.turn_grey(row, start..end);
            }
            start = end;
        }
    }
}

/// The pixels that keep their colours.
struct Kept {
    width: usize,
    pixels: Vec<bool>,
}

impl Kept {
    fn keep(&mut self, row: u32, columns: std::ops::Range<u32>) {
        let start = row as usize * self.width;
        self.pixels[start + columns.start as usize..start + columns.end as usize].fill(true);
    }

    fn keep_box(&mut self, bounds: BBox, [height, width]: [u32; 2]) {
        let side = |start: f32, length: f32| (start.floor() as i32, length.ceil().max(0.0) as u32);
        let (left, box_width) = side(bounds.x, bounds.w);
        let (top, box_height) = side(bounds.y, bounds.h);
        for row in visible(top, box_height, height) {
            self.keep(row, visible(left, box_width, width));
        }
    }
}
