//! Cameras: each captures on its own clock onto the live topic, and shows its operator what Kafka and
//! the detector gave back.
//!
//! Layout, in the order a picture meets it:
//!
//! - `config`: which cameras there are, from flags and environment
//! - [`Address`]: where pictures come from, told by a URL
//! - `capture`: takes pictures at the pace of their source, as JPEG
//! - `newest`: a slot in which the newest picture wins
//! - `publish`: frames onto `kadr.live`, one in flight per camera
//! - `playback`: what the topics give back, newest frame and result per camera
//! - `stats`: rates, latencies and losses of each camera
//! - `web`: snapshot, moving picture and status of each camera
//! - `probe`, `opencv_support`: for those who look before they start
//! - `service`: all of it in a process of its own

mod address;
mod capture;
mod config;
mod newest;
mod opencv_support;
mod playback;
mod probe;
mod publish;
mod service;
mod start;
mod stats;
mod web;

pub use address::{Address, AddressError, ClipAddress, FolderAddress};
pub use capture::CaptureError;
pub use config::{CameraArgs, CameraConfig, CamerasConfig, CamerasError, MAX_CAMERAS};
pub use opencv_support::{OpenCvSupport, opencv_support};
pub use probe::probe;
pub use service::{ServiceArgs, run};
pub use start::{CameraError, start};
pub use stats::FRAMES_OFFERED_TOTAL;
