//! The `detector` command: runs the worker, looks into the model repository and into files, tries a
//! model on a picture.

mod cli;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cli::ModelCommand;
use cli::tune::TuneArgs;
use detector::ServiceArgs;
use detector::redrive::{self, RedriveArgs};
use detector::replay::{self, ReplayArgs};

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

    /// Puts dead letters back on the topics they came from.
    Redrive(RedriveArgs),

    /// Runs a model on frames of the past, into topics of their own.
    Replay(Box<ReplayArgs>),

    /// Looks into the model repository or a file, or runs one model on one picture.
    #[command(subcommand)]
    Model(ModelCommand),

    /// Finds out how a model runs best on this machine, and keeps it for the detector.
    Tune(TuneArgs),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => return detector::run(*args),
        Command::Redrive(args) => return redrive::run(&args),
        Command::Replay(args) => return replay::run(&args),
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
