//! `model.toml`: what a model wants to be fed, how it answers, and what its classes are called.
//!
//! The text is parsed into `raw` types and converted once, by `validate`, into the types here;
//! whoever holds a [`Manifest`] need not check it again.

mod input;
mod output;
mod raw;
mod session;
mod validate;

use std::path::{Path, PathBuf};
use std::time::Duration;

use pipeline::draw::DrawWishes;
use serde::Deserialize;

use super::repository::Precision;

pub use input::{Channels, InputSpec, Layout, Range, Resize};
pub use output::{Clash, Convention, OutputNames, OutputSpec, ScoreFunction, Thresholds};
pub use session::SessionWishes;

/// Batches larger than this are a mistake in the manifest, not a wish.
pub const MAX_BATCH_SIZE: usize = 256;

/// Frames that wait longer for company are a mistake in the manifest.
pub const MAX_QUEUE_DELAY: Duration = Duration::from_secs(1);

/// More copies of a model than any machine has use for.
pub const MAX_SESSIONS: usize = 64;

/// More threads than any machine has use for.
pub const MAX_THREADS: usize = 1024;

/// Edges of the network's input larger than this are a mistake in the manifest.
pub const MAX_INPUT_EDGE: u32 = 8192;

/// More instances of one frame than anybody looks at.
pub const MAX_DETECTIONS: usize = 10_000;

/// More classes than any network tells apart.
pub const MAX_LABELS: usize = 50_000;

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
    /// What a batch may wait for.
    pub queueing: Queueing,
    /// Threads, sessions and memory.
    pub session: SessionWishes,
    /// The files of a version folder.
    pub files: Files,
    /// The classes, in the network's order.
    pub labels: Vec<Label>,
    /// How annotated pictures are drawn, where nobody wishes otherwise.
    pub draw: DrawWishes,
}

/// How long a batch may wait for more frames, and for how many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queueing {
    /// From the batch's first frame on; zero sends what is there.
    pub max_delay: Duration,
    /// Batches are made as large as one of these where they can be, from the smallest to the
    /// largest; without one, as large as possible.
    pub preferred_sizes: Vec<usize>,
}

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Finds things and their outlines.
    InstanceSegmentation,
    /// Finds things and the boxes around them.
    ObjectDetection,
    /// Says of every pixel what it shows; the pixels of one class are one instance.
    SemanticSegmentation,
    /// Says what the whole picture shows.
    Classification,
}

impl Task {
    /// The word that `model.toml` uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InstanceSegmentation => "instance-segmentation",
            Self::ObjectDetection => "object-detection",
            Self::SemanticSegmentation => "semantic-segmentation",
            Self::Classification => "classification",
        }
    }
}

/// The files of a version folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The graph in full precision.
    pub fp32: String,
    /// The quantised graph, where the model has one.
    pub int8: Option<String>,
    /// The `cut.toml` of the network in pieces, where the model has one, below the folder.
    pub cut: Option<String>,
    /// The form that serves, unless another one is asked for.
    pub serve: Precision,
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
    /// Whether this manifest can be served in a convention that was recognised, not written down;
    /// one that is written down has been checked with the rest.
    pub fn check_convention(&self, convention: Convention) -> Result<(), Clash> {
        output::Combination {
            task: self.task,
            max_batch_size: self.max_batch_size,
            has_scores: self.output.scores.is_some(),
            has_overlap: self.thresholds.overlap.is_some(),
        }
        .check(convention)
    }

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
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    1 + before.matches('\n').count()
}

#[cfg(test)]
mod tests;
