//! Pastes a small mask of probabilities into its box: Detectron2's arithmetic at box size.
//!
//! Detectron2 samples the mask bilinearly at the centre of every frame pixel, with the mask's cells
//! spread evenly over the box (`grid_sample`, `align_corners=False`) and zeros around it. The weights
//! depend on the column or on the row alone, so they are worked out once an axis, and two rows of
//! cells are blended once a frame row; no full-frame bitmap exists.

use pipeline::mask::{Crop, Mask};

use super::geometry::{Corners, Size};

/// Zero cells kept on each side of a row of the mask, so that sampling needs no bounds to check.
const BORDER: usize = 2;

/// The mask of one instance as the network gives it: probabilities, row by row.
#[derive(Clone, Copy, Debug)]
pub struct MaskGrid<'a> {
    /// Cells, `width` to a row.
    pub probabilities: &'a [f32],
    /// Cells in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Pastes masks one after another with the same buffers.
#[derive(Debug)]
pub struct Paster {
    threshold: f32,
    pixels: Vec<u8>,
    columns: Vec<Sample>,
    row_of_cells: Vec<f32>,
}

/// Where a pixel's centre falls between two cells of the mask, along one axis.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// The cell before the centre, counted with the border.
    cell: usize,
    cell_weight: f32,
    next_weight: f32,
}

/// The pixels that a mask can reach along one axis.
#[derive(Clone, Copy, Debug)]
struct Reach {
    start: u32,
    length: u32,
}

impl Paster {
    /// A pixel belongs to the instance when its probability is at least `threshold`.
    pub fn new(threshold: f32) -> Self {
        Self {
            threshold,
            pixels: Vec::new(),
            columns: Vec::new(),
            row_of_cells: Vec::new(),
        }
    }

    /// The instance's mask in the frame. `box_in_frame` must have an area and lie inside it.
    pub fn paste(&mut self, grid: MaskGrid<'_>, box_in_frame: Corners, frame: Size) -> Mask {
        let Corners { x0, y0, x1, y1 } = box_in_frame;
        let across = Reach::of((x0, x1), grid.width, frame.width);
        let down = Reach::of((y0, y1), grid.height, frame.height);
        self.columns.clear();
        self.columns.extend(
            across
                .pixels()
                .map(|column| Sample::of(column, (x0, x1), grid.width)),
        );
        self.row_of_cells.clear();
        self.row_of_cells.resize(grid.width + 2 * BORDER, 0.0);
        self.pixels.clear();
        self.pixels
            .reserve(across.length as usize * down.length as usize);
        for row in down.pixels() {
            let sample = Sample::of(row, (y0, y1), grid.height);
            blend_rows(
                grid,
                sample,
                &mut self.row_of_cells[BORDER..BORDER + grid.width],
            );
            let cells = &self.row_of_cells;
            self.pixels.extend(self.columns.iter().map(|column| {
                let probability = cells[column.cell] * column.cell_weight
                    + cells[column.cell + 1] * column.next_weight;
                u8::from(probability >= self.threshold)
            }));
        }
        let crop = Crop {
            x: across.start,
            y: down.start,
            width: across.length,
            height: down.length,
        };
        Mask::from_crop(frame.width, frame.height, crop, &self.pixels)
    }
}

impl Reach {
    /// Zeros outside let the mask fade out over half a cell beyond its box.
    fn of((near, far): (f32, f32), cells: usize, limit: u32) -> Self {
        let half_cell = (far - near) / cells as f32 / 2.0;
        let start = ((near - half_cell).floor().max(0.0) as u32).min(limit - 1);
        let end = ((far + half_cell).ceil().max(0.0) as u32).clamp(start + 1, limit);
        Self {
            start,
            length: end - start,
        }
    }

    fn pixels(self) -> std::ops::Range<u32> {
        self.start..self.start + self.length
    }
}

impl Sample {
    /// Written as `grid_sample` computes it, by way of its -1 to 1, so that rounding agrees.
    fn of(pixel: u32, (near, far): (f32, f32), cells: usize) -> Self {
        let half_cells = cells as f32 / 2.0;
        let normalised = (pixel as f32 + 0.5 - near) / (far - near) * 2.0 - 1.0;
        let position = (normalised + 1.0) * half_cells - 0.5;
        let cell = position.floor();
        let next_weight = position - cell;
        let with_border = (cell + BORDER as f32).max(0.0) as usize;
        Self {
            cell: with_border.min(cells + BORDER),
            cell_weight: 1.0 - next_weight,
            next_weight,
        }
    }
}

/// Blends the two rows of cells around a pixel row; rows outside the mask are zero.
fn blend_rows(grid: MaskGrid<'_>, sample: Sample, blended: &mut [f32]) {
    blended.fill(0.0);
    for (row_with_border, weight) in [
        (sample.cell, sample.cell_weight),
        (sample.cell + 1, sample.next_weight),
    ] {
        let Some(row) = row_with_border
            .checked_sub(BORDER)
            .filter(|&row| row < grid.height)
        else {
            continue;
        };
        let cells = &grid.probabilities[row * grid.width..][..grid.width];
        for (value, cell) in blended.iter_mut().zip(cells) {
            *value += cell * weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Size = Size {
        width: 12,
        height: 10,
    };

    fn paste(cells: &[f32], width: usize, corners: [f32; 4], threshold: f32) -> Mask {
        let [x0, y0, x1, y1] = corners;
        let grid = MaskGrid {
            probabilities: cells,
            width,
            height: cells.len() / width,
        };
        Paster::new(threshold).paste(grid, Corners { x0, y0, x1, y1 }, FRAME)
    }

    fn set_pixels(mask: &Mask) -> Vec<(u32, u32)> {
        let bitmap = mask.to_bitmap();
        (0..mask.height())
            .flat_map(|row| (0..mask.width()).map(move |column| (column, row)))
            .filter(|&(column, row)| bitmap[(row * mask.width() + column) as usize] == 1)
            .collect()
    }

    #[test]
    fn a_full_mask_fills_its_box() {
        let mask = paste(&[1.0; 28 * 28], 28, [3.0, 2.0, 8.0, 6.0], 0.5);
        let expected: Vec<_> = (2..6).flat_map(|y| (3..8).map(move |x| (x, y))).collect();
        assert_eq!(set_pixels(&mask), expected);
    }

    #[test]
    fn cells_as_large_as_pixels_are_copied() {
        // Pixel centres fall on cell centres, so every weight is one or zero.
        let cells = [1.0, 0.0, 0.2, 0.5, 0.49, 1.0];
        let mask = paste(&cells, 3, [4.0, 5.0, 7.0, 7.0], 0.5);
        assert_eq!(set_pixels(&mask), [(4, 5), (4, 6), (6, 6)]);
    }

    #[test]
    fn between_cells_the_value_is_blended() {
        // Two cells 1, 0 over the columns 0 to 8: centres at 2 and 6, so the value at column c is
        // 1 - (c + 0.5 - 2) / 4 between them: 0.625 at column 3, 0.375 at column 4.
        let mask = paste(&[1.0, 0.0], 2, [0.0, 4.0, 8.0, 5.0], 0.5);
        assert_eq!(set_pixels(&mask), [(0, 4), (1, 4), (2, 4), (3, 4)]);
        let generous = paste(&[1.0, 0.0], 2, [0.0, 4.0, 8.0, 5.0], 0.375);
        assert_eq!(set_pixels(&generous).last(), Some(&(4, 4)));
    }

    #[test]
    fn a_low_threshold_reaches_half_a_cell_beyond_the_box() {
        // One cell over columns 4 to 8: the value falls from 1 at its centre, 6, to 0 four columns
        // away, so it is 0.375 at 3.5 and 8.5 and 0.125 at 2.5 and 9.5. Rows: 4 to 8 likewise.
        let mask = paste(&[1.0], 1, [4.0, 4.0, 8.0, 8.0], 0.3);
        let row: Vec<u32> = set_pixels(&mask)
            .iter()
            .filter(|pixel| pixel.1 == 5)
            .map(|pixel| pixel.0)
            .collect();
        // At row 5 the vertical weight is 0.875: 0.328 at column 3, 0.109 at column 2.
        assert_eq!(row, [3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn boxes_at_the_edges_and_smaller_than_a_pixel_stay_inside_the_frame() {
        for corners in [
            [0.0, 0.0, 12.0, 10.0],
            [11.2, 9.4, 12.0, 10.0],
            [0.0, 0.0, 0.3, 0.3],
            [11.99, 0.0, 12.0, 10.0],
        ] {
            let mask = paste(&[1.0; 4], 2, corners, 0.5);
            assert_eq!(mask.size(), [10, 12], "{corners:?}");
        }
        // Of the pixels only the centre of (11, 9) lies in this box; its value is 0.83.
        assert_eq!(
            set_pixels(&paste(&[1.0; 4], 2, [11.2, 9.4, 12.0, 10.0], 0.3)),
            [(11, 9)]
        );
    }

    #[test]
    fn an_empty_mask_sets_nothing() {
        assert!(paste(&[0.0; 16], 4, [1.0, 1.0, 9.0, 9.0], 0.5).is_empty());
    }
}
