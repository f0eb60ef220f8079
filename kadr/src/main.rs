//! `kadr up`: the services of one machine in one process, on one web port.

mod topics;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A streaming computer-vision pipeline on Apache Kafka.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs everything on this machine until Ctrl-C
    Up(up::UpArgs),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Up(args) => up::run(args),
    }
}
