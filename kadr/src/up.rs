//! Wires the broker, the topics, every service and the web port together.

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::Router;
use broker::Broker;
use camera::{CameraArgs, CameraConfig, CamerasConfig};
use clap::Args;
use detector::DetectorArgs;
use gateway::{GatewayArgs, GatewayConfig};
use pipeline::{
    catalogue::ModelArgs,
    frame::SourceId,
    kafka::{KafkaConfig, PropertyError, ensure_topics, frame_topics},
    service::{
        Bus, Context, KafkaArgs, OperatingArgs, Tasks,
        admin::admin_router,
        alone::{BROKER_PATIENCE, WEB_LIMITS},
        config::{KafkaSettingsError, parse_listen_address},
        http::{bind, serve_http},
        run_service,
    },
    topic::Topics,
};
use serde::Serialize;
use tokio::net::TcpListener;
use viewer::ViewerArgs;

use crate::{
    embedded::{self, EmbeddedArgs},
    state,
};

/// Health that has not heard of the broker's disk for so long is not ready.
const DISK_DEADLINE: Duration = Duration::from_secs(15);

#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct UpArgs {
    /// Where pages and API are served
    #[arg(long, env = "KADR_LISTEN", default_value = "127.0.0.1:8080", value_name = "IP:PORT", value_parser = parse_listen_address)]
    listen: SocketAddr,

    /// How many simulated belts to film where no --source names another camera
    #[arg(long, env = "KADR_CAMERAS", default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=16))]
    cameras: u8,

    #[command(flatten)]
    #[serde(flatten)]
    camera: CameraArgs,

    #[command(flatten)]
    #[serde(flatten)]
    models: ModelArgs,

    #[command(flatten)]
    #[serde(flatten)]
    detector: DetectorArgs,

    #[command(flatten)]
    #[serde(flatten)]
    gateway: GatewayArgs,

    #[command(flatten)]
    #[serde(flatten)]
    viewer: ViewerArgs,

    #[command(flatten)]
    #[serde(flatten)]
    kafka: KafkaArgs,

    #[command(flatten)]
    #[serde(flatten)]
    embedded: EmbeddedArgs,

    #[command(flatten)]
    #[serde(skip)]
    operating: OperatingArgs,
}

pub(crate) fn run(args: UpArgs) -> ExitCode {
    run_service("kadr", &args.operating.clone(), &args.clone(), |context| {
        serve(args, context)
    })
}

async fn serve(args: UpArgs, context: Context) -> anyhow::Result<()> {
    // What can be told before anything is started is told first.
    let cameras = cameras(&args)?;
    let listener = bind(args.listen, "--listen").await?;
    let (kafka, broker) = brokers(&args).await?;
    let plan = Plan {
        args,
        cameras,
        listener,
        kafka,
        broker: broker.clone(),
    };
    let ended = run_all(plan, context).await;
    // Closed after everything that talks to it, whatever came of that.
    if let Some(broker) = broker.and_then(Arc::into_inner) {
        broker.close().await;
    }
    ended
}

/// Everything that is needed to start.
struct Plan {
    args: UpArgs,
    cameras: CamerasConfig,
    listener: TcpListener,
    kafka: KafkaConfig,
    broker: Option<Arc<Broker>>,
}

/// The brokers named, or one of our own.
async fn brokers(args: &UpArgs) -> anyhow::Result<(KafkaConfig, Option<Arc<Broker>>)> {
    match args.kafka.config() {
        Err(KafkaSettingsError::Property(PropertyError::NoBrokers)) => {
            let started = args.embedded.start().await;
            let broker = started
                .context("the embedded broker did not start; for another Kafka pass --brokers")?;
            let kafka = args.kafka.config_for(&broker.addr().to_string())?;
            println!("Kafka clients connect to {}", broker.addr());
            Ok((kafka, Some(Arc::new(broker))))
        }
        given => Ok((given?, None)),
    }
}

async fn run_all(plan: Plan, context: Context) -> anyhow::Result<()> {
    let Plan {
        args,
        cameras,
        listener,
        kafka,
        broker,
    } = plan;
    let address = listener.local_addr()?;
    let topics = Topics::new(&args.kafka.topic_prefix)?;
    ensure_topics(&kafka, &frame_topics(&topics), BROKER_PATIENCE).await?;

    let bus = Bus::open(kafka, topics, &context)?;
    let mut tasks = Tasks::new(&context.shutdown);
    bus.report(&context, &mut tasks);
    if let Some(broker) = broker {
        let part = context.health.register("broker", DISK_DEADLINE);
        let stop = context.shutdown.token();
        tasks.spawn("broker disk", async move {
            stop.run_until_cancelled(embedded::report(&broker, &part))
                .await;
            part.retire();
            anyhow::Ok(())
        });
    }
    let routes = match start_services((&args, cameras), &bus, &context, &mut tasks).await {
        Ok(routes) => routes,
        Err(error) => {
            tasks.abandoned().await;
            return Err(error);
        }
    };
    let stop = context.shutdown.token();
    tasks.spawn("web", async move {
        serve_http(listener, routes, WEB_LIMITS, stop).await;
        anyhow::Ok(())
    });
    println!("Kadr is running: http://{address}/");
    tasks.spawn("state line", state::print(context.clone()));

    let drained = tasks.drained().await;
    bus.close(context.shutdown.grace())
        .await
        .context("frames were still on their way to Kafka")?;
    Ok(drained?)
}

/// Readers first, so that nothing written from here on escapes them. All routes share one port.
async fn start_services(
    (args, cameras): (&UpArgs, CamerasConfig),
    bus: &Bus,
    context: &Context,
    tasks: &mut Tasks,
) -> anyhow::Result<Router> {
    let viewer = viewer::start(args.viewer.config(), bus, context, tasks).await?;
    let uploads = GatewayConfig::new(args.gateway.clone(), args.models.clone());
    let gateway = gateway::start(uploads, bus, context, tasks).await?;
    detector::start(args.detector.config(&args.models), bus, context, tasks)?;
    let cameras = camera::start(cameras, bus, context, tasks).await?;
    Ok(viewer
        .merge(gateway)
        .merge(cameras)
        .merge(admin_router(context.admin_state())))
}

/// The cameras named; simulated belts where there are none.
fn cameras(args: &UpArgs) -> anyhow::Result<CamerasConfig> {
    let named = args.camera.config()?;
    if named.cameras.is_empty() {
        return belts(args.cameras);
    }
    Ok(named)
}

fn belts(count: u8) -> anyhow::Result<CamerasConfig> {
    let belts = (1..=count).map(|number| {
        Ok(CameraConfig {
            id: SourceId::new(format!("belt-{number}"))?,
            address: format!("belt://?seed={number}&fps=15&size=640x480").parse()?,
        })
    });
    let cameras = belts.collect::<anyhow::Result<_>>()?;
    Ok(CamerasConfig { cameras })
}
