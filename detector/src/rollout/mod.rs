//! Which version of a model serves whom while the detector runs: new versions are seen, loaded and
//! tried on a thread of their own, and only then take traffic.
//!
//! - [`warm`]: a first run, so that no frame pays for it and a version that cannot run never serves
//! - `stamp`: whether a version's files have changed
//! - `board`: what the keeper and the model thread tell each other
//! - `routes`: from what a frame asks for to the version that serves it
//! - `keeper`: the thread that follows the repository
//! - `readiness`: how it gets a version ready
//! - `orders`: what an operator may ask of it
//! - `shadow`: versions that are compared only; `agreement` says how well two answers agree
//! - `overview`: how all of that stands, for people
//! - `admin`: the routes on the admin port
//! - [`metrics`]: what is counted

mod admin;
pub(crate) mod agreement;
pub(crate) mod board;
pub(crate) mod keeper;
pub mod metrics;
mod orders;
mod overview;
mod readiness;
pub(crate) mod routes;
pub(crate) mod shadow;
mod stamp;
pub mod warm;

pub(crate) use admin::admin_routes;
pub(crate) use board::Board;
pub(crate) use keeper::Keeper;
pub(crate) use orders::Command;
pub(crate) use overview::Overseer;
pub(crate) use routes::Routes;
pub(crate) use shadow::Shadows;
pub(crate) use stamp::{Stamp, stamp_of};
