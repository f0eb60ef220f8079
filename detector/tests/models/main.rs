//! Models in a real ONNX Runtime: tiny graphs whose answers are known, and those that are shipped.
//!
//! One binary, so that it is linked once; `library` is another, as it needs a process in which no
//! ONNX Runtime was loaded.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cli;
mod common;
mod cut;
mod families;
mod parity;
mod part_kind;
mod parts;
mod paste;
mod runtime;
mod tuning;
