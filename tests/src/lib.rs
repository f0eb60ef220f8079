//! Shared fixtures of the system tests.

pub mod kafka;
