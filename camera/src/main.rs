//! The `camera` program.

use std::process::ExitCode;

use clap::Parser;

/// Cameras onto Kafka: films belts, clips and folders, and shows what the detector made of it.
#[derive(Parser)]
#[command(name = "camera", version, about)]
struct Cli {
    #[command(flatten)]
    service: camera::ServiceArgs,
}

fn main() -> ExitCode {
    camera::run(Cli::parse().service)
}
