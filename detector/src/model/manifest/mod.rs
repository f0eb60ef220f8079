//! `model.toml`: what a model wants to be fed, how it answers, and what its classes are called.
//!
//! The text is parsed into `raw` types and converted once, by `validate`, into the types here;
//! whoever holds a [`Manifest`] need not check it again.

mod raw;
mod validate;

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Batches larger than this are a mistake in the manifest, not a wish.
pub const MAX_BATCH_SIZE: usize = 256;

/// Edges of the network's input larger than this are a mistake in the manifest.
pub const MAX_INPUT_EDGE: u32 = 8192;

/// A validated `model.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The model's name, the same as its folder's.
    pub name: String,
    /// What the model does.
    pub task: Task,
    /// How a frame becomes the network's input.
    pub input: InputSpec,
    /// How the network's answer is read.
    pub output: OutputSpec,
    /// From which scores on an answer counts.
    pub thresholds: Thresholds,
    /// Frames that may go through the network at once, at least one.
    pub max_batch_size: usize,
    /// The files of a version folder.
    pub files: Files,
    /// The classes, in the network's order.
    pub labels: Vec<Label>,
}

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Finds things and their outlines.
    InstanceSegmentation,
    /// Says what the whole picture shows.
    Classification,
}

impl Task {
    /// The word that `model.toml` uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InstanceSegmentation => "instance-segmentation",
            Self::Classification => "classification",
        }
    }
}

/// How a frame becomes the network's input.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    /// The input's name in the graph.
    pub name: String,
    /// The tensor's dimensions.
    pub layout: Layout,
    /// Which colours, in which order.
    pub channels: Channels,
    /// The range of a pixel's value before `mean` and `std`.
    pub range: Range,
    /// Subtracted from each channel after `range`.
    pub mean: [f32; 3],
    /// Each channel is divided by it after `mean`.
    pub std: [f32; 3],
    /// The size that the network sees.
    pub resize: Resize,
}

/// The input tensor's dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `[channels, height, width]`: one frame, no batch dimension.
    Chw,
    /// `[batch, channels, height, width]`.
    Nchw,
}

/// Which colours, in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red, as Detectron2 has it.
    Bgr,
    /// One channel: luma by the weights of ITU-R BT.601.
    Gray,
}

impl Channels {
    /// How many planes the tensor has.
    pub fn count(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Gray => 1,
        }
    }
}

/// The range of a pixel's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Range {
    /// As decoded.
    #[serde(rename = "0-255")]
    Bytes,
    /// Divided by 255.
    #[serde(rename = "0-1")]
    Unit,
}

/// The size that the network sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// The shorter edge becomes `shortest` unless the longer would pass `longest`.
    ShortestEdge {
        /// Wanted length of the shorter edge.
        shortest: u32,
        /// Limit of the longer edge.
        longest: u32,
    },
    /// Always this size, whatever that does to the proportions.
    Fixed {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Always this size, proportions kept, the rest filled with `pad`.
    Letterbox {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Value of the filling in every channel, 0 to 255.
        pad: u8,
    },
}

/// How the network's answer is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSpec {
    /// Which outputs there are and what their numbers mean.
    pub convention: Convention,
    /// The output to read, for a classifier with several.
    pub name: Option<String>,
}

/// Which outputs a network has and what their numbers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Convention {
    /// `boxes`, `classes`, `scores`, `masks` and, if wanted, `image_size`, by these names.
    Detectron2,
    /// One output, a number a class; softmax makes scores of them.
    Logits,
    /// One output, a score a class.
    Probabilities,
}

/// From which scores on an answer counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Instances and classes below are not reported.
    pub score: f32,
    /// A pixel belongs to the instance from this mask probability on.
    pub mask: f32,
}

/// The files of a version folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The graph in full precision.
    pub fp32: String,
    /// The quantised graph, where the model has one.
    pub int8: Option<String>,
}

/// One class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// What people call it.
    pub name: String,
    /// The colour it is drawn in: red, green, blue.
    pub color: [u8; 3],
}

/// Why a `model.toml` cannot be used. The message names the file, the line and what to change.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("cannot read {path}: {reason}; every model folder needs a model.toml (see models/README.md)", path = .path.display())]
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

impl Manifest {
    /// Reads and validates a `model.toml`.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read_to_string(path).map_err(|reason| ManifestError::Read {
            path: path.to_owned(),
            reason,
        })?;
        Self::parse(&text, path)
    }

    /// Validates the text of a `model.toml`; `path` is only for the messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ManifestError> {
        let raw: raw::RawManifest =
            toml::from_str(text).map_err(|error| ManifestError::Syntax {
                path: path.to_owned(),
                line: line_of(text, error.span().map_or(0, |span| span.start)),
                message: error.message().replace('\n', " "),
            })?;
        Self::try_from(raw).map_err(|issue| ManifestError::Invalid {
            path: path.to_owned(),
            line: line_of(text, issue.offset),
            problem: issue.problem,
            advice: issue.advice,
        })
    }
}

/// The line, from one, that the byte at `offset` is on.
fn line_of(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    1 + before.matches('\n').count()
}

#[cfg(test)]
mod tests;
