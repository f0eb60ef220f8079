//! `cut.toml` exactly as written: every field may still be wrong. Spans remember the line.

use serde::Deserialize;
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCut {
    pub(super) trunk: RawTrunk,
    pub(super) proposals: RawProposals,
    pub(super) box_head: RawBoxHead,
    pub(super) mask_head: Option<RawMaskHead>,
    pub(super) pooling: RawPooling,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTrunk {
    pub(super) file: Option<Spanned<String>>,
    pub(super) input: Spanned<String>,
    pub(super) features: Spanned<Vec<String>>,
    pub(super) strides: Spanned<Vec<usize>>,
    pub(super) image_size: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProposals {
    pub(super) levels: Spanned<Vec<String>>,
    pub(super) objectness: Spanned<Vec<String>>,
    pub(super) deltas: Spanned<Vec<String>>,
    pub(super) anchor_sizes: Spanned<Vec<f64>>,
    pub(super) anchor_ratios: Spanned<Vec<f64>>,
    pub(super) weights: Spanned<[f32; 4]>,
    pub(super) max_log_scale: Spanned<f32>,
    pub(super) before_nms_per_level: Spanned<usize>,
    pub(super) after_nms: Spanned<usize>,
    pub(super) nms_iou: Spanned<f32>,
    pub(super) min_side: Spanned<f32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBoxHead {
    pub(super) file: Option<Spanned<String>>,
    pub(super) input: Spanned<String>,
    pub(super) probabilities: Spanned<String>,
    pub(super) deltas: Spanned<String>,
    pub(super) weights: Spanned<[f32; 4]>,
    pub(super) max_log_scale: Spanned<f32>,
    pub(super) score: Spanned<f32>,
    pub(super) min_side: Spanned<f32>,
    pub(super) nms_iou: Spanned<f32>,
    pub(super) detections: Spanned<usize>,
    pub(super) pool: RawPool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMaskHead {
    pub(super) file: Option<Spanned<String>>,
    pub(super) inputs: Spanned<[String; 2]>,
    pub(super) masks: Spanned<String>,
    pub(super) pool: RawPool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPool {
    pub(super) size: Spanned<usize>,
    pub(super) sampling: Spanned<usize>,
    pub(super) aligned: bool,
    pub(super) canonical_side: Spanned<f32>,
    pub(super) canonical_level: Spanned<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPooling {
    pub(super) first_level: Spanned<u32>,
    pub(super) last_level: Spanned<u32>,
}
