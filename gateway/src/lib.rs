//! The public HTTP door: uploads become JPEG frames on `kadr.frames`, results come back.
//!
//! Layout, in the order an upload meets it:
//!
//! - `http`: the routes, and what a client may send
//! - `admission`: how much may be going on at a time
//! - [`intake`]: what an upload becomes; pure
//! - `outlet`: the way to Kafka
//! - `outcomes`: what became of it
//! - `service`, `args`, `metrics`: how the gateway is started, set up and watched

mod admission;
mod args;
mod http;
pub mod intake;
pub mod metrics;
mod outcomes;
mod outlet;
mod service;

pub use args::{GatewayArgs, GatewayConfig, ServiceArgs};
pub use service::{GatewayError, run, start};
