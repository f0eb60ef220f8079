//! One setting, run for a while: every session in a thread of its own, all at the same time.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Setting;
use crate::image::RgbImage;
use crate::model::repository::ResolvedModel;
use crate::model::{Model as _, ModelError};
use crate::onnx::{LoadError, LoadOptions, OnnxModel, Runtime, SessionOptions};

/// Runs that do not count: the first ones allocate.
const WARM_UP_RUNS: usize = 2;

/// Runs of a session at least, however slow it is.
const LEAST_RUNS: usize = 3;

/// What one round gave; travels as JSON from the process that ran it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Of each run, whatever its batch.
    pub latencies_ms: Vec<f64>,
    /// Frames looked at.
    pub frames: u64,
    /// From the common start to the end of the last session.
    pub seconds: f64,
    /// Most memory that the process held.
    pub memory_mib: f64,
}

impl Trial {
    /// Frames over time.
    pub fn frames_per_second(&self) -> f64 {
        self.frames as f64 / self.seconds.max(f64::EPSILON)
    }
}

/// Why a setting cannot be tried.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The model cannot be loaded this way.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The model failed on the pictures.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A session's thread panicked: a defect.
    #[error("a session panicked")]
    Panicked,
}

/// What is tried, on what.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The library that runs it.
    pub runtime: &'a Runtime,
    /// The model.
    pub model: &'a ResolvedModel,
    /// Device and memory; threads and weights are the setting's.
    pub session: &'a SessionOptions,
    /// Looked at in turn; at least one.
    pub pictures: &'a [RgbImage],
}

/// Runs the setting for about so long.
pub fn run(subject: Subject<'_>, setting: Setting, length: Duration) -> Result<Trial, TrialError> {
    let mut models = (0..setting.sessions)
        .map(|_| load(subject, setting))
        .collect::<Result<Vec<_>, _>>()?;
    let batch: Vec<&RgbImage> = subject
        .pictures
        .iter()
        .cycle()
        .take(setting.batch)
        .collect();
    let start_line = Barrier::new(models.len());
    let outcomes: Vec<Result<Trial, TrialError>> = thread::scope(|scope| {
        let sessions: Vec<_> = models
            .iter_mut()
            .map(|model| scope.spawn(|| run_session(model, &batch, (&start_line, length))))
            .collect();
        let ended = sessions.into_iter().map(thread::ScopedJoinHandle::join);
        ended
            .map(|ended| ended.unwrap_or(Err(TrialError::Panicked)))
            .collect()
    });
    let mut sum = Trial::default();
    for outcome in outcomes {
        let one = outcome?;
        sum.latencies_ms.extend(one.latencies_ms);
        sum.frames += one.frames;
        sum.seconds = sum.seconds.max(one.seconds);
    }
    sum.memory_mib = peak_memory_mib();
    Ok(sum)
}

fn load(subject: Subject<'_>, setting: Setting) -> Result<OnnxModel, LoadError> {
    let options = LoadOptions {
        precision: Some(setting.precision),
        session: SessionOptions {
            threads: setting.threads,
            ..subject.session.clone()
        },
    };
    OnnxModel::load(subject.runtime, subject.model, &options)
}

fn run_session(
    model: &mut OnnxModel,
    batch: &[&RgbImage],
    (start_line, length): (&Barrier, Duration),
) -> Result<Trial, TrialError> {
    let warm = (0..WARM_UP_RUNS).try_for_each(|_| model.predict(batch).map(drop));
    // Before the error is looked at: the others wait here.
    start_line.wait();
    warm?;
    let mut trial = Trial::default();
    let start = Instant::now();
    while start.elapsed() < length || trial.latencies_ms.len() < LEAST_RUNS {
        let begin = Instant::now();
        model.predict(batch)?;
        trial
            .latencies_ms
            .push(begin.elapsed().as_secs_f64() * 1000.0);
        trial.frames += batch.len() as u64;
    }
    trial.seconds = start.elapsed().as_secs_f64();
    Ok(trial)
}

/// The most memory that this process ever held, as the system counts it.
fn peak_memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}
