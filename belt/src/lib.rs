//! A simulated factory conveyor with exact ground truth.
//!
//! [`Belt`] draws any frame of an endless belt that carries bolts, nuts, washers, gears, brackets and
//! springs, some of them damaged, and says precisely which pixels belong to what. The same
//! configuration and frame index give the same pixels, whatever was drawn before. One renderer feeds
//! the demo camera, the training set, the tests and the benchmarks.
//!
//! - `config`: size, speed and look of a belt
//! - `layout`: what lies where; `shape`, `defect`, `paint`: what the things are
//! - `sprite`: one thing as pixels; `texture`: belt and rails; `light`: the lamp
//! - `render`: one frame from all of these; `truth`: what is in it; `belt`: both together
//! - [`dataset`]: many pictures to train on; [`preview`]: one to look at

mod belt;
mod config;
pub mod dataset;
mod defect;
mod layout;
mod light;
mod maths;
mod noise;
mod paint;
pub mod preview;
mod random;
mod render;
mod shape;
mod sprite;
mod texture;
mod truth;

pub use belt::Belt;
pub use config::{BeltConfig, BeltError, MAX_SIDE, MIN_SIDE};
pub use image::RgbImage;
pub use paint::PaintColor;
pub use truth::{Class, DefectKind, Scene, Truth};
