//! Models: what they are fed, what they answer, and where they come from. No engine in here.
//!
//! In the order a frame meets it:
//!
//! - [`repository`]: finds a model's folder and version
//! - [`manifest`]: `model.toml`, what the model wants and how it answers
//! - [`signature`]: a graph's inputs and outputs
//! - [`preprocess`]: from a decoded frame to the network's input
//! - [`tensor`]: the numbers of that input
//! - [`geometry`]: where the frame lies in that input, and the way back
//! - [`cut`]: what lies between the pieces of a network that is cut into three
//! - [`decode`]: from the network's numbers to instances and classes
//! - [`paste`]: from small masks in boxes to masks in the frame
//! - [`field`]: from masks over the whole input to masks in the frame
//!
//! What runs the network in between implements [`Model`]; see [`onnx`](crate::onnx).

pub mod cut;
pub mod decode;
pub mod field;
pub mod geometry;
pub mod manifest;
pub mod paste;
pub mod preprocess;
pub mod repository;
mod resample;
pub mod signature;
pub mod tensor;

use std::fmt;
use std::sync::Arc;

use pipeline::detections::{Classification, Instance};

use crate::image::RgbImage;
use manifest::Manifest;
use repository::Precision;

/// A loaded model. It is used by one thread at a time and may be moved to another.
pub trait Model: Send {
    /// What the model is, by its manifest.
    fn manifest(&self) -> &Manifest;

    /// The version of it that is loaded.
    fn version(&self) -> u32;

    /// The form of its weights that is loaded.
    fn precision(&self) -> Precision;

    /// Looks at the images, in batches as large as the model takes, and answers one prediction an
    /// image, in order. An error concerns all of them: whoever wants to know which image causes it
    /// asks again, one by one.
    fn predict(&mut self, images: &[&RgbImage]) -> Result<Vec<Prediction>, ModelError>;

    /// Bytes of memory that it was seen to take; 0 where nobody looked.
    fn memory_bytes(&self) -> u64 {
        0
    }

    /// What ends a run from another thread; without one a run cannot be ended.
    fn interrupter(&self) -> Interrupter {
        Interrupter::default()
    }
}

/// Ends the run that a model is in, and every later one: the model must be loaded anew.
#[derive(Clone, Default)]
pub struct Interrupter(Option<Arc<dyn Fn() + Send + Sync>>);

impl Interrupter {
    /// An interrupter that calls this.
    pub fn new(interrupt: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(interrupt)))
    }

    /// Ends the run. When it has ended, `predict` returns an error.
    pub fn interrupt(&self) {
        if let Some(interrupt) = &self.0 {
            interrupt();
        }
    }
}

impl fmt::Debug for Interrupter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let can = self.0.is_some();
        formatter.debug_tuple("Interrupter").field(&can).finish()
    }
}

/// What a model says about one image.
#[derive(Clone, Debug, PartialEq)]
pub enum Prediction {
    /// The things in it, in frame pixels, the most certain first.
    Instances(Vec<Instance>),
    /// What the whole picture shows, best first.
    Classes(Vec<Classification>),
}

/// Why there is no prediction.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The network's answer does not follow its manifest: no image will do better.
    #[error(transparent)]
    Output(#[from] decode::OutputError),
    /// What runs the network failed.
    #[error(transparent)]
    Engine(Box<dyn std::error::Error + Send + Sync>),
}
