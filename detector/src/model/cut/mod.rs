//! A Mask R-CNN cut at its pooling: a trunk, a box head and a mask head, which are networks, and what
//! a program does between them, which is here. No engine in here.
//!
//! - this file: `cut.toml`, which says what lies between the three; `raw` and `validate` read it
//! - [`boxes`]: anchors, and boxes that are told by their difference from others
//! - [`proposals`]: from the trunk's scores to the places that are worth a look
//! - [`pool`]: the features of such a place in a size that the heads take
//! - [`classify`]: from the box head's numbers to instances
//!
//! Run as one graph, the same network spends more on what is here than on its convolutions.

pub mod boxes;
pub mod classify;
pub mod pool;
pub mod proposals;
mod raw;
mod validate;

use std::path::{Path, PathBuf};

use super::geometry::Corners;
use super::manifest::line_of;
use boxes::BoxCoding;
use pool::Pooling;

/// A cut with more places to look at in one picture is a mistake.
pub const MAX_REGIONS: usize = 2000;

/// A validated `cut.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct CutPlan {
    /// From the picture to features and to scores of places.
    pub trunk: Trunk,
    /// Which places are worth a look.
    pub proposals: Proposals,
    /// What is there.
    pub box_head: BoxHead,
    /// Its outline; a network that finds boxes alone has none.
    pub mask_head: Option<MaskHead>,
}

/// The network that sees the picture, `[3, height, width]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    /// The file beside `cut.toml`.
    pub file: String,
    /// Its input.
    pub input: String,
    /// Its features, the finest first: `[channels, height / stride, width / stride]`.
    pub features: Vec<Features>,
    /// The output that says the picture's height and width, without what the trunk pads.
    pub image_size: String,
}

/// One level of the features.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// The output.
    pub output: String,
    /// Pixels from one cell to the next.
    pub stride: usize,
}

/// How places are proposed.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposals {
    /// The levels that propose, at least one.
    pub levels: Vec<ProposalLevel>,
    /// What is learnt about an anchor's box.
    pub coding: BoxCoding,
    /// The best of a level that are looked at.
    pub before_nms_per_level: usize,
    /// The best of all that are left.
    pub after_nms: usize,
    /// Of two on a level that share more than this, the less certain goes.
    pub nms_iou: f32,
    /// Shorter and narrower ones are none.
    pub min_side: f32,
}

/// One level that proposes.
#[derive(Clone, Debug, PartialEq)]
pub struct ProposalLevel {
    /// Its index among the features.
    pub features: usize,
    /// The output of logits, `[anchors, height, width]`.
    pub objectness: String,
    /// The output of differences from anchors, `[4 * anchors, height, width]`.
    pub deltas: String,
    /// The anchors of the cell in the corner.
    pub anchors: Vec<Corners>,
    /// Pixels from one cell to the next.
    pub stride: usize,
}

/// The network that says what is in a place.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxHead {
    /// The file beside `cut.toml`.
    pub file: String,
    /// The input, `[regions, channels, size, size]`.
    pub input: String,
    /// The output of probabilities, `[regions, 1 + classes]`; the first stands for nothing.
    pub probabilities: String,
    /// The output of differences from proposals, `[regions, 1 + classes, 4]`.
    pub deltas: String,
    /// What is learnt about a proposal's box.
    pub coding: BoxCoding,
    /// Instances are more certain than this.
    pub score: f32,
    /// Shorter and narrower ones are none.
    pub min_side: f32,
    /// Of two of a class that share more than this, the less certain goes.
    pub nms_iou: f32,
    /// Instances of one picture at most.
    pub detections: usize,
    /// How its regions are pooled.
    pub pooling: Pooling,
}

/// The network that draws.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskHead {
    /// The file beside `cut.toml`.
    pub file: String,
    /// The input, `[regions, channels, size, size]`.
    pub regions: String,
    /// The input of the regions' classes, `[regions]`, from zero.
    pub classes: String,
    /// The output of probabilities, `[regions, 1, rows, columns]`.
    pub masks: String,
    /// How its regions are pooled.
    pub pooling: Pooling,
}

/// Why a `cut.toml` cannot be used. The message names the file, the line and what to change.
#[derive(Debug, thiserror::Error)]
pub enum CutError {
    /// The file cannot be read.
    #[error("cannot read {path}: {reason}; put it beside the three graphs, or correct cut = … under [files] in model.toml", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: std::io::Error,
    },
    /// The file is not the TOML that is expected.
    #[error("{path}:{line}: {message}", path = .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, from one.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A value makes no sense, alone or beside another.
    #[error("{path}:{line}: {problem}; {advice}", path = .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, from one.
        line: usize,
        /// What is wrong there.
        problem: String,
        /// What to write instead.
        advice: String,
    },
}

impl CutPlan {
    /// Reads and validates a `cut.toml`.
    pub fn read(path: &Path) -> Result<Self, CutError> {
        let text = std::fs::read_to_string(path).map_err(|reason| CutError::Read {
            path: path.to_owned(),
            reason,
        })?;
        Self::parse(&text, path)
    }

    /// Validates the text of a `cut.toml`; `path` is only for the messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, CutError> {
        let raw: raw::RawCut = toml::from_str(text).map_err(|error| CutError::Syntax {
            path: path.to_owned(),
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            message: error.message().replace('\n', " "),
        })?;
        Self::try_from(raw).map_err(|issue| CutError::Invalid {
            path: path.to_owned(),
            line: line_of(text, issue.offset),
            problem: issue.problem,
            advice: issue.advice,
        })
    }

    /// The files of the three networks, which lie beside `cut.toml`; the mask head's last.
    pub fn files(&self) -> Vec<&str> {
        let mask_head = self.mask_head.iter().map(|head| head.file.as_str());
        let others = [self.trunk.file.as_str(), self.box_head.file.as_str()];
        others.into_iter().chain(mask_head).collect()
    }
}

#[cfg(test)]
mod tests;
