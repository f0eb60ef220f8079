//! The thread that a model runs on, apart from the one that waits for it, so that a run can be ended
//! and, if it cannot even be ended, given up together with its thread.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use pipeline::service::shutdown::describe;

use super::shelf::Loaded;
use crate::image::RgbImage;
use crate::model::Prediction;

/// How often a long wait says that it is no stuck loop.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long a run may take.
#[derive(Clone, Copy)]
pub(crate) struct Patience<'a> {
    /// Until it is told to end.
    pub(crate) limit: Duration,
    /// From then until its thread is given up. ONNX Runtime ends between two operators.
    pub(crate) grace: Duration,
    /// Called all the while.
    pub(crate) alive: &'a dyn Fn(),
}

/// What came of a run.
pub(crate) struct Ran {
    pub(crate) answer: Answer,
    /// The model, unless it must be loaded anew.
    pub(crate) loaded: Option<Loaded>,
    pub(crate) took: Duration,
}

/// What the model said.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// One prediction a picture.
    Seen(Vec<Prediction>),
    /// It failed in good order.
    Failed(String),
    /// It was cut short, and whether the picture or the model is to blame is not known.
    Cut(Cut),
}

/// How a run was cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It passed its limit and was ended.
    Ended,
    /// It passed its limit and could not be ended: its thread is lost.
    Lost,
    /// It panicked.
    Panicked,
}

impl Cut {
    /// The value of the `how` label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Lost => "lost",
            Self::Panicked => "panicked",
        }
    }
}

/// Runs models, one at a time.
#[derive(Default)]
pub(crate) struct Runner {
    thread: Option<RunnerThread>,
    /// Threads that were given up and have not come back.
    lost: Arc<AtomicUsize>,
}

/// One run.
struct Errand {
    loaded: Loaded,
    pictures: Vec<Arc<RgbImage>>,
    reply: SyncSender<(Loaded, Answer)>,
}

struct RunnerThread {
    errands: SyncSender<Errand>,
    is_given_up: Arc<AtomicBool>,
}

impl Runner {
    /// Threads that hang at this moment.
    pub(crate) fn lost(&self) -> usize {
        self.lost.load(Ordering::Acquire)
    }

    /// Runs the model on the pictures.
    pub(crate) fn run(
        &mut self,
        loaded: Loaded,
        pictures: Vec<Arc<RgbImage>>,
        patience: Patience<'_>,
    ) -> Ran {
        let started = Instant::now();
        let done = |answer, loaded| Ran {
            answer,
            loaded,
            took: started.elapsed(),
        };
        let thread = match self.thread.take().map_or_else(|| self.spawn(), Ok) {
            Ok(thread) => thread,
            Err(error) => {
                let reason = format!("no thread for the model: {error}");
                return done(Answer::Failed(reason), Some(loaded));
            }
        };
        let interrupter = loaded.model.interrupter();
        let (reply, answers) = sync_channel(1);
        let errand = Errand {
            loaded,
            pictures,
            reply,
        };
        if thread.errands.send(errand).is_err() {
            return done(Answer::Cut(Cut::Panicked), None);
        }
        match wait(&answers, patience.limit, patience.alive) {
            Ok((loaded, Answer::Cut(cut))) => {
                // A model in an unknown state is not put back, and its drop may be as broken.
                drop(catch_unwind(AssertUnwindSafe(|| drop(loaded))));
                self.thread = Some(thread);
                return done(Answer::Cut(cut), None);
            }
            Ok((loaded, answer)) => {
                self.thread = Some(thread);
                return done(answer, Some(loaded));
            }
            Err(RecvTimeoutError::Disconnected) => return done(Answer::Cut(Cut::Panicked), None),
            Err(RecvTimeoutError::Timeout) => interrupter.interrupt(),
        }
        match wait(&answers, patience.grace, patience.alive) {
            Ok((_interrupted, Answer::Seen(predictions))) => {
                self.thread = Some(thread);
                done(Answer::Seen(predictions), None)
            }
            Ok(_interrupted) => {
                self.thread = Some(thread);
                done(Answer::Cut(Cut::Ended), None)
            }
            Err(RecvTimeoutError::Disconnected) => done(Answer::Cut(Cut::Panicked), None),
            Err(RecvTimeoutError::Timeout) => {
                self.lost.fetch_add(1, Ordering::AcqRel);
                thread.is_given_up.store(true, Ordering::Release);
                done(Answer::Cut(Cut::Lost), None)
            }
        }
    }

    fn spawn(&self) -> std::io::Result<RunnerThread> {
        let (errands, queue) = sync_channel(1);
        let is_given_up = Arc::new(AtomicBool::new(false));
        let returns = Returns {
            is_given_up: Arc::clone(&is_given_up),
            lost: Arc::clone(&self.lost),
        };
        std::thread::Builder::new()
            .name("model run".to_owned())
            .spawn(move || serve(&queue, returns))?;
        Ok(RunnerThread {
            errands,
            is_given_up,
        })
    }
}

/// Tells, however a thread ends, that one that was given up has come back.
struct Returns {
    is_given_up: Arc<AtomicBool>,
    lost: Arc<AtomicUsize>,
}

impl Drop for Returns {
    fn drop(&mut self) {
        if self.is_given_up.load(Ordering::Acquire) {
            self.lost.fetch_sub(1, Ordering::AcqRel);
            tracing::warn!("a model run that was given up has come back");
        }
    }
}

fn serve(errands: &Receiver<Errand>, returns: Returns) {
    for errand in errands {
        let Errand {
            mut loaded,
            pictures,
            reply,
        } = errand;
        let seen: Vec<&RgbImage> = pictures.iter().map(AsRef::as_ref).collect();
        let answer = match catch_unwind(AssertUnwindSafe(|| loaded.model.predict(&seen))) {
            Ok(Ok(predictions)) if predictions.len() == seen.len() => Answer::Seen(predictions),
            Ok(Ok(predictions)) => Answer::Failed(format!(
                "the model answered {} predictions for {} pictures",
                predictions.len(),
                seen.len()
            )),
            Ok(Err(error)) => Answer::Failed(describe(&error)),
            Err(panic) => {
                let (model, panic) = (&loaded.name.name, words_of(&*panic));
                tracing::error!(model, panic, "a model panicked: this is a defect");
                Answer::Cut(Cut::Panicked)
            }
        };
        // Whoever waits for the answer takes the pictures back when they are free.
        drop(seen);
        drop(pictures);
        if reply.send((loaded, answer)).is_err() {
            break;
        }
    }
    drop(returns);
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("without words")
}

fn wait<T>(
    answers: &Receiver<T>,
    patience: Duration,
    alive: &dyn Fn(),
) -> Result<T, RecvTimeoutError> {
    let deadline = Instant::now() + patience;
    loop {
        alive();
        let left = deadline.saturating_duration_since(Instant::now());
        match answers.recv_timeout(left.min(HEARTBEAT)) {
            Err(RecvTimeoutError::Timeout) if left > HEARTBEAT => {}
            ended => return ended,
        }
    }
}

#[cfg(test)]
#[path = "runner_tests.rs"]
pub(crate) mod tests;
