//! The worker: frames in, ONNX, annotated frames and results out.
//!
//! Layout, in the order a frame meets it:
//!
//! - [`image`]: from a JPEG to pixels
//! - [`model`]: what a model is, how it is fed and how its answers become instances and classes
//! - [`onnx`]: the only place that knows ONNX Runtime
//! - [`annotate`]: what the model saw, drawn into the picture

pub mod annotate;
pub mod image;
pub mod model;
pub mod onnx;
