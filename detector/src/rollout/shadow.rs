//! Versions that run beside the served one: each on a thread of its own, on frames that are
//! answered already. A busy shadow is passed over, so it delays nobody but takes its share of the
//! processor.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use pipeline::catalogue::rollout::Shadow;
use pipeline::detections::ModelVersion;
use pipeline::frame::SourceId;
use pipeline::service::shutdown::describe;
use serde::Serialize;
use tokio::sync::mpsc;

use super::agreement::Agreement;
use super::metrics::RolloutMeters;
use crate::image::RgbImage;
use crate::model::{Model, Prediction};

/// The running shadows, one a model at most. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Shadows {
    running: Arc<Mutex<HashMap<String, Running>>>,
    meters: RolloutMeters,
}

#[derive(Debug)]
struct Running {
    shadow: Shadow,
    pictures: mpsc::Sender<Seen>,
    tally: Arc<Mutex<Tally>>,
    thread: JoinHandle<()>,
}

/// A picture and what the served version says about it.
struct Seen {
    picture: RgbImage,
    served: Prediction,
}

/// How a shadow has done since it was started.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Tally {
    /// Frames with the same things in the same places.
    pub(crate) agreed: u64,
    /// Frames with other things.
    pub(crate) differed: u64,
    /// Frames that the shadow could not look at.
    pub(crate) failed: u64,
    /// Frames that came while it was busy.
    pub(crate) skipped: u64,
    /// Things that both found, and that only one of them did.
    pub(crate) found_by_both: u64,
    pub(crate) found_by_served_alone: u64,
    pub(crate) found_by_shadow_alone: u64,
    /// Of what both found, how far the scores are apart on average.
    pub(crate) mean_score_difference: f64,
    /// What went wrong last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<String>,
}

impl Shadows {
    pub(crate) fn new(meters: RolloutMeters) -> Self {
        Self {
            running: Arc::default(),
            meters,
        }
    }

    /// For whoever counts what is not a shadow's.
    pub(crate) fn meters(&self) -> &RolloutMeters {
        &self.meters
    }

    /// Starts a shadow in the place of the model's last one; it ends when it is replaced.
    pub(crate) fn start(
        &self,
        name: &ModelVersion,
        shadow: Shadow,
        model: Box<dyn Model>,
    ) -> io::Result<()> {
        let (pictures, waiting) = mpsc::channel(1);
        let tally = Arc::default();
        let watcher = Watcher {
            name: name.clone(),
            model,
            tally: Arc::clone(&tally),
            meters: self.meters.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("shadow".to_owned())
            .spawn(move || watcher.run(waiting))?;
        let running = Running {
            shadow,
            pictures,
            tally,
            thread,
        };
        let replaced = self.lock().insert(name.name.clone(), running);
        if let Some(replaced) = replaced {
            replaced.end();
        }
        Ok(())
    }

    /// Another share for a running shadow.
    pub(crate) fn adjust(&self, model: &str, shadow: Shadow) {
        if let Some(running) = self.lock().get_mut(model) {
            running.shadow = shadow;
        }
    }

    /// Ends the shadows of all models but these, and waits for what they have in hand: a process
    /// must not end under a running model.
    pub(crate) fn retain(&self, is_wanted: impl Fn(&str) -> bool) {
        let unwanted = |model: &String, _: &mut Running| !is_wanted(model);
        let ended: Vec<_> = self.lock().extract_if(unwanted).collect();
        for (_, running) in ended {
            running.end();
        }
    }

    pub(crate) fn get(&self, model: &str) -> Option<(Shadow, Tally)> {
        let running = self.lock();
        let found = running.get(model)?;
        let tally = lock(&found.tally).clone();
        Some((found.shadow, tally))
    }

    /// Shows a frame that `model` has answered to its shadow, if it has one that wants it.
    pub(crate) fn show(
        &self,
        (model, source): (&ModelVersion, &SourceId),
        picture: &RgbImage,
        served: &Prediction,
    ) {
        let running = self.lock();
        let Some(found) = running.get(&model.name) else {
            return;
        };
        let Running { shadow, .. } = found;
        if shadow.version == model.version || !shadow.sees(&model.name, source) {
            return;
        }
        let name = ModelVersion {
            name: model.name.clone(),
            version: shadow.version,
        };
        match found.pictures.try_reserve() {
            Ok(place) => place.send(Seen {
                picture: picture.clone(),
                served: served.clone(),
            }),
            Err(mpsc::error::TrySendError::Full(())) => {
                lock(&found.tally).skipped += 1;
                self.meters.shadow_frame(&name, "skipped");
            }
            // Its thread has ended by a panic, which the log tells.
            Err(mpsc::error::TrySendError::Closed(())) => {
                let mut tally = lock(&found.tally);
                tally.failed += 1;
                tally.last_error = Some("its thread has ended; see the log".to_owned());
                self.meters.shadow_frame(&name, "failed");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        lock(&self.running)
    }
}

impl Running {
    fn end(self) {
        drop(self.pictures);
        if self.thread.join().is_err() {
            tracing::error!("the thread of a shadow has panicked: this is a defect");
        }
    }
}

/// What the thread of a shadow owns.
struct Watcher {
    name: ModelVersion,
    model: Box<dyn Model>,
    tally: Arc<Mutex<Tally>>,
    meters: RolloutMeters,
}

impl Watcher {
    fn run(mut self, mut waiting: mpsc::Receiver<Seen>) {
        while let Some(Seen { picture, served }) = waiting.blocking_recv() {
            let started = Instant::now();
            let answer = match self.model.predict(&[&picture]) {
                Ok(mut answers) => answers.pop().ok_or_else(|| "no answer".to_owned()),
                Err(error) => Err(describe(&error)),
            };
            match answer {
                Ok(shadow) => {
                    let agreement = Agreement::of(&served, &shadow);
                    lock(&self.tally).add(&agreement);
                    let seconds = started.elapsed().as_secs_f64();
                    self.meters.compared(&self.name, &agreement, seconds);
                }
                Err(reason) => {
                    let mut tally = lock(&self.tally);
                    tally.failed += 1;
                    tally.last_error = Some(reason);
                    self.meters.shadow_frame(&self.name, "failed");
                }
            }
        }
    }
}

impl Tally {
    fn add(&mut self, agreement: &Agreement) {
        if agreement.is_whole() {
            self.agreed += 1;
        } else {
            self.differed += 1;
        }
        let differences = self.mean_score_difference * self.found_by_both as f64
            + f64::from(agreement.score_difference);
        self.found_by_both += agreement.both as u64;
        self.found_by_served_alone += agreement.served_alone as u64;
        self.found_by_shadow_alone += agreement.shadow_alone as u64;
        if self.found_by_both > 0 {
            self.mean_score_difference = differences / self.found_by_both as f64;
        }
    }
}

/// A panic leaves numbers behind, which are right or a little old.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use pipeline::service::Metrics;

    use super::super::metrics::SHADOW_FRAMES;
    use super::*;
    use crate::worker::shelf::{Store as _, tests::FakeStore};

    /// No shadows yet, counted in a registry of their own.
    pub(crate) fn shadows() -> Shadows {
        Shadows::new(RolloutMeters::register(&Metrics::new("detector").unwrap()).unwrap())
    }

    fn version(version: u32) -> ModelVersion {
        ModelVersion {
            name: "m1".to_owned(),
            version,
        }
    }

    fn picture(side: u32) -> RgbImage {
        RgbImage::new(side, side, vec![0; (side * side * 3) as usize]).unwrap()
    }

    fn served() -> Prediction {
        let mut model = FakeStore::default().load(&version(1)).unwrap();
        model.predict(&[&picture(2)]).unwrap().remove(0)
    }

    /// Waits until the shadow has looked at so many frames.
    async fn tally_of(shadows: &Shadows, frames: u64) -> Tally {
        let counted = async {
            loop {
                let (_, tally) = shadows.get("m1").unwrap();
                if tally.agreed + tally.differed + tally.failed == frames {
                    return tally;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let counted = tokio::time::timeout(Duration::from_mins(1), counted).await;
        counted.expect("the shadow looks at what it is shown")
    }

    #[tokio::test]
    async fn a_shadow_is_compared_with_what_was_served() {
        let metrics = Metrics::new("detector").unwrap();
        let shadows = Shadows::new(RolloutMeters::register(&metrics).unwrap());
        let mut store = FakeStore::default();
        store.world.lock().unwrap().offered = HashMap::from([("m1".to_owned(), vec![1, 2, 3])]);
        let source = SourceId::new("line-1").unwrap();
        let mut frames = 0;
        for (number, side, word) in [(2, 2, "agreed"), (3, 2, "differed"), (3, 1, "failed")] {
            let everybody = Shadow {
                version: number,
                percent: 100,
            };
            let model = store.load(&version(number)).unwrap();
            shadows.start(&version(number), everybody, model).unwrap();
            shadows.show((&version(1), &source), &picture(side), &served());
            let tally = tally_of(&shadows, 1).await;
            let counts = [tally.agreed, tally.differed, tally.failed];
            let words = ["agreed", "differed", "failed"].map(|each| u64::from(each == word));
            assert_eq!(counts, words);
            assert_eq!(tally.last_error.is_some(), word == "failed");
            frames += 1;
            let counted = metrics.sum(SHADOW_FRAMES, &[("model", "m1")]) as usize;
            assert_eq!(counted, frames, "{word}");
        }
    }

    #[tokio::test]
    async fn only_the_share_of_frames_of_other_versions_is_shown() {
        let shadows = shadows();
        let mut store = FakeStore::default();
        let tenth = Shadow {
            version: 2,
            percent: 10,
        };
        let model = store.load(&version(2)).unwrap();
        shadows.start(&version(2), tenth, model).unwrap();
        let sources: Vec<_> = (0..50)
            .map(|number| SourceId::new(format!("cam-{number}")).unwrap())
            .collect();
        let seen = |source: &&SourceId| tenth.sees("m1", source);
        let of_share: Vec<_> = sources.iter().filter(seen).collect();
        assert!(!of_share.is_empty() && of_share.len() < 20);
        let shown = of_share.len() as u64;
        for source in &sources {
            shadows.show((&version(1), source), &picture(2), &served());
            shadows.show((&version(2), source), &picture(2), &served());
        }
        let looked_at = async {
            loop {
                let (_, tally) = shadows.get("m1").unwrap();
                if tally.agreed + tally.skipped == shown {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let looked_at = tokio::time::timeout(Duration::from_mins(1), looked_at).await;
        looked_at.expect("those of the share and no others");
    }
}
