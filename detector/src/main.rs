//! The `detector` command: runs the worker, looks into the model repository and into files, tries a
//! model on a picture.

mod cli;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cli::ModelCommand;
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
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => return detector::run(*args),
        Command::Model(command) => command.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
