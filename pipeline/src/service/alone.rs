//! A service in a process of its own: topics, bus, tasks and web port, in the right order.

use std::{net::SocketAddr, time::Duration};

use axum::Router;

use super::{
    bus::Bus,
    config::KafkaArgs,
    http::{HttpLimits, bind, serve_http},
    run::Context,
    shutdown::{AnyError, Tasks},
};
use crate::{
    kafka::{ensure_topics, frame_topics},
    topic::Topics,
};

/// How long the brokers may take to answer at start.
pub const BROKER_PATIENCE: Duration = Duration::from_secs(15);

/// Browsers hold a connection for each moving picture.
pub const WEB_LIMITS: HttpLimits = HttpLimits {
    max_connections: 512,
    header_deadline: Duration::from_secs(10),
    write_stall: Duration::from_secs(10),
    grace: Duration::from_secs(2),
};

/// Opens what the service needs, lets `start` begin its tasks, serves its routes at `listen`, and
/// ends when the tasks have ended and everything sent is acknowledged.
pub async fn serve_alone<E: Into<AnyError>>(
    kafka: &KafkaArgs,
    listen: Option<SocketAddr>,
    context: Context,
    start: impl AsyncFnOnce(&Bus, &Context, &mut Tasks) -> Result<Router, E>,
) -> Result<(), AnyError> {
    let listener = match listen {
        Some(address) => Some(bind(address, "--listen").await?),
        None => None,
    };
    let topics = Topics::new(&kafka.topic_prefix)?;
    let config = kafka.config()?;
    ensure_topics(&config, &frame_topics(&topics), BROKER_PATIENCE).await?;
    let bus = Bus::open(config, topics, &context)?;
    let mut tasks = Tasks::new(&context.shutdown);
    bus.report(&context, &mut tasks);
    let router = match start(&bus, &context, &mut tasks).await {
        Ok(router) => router,
        Err(error) => {
            tasks.abandoned().await;
            return Err(error.into());
        }
    };
    if let Some(listener) = listener {
        tracing::info!(address = %listener.local_addr()?, "web port is open");
        let stop = context.shutdown.token();
        tasks.spawn("web", async move {
            serve_http(listener, router, WEB_LIMITS, stop).await;
            Ok::<_, AnyError>(())
        });
    }
    let drained = tasks.drained().await;
    bus.close(context.shutdown.grace())
        .await
        .map_err(|source| UnsentError { source })?;
    Ok(drained?)
}

#[derive(Debug, thiserror::Error)]
#[error("records were still on their way to Kafka")]
struct UnsentError {
    source: crate::kafka::SinkError,
}
