//! The `detector` command: runs the worker, looks into the model repository and into files, tries a
//! model on a picture.

mod cli;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cli::ModelCommand;
use cli::tune::TuneArgs;
use detector::ServiceArgs;

/// Finds things in pictures with models in ONNX form.
#[derive(Debug, Parser)]
#[command(name = "detector", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Looks at the frames on Kafka until it is told to end.
    Run(Box<ServiceArgs>),

    /// Looks into the model repository or a file, or runs one model on one picture.
    #[command(subcommand)]
    Model(ModelCommand),

    /// Finds out how a model runs best on this machine, and keeps it for the detector.
    Tune(TuneArgs),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => return detector::run(*args),
        Command::Model(command) => command.run(),
        Command::Tune(args) => cli::tune::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
