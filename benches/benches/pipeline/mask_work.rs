//! Things to paste, draw and encode, such as a network finds them: small masks in boxes. Used by P9,
//! P10 and P23.

use detector::{
    annotate::Annotator,
    image::RgbImage,
    model::{
        Prediction,
        geometry::{Corners, Size},
        paste::{MaskGrid, Paster},
    },
};
use pipeline::{
    catalogue::default_color,
    detections::{BBox, Instance, Rgb},
    draw::Drawing,
    mask::Mask,
};
use serde_json::{Value, json};

/// Cells on a side of a small mask.
const CELLS: usize = 28;

/// How a picture is drawn here: masks with their outlines, no words.
fn drawing() -> Drawing {
    Drawing {
        labels: false,
        scores: false,
        ..Drawing::default()
    }
}

/// A frame's things, always the same.
pub(crate) struct MaskWork {
    pub(crate) frame: Size,
    boxes: Vec<Corners>,
    cells: Vec<f32>,
}

impl MaskWork {
    /// So many discs of `side` pixels, spread over a frame.
    pub(crate) fn spread(frame: Size, columns: u32, rows: u32, side: u32) -> Self {
        let place = |number: u32, count: u32, room: u32| {
            let gap = (room - side) as f32 / (count.max(2) - 1) as f32;
            gap * number as f32
        };
        let places = (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row)));
        let boxes = places.map(|(column, row)| {
            let (x0, y0) = (
                place(column, columns, frame.width),
                place(row, rows, frame.height),
            );
            Corners {
                x0,
                y0,
                x1: x0 + side as f32,
                y1: y0 + side as f32,
            }
        });
        Self {
            frame,
            boxes: boxes.collect(),
            cells: disc(),
        }
    }

    /// The same things in a larger frame.
    pub(crate) fn within(&self, frame: Size) -> Self {
        Self {
            frame,
            boxes: self.boxes.clone(),
            cells: self.cells.clone(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.boxes.len()
    }

    /// Pixels of all boxes together.
    pub(crate) fn box_pixels(&self) -> f64 {
        self.boxes
            .iter()
            .map(|corners| f64::from(corners.area()))
            .sum()
    }

    /// Masks in the frame, one after another.
    pub(crate) fn paste(&self, paster: &mut Paster) -> Vec<Mask> {
        let grid = MaskGrid {
            probabilities: &self.cells,
            width: CELLS,
            height: CELLS,
        };
        let masks = self
            .boxes
            .iter()
            .map(|corners| paster.paste(grid, *corners, self.frame));
        masks.collect()
    }

    /// What is drawn and published.
    pub(crate) fn instances(&self, masks: Vec<Mask>) -> Prediction {
        let all = self.boxes.iter().zip(masks).enumerate();
        let instances = all.map(|(index, (corners, mask))| Instance {
            label: "disc".to_owned(),
            category_id: 1,
            score: 0.9,
            bbox: BBox {
                x: corners.x0,
                y: corners.y0,
                w: corners.x1 - corners.x0,
                h: corners.y1 - corners.y0,
            },
            area: mask.area(),
            segmentation: Some(mask),
            class_color: Some(default_color(index)),
            color: None,
        });
        Prediction::Instances(instances.collect())
    }

    /// The same for others.
    pub(crate) fn as_json(&self) -> Value {
        let boxes = self.boxes.iter();
        let boxes: Vec<_> = boxes.map(|one| [one.x0, one.y0, one.x1, one.y1]).collect();
        let colors = (0..self.len()).map(|index| {
            let Rgb(color) = default_color(index);
            color
        });
        json!({
            "size": [self.frame.width, self.frame.height],
            "boxes": boxes,
            "colors": colors.collect::<Vec<_>>(),
            "mask": self.cells.chunks(CELLS).collect::<Vec<_>>(),
            "opacity": f32::from(drawing().opacity_percent) / 100.0,
        })
    }
}

/// Everything that the detector does with masks, with its buffers.
pub(crate) struct Hand {
    paster: Paster,
    annotator: Annotator,
}

impl Hand {
    pub(crate) fn new() -> Self {
        Self {
            paster: Paster::new(0.5),
            annotator: Annotator::default(),
        }
    }

    /// Pastes the masks, draws them and writes their run lengths.
    pub(crate) fn work(&mut self, work: &MaskWork, picture: &mut RgbImage) -> Vec<String> {
        let masks = work.paste(&mut self.paster);
        let counts = masks.iter().map(Mask::counts).collect();
        let prediction = work.instances(masks);
        self.annotator.draw(picture, &prediction, drawing());
        counts
    }
}

/// A picture of that size with something on it.
pub(crate) fn plain_picture(frame: Size) -> RgbImage {
    let bytes = frame.width as usize * frame.height as usize * 3;
    let pixels = (0..bytes).map(|at| (at % 251) as u8).collect();
    RgbImage::new(frame.width, frame.height, pixels).expect("a usual size")
}

/// Probabilities that cross one half on the circle that touches all four sides.
fn disc() -> Vec<f32> {
    let middle = (CELLS - 1) as f32 / 2.0;
    let radius = CELLS as f32 / 2.0;
    let cells = (0..CELLS * CELLS).map(|at| {
        let (x, y) = ((at % CELLS) as f32 - middle, (at / CELLS) as f32 - middle);
        (0.5 + (radius - x.hypot(y)) / 4.0).clamp(0.0, 1.0)
    });
    cells.collect()
}
