//! Shared parts of the benchmarks and of the soak.

pub mod brokers;
pub mod measure;
pub mod soak;
