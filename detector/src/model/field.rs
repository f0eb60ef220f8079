//! Masks from fields of numbers that cover all that the network sees, sampled at frame pixels.
//!
//! A field is read bilinearly at the middle of every frame pixel, its cells spread evenly over the
//! network's picture and its edge cells going on forever: what `interpolate(…, mode="bilinear",
//! align_corners=False)` does, and with the padding of a letterbox left out.

use std::ops::Range;

use pipeline::mask::{Crop, Mask};

use super::geometry::{Corners, FrameFromNetwork};

/// Numbers of one mask or one class over all that the network sees, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Cells, `width` to a row.
    pub values: &'a [f32],
    /// Cells in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Where the middle of a frame pixel falls between two cells, along one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// The cell before it.
    pub(super) cell: usize,
    /// The cell after it, the same at an edge.
    pub(super) next: usize,
    /// The share of the cell after it.
    pub(super) next_weight: f32,
    /// The cell that it lies in.
    pub(super) nearest: usize,
}

impl Sample {
    /// At this share of a row or column of cells.
    fn at(share: f64, cells: usize) -> Self {
        let last = cells - 1;
        let position = share * cells as f64;
        let from_first_middle = (position - 0.5).clamp(0.0, last as f64);
        let cell = (from_first_middle as usize).min(last);
        Self {
            cell,
            next: (cell + 1).min(last),
            next_weight: (from_first_middle - cell as f64) as f32,
            nearest: (position.max(0.0) as usize).min(last),
        }
    }

    pub(super) fn between(&self, cell: f32, next: f32) -> f32 {
        cell + (next - cell) * self.next_weight
    }
}

/// A sample for each of the frame's columns, for a field with this many cells in a row.
pub(super) fn column_samples(way_back: &FrameFromNetwork, cells: usize) -> Vec<Sample> {
    (0..way_back.frame().width)
        .map(|column| Sample::at(way_back.share_across(column), cells))
        .collect()
}

/// A sample for each of the frame's rows, for a field with this many rows.
pub(super) fn row_samples(way_back: &FrameFromNetwork, cells: usize) -> Vec<Sample> {
    (0..way_back.frame().height)
        .map(|row| Sample::at(way_back.share_down(row), cells))
        .collect()
}

/// Makes masks of one picture from fields of one size.
#[derive(Debug)]
pub struct FieldPaster {
    way_back: FrameFromNetwork,
    columns: Vec<Sample>,
    rows: Vec<Sample>,
    row_of_cells: Vec<f32>,
    pixels: Vec<u8>,
}

impl FieldPaster {
    /// For fields of `width` by `height` cells, neither of them zero.
    pub fn new(way_back: FrameFromNetwork, width: usize, height: usize) -> Self {
        Self {
            columns: column_samples(&way_back, width),
            rows: row_samples(&way_back, height),
            row_of_cells: vec![0.0; width],
            way_back,
            pixels: Vec::new(),
        }
    }

    /// The pixels at which the field reaches the threshold, of those `within` the box.
    pub fn paste(&mut self, field: Field<'_>, threshold: f32, within: Option<Corners>) -> Mask {
        let frame = self.way_back.frame();
        let empty = || Mask::empty(frame.width, frame.height);
        // Between cells that are all below the threshold nothing reaches it.
        let Some(reached) = Reached::by(field, threshold) else {
            return empty();
        };
        let mut columns = pixels_touching(&self.columns, &reached.columns);
        let mut rows = pixels_touching(&self.rows, &reached.rows);
        if let Some(Corners { x0, y0, x1, y1 }) = within {
            columns = overlap_of(&columns, &pixels_with_middle_in(x0, x1));
            rows = overlap_of(&rows, &pixels_with_middle_in(y0, y1));
        }
        if columns.is_empty() || rows.is_empty() {
            return empty();
        }
        self.pixels.clear();
        for row in rows.clone() {
            self.append_row(field, threshold, (row, columns.clone()));
        }
        let crop = Crop {
            x: columns.start as u32,
            y: rows.start as u32,
            width: columns.len() as u32,
            height: rows.len() as u32,
        };
        Mask::from_crop(frame.width, frame.height, crop, &self.pixels)
    }

    fn append_row(
        &mut self,
        field: Field<'_>,
        threshold: f32,
        (row, columns): (usize, Range<usize>),
    ) {
        let sample = self.rows[row];
        let columns = &self.columns[columns];
        let (Some(first), Some(last)) = (columns.first(), columns.last()) else {
            return;
        };
        let upper = &field.values[sample.cell * field.width..][..field.width];
        let lower = &field.values[sample.next * field.width..][..field.width];
        for cell in first.cell..=last.next {
            self.row_of_cells[cell] = sample.between(upper[cell], lower[cell]);
        }
        let cells = &self.row_of_cells;
        self.pixels.extend(columns.iter().map(|column| {
            let value = column.between(cells[column.cell], cells[column.next]);
            u8::from(value >= threshold)
        }));
    }
}

/// The rows and columns of a field in which something reaches the threshold.
struct Reached {
    columns: Range<usize>,
    rows: Range<usize>,
}

impl Reached {
    fn by(field: Field<'_>, threshold: f32) -> Option<Self> {
        let mut reached: Option<Self> = None;
        for (row, cells) in field.values.chunks_exact(field.width).enumerate() {
            let Some(first) = cells.iter().position(|&value| value >= threshold) else {
                continue;
            };
            let last = cells.iter().rposition(|&value| value >= threshold);
            let end = last.map_or(field.width, |last| last + 1);
            reached = Some(match reached {
                None => Self {
                    columns: first..end,
                    rows: row..row + 1,
                },
                Some(Self { columns, rows }) => Self {
                    columns: columns.start.min(first)..columns.end.max(end),
                    rows: rows.start..row + 1,
                },
            });
        }
        reached
    }
}

/// The pixels whose samples touch one of the cells.
fn pixels_touching(samples: &[Sample], cells: &Range<usize>) -> Range<usize> {
    let start = samples.partition_point(|sample| sample.next < cells.start);
    let end = samples.partition_point(|sample| sample.cell < cells.end);
    start..end.max(start)
}

/// The pixels whose middle lies between two edges.
fn pixels_with_middle_in(near: f32, far: f32) -> Range<usize> {
    (near - 0.5).ceil().max(0.0) as usize..(far - 0.5).ceil().max(0.0) as usize
}

fn overlap_of(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

#[cfg(test)]
mod tests;
