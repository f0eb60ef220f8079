//! The JSON form of a mask: COCO's `{"size": [h, w], "counts": "…"}`.

use super::{Mask, MaskError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

/// A mask as COCO writes it in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Segmentation {
    /// Height and width of the frame in pixels.
    #[schemars(inner(range(min = 1, max = 65_535)))]
    pub size: [u32; 2],
    /// COCO compressed run lengths, column-major.
    #[schemars(regex(pattern = "^[0-o]+$"))]
    pub counts: String,
}

impl From<&Mask> for Segmentation {
    fn from(mask: &Mask) -> Self {
        Self {
            size: mask.size(),
            counts: mask.counts(),
        }
    }
}

impl TryFrom<Segmentation> for Mask {
    type Error = MaskError;

    fn try_from(segmentation: Segmentation) -> Result<Self, MaskError> {
        Self::from_counts(segmentation.size, &segmentation.counts)
    }
}

impl Serialize for Mask {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Segmentation::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Mask {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Segmentation::deserialize(deserializer)?
            .try_into()
            .map_err(serde::de::Error::custom)
    }
}
