//! A box in frame pixels.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A box in frame pixels, its upper left corner at `(x, y)`; in JSON `[x, y, w, h]` as in COCO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "[f32; 4]", into = "[f32; 4]")]
pub struct BBox {
    /// The left edge.
    pub x: f32,
    /// The top edge.
    pub y: f32,
    /// The width.
    pub w: f32,
    /// The height.
    pub h: f32,
}

impl From<[f32; 4]> for BBox {
    fn from([x, y, w, h]: [f32; 4]) -> Self {
        Self { x, y, w, h }
    }
}

impl From<BBox> for [f32; 4] {
    fn from(bbox: BBox) -> Self {
        [bbox.x, bbox.y, bbox.w, bbox.h]
    }
}
