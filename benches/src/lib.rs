//! Shared parts of the benchmarks and of the soak.

pub mod brokers;
pub mod curves;
pub mod measure;
pub mod soak;
