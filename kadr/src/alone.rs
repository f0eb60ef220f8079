//! `kadr broker`: the embedded broker alone.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use pipeline::service::{Context, OperatingArgs, run_service};
use serde::Serialize;

use crate::embedded::{self, EmbeddedArgs};

/// Health that has heard nothing for so long is not ready.
const DISK_DEADLINE: Duration = Duration::from_secs(15);

#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct BrokerArgs {
    #[command(flatten)]
    #[serde(flatten)]
    embedded: EmbeddedArgs,

    #[command(flatten)]
    #[serde(skip)]
    operating: OperatingArgs,
}

pub(crate) fn run(args: BrokerArgs) -> ExitCode {
    run_service(
        "broker",
        &args.operating.clone(),
        &args.clone(),
        |context| serve(args, context),
    )
}

async fn serve(args: BrokerArgs, context: Context) -> anyhow::Result<()> {
    let broker = args.embedded.start().await?;
    println!("Kafka clients connect to {}", broker.addr());
    let part = context.health.register("broker", DISK_DEADLINE);
    let stop = context.shutdown.token();
    stop.run_until_cancelled(embedded::report(&broker, &part))
        .await;
    part.retire();
    broker.close().await;
    Ok(())
}
