//! `model.toml` exactly as written: every field may still be wrong. Spans remember the line.

use pipeline::catalogue::policy::VersionPolicy;
use pipeline::draw::DrawWishes;
use serde::Deserialize;
use toml::Spanned;

use crate::model::repository::Precision;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawManifest {
    pub(super) name: Spanned<String>,
    pub(super) task: Spanned<super::Task>,
    pub(super) input: RawInput,
    pub(super) output: RawOutput,
    #[serde(default)]
    pub(super) thresholds: RawThresholds,
    #[serde(default)]
    pub(super) batching: RawBatching,
    #[serde(default)]
    pub(super) session: RawSession,
    pub(super) files: RawFiles,
    pub(super) labels: Spanned<Vec<RawLabel>>,
    #[serde(default)]
    pub(super) draw: DrawWishes,
    /// The catalogue's to obey; read here too, so that a mistake is told with its line.
    #[serde(default, rename = "versions")]
    _versions: VersionPolicy,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawInput {
    pub(super) name: Spanned<String>,
    pub(super) layout: Spanned<super::Layout>,
    pub(super) channels: super::Channels,
    pub(super) range: super::Range,
    pub(super) mean: Option<Spanned<Vec<f32>>>,
    pub(super) std: Option<Spanned<Vec<f32>>>,
    pub(super) resize: Spanned<RawResize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawResize {
    pub(super) mode: RawResizeMode,
    pub(super) shortest: Option<u32>,
    pub(super) longest: Option<u32>,
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
    pub(super) pad: Option<u8>,
    pub(super) antialias: Option<bool>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawResizeMode {
    None,
    ShortestEdge,
    Fixed,
    Letterbox,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOutput {
    pub(super) convention: Option<Spanned<super::Convention>>,
    pub(super) name: Option<Spanned<String>>,
    pub(super) names: Option<Spanned<super::OutputNames>>,
    pub(super) scores: Option<Spanned<super::ScoreFunction>>,
    pub(super) background: Option<Spanned<usize>>,
    pub(super) max_detections: Option<Spanned<usize>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawThresholds {
    pub(super) score: Option<Spanned<f32>>,
    pub(super) mask: Option<Spanned<f32>>,
    pub(super) overlap: Option<Spanned<f32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBatching {
    pub(super) max_batch_size: Option<Spanned<usize>>,
    pub(super) max_queue_delay_ms: Option<Spanned<u64>>,
    pub(super) preferred_batch_sizes: Option<Spanned<Vec<usize>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSession {
    pub(super) sessions: Option<Spanned<usize>>,
    pub(super) threads: Option<Spanned<usize>>,
    pub(super) inter_threads: Option<Spanned<usize>>,
    pub(super) spinning: Option<bool>,
    pub(super) arena: Option<bool>,
    pub(super) memory: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFiles {
    pub(super) fp32: Spanned<String>,
    pub(super) int8: Option<Spanned<String>>,
    pub(super) cut: Option<Spanned<String>>,
    pub(super) serve: Option<Spanned<Precision>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLabel {
    pub(super) name: Spanned<String>,
    pub(super) color: Option<Spanned<String>>,
}
