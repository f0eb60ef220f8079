//! The group state machine with time in our hands, and the coordinator around it.

mod bench;
mod joining;
mod leaving;
mod offsets;
mod restart;
mod shell;
mod static_members;
mod timeouts;
mod wire;
