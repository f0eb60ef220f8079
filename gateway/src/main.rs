//! The `gateway` command: the public HTTP door in a process of its own.

use std::process::ExitCode;

use clap::Parser;
use gateway::ServiceArgs;

/// Takes uploads and gives back what the detectors saw in them.
#[derive(Parser)]
#[command(name = "gateway", version)]
struct Cli {
    #[command(flatten)]
    service: ServiceArgs,
}

fn main() -> ExitCode {
    gateway::run(Cli::parse().service)
}
