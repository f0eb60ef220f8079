//! From parsed flags to the exit code: what every `main.rs` does after parsing.

use std::{
    io,
    process::ExitCode,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::{
    admin::{AdminState, serve_admin},
    config::OperatingArgs,
    health::Health,
    http::{BindError, bind},
    metrics::{Metrics, MetricsError},
    orders::Orders,
    secret::SecretError,
    shutdown::{AnyError, DrainError, Shutdown, Tasks, describe},
    telemetry,
    traces::Traces,
};

/// After the drain, blocking calls that still hang are left behind.
const LEFT_BEHIND_AFTER: Duration = Duration::from_millis(500);

/// A collector that hangs does not hold up the end for longer.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// Exit code for flags and settings that cannot work; clap uses the same.
const EXIT_USAGE: u8 = 2;

/// What a service is given to be operated by. Clones share it.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where its parts report.
    pub health: Health,
    /// Where its metrics are registered.
    pub metrics: Metrics,
    /// When it has to end.
    pub shutdown: Shutdown,
    /// Where it adds what operators may ask of it.
    pub orders: Orders,
    /// Where it records the ways of its frames.
    pub traces: Traces,
}

impl Context {
    /// Fresh health and metrics, for `main` and for tests.
    pub fn new(service: &str, shutdown: Shutdown) -> Result<Self, MetricsError> {
        let health = Health::new(service);
        Ok(Self {
            health,
            metrics: Metrics::new(service)?,
            shutdown,
            orders: Orders::default(),
            traces: Traces::default(),
        })
    }

    /// The same for another service of this process.
    pub fn for_service(&self, service: &str) -> Result<Self, MetricsError> {
        let metrics = self.metrics.for_service(service)?;
        Ok(Self {
            health: self.health.for_service(service),
            traces: self.traces.for_service(service, &metrics)?,
            metrics,
            shutdown: self.shutdown.clone(),
            orders: self.orders.clone(),
        })
    }

    /// What the admin routes need.
    pub fn admin_state(&self) -> AdminState {
        AdminState {
            health: self.health.clone(),
            metrics: self.metrics.clone(),
            orders: self.orders.clone(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("cannot start the runtime: check the limits on threads and open files")]
    Start(#[from] io::Error),
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    #[error(transparent)]
    Token(#[from] SecretError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Drain(#[from] DrainError),
}

/// Runs one service: logging, effective configuration, signals, admin port, then `serve` until it
/// ends or is asked to. `own` is the service's own configuration, for the log.
///
/// Exit code 0 is a clean end, 1 a failure or a drain that took too long, 2 unusable settings.
pub fn run_service<F, E>(
    name: &'static str,
    operating: &OperatingArgs,
    own: &impl Serialize,
    serve: impl FnOnce(Context) -> F,
) -> ExitCode
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<AnyError>,
{
    if let Err(error) = telemetry::init(&operating.log, operating.log_format) {
        eprintln!("{name}: {}", describe(&error));
        return ExitCode::from(EXIT_USAGE);
    }
    let traces = match operating.traces() {
        Ok(traces) => traces,
        Err(error) => {
            eprintln!("{name}: {}", describe(&error));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    log_settings(name, operating, own);
    match run((name, traces), operating, serve) {
        Ok(()) => {
            tracing::info!(service = name, "ended cleanly");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(
                service = name,
                error = describe(&error),
                "ended with an error"
            );
            ExitCode::FAILURE
        }
    }
}

fn run<F, E>(
    (name, traces): (&'static str, Traces),
    operating: &OperatingArgs,
    serve: impl FnOnce(Context) -> F,
) -> Result<(), RunError>
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<AnyError>,
{
    let mut context = Context::new(name, Shutdown::on_signals(operating.shutdown_grace)?)?;
    context.orders = Orders::new(operating.admin_token()?);
    context.traces = traces.clone();
    let runtime = Runtime::new()?;
    let ended = runtime.block_on(async {
        let listener = bind(operating.admin_listen, "--admin-listen").await?;
        tracing::info!(service = name, address = %listener.local_addr()?, "admin port is open");
        // The admin port closes last, so that the drain can be watched.
        let close_admin = CancellationToken::new();
        let admin = tokio::spawn(serve_admin(
            listener,
            context.admin_state(),
            close_admin.clone(),
        ));
        let mut tasks = Tasks::new(&context.shutdown);
        tasks.spawn(name, serve(context.clone()));
        let grace = operating.shutdown_grace;
        let draining = tokio::spawn(drain_on(context));
        let ended = tasks.drained().await;
        // What ends by itself ends without a shutdown to wait for.
        let spent = if draining.is_finished() {
            draining.await.map_or(grace, |begun_at| begun_at.elapsed())
        } else {
            Duration::ZERO
        };
        traces
            .close(grace.saturating_sub(spent).min(LAST_SPANS))
            .await;
        close_admin.cancel();
        if let Err(error) = admin.await {
            tracing::error!(%error, "the admin port broke");
        }
        ended.map_err(RunError::from)
    });
    runtime.shutdown_timeout(LEFT_BEHIND_AFTER);
    ended
}

/// Readiness goes first, so that no new work is sent here. Answers when the shutdown began.
async fn drain_on(context: Context) -> Instant {
    context.shutdown.begun().await;
    let begun_at = Instant::now();
    context.health.drain();
    begun_at
}

#[derive(Serialize)]
struct Settings<'a, T> {
    #[serde(flatten)]
    operating: &'a OperatingArgs,
    #[serde(flatten)]
    own: &'a T,
}

fn log_settings(name: &str, operating: &OperatingArgs, own: &impl Serialize) {
    let settings = Settings { operating, own };
    telemetry::log_effective_config(name, &settings);
}
