//! `script/soak`: long runs that end with a verdict.

use std::{path::PathBuf, process::ExitCode};

use benches::{
    brokers::contender::become_broker_if_child,
    soak::{self, Plan},
};
use clap::{Parser, Subcommand, value_parser};

/// Long runs that end with a verdict.
#[derive(Parser)]
struct Arguments {
    /// An empty folder on the disk to be used; its content is the caller's to remove.
    #[arg(long)]
    data: PathBuf,
    #[command(subcommand)]
    soak: Soak,
}

#[derive(Subcommand)]
enum Soak {
    /// `kadr up` with two belts: nothing may grow.
    Demo {
        #[arg(long, default_value_t = 60, value_parser = value_parser!(u64).range(1..=600))]
        minutes: u64,
        /// The program.
        #[arg(long, env = "KADR_PROGRAM", hide = true)]
        program: PathBuf,
    },
    /// A detector that is shown pictures of two hundred sizes: its memory may not grow.
    Memory {
        #[arg(long, default_value_t = 20_000, value_parser = value_parser!(u64).range(200..=10_000_000))]
        images: u64,
        /// The program.
        #[arg(long, env = "KADR_PROGRAM", hide = true)]
        program: PathBuf,
    },
    /// The embedded broker under small and large records at once, with retention on.
    Broker {
        /// Records of about 200 bytes.
        #[arg(long, default_value_t = 10_000_000, value_parser = value_parser!(u64).range(1..))]
        small: u64,
        /// Records of 100 KB to 6 MB.
        #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u64).range(1..))]
        large: u64,
    },
}

fn main() -> ExitCode {
    become_broker_if_child();
    let arguments = Arguments::parse();
    let all_held = match arguments.soak {
        Soak::Broker { small, large } => soak::broker(
            Plan {
                small_records: small,
                large_records: large,
            },
            &arguments.data,
        ),
        Soak::Memory { images, program } => soak::memory(&program, &arguments.data, images),
        Soak::Demo { minutes, program } => soak::demo(&program, &arguments.data, minutes),
    };
    if all_held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
