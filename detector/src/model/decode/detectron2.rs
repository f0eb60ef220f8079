//! Instances in frame pixels from the outputs of a Detectron2 export.
//!
//! Boxes are `x0, y0, x1, y1` in the network's coordinates, classes count from zero, masks are small
//! grids of probabilities, one an instance. The geometry is undone here, so that nobody downstream
//! sees a network coordinate.

use pipeline::detections::{BBox, Instance, Rgb};

use super::{OutputError, Tensor, checked_score};
use crate::model::geometry::{Corners, FrameFromNetwork, Placement, Size};
use crate::model::manifest::{Label, Thresholds};
use crate::model::paste::{MaskGrid, Paster};

/// The outputs' names in this convention.
pub mod names {
    /// Boxes, `[n, 4]`.
    pub const BOXES: &str = "boxes";
    /// Classes, `[n]`, 64-bit integers.
    pub const CLASSES: &str = "classes";
    /// Scores, `[n]`.
    pub const SCORES: &str = "scores";
    /// Masks, `[n, 1, rows, columns]` or `[n, rows, columns]`.
    pub const MASKS: &str = "masks";
    /// Height and width that boxes refer to; may be missing.
    pub const IMAGE_SIZE: &str = "image_size";
}

/// What the network answered for one image, not yet checked.
#[derive(Clone, Debug)]
pub struct Outputs<'a> {
    /// See [`names::BOXES`].
    pub boxes: Tensor<'a, f32>,
    /// See [`names::CLASSES`].
    pub classes: Tensor<'a, i64>,
    /// See [`names::SCORES`].
    pub scores: Tensor<'a, f32>,
    /// See [`names::MASKS`].
    pub masks: Tensor<'a, f32>,
    /// See [`names::IMAGE_SIZE`].
    pub image_size: Option<Tensor<'a, i64>>,
}

/// Reads the answers of one model, one after another.
#[derive(Debug)]
pub struct InstanceDecoder {
    labels: Vec<Label>,
    min_score: f32,
    paster: Paster,
}

impl InstanceDecoder {
    /// A decoder for these labels and thresholds.
    pub fn new(labels: Vec<Label>, thresholds: Thresholds) -> Self {
        Self {
            labels,
            min_score: thresholds.score,
            paster: Paster::new(thresholds.mask),
        }
    }

    /// The instances that score enough and have an area in the frame, the most certain first.
    pub fn decode(
        &mut self,
        outputs: &Outputs<'_>,
        placement: &Placement,
        frame: Size,
    ) -> Result<Vec<Instance>, OutputError> {
        let (mask_height, mask_width) = check_shapes(outputs)?;
        let network = outputs.image_size.as_ref().map(size_of).transpose()?;
        let frame_from_network = placement.frame_from_network(frame, network);
        let cells = mask_height * mask_width;
        let mut instances = Vec::new();
        for (index, &score) in outputs.scores.values.iter().enumerate() {
            if score.is_nan() || score < self.min_score {
                continue;
            }
            let grid = MaskGrid {
                probabilities: &outputs.masks.values[index * cells..][..cells],
                width: mask_width,
                height: mask_height,
            };
            let detection = Detection {
                box_in_network: corners_of(&outputs.boxes.values[index * 4..][..4]),
                class: outputs.classes.values[index],
                score,
                grid,
            };
            instances.extend(self.instance(&detection, &frame_from_network)?);
        }
        instances.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(instances)
    }

    /// One instance in frame pixels, or none if nothing of its box lies in the frame.
    fn instance(
        &mut self,
        detection: &Detection<'_>,
        frame_from_network: &FrameFromNetwork,
    ) -> Result<Option<Instance>, OutputError> {
        let class = detection.class;
        let label = usize::try_from(class)
            .ok()
            .and_then(|class| self.labels.get(class))
            .ok_or(OutputError::UnknownClass {
                class,
                labels: self.labels.len(),
            })?;
        let box_in_frame = frame_from_network.box_in_frame(detection.box_in_network);
        if !box_in_frame.has_area() {
            return Ok(None);
        }
        let frame = frame_from_network.frame();
        let mask = self.paster.paste(detection.grid, box_in_frame, frame);
        let Corners { x0, y0, x1, y1 } = box_in_frame;
        Ok(Some(Instance {
            label: label.name.clone(),
            // From one, as COCO numbers its categories.
            category_id: class as u32 + 1,
            score: checked_score(names::SCORES, detection.score)?,
            bbox: BBox {
                x: x0,
                y: y0,
                w: x1 - x0,
                h: y1 - y0,
            },
            area: mask.area(),
            segmentation: Some(mask),
            class_color: Some(Rgb(label.color)),
            color: None,
        }))
    }
}

/// One row of the outputs.
struct Detection<'a> {
    box_in_network: Corners,
    class: i64,
    score: f32,
    grid: MaskGrid<'a>,
}

fn corners_of(edges: &[f32]) -> Corners {
    Corners {
        x0: edges[0],
        y0: edges[1],
        x1: edges[2],
        y1: edges[3],
    }
}

/// Checks that all outputs speak of the same instances; gives the rows and columns of a mask.
fn check_shapes(outputs: &Outputs<'_>) -> Result<(usize, usize), OutputError> {
    let count = outputs.scores.values.len();
    expect_shape(names::SCORES, &outputs.scores, &[count])?;
    expect_shape(names::BOXES, &outputs.boxes, &[count, 4])?;
    expect_shape(names::CLASSES, &outputs.classes, &[count])?;
    let masks = &outputs.masks;
    let (mask_height, mask_width) = match masks.shape[..] {
        [_, rows, columns] | [_, 1, rows, columns] => (rows, columns),
        _ => (0, 0),
    };
    let has_cells = count == 0 || (mask_height > 0 && mask_width > 0);
    let is_complete = masks.shape.first() == Some(&count)
        && masks.values.len() == count * mask_height * mask_width;
    if !has_cells || !is_complete {
        return Err(OutputError::Shape {
            output: names::MASKS.to_owned(),
            shape: masks.shape.clone(),
            expected: format!("[{count}, 1, rows, columns] for {count} scores"),
        });
    }
    Ok((mask_height, mask_width))
}

fn expect_shape<T>(
    name: &str,
    tensor: &Tensor<'_, T>,
    expected: &[usize],
) -> Result<(), OutputError> {
    if tensor.shape == expected && tensor.values.len() == expected.iter().product::<usize>() {
        return Ok(());
    }
    Err(OutputError::Shape {
        output: name.to_owned(),
        shape: tensor.shape.clone(),
        expected: format!("{expected:?}"),
    })
}

fn size_of(image_size: &Tensor<'_, i64>) -> Result<Size, OutputError> {
    expect_shape(names::IMAGE_SIZE, image_size, &[2])?;
    let (height, width) = (image_size.values[0], image_size.values[1]);
    match (u32::try_from(width), u32::try_from(height)) {
        (Ok(width), Ok(height)) if width > 0 && height > 0 => Ok(Size { width, height }),
        _ => Err(OutputError::ImageSize { height, width }),
    }
}

#[cfg(test)]
mod tests;
