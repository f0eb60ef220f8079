//! The detector as a service of its own: `detector run` and `kadr detector`.

use std::process::ExitCode;

use axum::Router;
use clap::Args;
use pipeline::catalogue::ModelArgs;
use pipeline::service::{KafkaArgs, OperatingArgs, run_service, serve_alone};
use serde::Serialize;

use crate::worker::{DetectorError, args::DetectorArgs, start};

/// Everything that a detector in a process of its own is told.
#[derive(Args, Clone, Debug, Serialize)]
pub struct ServiceArgs {
    /// Its own flags.
    #[command(flatten)]
    #[serde(flatten)]
    pub detector: DetectorArgs,

    /// Which models there are.
    #[command(flatten)]
    #[serde(flatten)]
    pub models: ModelArgs,

    /// Where Kafka is.
    #[command(flatten)]
    #[serde(flatten)]
    pub kafka: KafkaArgs,

    /// How it is operated.
    #[command(flatten)]
    #[serde(skip)]
    pub operating: OperatingArgs,
}

/// Runs a detector until it is asked to end. It has no web port, only the admin port.
pub fn run(args: ServiceArgs) -> ExitCode {
    let (operating, own) = (args.operating.clone(), args.clone());
    run_service("detector", &operating, &own, |context| async move {
        let config = args.detector.config(&args.models);
        serve_alone(&args.kafka, None, context, async |bus, context, tasks| {
            start(config, bus, context, tasks)?;
            Ok::<_, DetectorError>(Router::new())
        })
        .await
    })
}
