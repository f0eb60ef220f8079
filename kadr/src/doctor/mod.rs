//! `kadr doctor`: looks at everything `kadr up` needs, changes nothing, and says what to do.
//!
//! - this file: the options and the order of the checks
//! - `finding`: what a check says, as a line and as JSON
//! - `brokers`: Kafka and its topics
//! - `disk`: the embedded broker's data folder
//! - `model`: ONNX Runtime and the models
//! - `machine`: cameras, ports, limits, clock

mod brokers;
mod disk;
mod finding;
mod machine;
mod model;

use std::{net::SocketAddr, process::ExitCode};

use camera::CameraArgs;
use clap::Args;
use detector::DetectorArgs;
use pipeline::{
    catalogue::ModelArgs,
    service::{KafkaArgs, config::parse_listen_address, shutdown::describe},
};

use crate::embedded::EmbeddedArgs;
use finding::Report;

/// The options are those of `kadr up`, as far as they decide whether it can run.
#[derive(Args, Clone, Debug)]
pub(crate) struct DoctorArgs {
    /// Prints JSON
    #[arg(long)]
    json: bool,

    /// Where pages and API would be served
    #[arg(long, env = "KADR_LISTEN", default_value = "127.0.0.1:8080", value_name = "IP:PORT", value_parser = parse_listen_address)]
    listen: SocketAddr,

    /// Where /healthz, /readyz and /metrics would be served
    #[arg(long, env = "KADR_ADMIN_LISTEN", default_value = "127.0.0.1:9100", value_name = "IP:PORT", value_parser = parse_listen_address)]
    admin_listen: SocketAddr,

    #[command(flatten)]
    camera: CameraArgs,

    #[command(flatten)]
    models: ModelArgs,

    #[command(flatten)]
    detector: DetectorArgs,

    #[command(flatten)]
    kafka: KafkaArgs,

    #[command(flatten)]
    embedded: EmbeddedArgs,
}

/// Exit code 0 where nothing fails, 1 otherwise.
pub(crate) fn run(args: &DoctorArgs) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("kadr doctor: cannot start: {}", describe(&error));
            return ExitCode::FAILURE;
        }
    };
    let report = runtime.block_on(examine(args));
    // What a library left running must not hold the answer up.
    runtime.shutdown_background();
    if args.json {
        println!("{}", report.to_json());
    } else {
        print!("{report}");
    }
    if report.is_healthy() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn examine(args: &DoctorArgs) -> Report {
    let mut report = Report::default();
    report.extend(brokers::look(args).await);
    let model = args.detector.config(&args.models);
    // Loading and running a model takes seconds of a core.
    let looked = tokio::task::spawn_blocking(move || model::look(&model)).await;
    report.extend(looked.expect("a check does not panic"));
    report.extend(machine::look(args).await);
    report
}
