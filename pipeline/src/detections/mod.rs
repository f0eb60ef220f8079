//! What the model saw, in frame pixels; serialises to the result JSON.
//!
//! The JSON is a contract with clients in any language, kept as a JSON Schema in
//! `pipeline/schema/result.v1.schema.json`. Within `schema_version` 1 fields may be added, never
//! removed or changed, so readers ignore fields that they do not know; these types do so too.
//!
//! Always written: everything but what is an `Option` here. Absent, and never `null`: the
//! segmentation of an instance whose model gives boxes alone, the class's colour where nothing is
//! drawn, the instance's colour where none was measured, and the place of the annotated picture where
//! none was made. A reader of these types also accepts a result without `instances`, `classes` or
//! `timings_ms`, as a foreign detector may write.

mod bbox;
mod check;
mod rgb;
mod schema;

pub use crate::mask::Mask;
pub use bbox::BBox;
pub use check::DetectionsError;
pub use rgb::{Rgb, RgbError};
pub use schema::{SchemaVersion, result_schema};

use crate::frame::{Frame, FrameId, SourceId, rfc3339_micros};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The result of looking at one frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Kadr result", extend("$id" = "urn:kadr:result:v1"))]
pub struct Detections {
    /// The version of this format.
    pub schema_version: SchemaVersion,
    /// The frame's id; the annotated picture bears the same one.
    pub id: FrameId,
    /// The camera, upload or job that the frame came from.
    pub source: SourceId,
    /// When the picture was taken: RFC 3339 in UTC with six digits of a second.
    #[serde(with = "rfc3339_micros")]
    #[schemars(schema_with = "schema::captured_at")]
    pub captured_at: Timestamp,
    /// The width of the frame in pixels.
    #[schemars(range(min = 1, max = 65_535))]
    pub width: u32,
    /// The height of the frame in pixels.
    #[schemars(range(min = 1, max = 65_535))]
    pub height: u32,
    /// The model that looked at the frame.
    pub model: ModelVersion,
    /// The things found, the most certain first; empty for a classifier.
    #[serde(default)]
    pub instances: Vec<Instance>,
    /// What the whole picture shows, the most likely first; empty for a detector of instances.
    #[serde(default)]
    pub classes: Vec<Classification>,
    /// Where the time went.
    #[serde(default)]
    pub timings_ms: Timings,
    /// Where the annotated picture stands, when one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AnnotatedPlace")]
    pub annotated: Option<AnnotatedPlace>,
}

impl Detections {
    /// A result for `frame` with nothing found yet.
    pub fn for_frame(frame: &Frame, width: u32, height: u32, model: ModelVersion) -> Self {
        Self {
            schema_version: SchemaVersion,
            id: frame.id,
            source: frame.source.clone(),
            captured_at: frame.captured_at,
            width,
            height,
            model,
            instances: Vec::new(),
            classes: Vec::new(),
            timings_ms: Timings::default(),
            annotated: None,
        }
    }
}

/// A model and its version, as the model repository knows them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ModelVersion {
    /// The model's name.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The number of its version.
    pub version: u32,
}

/// One thing found in the frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Instance {
    /// What it is, by the model's label list.
    pub label: String,
    /// The number of that label in the model's list.
    pub category_id: u32,
    /// How certain the model is, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub score: f32,
    /// `[x, y, w, h]` in frame pixels.
    pub bbox: BBox,
    /// Pixels covered: those of the mask, or of the box where there is no mask.
    pub area: u32,
    /// The mask, when the model gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "crate::mask::Segmentation")]
    pub segmentation: Option<Mask>,
    /// The colour in which its class is drawn, when the detector draws.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Rgb")]
    pub class_color: Option<Rgb>,
    /// The colour of its pixels, when it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Color")]
    pub color: Option<Color>,
}

/// The colour of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Color {
    /// Red, green, blue.
    pub rgb: [u8; 3],
    /// Red, yellow, blue, as painters mix.
    pub ryb: [u8; 3],
    /// The name of the nearest colour in the palette.
    pub name: String,
}

/// One answer of a classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Classification {
    /// What the picture shows, by the model's label list.
    pub label: String,
    /// How certain the model is, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub score: f32,
}

/// Milliseconds per stage; zero for a stage that did not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Timings {
    /// From capture to the detector's door.
    #[schemars(range(min = 0.0))]
    pub queue: f32,
    /// JPEG to pixels.
    #[schemars(range(min = 0.0))]
    pub decode: f32,
    /// Waiting for the batch to fill or the model to be free.
    #[schemars(range(min = 0.0))]
    pub batch_wait: f32,
    /// Inside the model.
    #[schemars(range(min = 0.0))]
    pub infer: f32,
    /// Drawing.
    #[schemars(range(min = 0.0))]
    pub annotate: f32,
    /// Pixels to JPEG.
    #[schemars(range(min = 0.0))]
    pub encode: f32,
    /// From the detector's door to the result.
    #[schemars(range(min = 0.0))]
    pub total: f32,
}

/// Where the annotated picture stands in Kafka.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnnotatedPlace {
    /// The topic.
    pub topic: String,
    /// The partition.
    #[schemars(range(min = 0))]
    pub partition: i32,
    /// The offset in the partition.
    #[schemars(range(min = 0))]
    pub offset: i64,
}
