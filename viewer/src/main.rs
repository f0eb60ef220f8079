//! The `viewer` program: the viewer alone in a process.

use std::{net::SocketAddr, process::ExitCode};

use clap::Parser;
use pipeline::service::{
    KafkaArgs, OperatingArgs, config::parse_listen_address, run_service, serve_alone,
};
use serde::Serialize;
use viewer::ViewerArgs;

/// Shows annotated frames live in browsers.
#[derive(Parser, Clone, Debug, Serialize)]
#[command(name = "viewer", version, about)]
struct Cli {
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

fn main() -> ExitCode {
    let cli = Cli::parse();
    run_service(
        "viewer",
        &cli.operating.clone(),
        &cli.clone(),
        |context| async move {
            let config = cli.viewer.config();
            serve_alone(
                &cli.kafka,
                Some(cli.listen),
                context,
                async |bus, context, tasks| viewer::start(config, bus, context, tasks).await,
            )
            .await
        },
    )
}
