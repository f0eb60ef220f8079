//! Takes pictures at the pace of their source and leaves each, as JPEG, in the slot of its camera.
//!
//! - this file: the endless loop of one camera
//! - [`error`]: why there is no picture
//! - `pace`: when the next picture is due
//! - `belt`, `clip`, `folder`: one file for each kind of source
//! - `jpeg`: pixels to JPEG

mod belt;
#[cfg(feature = "opencv")]
mod clip;
mod error;
mod folder;
mod jpeg;
mod pace;

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use pipeline::service::{DropReason, Part, Traces, shutdown::describe};
use tokio::{
    task::{JoinError, spawn_blocking},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

pub use error::CaptureError;

use crate::{
    address::{Address, ClipAddress},
    newest::Newest,
    publish::CAPTURE,
    stats::CameraStats,
};
use pace::Pace;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A picture as it left the camera.
#[derive(Debug)]
pub(crate) struct Shot {
    pub(crate) sequence: u64,
    pub(crate) captured_at: Timestamp,
    pub(crate) jpeg: Bytes,
}

/// An open source. It reads and encodes, so it is called on threads that may block.
trait Pictures: Send {
    /// At which pace its pictures follow.
    fn fps(&self) -> f64;

    /// `count` pictures were due while nobody could take them; answers how many are lost by that.
    fn pass_over(&mut self, count: u64) -> u64;

    /// The next picture; none at the end, where opening the source again begins anew.
    fn next(&mut self) -> Result<Option<Bytes>, CaptureError>;
}

/// A source that is opened again whenever it ends or fails.
pub(crate) struct Reel {
    address: Address,
    stats: Arc<CameraStats>,
    warned: folder::Warned,
    pictures: Option<Box<dyn Pictures>>,
}

struct Taken {
    jpeg: Bytes,
    lost_before: u64,
    fps: f64,
}

impl Reel {
    /// Opens the source, so that what is wrong with it is said at start.
    pub(crate) async fn open(
        address: Address,
        stats: Arc<CameraStats>,
    ) -> Result<Self, CaptureError> {
        let mut reel = Self {
            address,
            stats,
            warned: folder::Warned::default(),
            pictures: None,
        };
        let opening = spawn_blocking(move || {
            reel.pictures = Some(reel.open_pictures()?);
            Ok(reel)
        });
        opening.await?
    }

    /// Takes one picture and throws it away.
    pub(crate) async fn take_one(self) -> Result<(), CaptureError> {
        let (_, taken) = take(self, 0).await?;
        taken.map(|_picture| ())
    }

    fn fps(&self) -> Option<f64> {
        self.pictures.as_ref().map(|pictures| pictures.fps())
    }

    fn next(&mut self, passed_over: u64) -> Result<Taken, CaptureError> {
        let mut pictures = match self.pictures.take() {
            Some(pictures) => pictures,
            None => self.open_pictures()?,
        };
        let lost_before = pictures.pass_over(passed_over);
        let mut jpeg = pictures.next()?;
        if jpeg.is_none() {
            pictures = self.open_pictures()?;
            jpeg = pictures.next()?;
        }
        let jpeg = jpeg.ok_or_else(|| self.nothing_in_it())?;
        let fps = pictures.fps();
        self.pictures = Some(pictures);
        Ok(Taken {
            jpeg,
            lost_before,
            fps,
        })
    }

    /// Opened anew for every round, never wound back: a file that was exchanged shows, and one that
    /// is gone is noticed.
    fn open_pictures(&self) -> Result<Box<dyn Pictures>, CaptureError> {
        Ok(match &self.address {
            Address::Belt(config) => Box::new(belt::BeltPictures::open(config)?),
            Address::Clip(clip) => open_clip(clip)?,
            Address::Folder(folder) => Box::new(folder::FolderPictures::open(
                folder,
                &self.stats,
                &self.warned,
            )?),
        })
    }

    fn nothing_in_it(&self) -> CaptureError {
        let path = match &self.address {
            Address::Clip(clip) => clip.path.clone(),
            Address::Folder(folder) => folder.path.clone(),
            Address::Belt(_) => "belt".into(),
        };
        CaptureError::NoFrames { path }
    }
}

#[cfg(feature = "opencv")]
fn open_clip(clip: &ClipAddress) -> Result<Box<dyn Pictures>, CaptureError> {
    Ok(Box::new(clip::ClipPictures::open(clip)?))
}

#[cfg(not(feature = "opencv"))]
fn open_clip(_clip: &ClipAddress) -> Result<Box<dyn Pictures>, CaptureError> {
    Err(CaptureError::NoOpenCv)
}

/// One camera at work.
pub(crate) struct Filming {
    pub(crate) slot: Arc<Newest<Shot>>,
    pub(crate) stats: Arc<CameraStats>,
    pub(crate) part: Part,
    pub(crate) traces: Traces,
}

impl Filming {
    /// Captures until the shutdown. A picture that nobody took before the next one is counted as
    /// superseded; a source that fails is tried again with growing pauses.
    pub(crate) async fn run(self, reel: Reel, stop: CancellationToken) -> Result<(), JoinError> {
        let ended = stop.run_until_cancelled(self.film(reel)).await;
        self.part.retire();
        match ended {
            Some(Err(panicked)) => Err(panicked),
            None => Ok(()),
        }
    }

    async fn film(&self, mut reel: Reel) -> Result<Infallible, JoinError> {
        let mut pace = Pace::new(reel.fps().unwrap_or(1.0));
        let mut sequence = 0;
        let mut pause = FIRST_PAUSE;
        loop {
            let tick = pace.tick(&self.part).await;
            let (returned, taken) = take(reel, tick.passed_over).await?;
            reel = returned;
            match taken {
                Ok(taken) => {
                    pause = FIRST_PAUSE;
                    pace.set_fps(taken.fps);
                    sequence += taken.lost_before;
                    self.hand_over(taken, (sequence, tick.due_at));
                    sequence += 1;
                }
                Err(error) => {
                    self.complain(&error);
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    pace.restart();
                }
            }
        }
    }

    fn hand_over(&self, taken: Taken, (sequence, captured_at): (u64, Timestamp)) {
        self.part.ready();
        self.stats.set_fps(taken.fps);
        for _ in 0..taken.lost_before {
            self.stats.offered();
            self.stats.dropped(DropReason::Superseded);
        }
        self.stats.offered();
        self.stats.captured(captured_at);
        let shot = Shot {
            sequence,
            captured_at,
            jpeg: taken.jpeg,
        };
        if let Some(shot) = self.slot.put(shot) {
            self.stats.dropped(DropReason::Superseded);
            let mut span = self.traces.begin(CAPTURE, None, shot.captured_at);
            span.set_dropped(DropReason::Superseded);
            span.end();
        }
    }

    fn complain(&self, error: &CaptureError) {
        let reason = describe(error);
        self.part.not_ready(&reason);
        self.stats.failed(reason);
    }
}

/// Reading, drawing and encoding take milliseconds of a core: not on the async threads.
async fn take(
    mut reel: Reel,
    passed_over: u64,
) -> Result<(Reel, Result<Taken, CaptureError>), JoinError> {
    spawn_blocking(move || {
        let taken = reel.next(passed_over);
        (reel, taken)
    })
    .await
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
