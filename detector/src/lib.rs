//! The worker: frames in, ONNX, annotated frames and results out.
//!
//! Layout, in the order a frame meets it:
//!
//! - [`image`]: from a JPEG to pixels
//! - [`model`]: what a model is, how it is fed and how its answers become instances and classes
//! - [`graph`]: an ONNX file, looked into before it is loaded
//! - [`onnx`]: the only place that knows ONNX Runtime
//! - [`annotate`]: what the model saw, drawn into the picture
//! - [`jpeg`]: from pixels back to a JPEG
//! - [`rollout`]: which version of a model serves whom
//! - [`worker`]: all of it between Kafka and Kafka
//! - [`tune`]: how a model runs best on this machine
//! - `service`: the worker in a process of its own
//! - [`redrive`]: dead letters back to their topics
//! - [`replay`]: history once more, into topics of its own; [`history`] is what the two share

pub mod annotate;
pub mod graph;
pub mod history;
pub mod image;
pub mod jpeg;
pub mod model;
pub mod onnx;
pub mod redrive;
pub mod replay;
pub mod rollout;
mod service;
pub mod tune;
pub mod worker;

pub use service::{ServiceArgs, run};
pub use worker::args::DetectorArgs;
pub use worker::metrics::FRAMES_TOTAL;
pub use worker::{DetectorConfig, DetectorError, start};
