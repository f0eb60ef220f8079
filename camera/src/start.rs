//! Wires the cameras of a process together.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::Router;
use pipeline::{
    frame::{Lane, SourceId},
    kafka::{Tail, TailError},
    service::{Bus, Context, Tasks, bus::report_link, metrics::MetricsError, shutdown::AnyError},
};

use crate::{
    capture::{CaptureError, Filming, Reel},
    config::{CameraConfig, CamerasConfig, CamerasError},
    newest::Newest,
    playback::{self, Camera, Playback},
    publish::Publisher,
    stats::{CameraStats, FrameCounters},
    web::camera_routes,
};

/// A camera that took no picture for this long, and did not say why, is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(15);

/// Why the cameras did not start.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    /// Nothing to film.
    #[error(
        "name a camera with --source, such as --source belt://?seed=1 or --source line-3=file:///clip.mp4"
    )]
    NoCameras,
    /// The flags.
    #[error(transparent)]
    Config(#[from] CamerasError),
    /// A source that cannot be opened.
    #[error("camera {id} has no pictures")]
    Source {
        /// Which.
        id: SourceId,
        /// Why.
        source: CaptureError,
    },
    /// The topics cannot be read.
    #[error(transparent)]
    Tail(#[from] TailError),
    /// The metrics were registered twice: a mistake in our code.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// Starts every camera and the way back among `tasks`, which end with the shutdown; answers the
/// routes below `/cameras`. A source that cannot be opened is an error now, and later a part that
/// is not ready.
pub async fn start(
    config: CamerasConfig,
    bus: &Bus,
    context: &Context,
    tasks: &mut Tasks,
) -> Result<Router, CameraError> {
    let context = context.for_service("camera")?;
    let counters = FrameCounters::register(&context.metrics)?;
    let mut known = BTreeMap::new();
    let mut crews = Vec::with_capacity(config.cameras.len());
    for camera in config.cameras {
        let stats = Arc::new(counters.for_camera(&camera.id));
        known.insert(
            camera.id.clone(),
            Camera::new(camera.address.clone(), stats.clone()),
        );
        crews.push(Crew::of(camera, stats).await?);
    }
    let topics = [
        bus.topics.of_lane(Lane::Live),
        bus.topics.annotated(),
        bus.topics.results(),
    ];
    let tail = Tail::open(&bus.kafka, &topics.each_ref().map(String::as_str), 0).await?;
    let playback = Arc::new(Playback::new(known, bus.topics.clone()));
    let stop = context.shutdown.token();
    let part = context.health.register("playback", STUCK_AFTER);
    let watching = report_link(tail.link(), part, stop.clone());
    tasks.spawn("playback link", async {
        watching.await;
        Ok::<_, AnyError>(())
    });
    tasks.spawn(
        "playback",
        playback::run(tail, playback.clone(), stop.clone()),
    );
    for crew in crews {
        crew.start(bus, &context, tasks);
    }
    Ok(camera_routes(playback, stop))
}

/// What one camera needs to work.
struct Crew {
    id: SourceId,
    reel: Reel,
    stats: Arc<CameraStats>,
}

impl Crew {
    async fn of(camera: CameraConfig, stats: Arc<CameraStats>) -> Result<Self, CameraError> {
        let CameraConfig { id, address } = camera;
        let opened = Reel::open(address, stats.clone()).await;
        match opened {
            Ok(reel) => Ok(Self { id, reel, stats }),
            Err(source) => Err(CameraError::Source { id, source }),
        }
    }

    fn start(self, bus: &Bus, context: &Context, tasks: &mut Tasks) {
        let stop = context.shutdown.token();
        let slot = Arc::new(Newest::new());
        let part = context
            .health
            .register(&format!("camera {}", self.id), STUCK_AFTER);
        let filming = Filming {
            slot: slot.clone(),
            stats: self.stats.clone(),
            part,
            traces: context.traces.clone(),
        };
        tasks.spawn("capture", filming.run(self.reel, stop.clone()));
        let publisher = Publisher {
            source: self.id,
            topic: bus.topics.of_lane(Lane::Live),
            sink: bus.sink.clone(),
            stats: self.stats,
            traces: context.traces.clone(),
        };
        tasks.spawn("publish", publisher.run(slot, stop));
    }
}
