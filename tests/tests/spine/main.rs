//! The spine on a real Kafka with real models: what goes in comes out once, in order and right,
//! whatever happens to the services meanwhile.
//!
//! - `photos`: a photo of a belt comes back with what is on it
//! - `annotated`: the picture changes where things were found and nowhere else
//! - `dead`: what cannot be looked at ends as a dead letter and holds nobody up
//! - `deaths`: a frame that its detectors die of
//! - `kill`: kill -9 of the detector; `restart`: of the whole of `kadr up`
//! - `share`: detectors come and go
//! - `live`: cameras faster than the model
//! - `services`: four processes, and what the viewer shows of them
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod annotated;
mod dead;
mod deaths;
mod kill;
mod live;
mod photos;
mod restart;
mod services;
mod share;
