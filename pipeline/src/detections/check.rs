//! What must hold for every result beyond its form: checked before one is written and after one is read.

use super::{Classification, Detections, Instance, Timings};

/// Why a result must not be published or trusted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DetectionsError {
    /// A side of the frame is zero or larger than a JPEG can be.
    #[error("frame size {width}x{height} is out of range: sides are 1 to 65535")]
    FrameSize {
        /// The width.
        width: u32,
        /// The height.
        height: u32,
    },
    /// A number that is not finite or outside its range, which JSON or the schema cannot hold.
    #[error("{field} is {value}; it must be {range}")]
    Number {
        /// Which number, such as `instances[2].score`.
        field: String,
        /// Its value.
        value: f32,
        /// What is allowed.
        range: &'static str,
    },
    /// A mask of another frame.
    #[error(
        "instances[{index}].segmentation has size {mask:?}, but the frame is {frame:?} (height, width)"
    )]
    MaskSize {
        /// Which instance.
        index: usize,
        /// The size of its mask.
        mask: [u32; 2],
        /// The size of the frame.
        frame: [u32; 2],
    },
}

impl Detections {
    /// Whether every number is in range and every mask fits the frame.
    pub fn check(&self) -> Result<(), DetectionsError> {
        let is_side = |side: u32| (1..=crate::mask::MAX_SIDE).contains(&side);
        if !is_side(self.width) || !is_side(self.height) {
            return Err(DetectionsError::FrameSize {
                width: self.width,
                height: self.height,
            });
        }
        for (index, instance) in self.instances.iter().enumerate() {
            self.check_instance(index, instance)?;
        }
        for (index, Classification { score, .. }) in self.classes.iter().enumerate() {
            check_score(*score, || format!("classes[{index}].score"))?;
        }
        check_timings(&self.timings_ms)
    }

    fn check_instance(&self, index: usize, instance: &Instance) -> Result<(), DetectionsError> {
        check_score(instance.score, || format!("instances[{index}].score"))?;
        let bbox = instance.bbox;
        for (name, value, must_not_be_negative) in [
            ("x", bbox.x, false),
            ("y", bbox.y, false),
            ("w", bbox.w, true),
            ("h", bbox.h, true),
        ] {
            if !value.is_finite() || (must_not_be_negative && value < 0.0) {
                let field = format!("instances[{index}].bbox {name}");
                let range = if must_not_be_negative {
                    "finite, 0 or more"
                } else {
                    "finite"
                };
                return Err(DetectionsError::Number {
                    field,
                    value,
                    range,
                });
            }
        }
        let frame = [self.height, self.width];
        match &instance.segmentation {
            Some(mask) if mask.size() != frame => Err(DetectionsError::MaskSize {
                index,
                mask: mask.size(),
                frame,
            }),
            _ => Ok(()),
        }
    }
}

fn check_score(score: f32, field: impl Fn() -> String) -> Result<(), DetectionsError> {
    if (0.0..=1.0).contains(&score) {
        return Ok(());
    }
    Err(DetectionsError::Number {
        field: field(),
        value: score,
        range: "0 to 1",
    })
}

fn check_timings(timings: &Timings) -> Result<(), DetectionsError> {
    let Timings {
        queue,
        decode,
        batch_wait,
        infer,
        annotate,
        encode,
        total,
    } = *timings;
    for (name, value) in [
        ("queue", queue),
        ("decode", decode),
        ("batch_wait", batch_wait),
        ("infer", infer),
        ("annotate", annotate),
        ("encode", encode),
        ("total", total),
    ] {
        if !value.is_finite() || value < 0.0 {
            let field = format!("timings_ms.{name}");
            return Err(DetectionsError::Number {
                field,
                value,
                range: "finite, 0 or more",
            });
        }
    }
    Ok(())
}
