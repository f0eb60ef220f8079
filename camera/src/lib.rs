//! Cameras: each captures on its own clock onto the live topic, and shows its operator what Kafka gave back.
//!
//! Layout, in the order a picture meets it:
//!
//! - [`Address`]: where pictures come from, told by a URL
//! - `capture`: takes pictures at the asked rate, as JPEG
//! - `newest`: a slot in which the newest picture wins
//! - `publish`: frames onto `kadr.live`, one in flight per camera
//! - `playback`: what the live topic gives back, newest frame per camera
//! - `web`: snapshot, moving picture and status of each camera

mod address;
mod capture;
mod newest;
mod playback;
mod publish;
mod web;

use std::{sync::Arc, time::Duration};

use pipeline::{
    frame::{Lane, SourceId},
    kafka::{KafkaConfig, Sink, Tail, TailError},
    service::{Context, Tasks},
    topic::Topics,
};

pub use address::{Address, AddressError};
pub use playback::Playback;
pub use web::camera_router;

/// A camera that took no picture for this long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(15);

/// One camera: its name on the topics and where its pictures come from.
#[derive(Clone, Debug)]
pub struct CameraConfig {
    pub id: SourceId,
    pub address: Address,
}

/// Where cameras publish.
#[derive(Clone, Debug)]
pub struct Outlet {
    pub kafka: KafkaConfig,
    pub topics: Topics,
    pub sink: Sink,
}

/// Starts every camera and the playback among `tasks`; they end with the shutdown.
pub async fn start(
    cameras: Vec<CameraConfig>,
    outlet: &Outlet,
    context: &Context,
    tasks: &mut Tasks,
) -> Result<Arc<Playback>, TailError> {
    let live_topic = outlet.topics.of_lane(Lane::Live);
    let tail = Tail::open(&outlet.kafka, &[&live_topic], 0).await?;
    let playback = Arc::new(Playback::new(
        cameras.iter().map(|camera| camera.id.clone()),
    ));
    tasks.spawn(
        "playback",
        playback::run(tail, playback.clone(), context.shutdown.token()),
    );
    for camera in cameras {
        let slot = Arc::new(newest::Newest::new());
        let part = context
            .health
            .register(&format!("camera {}", camera.id), STUCK_AFTER);
        tasks.spawn(
            "capture",
            capture::run(camera.address, slot.clone(), context.clone(), part),
        );
        let publisher = publish::Publisher {
            source: camera.id,
            topic: live_topic.clone(),
            sink: outlet.sink.clone(),
            metrics: context.metrics.clone(),
        };
        tasks.spawn("publish", publisher.run(slot, context.shutdown.token()));
    }
    Ok(playback)
}
