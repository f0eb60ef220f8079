//! The thread that has the models: spoken to by messages, and the only place where a model is used.
//! It waits while `runner` runs one, so that a run which hangs can be ended, or given up.
//!
//! It loads the default model first and tries again until it can; only then is the detector ready.
//! One batch may wait in front of it, so that the next one is decoded while it works.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pipeline::{
    frame::ModelRef,
    kafka::Received,
    service::{Part, units::format_duration},
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    job::{Decoded, Outcome, Predicted, give_up},
    metrics::Meters,
    run_limit::RunLimits,
    runner::{Answer, Patience, Runner},
    shares::{PerLane, Reservation, Shares, index},
    shelf::{Shelf, Store},
    trial::{Run, Trial, decide},
};
use crate::rollout::Shadows;

/// Loading a large model or looking at a large picture may take this long.
pub(crate) const MODEL_DEADLINE: Duration = Duration::from_mins(2);

/// How often an idle thread says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long after a failure the default model is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// How long a run that was told to end may take to do so, before its thread is given up.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// With so many runs that hang for good the detector ends, so that it is started anew.
pub(crate) const MAX_LOST: usize = 3;

/// Frames for one model.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) model: ModelRef,
    pub(crate) frames: Vec<Received<Decoded>>,
    /// Given back when what the batch took is known.
    pub(crate) reservation: Option<Reservation>,
}

/// Everything the thread owns.
pub(crate) struct ModelThread<S> {
    pub(crate) shelf: Shelf<S>,
    pub(crate) shadows: Shadows,
    pub(crate) default_model: ModelRef,
    pub(crate) batches: mpsc::Receiver<Batch>,
    pub(crate) answers: mpsc::Sender<Vec<Outcome<Predicted>>>,
    /// True from the moment when the default model is loaded.
    pub(crate) is_loaded: watch::Sender<bool>,
    pub(crate) part: Part,
    pub(crate) meters: Meters,
    pub(crate) runtime: Handle,
    pub(crate) stop: CancellationToken,
    pub(crate) runner: Runner,
    pub(crate) limits: RunLimits,
    /// Whom a run's time is charged to.
    pub(crate) shares: Shares,
    /// How long a run that was told to end may take to do so.
    pub(crate) grace: Duration,
}

/// Model runs hang that cannot be ended, and each holds a thread, its memory and perhaps a core.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} model runs hang and cannot be ended: restart the detector, and look in kadr.dead and in \
     the log for the model and the frames that do it"
)]
pub(crate) struct LostThreads(usize);

/// Waits as long as it takes, and says all the while that this is not a stuck loop.
pub(crate) async fn keeping_alive<F: Future>(part: &Part, waiting: F) -> F::Output {
    let mut waiting = std::pin::pin!(waiting);
    loop {
        part.alive();
        if let Ok(output) = timeout(HEARTBEAT, &mut waiting).await {
            return output;
        }
    }
}

impl<S: Store + 'static> ModelThread<S> {
    /// Starts the thread; it ends when nobody can send it batches any more.
    pub(crate) fn spawn(self) -> std::io::Result<JoinHandle<Result<(), LostThreads>>> {
        std::thread::Builder::new()
            .name("model".to_owned())
            .spawn(move || self.run())
    }

    fn run(mut self) -> Result<(), LostThreads> {
        while !self.load_default() {
            let stopped = async { timeout(RETRY, self.stop.cancelled()).await };
            if self.runtime.block_on(stopped).is_ok() {
                self.part.retire();
                return Ok(());
            }
        }
        self.part.ready();
        self.is_loaded.send_replace(true);
        loop {
            if let Err(lost) = self.check_threads() {
                self.part.not_ready(&lost.to_string());
                return Err(lost);
            }
            self.tell_state();
            let next = async { timeout(HEARTBEAT, self.batches.recv()).await };
            let Ok(next) = self.runtime.block_on(next) else {
                self.shelf.take_deliveries();
                self.tell_shelf();
                continue;
            };
            let Some(batch) = next else {
                break;
            };
            let answer = self.look_at(batch);
            self.show_shadows(&answer);
            if !self.hand_on(answer) {
                break;
            }
        }
        self.part.retire();
        Ok(())
    }

    fn tell_state(&self) {
        let lost = self.runner.lost();
        self.meters.lost_threads(lost);
        let remark = (lost > 0).then(|| {
            format!(
                "{lost} of {MAX_LOST} model runs hang and cannot be ended; at {MAX_LOST} the \
                 detector ends"
            )
        });
        self.part.ready_with(remark.as_deref());
    }

    fn tell_shelf(&mut self) {
        self.meters.loaded(self.shelf.forms());
        for (model, room) in self.shelf.take_evictions() {
            self.meters.evicted(&model, room);
        }
    }

    fn show_shadows(&self, answers: &[Outcome<Predicted>]) {
        for predicted in answers
            .iter()
            .filter_map(|answer| answer.value().as_ref().ok())
        {
            let (model, source) = (&predicted.model, &predicted.job.frame.source);
            let (picture, prediction) = (&predicted.picture, &predicted.prediction);
            self.shadows.show((model, source), picture, prediction);
        }
    }

    /// Whether there is still somebody to take the answer. Waiting for Kafka is no sign of a stuck
    /// model.
    fn hand_on(&self, answer: Vec<Outcome<Predicted>>) -> bool {
        let place = keeping_alive(&self.part, self.answers.reserve());
        match self.runtime.block_on(place) {
            Ok(place) => {
                place.send(answer);
                true
            }
            Err(_closed) => false,
        }
    }

    /// Whether the default model is there now.
    fn load_default(&mut self) -> bool {
        let step = format!("loading model {}", self.default_model);
        self.part.starting(&step);
        match self.shelf.load_default(&self.default_model) {
            Ok(_) => {
                self.tell_shelf();
                true
            }
            Err(error) => {
                let reason = format!("model {} cannot be had: {error}", self.default_model);
                self.part.not_ready(&reason);
                false
            }
        }
    }

    /// All frames together first; those without a verdict then, each alone.
    fn look_at(&mut self, batch: Batch) -> Vec<Outcome<Predicted>> {
        let Batch {
            model,
            frames,
            reservation,
        } = batch;
        let changes = self.shelf.changes();
        let (frames, mut outcomes) = self.in_time(frames, Timestamp::now());
        let mut trials: Vec<Trial> = frames.into_iter().map(Trial::new).collect();
        self.run_model(&model, &mut trials);
        for trial in &mut trials {
            while !trial.is_decided() {
                self.run_model(&model, std::slice::from_mut(trial));
            }
        }
        if self.shelf.changes() != changes {
            self.tell_shelf();
        }
        drop(reservation);
        outcomes.extend(trials.into_iter().map(Trial::outcome));
        outcomes
    }

    /// The frames whose time has not run out while the batch before was looked at, and what is to be
    /// said of the others.
    fn in_time(
        &self,
        frames: Vec<Received<Decoded>>,
        now: Timestamp,
    ) -> (Vec<Received<Decoded>>, Vec<Outcome<Predicted>>) {
        let is_in_time = |frame: &Received<Decoded>| !frame.value().job.is_late(now);
        let (in_time, late): (Vec<_>, Vec<_>) = frames.into_iter().partition(is_in_time);
        let late = late.into_iter().filter_map(|frame| {
            let job = frame.map(|decoded| decoded.job);
            give_up(job, now, &self.meters)
        });
        (in_time, late.collect())
    }

    fn run_model(&mut self, model: &ModelRef, trials: &mut [Trial]) {
        if trials.is_empty() {
            return;
        }
        let loaded = match self.shelf.take(model) {
            Ok(loaded) => loaded,
            Err(error) => return trials.iter_mut().for_each(|trial| trial.refuse(&error)),
        };
        let (name, frames) = (loaded.name.clone(), trials.len());
        let draw = loaded.model.manifest().draw;
        self.meters.batch(&name, frames);
        let limit = self.limits.of(&name, frames);
        let patience = Patience {
            limit,
            grace: self.grace,
            alive: &|| self.part.alive(),
        };
        let started = Instant::now();
        let pictures = trials.iter_mut().map(Trial::begin).collect();
        let ran = self.runner.run(loaded, pictures, patience);
        self.limits.note(&name, frames, ran.took);
        let charged = self.shares.charge(model, lanes_of(trials), ran.took);
        self.meters.lane_time(charged);
        match ran.loaded {
            Some(loaded) => self.shelf.put_back(loaded),
            None => self.shelf.forget(&name),
        }
        if let Answer::Cut(cut) = &ran.answer {
            self.meters.run_cut(&name, *cut, self.runner.lost());
            let (model, version, how) = (&name.name, name.version, cut.as_str());
            tracing::error!(
                model,
                version,
                how,
                limit = format_duration(limit),
                frames,
                "a model run was cut short"
            );
        }
        let run = Run {
            model: name,
            draw,
            started,
            took: ran.took,
        };
        decide(trials, ran.answer, &run, limit);
    }

    /// Whether so many runs hang that only a new process helps.
    fn check_threads(&self) -> Result<(), LostThreads> {
        match self.runner.lost() {
            lost if lost >= MAX_LOST => Err(LostThreads(lost)),
            _ => Ok(()),
        }
    }
}

/// How many frames there are of each lane.
fn lanes_of(trials: &[Trial]) -> PerLane<usize> {
    let mut frames = [0; 2];
    for trial in trials {
        frames[index(trial.lane())] += 1;
    }
    frames
}

#[cfg(test)]
#[path = "model_thread_tests.rs"]
mod tests;
