//! The camera service in a process of its own.

use std::{net::SocketAddr, process::ExitCode};

use clap::Args;
use pipeline::service::{
    Bus, Context, KafkaArgs, OperatingArgs, Tasks, config::parse_listen_address, run_service,
    serve_alone,
};
use serde::Serialize;

use crate::{
    config::CameraArgs,
    start::{CameraError, start},
    web::page_routes,
};

/// The options of the service.
#[derive(Args, Clone, Debug, Serialize)]
pub struct ServiceArgs {
    /// Where the page and the pictures are served
    #[arg(
        long,
        env = "KADR_LISTEN",
        default_value = "127.0.0.1:8083",
        value_name = "IP:PORT",
        value_parser = parse_listen_address
    )]
    pub listen: SocketAddr,

    /// The cameras.
    #[command(flatten)]
    #[serde(flatten)]
    pub cameras: CameraArgs,

    /// The brokers.
    #[command(flatten)]
    #[serde(flatten)]
    pub kafka: KafkaArgs,

    /// How it is operated.
    #[command(flatten)]
    #[serde(skip)]
    pub operating: OperatingArgs,
}

/// Runs the service until it is asked to end.
pub fn run(args: ServiceArgs) -> ExitCode {
    let (operating, own) = (args.operating.clone(), args.clone());
    run_service("camera", &operating, &own, |context| async move {
        let (kafka, listen) = (&args.kafka, Some(args.listen));
        serve_alone(
            kafka,
            listen,
            context,
            async |bus: &Bus, context: &Context, tasks: &mut Tasks| {
                let config = args.cameras.config()?;
                if config.cameras.is_empty() {
                    return Err(CameraError::NoCameras);
                }
                let routes = start(config, bus, context, tasks).await?;
                Ok(routes.merge(page_routes()))
            },
        )
        .await
    })
}
