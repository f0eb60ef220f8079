//! What a model saw in one picture, for people and as JSON.

use std::fmt;

use detector::image::RgbImage;
use detector::model::{Model, Prediction};
use pipeline::detections::{Classification, Instance, ModelVersion};
use serde::Serialize;

/// One picture's answer; the fields are those of the result JSON that a model decides.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    model: ModelVersion,
    width: u32,
    height: u32,
    instances: &'a [Instance],
    classes: &'a [Classification],
}

impl<'a> Report<'a> {
    pub(crate) fn new(model: &'a dyn Model, image: &RgbImage, prediction: &'a Prediction) -> Self {
        let (instances, classes): (&[Instance], &[Classification]) = match prediction {
            Prediction::Instances(instances) => (instances, &[]),
            Prediction::Classes(classes) => (&[], classes),
        };
        Self {
            model: ModelVersion {
                name: model.manifest().name.clone(),
                version: model.version(),
            },
            width: image.width(),
            height: image.height(),
            instances,
            classes,
        }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{}@{} sees in {}x{} pixels:",
            self.model.name, self.model.version, self.width, self.height
        )?;
        for class in self.classes {
            writeln!(formatter, "  {:20} {:.3}", class.label, class.score)?;
        }
        for instance in self.instances {
            let [x, y, width, height] = <[f32; 4]>::from(instance.bbox);
            writeln!(
                formatter,
                "  {:20} {:.3}  at {x:.0},{y:.0}  {width:.0}x{height:.0}  {} pixels",
                instance.label, instance.score, instance.area
            )?;
        }
        if self.classes.is_empty() && self.instances.is_empty() {
            writeln!(formatter, "  nothing it knows")?;
        }
        Ok(())
    }
}
