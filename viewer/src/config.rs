//! The viewer's options, and the viewer as a program of its own.

use std::{net::SocketAddr, process::ExitCode};

use clap::Args;
use pipeline::service::{
    KafkaArgs, OperatingArgs, config::parse_listen_address, run_service, serve_alone,
};
use serde::Serialize;

/// Options of the viewer.
#[derive(Args, Clone, Debug, Serialize)]
#[command(next_help_heading = "Viewer")]
pub struct ViewerArgs {
    /// How many browsers may watch live pictures at a time
    #[arg(long, env = "KADR_MAX_WATCHERS", default_value_t = 200, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    max_watchers: u16,
}

/// What a viewer is started with.
#[derive(Clone, Copy, Debug)]
pub struct ViewerConfig {
    /// WebSocket clients and moving pictures at a time; further ones are told to come back.
    pub max_watchers: usize,
}

impl ViewerArgs {
    /// The configuration that these flags ask for.
    pub fn config(&self) -> ViewerConfig {
        ViewerConfig {
            max_watchers: self.max_watchers.into(),
        }
    }
}

/// Options of the viewer alone in a process.
#[derive(Args, Clone, Debug, Serialize)]
pub struct ServiceArgs {
    /// Where pages and API are served
    #[arg(long, env = "KADR_LISTEN", default_value = "127.0.0.1:8082", value_name = "IP:PORT", value_parser = parse_listen_address)]
    listen: SocketAddr,

    #[command(flatten)]
    #[serde(flatten)]
    viewer: ViewerArgs,

    #[command(flatten)]
    #[serde(flatten)]
    kafka: KafkaArgs,

    #[command(flatten)]
    #[serde(skip)]
    operating: OperatingArgs,
}

/// Runs the viewer alone until it is asked to end.
pub fn run(args: ServiceArgs) -> ExitCode {
    let (operating, own) = (args.operating.clone(), args.clone());
    run_service("viewer", &operating, &own, |context| async move {
        let config = args.viewer.config();
        let start = async |bus: &_, context: &_, tasks: &mut _| {
            crate::start(config, bus, context, tasks).await
        };
        serve_alone(&args.kafka, Some(args.listen), context, start).await
    })
}
