//! Shared fixtures of the system tests.

pub mod collector;
pub mod conformance;
pub mod kafka;
pub mod process;
pub mod spine;
pub mod wire;
