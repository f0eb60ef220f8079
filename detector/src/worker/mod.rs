//! The running detector: Kafka in, models, annotated pictures and results out.
//!
//! In the order a frame meets it, each stage a task or a thread of its own, with bounded channels
//! between them:
//!
//! - [`args`]: the flags that only the detector has
//! - `intake`: reads both lanes; `scheduler` says which frame is next, `shares` whose turn it is,
//!   `batching` how large a batch becomes
//! - `decode`: JPEG to pixels, off the async threads
//! - `model_thread`: the one place where models answer; `shelf` keeps the loaded ones within what
//!   `memory` allows, `onnx_store` loads them,
//!   [`rollout`](crate::rollout) says which version serves whom, `trial` counts how often a frame
//!   was tried, `runner` ends a run that takes longer than `run_limit` says
//! - `finish`: draws and encodes, off the async threads
//! - `publish`: annotated picture, result, commit; or a dead letter and the commit
//! - `job`: what travels through all of these
//! - `trace`: what is recorded of a frame whose trace is sampled
//! - [`metrics`]: what is counted on the way

pub mod args;
mod batching;
mod decode;
mod finish;
mod intake;
mod job;
pub(crate) mod memory;
pub mod metrics;
mod model_thread;
mod onnx_store;
mod publish;
mod run_limit;
mod runner;
mod scheduler;
mod shares;
pub(crate) mod shelf;
mod trace;
mod trial;

use std::{path::PathBuf, thread::JoinHandle, time::Duration};

use pipeline::{
    frame::{Lane, ModelRef},
    kafka::{Source, SourceConfig, SourceError, StartPosition},
    service::{
        Context, Tasks,
        bus::{Bus, report_link},
        metrics::MetricsError,
        shutdown::AnyError,
    },
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::{JoinError, spawn_blocking},
};

use crate::model::manifest::SessionWishes;
use crate::model::repository::Repository;
use crate::onnx::LoadOptions;
use crate::rollout::metrics::RolloutMeters;
use crate::rollout::{Board, Command, Keeper, Overseer, Routes, Shadows, admin_routes, keeper};
use crate::tune::record::TUNING_FILE;
use decode::Decode;
use finish::Finish;
use intake::{Desk, INTAKE_DEADLINE, Intake, ROOM};
use job::{Finished, Outcome, Predicted};
use memory::Seen;
use metrics::Meters;
use model_thread::{Batch, GRACE, LostThreads, MODEL_DEADLINE, ModelThread};
use onnx_store::OnnxStore;
use publish::Publish;
use run_limit::RunLimits;
use runner::Runner;
use scheduler::Scheduler;
use shares::Shares;
use shelf::{BatchRules, Shelf};

/// The part of the shutdown's grace that is left for flushing when the stages had theirs.
const FLUSH: Duration = Duration::from_secs(1);

/// A lane's reader that cannot reach Kafka for this long is stuck.
const LINK_DEADLINE: Duration = Duration::from_secs(15);

/// Pictures that may be decoded, or drawn, at the same time.
const MAX_WIDTH: usize = 8;

/// Outcomes that may wait for the publisher.
const OUTCOMES: usize = 16;

/// Orders of operators that may wait for the keeper.
const ORDERS: usize = 16;

/// How a detector runs.
#[derive(Clone, Debug)]
pub struct DetectorConfig {
    /// The folder of models.
    pub models: PathBuf,
    /// The model for frames that ask for none; it is loaded at the start and stays.
    pub default_model: ModelRef,
    /// Device, threads and weights.
    pub load: LoadOptions,
    /// The ONNX Runtime library, instead of the one that is found.
    pub onnxruntime: Option<PathBuf>,
    /// Sessions, operators at a time, spinning and arena, where flags say so; else it is the model's
    /// to wish, then as `detector tune` found best.
    pub asked: SessionWishes,
    /// What `detector tune` has written; none means the file beside the models.
    pub tuning: Option<PathBuf>,
    /// Models in memory, at least two.
    pub max_loaded_models: usize,
    /// Memory that all models together may take; none means without a limit.
    pub model_memory_budget: Option<u64>,
    /// The part of the models' time that the live lane gets while both lanes have work, between 0
    /// and 1.
    pub live_share: f64,
    /// JPEG quality of the annotated pictures.
    pub annotated_quality: u8,
    /// Pixels that a frame may have.
    pub max_pixels: u64,
    /// How long a model may look at a batch, instead of ten times as long as it usually does.
    pub run_limit: Option<Duration>,
}

/// Why a detector did not start.
#[derive(Debug, thiserror::Error)]
pub enum DetectorError {
    /// A metric was registered twice: a mistake in our code.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A lane cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A thread for models could not be started.
    #[error("cannot start a thread for models: {0}")]
    Thread(#[source] std::io::Error),
}

/// Both ends of a channel.
type Ends<T> = (mpsc::Sender<T>, mpsc::Receiver<T>);

/// The channels between the stages.
struct Channels {
    batches: Ends<Batch>,
    chosen: Ends<decode::Chosen>,
    answers: Ends<Vec<Outcome<Predicted>>>,
    outcomes: Ends<Outcome<Finished>>,
    is_loaded: (watch::Sender<bool>, watch::Receiver<bool>),
}

impl Channels {
    fn new() -> Self {
        Self {
            // One batch in front of the model: the next is decoded while it works, and no live
            // frame grows older than that.
            batches: mpsc::channel(1),
            chosen: mpsc::channel(1),
            answers: mpsc::channel(1),
            outcomes: mpsc::channel(OUTCOMES),
            is_loaded: watch::channel(false),
        }
    }
}

/// Starts a detector among `tasks`; it ends with the shutdown. Returns at once: models load in the
/// background, and the part `model` of the health page says how that goes.
pub fn start(
    config: DetectorConfig,
    bus: &Bus,
    context: &Context,
    tasks: &mut Tasks,
) -> Result<(), DetectorError> {
    let context = context.for_service("detector")?;
    let channels = Channels::new();
    let assembly = Assembly {
        meters: Meters::register(&context.metrics, &config.load)?,
        batch_rules: BatchRules::default(),
        shares: Shares::new(config.live_share),
        board: Board::with_budget(config.model_memory_budget),
        seen: Seen::default(),
        routes: Routes::default(),
        shadows: Shadows::new(RolloutMeters::register(&context.metrics)?),
        config,
        bus,
        context,
    };
    let width = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MAX_WIDTH));
    let intake = Intake {
        durable: assembly.lane(Lane::Durable, tasks)?,
        live: assembly.lane(Lane::Live, tasks)?,
        desk: assembly.desk(channels.outcomes.0.clone()),
        is_loaded: channels.is_loaded.1,
        model: channels.batches.0,
        chosen: channels.chosen.0,
        kafka: bus.metrics.clone(),
        topics: bus.topics.clone(),
        part: assembly.context.health.register("intake", INTAKE_DEADLINE),
        stop: assembly.context.shutdown.token(),
        drain: assembly.context.shutdown.grace().saturating_sub(FLUSH),
    };
    let decode = Decode {
        chosen: channels.chosen.1,
        failures: channels.outcomes.0.clone(),
        meters: assembly.meters.clone(),
        max_pixels: assembly.config.max_pixels,
        width,
    };
    let model_thread = ModelThread {
        shelf: assembly.shelf(),
        shadows: assembly.shadows.clone(),
        default_model: assembly.config.default_model.clone(),
        batches: channels.batches.1,
        answers: channels.answers.0,
        is_loaded: channels.is_loaded.0,
        part: assembly.context.health.register("model", MODEL_DEADLINE),
        meters: assembly.meters.clone(),
        runtime: Handle::current(),
        stop: assembly.context.shutdown.token(),
        runner: Runner::default(),
        limits: RunLimits::new(assembly.config.run_limit),
        shares: assembly.shares.clone(),
        grace: GRACE,
    };
    let finish = Finish {
        answers: channels.answers.1,
        outcomes: channels.outcomes.0,
        quality: assembly.config.annotated_quality,
        width,
    };
    let publish = assembly.publish();
    let keeper = assembly.keeper();
    let keeper = keeper.spawn().map_err(DetectorError::Thread)?;
    let model_thread = model_thread.spawn().map_err(DetectorError::Thread)?;
    tasks.spawn("intake", intake.run());
    tasks.spawn("decode", decode.run());
    tasks.spawn("model", ended(model_thread));
    tasks.spawn("model keeper", joined(keeper));
    tasks.spawn("finish", finish.run());
    tasks.spawn("publish results", publish.run(channels.outcomes.1));
    Ok(())
}

/// What the stages are put together from.
struct Assembly<'a> {
    config: DetectorConfig,
    bus: &'a Bus,
    context: Context,
    meters: Meters,
    batch_rules: BatchRules,
    shares: Shares,
    board: Board,
    seen: Seen,
    routes: Routes,
    shadows: Shadows,
}

impl Assembly<'_> {
    /// A lane's consumer group is named after the topic prefix, as several installations may share
    /// one Kafka.
    fn lane(&self, lane: Lane, tasks: &mut Tasks) -> Result<Source, SourceError> {
        let topics = &self.bus.topics;
        let frames = topics.frames();
        let prefix = frames.strip_suffix(".frames").unwrap_or(&frames);
        let (group, part, start) = match lane {
            Lane::Durable => ("detector", "frames lane", StartPosition::Earliest),
            Lane::Live => ("detector-live", "live lane", StartPosition::Latest),
        };
        let group = format!("{prefix}-{group}");
        let mut settings = SourceConfig::new(&group, &[&topics.of_lane(lane)], start);
        // A live frame is stale before a detector that it killed has come back.
        settings.attempt_marks = lane == Lane::Durable;
        let source = Source::start(&self.bus.kafka, settings, &self.bus.metrics)?;
        let part = self.context.health.register(part, LINK_DEADLINE);
        let watching = report_link(source.link(), part, self.context.shutdown.token());
        tasks.spawn("detector link", async {
            watching.await;
            Ok::<_, AnyError>(())
        });
        Ok(source)
    }

    fn desk(&self, failures: mpsc::Sender<Outcome<Finished>>) -> Desk {
        Desk {
            scheduler: Scheduler::new(ROOM, self.shares.clone()),
            default_model: self.config.default_model.clone(),
            routes: self.routes.clone(),
            batch_rules: self.batch_rules.clone(),
            is_ending: false,
            failures,
            meters: self.meters.clone(),
            traces: self.context.traces.clone(),
        }
    }

    fn tuning_file(&self) -> PathBuf {
        let beside = || self.config.models.join(TUNING_FILE);
        self.config.tuning.clone().unwrap_or_else(beside)
    }

    fn store(&self) -> OnnxStore {
        OnnxStore {
            repository: Repository::new(&self.config.models),
            library: self.config.onnxruntime.clone(),
            options: self.config.load.clone(),
            asked: self.config.asked,
            seen: self.seen.clone(),
            tuning: self.tuning_file(),
        }
    }

    fn shelf(&self) -> Shelf<OnnxStore> {
        let capacity = self.config.max_loaded_models;
        let told = (self.batch_rules.clone(), self.board.clone());
        Shelf::new(self.store(), capacity, told)
    }

    /// The thread that follows the repository, and the routes by which it is spoken to.
    fn keeper(&self) -> Keeper<OnnxStore> {
        let (orders, commands) = mpsc::channel::<Command>(ORDERS);
        let overseer = Overseer {
            catalogue: Repository::new(&self.config.models).catalogue().clone(),
            board: self.board.clone(),
            routes: self.routes.clone(),
            shadows: self.shadows.clone(),
        };
        self.context.orders.add(admin_routes(overseer, orders));
        let health = &self.context.health;
        Keeper {
            store: self.store(),
            board: self.board.clone(),
            routes: self.routes.clone(),
            shadows: self.shadows.clone(),
            default_model: self.config.default_model.clone(),
            commands,
            part: health.register("versions", keeper::KEEPER_DEADLINE),
            runtime: Handle::current(),
            stop: self.context.shutdown.token(),
            settle: keeper::SETTLE,
            memory: keeper::Memory::default(),
        }
    }

    fn publish(&self) -> Publish {
        Publish {
            sink: self.bus.sink.clone(),
            topics: self.bus.topics.clone(),
            meters: self.meters.clone(),
            max_pixels: self.config.max_pixels,
        }
    }
}

/// Waits for the model thread, which ends with an error when runs hang for good.
async fn ended(thread: JoinHandle<Result<(), LostThreads>>) -> Result<(), ModelThreadError> {
    Ok(joined(thread).await??)
}

/// Waits for a thread; its panic is the task's error.
async fn joined<T: Send + 'static>(thread: JoinHandle<T>) -> Result<T, ModelThreadError> {
    let joined = spawn_blocking(move || thread.join()).await?;
    joined.map_err(|_panic| ModelThreadError::Panicked)
}

#[derive(Debug, thiserror::Error)]
enum ModelThreadError {
    #[error("the model thread panicked: this is a defect, see the log")]
    Panicked,
    #[error(transparent)]
    LostThreads(#[from] LostThreads),
    #[error(transparent)]
    Join(#[from] JoinError),
}
