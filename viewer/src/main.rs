//! The `viewer` program: the viewer alone in a process.

use std::process::ExitCode;

use clap::Parser;
use viewer::ServiceArgs;

/// Shows annotated frames live in browsers.
#[derive(Parser)]
#[command(name = "viewer", version, about)]
struct Cli {
    #[command(flatten)]
    service: ServiceArgs,
}

fn main() -> ExitCode {
    viewer::run(Cli::parse().service)
}
