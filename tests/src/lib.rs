//! Shared fixtures of the system tests.
