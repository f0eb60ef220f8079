//! Wires the gateway's parts together.

use std::{process::ExitCode, sync::Arc, time::Duration};

use axum::Router;
use pipeline::{
    catalogue::Catalogue,
    kafka::{Lookup, Tail, TailError},
    service::{
        Bus, Context, Tasks, bus::report_link, metrics::MetricsError, run_service, serve_alone,
    },
};

use crate::{
    admission::{Admission, Bounds},
    args::{GatewayConfig, ServiceArgs},
    http::{self, Gateway, LEAST_RATE},
    intake::Limits,
    metrics::GatewayMetrics,
    outcomes::{Archive, Outcomes, follow},
    outlet::Outlet,
};

const SERVICE: &str = "gateway";
/// Results that are remembered, so that asking for a recent one costs no look at Kafka.
const REMEMBERED_BYTES: usize = 64 << 20;
/// What key and headers of a frame take of its record at most.
const RECORD_OVERHEAD_BYTES: usize = 4 << 10;
const LINK_DEADLINE: Duration = Duration::from_secs(15);

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The end of the results cannot be read.
    #[error("cannot follow the results")]
    Tail(#[from] TailError),
    /// A metric is registered twice: a mistake in our code.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// Starts following the results and answers the routes. What is accepted through them is seen to
/// its end, for the results are followed before the first upload can come.
pub async fn start(
    config: GatewayConfig,
    bus: &Bus,
    context: &Context,
    tasks: &mut Tasks,
) -> Result<Router, GatewayError> {
    let context = context.for_service(SERVICE)?;
    let outcomes = Outcomes::new(REMEMBERED_BYTES);
    follow_results(bus, &context, tasks, &outcomes).await?;
    let uploads = config.uploads;
    let gateway = Gateway {
        topics: bus.topics.clone(),
        outlet: Box::new(bus.sink.clone()),
        outcomes,
        archive: Archive::new(Lookup::new(&bus.kafka), bus.topics.clone()),
        catalogue: Catalogue::new(config.models),
        default_model: config.default_model.to_string(),
        admission: Admission::new(Bounds {
            max_in_flight_bytes: uploads.max_in_flight,
            max_waiting: uploads.max_waiting.into(),
        }),
        metrics: GatewayMetrics::register(&context.metrics)?,
        traces: context.traces.clone(),
        limits: Limits {
            max_pixels: uploads.max_pixels,
            max_jpeg_bytes: Outlet::max_record_bytes(&bus.sink)
                .saturating_sub(RECORD_OVERHEAD_BYTES),
        },
        max_upload_bytes: uploads.max_upload_size,
        publish_timeout: uploads.publish_timeout,
        least_rate: LEAST_RATE,
    };
    Ok(http::router(Arc::new(gateway)))
}

async fn follow_results(
    bus: &Bus,
    context: &Context,
    tasks: &mut Tasks,
    outcomes: &Outcomes,
) -> Result<(), GatewayError> {
    let followed = [bus.topics.results(), bus.topics.dead()];
    let followed = followed.each_ref().map(String::as_str);
    let tail = Tail::open(&bus.kafka, &followed, 0).await?;
    let part = context.health.register("results", LINK_DEADLINE);
    let reporting = report_link(tail.link(), part, context.shutdown.token());
    tasks.spawn("gateway results link", async {
        reporting.await;
        Ok::<(), GatewayError>(())
    });
    let (topics, stop) = (bus.topics.clone(), context.shutdown.token());
    tasks.spawn(
        "gateway results",
        follow(tail, topics, outcomes.clone(), stop),
    );
    Ok(())
}

/// Runs the gateway alone in this process, to its end.
pub fn run(args: ServiceArgs) -> ExitCode {
    run_service(
        SERVICE,
        &args.operating.clone(),
        &args.clone(),
        |context| async move {
            let config = GatewayConfig::new(args.gateway, args.models);
            serve_alone(
                &args.kafka,
                Some(args.listen),
                context,
                async |bus: &Bus, context: &Context, tasks: &mut Tasks| {
                    start(config, bus, context, tasks).await
                },
            )
            .await
        },
    )
}
