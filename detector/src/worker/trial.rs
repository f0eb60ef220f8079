//! A frame in front of the model: how often it was tried, and what the model said at last.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pipeline::detections::ModelVersion;
use pipeline::draw::{DrawWishes, Drawing};
use pipeline::frame::Lane;
use pipeline::kafka::Received;
use pipeline::record::FailureKind;

use super::job::{Decoded, Failed, Job, MAX_ATTEMPTS, Outcome, Predicted, milliseconds};
use super::runner::{Answer, Cut};
use super::shelf::ShelfError;
use crate::image::RgbImage;
use crate::model::Prediction;

/// A frame and its picture.
#[derive(Debug)]
pub(super) struct Trial {
    frame: Received<Job>,
    /// Shared with the thread that runs the model; a thread that is lost keeps it.
    picture: Arc<RgbImage>,
    /// Runs that this frame was part of, over all detectors.
    attempts: u32,
    verdict: Option<Verdict>,
}

/// What is known in the end.
#[derive(Debug)]
enum Verdict {
    Seen(Prediction, Run),
    Failed(FailureKind, String),
}

/// One run of a model.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) model: ModelVersion,
    /// How the model's pictures are drawn, where nobody wishes otherwise.
    pub(super) draw: DrawWishes,
    pub(super) started: Instant,
    pub(super) took: Duration,
}

impl Trial {
    pub(super) fn new(decoded: Received<Decoded>) -> Self {
        let (Decoded { job, picture }, token) = decoded.into_parts();
        Self {
            attempts: job.origin.attempts,
            frame: Received::from_parts(job, token),
            picture: Arc::new(picture),
            verdict: None,
        }
    }

    pub(super) fn lane(&self) -> Lane {
        self.frame.value().origin.lane
    }

    pub(super) fn is_decided(&self) -> bool {
        self.verdict.is_some()
    }

    /// The picture for a run, which is counted.
    pub(super) fn begin(&mut self) -> Arc<RgbImage> {
        self.attempts += 1;
        Arc::clone(&self.picture)
    }

    /// The model cannot be had.
    pub(super) fn refuse(&mut self, error: &ShelfError) {
        let kind = match error {
            ShelfError::Unknown(_) => FailureKind::UnknownModel,
            ShelfError::Unusable(_) => FailureKind::ModelFailed,
        };
        self.verdict = Some(Verdict::Failed(kind, error.to_string()));
    }

    fn fail(&mut self, reason: String) {
        self.verdict = Some(Verdict::Failed(FailureKind::ModelFailed, reason));
    }

    /// What becomes of the frame on its way out.
    pub(super) fn outcome(self) -> Outcome<Predicted> {
        let Self {
            frame,
            picture,
            attempts,
            verdict,
        } = self;
        frame.map(|mut job| {
            job.origin.attempts = attempts;
            match verdict {
                Some(Verdict::Seen(prediction, run)) => {
                    Ok(predicted(job, picture, prediction, run))
                }
                Some(Verdict::Failed(kind, reason)) => Err(job.origin.failed(kind, reason)),
                None => Err(undecided(job)),
            }
        })
    }
}

/// Gives every frame of a run its verdict, unless it must be tried again, alone.
pub(super) fn decide(trials: &mut [Trial], answer: Answer, run: &Run, limit: Duration) {
    match answer {
        Answer::Seen(predictions) => {
            for (trial, prediction) in trials.iter_mut().zip(predictions) {
                trial.verdict = Some(Verdict::Seen(prediction, run.clone()));
            }
        }
        // One of them is to blame; asked one by one, the others get their answer.
        Answer::Failed(reason) => {
            if let [trial] = trials {
                trial.fail(reason);
            }
        }
        Answer::Cut(cut) => {
            let tried_enough = |trial: &&mut Trial| trial.attempts >= MAX_ATTEMPTS;
            for trial in trials.iter_mut().filter(tried_enough) {
                let attempts = trial.attempts;
                let reason = reason_of(cut, &run.model, limit);
                trial.fail(format!("{reason}; it was tried {attempts} times"));
            }
        }
    }
}

fn reason_of(cut: Cut, ModelVersion { name, version }: &ModelVersion, limit: Duration) -> String {
    match cut {
        Cut::Ended => format!("model {name}@{version} did not answer within {limit:?}"),
        Cut::Lost => {
            format!("model {name}@{version} did not answer within {limit:?} and could not be ended")
        }
        Cut::Panicked => format!("model {name}@{version} broke down"),
    }
}

fn predicted(
    mut job: Job,
    picture: Arc<RgbImage>,
    prediction: Prediction,
    Run {
        model,
        draw,
        started,
        took,
    }: Run,
) -> Predicted {
    let waited = started.saturating_duration_since(job.received_at);
    job.timings.batch_wait = (milliseconds(waited) - job.timings.decode).max(0.0);
    job.timings.infer = milliseconds(took);
    job.origin.trace.until("batch_wait", started);
    job.origin.trace.until("infer", started + took);
    Predicted {
        drawing: Drawing::default().with(&draw).with(&job.frame.draw),
        job,
        // A thread that is lost may still look at it.
        picture: Arc::unwrap_or_clone(picture),
        prediction,
        model,
    }
}

/// No frame gets here; if one did, its sender should know.
fn undecided(job: Job) -> Failed {
    let reason = "the detector lost track of the frame: this is a defect".to_owned();
    job.origin.failed(FailureKind::ModelFailed, reason)
}
