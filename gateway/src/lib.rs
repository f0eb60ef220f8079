//! The public HTTP door: uploads become JPEG frames on `kadr.frames`, results come back.
//!
//! Layout, in the order an upload meets it:
//!
//! - [`intake`]: what an upload becomes; pure

pub mod intake;
