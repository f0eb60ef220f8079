//! The embedded broker over TCP where the conformance suite does not reach: what is not in Apache
//! Kafka, what takes small limits, and what happens when the broker or a client goes away.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod admin;
#[path = "../common/mod.rs"]
mod common;
mod ending;
mod epochs;
mod fetching;
mod once;
mod producing;
mod support;
