//! How things are compared: side by side in one run, by ratios, with what the ratios were made of.
//!
//! - [`cpu`]: CPU time of this process and of one thread
//! - [`processes`]: CPU time and memory of other processes, as `/proc` has them
//! - [`foreign`]: what others used of the machine meanwhile; too much of it voids a run
//! - [`rounds`]: A and B take turns, and the ratio of each round counts
//! - [`sweep`]: many cases take turns, for curves
//! - [`spread`]: median, least and greatest
//! - [`slope`]: how fast something grows
//! - [`goals`]: what is to be reached
//! - [`report`]: the table and `target/bench/results.json`

pub mod cpu;
pub mod foreign;
pub mod goals;
pub mod processes;
pub mod report;
pub mod rounds;
pub mod slope;
pub mod spread;
pub mod sweep;

pub use goals::Goal;
pub use report::Finding;
pub use rounds::{Comparison, Plan, Turn};
pub use spread::Spread;
