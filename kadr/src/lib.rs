//! The one-machine launcher: `kadr up` runs every service in one process on one web port, on an
//! embedded broker unless brokers are named; `kadr gateway`, `detector`, `camera`, `viewer` and `broker`
//! run one of them alone, and `kadr doctor` says what is missing.

mod alone;
mod doctor;
mod embedded;
mod state;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A streaming computer-vision pipeline on Apache Kafka.
#[derive(Parser)]
#[command(name = "kadr", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs everything on this machine until Ctrl-C
    Up(Box<up::UpArgs>),
    /// Runs the gateway alone: uploads onto the frames topic, and what became of them
    Gateway(Box<gateway::ServiceArgs>),
    /// Runs a detector alone: one of many, which share the partitions
    Detector(Box<detector::ServiceArgs>),
    /// Runs the cameras alone: pictures onto the live topic, and what became of them
    Camera(Box<camera::ServiceArgs>),
    /// Runs the viewer alone: the pages, and live pictures for browsers
    Viewer(Box<viewer::ServiceArgs>),
    /// Runs the embedded broker alone: Kafka's protocol on this one machine
    Broker(Box<alone::BrokerArgs>),
    /// Looks at everything that `up` needs, changes nothing, and says what to do
    Doctor(Box<doctor::DoctorArgs>),
}

/// Parses the command line and runs what it names.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Up(args) => up::run(*args),
        Command::Gateway(args) => gateway::run(*args),
        Command::Detector(args) => detector::run(*args),
        Command::Camera(args) => camera::run(*args),
        Command::Viewer(args) => viewer::run(*args),
        Command::Broker(args) => alone::run(*args),
        Command::Doctor(args) => doctor::run(&args),
    }
}
