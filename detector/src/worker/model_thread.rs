//! The thread that runs the models: spoken to by messages, and the only place where a model is used.
//!
//! It loads the default model first and tries again until it can; only then is the detector ready.
//! One batch may wait in front of it, so that the next one is decoded while it works.

use std::time::{Duration, Instant};

use pipeline::{
    detections::ModelVersion,
    frame::ModelRef,
    kafka::Received,
    record::FailureKind,
    service::{Part, shutdown::describe},
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    job::{Decoded, Failed, Outcome, Predicted, milliseconds},
    metrics::Meters,
    shelf::{Loaded, Shelf, ShelfError, Store},
};
use crate::model::{Model, Prediction};
use crate::rollout::Shadows;

/// Loading a large model or looking at a large picture may take this long.
pub(crate) const MODEL_DEADLINE: Duration = Duration::from_mins(2);

/// How often an idle thread says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long after a failure the default model is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// Frames for one model.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) model: ModelRef,
    pub(crate) frames: Vec<Received<Decoded>>,
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
}

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
    pub(crate) fn spawn(self) -> std::io::Result<std::thread::JoinHandle<()>> {
        std::thread::Builder::new()
            .name("model".to_owned())
            .spawn(move || self.run())
    }

    fn run(mut self) {
        while !self.load_default() {
            let stopped = async { timeout(RETRY, self.stop.cancelled()).await };
            if self.runtime.block_on(stopped).is_ok() {
                return self.part.retire();
            }
        }
        self.part.ready();
        self.is_loaded.send_replace(true);
        loop {
            self.part.ready();
            let next = async { timeout(HEARTBEAT, self.batches.recv()).await };
            let Ok(next) = self.runtime.block_on(next) else {
                self.shelf.take_deliveries();
                continue;
            };
            let Some(batch) = next else {
                return self.part.retire();
            };
            let answer = self.look_at(batch);
            self.show_shadows(&answer);
            if !self.hand_on(answer) {
                return self.part.retire();
            }
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
                self.meters.loaded(self.shelf.names());
                true
            }
            Err(error) => {
                let reason = format!("model {} cannot be had: {error}", self.default_model);
                self.part.not_ready(&reason);
                false
            }
        }
    }

    fn look_at(&mut self, batch: Batch) -> Vec<Outcome<Predicted>> {
        let Batch { model, frames } = batch;
        self.meters.batch(frames.len());
        let changes = self.shelf.changes();
        let answer = match self.shelf.get(&model) {
            Ok(loaded) => predict(loaded, frames),
            Err(error) => frames
                .into_iter()
                .map(|frame| refuse(frame, &error))
                .collect(),
        };
        if self.shelf.changes() != changes {
            self.meters.loaded(self.shelf.names());
        }
        answer
    }
}

/// A model that cannot be had fails the frames that ask for it, and no others.
fn refuse(frame: Received<Decoded>, error: &ShelfError) -> Outcome<Predicted> {
    let kind = match error {
        ShelfError::Unknown(_) => FailureKind::UnknownModel,
        ShelfError::Unusable(_) => FailureKind::ModelFailed,
    };
    frame.map(|Decoded { job, .. }| Err(job.origin.failed(kind, error.to_string())))
}

fn predict(loaded: &mut Loaded, frames: Vec<Received<Decoded>>) -> Vec<Outcome<Predicted>> {
    let Loaded { name, model } = loaded;
    let started = Instant::now();
    let pictures: Vec<_> = frames.iter().map(|frame| &frame.value().picture).collect();
    let predictions = match model.predict(&pictures) {
        Ok(predictions) => predictions.into_iter().map(Ok).collect(),
        Err(error) if frames.len() == 1 => vec![Err(describe(&error))],
        // One of them is to blame; asked one by one, the others get their answer.
        Err(_one_of_them) => predict_each(&mut **model, &frames),
    };
    let run = Run {
        started,
        took: started.elapsed(),
        model: name.clone(),
    };
    let answers = frames.into_iter().zip(predictions);
    answers
        .map(|(frame, prediction)| frame.map(|decoded| run.answer(decoded, prediction)))
        .collect()
}

fn predict_each(
    model: &mut dyn Model,
    frames: &[Received<Decoded>],
) -> Vec<Result<Prediction, String>> {
    let predict_one = |frame: &Received<Decoded>| match model.predict(&[&frame.value().picture]) {
        Ok(mut predictions) => predictions
            .pop()
            .ok_or_else(|| "the model gave no answer".to_owned()),
        Err(error) => Err(describe(&error)),
    };
    frames.iter().map(predict_one).collect()
}

/// One run of a model.
struct Run {
    started: Instant,
    took: Duration,
    model: ModelVersion,
}

impl Run {
    fn answer(
        &self,
        decoded: Decoded,
        prediction: Result<Prediction, String>,
    ) -> Result<Predicted, Failed> {
        let Decoded { mut job, picture } = decoded;
        let waited = self.started.saturating_duration_since(job.received_at);
        job.timings.batch_wait = (milliseconds(waited) - job.timings.decode).max(0.0);
        job.timings.infer = milliseconds(self.took);
        match prediction {
            Ok(prediction) => Ok(Predicted {
                job,
                picture,
                prediction,
                model: self.model.clone(),
            }),
            Err(reason) => Err(job.origin.failed(FailureKind::ModelFailed, reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use pipeline::service::Health;

    use super::super::job::tests::job;
    use super::super::metrics::tests::meters;
    use super::super::shelf::tests::FakeStore;
    use super::*;
    use crate::image::RgbImage;
    use crate::rollout::shadow::tests::shadows;

    struct Bench {
        batches: mpsc::Sender<Batch>,
        answers: mpsc::Receiver<Vec<Outcome<Predicted>>>,
        is_loaded: watch::Receiver<bool>,
        health: Health,
        thread: std::thread::JoinHandle<()>,
        stop: CancellationToken,
    }

    fn start(store: FakeStore) -> Bench {
        let (batch_sender, batches) = mpsc::channel(1);
        let (answers, answer_receiver) = mpsc::channel(1);
        let (is_loaded, is_loaded_receiver) = watch::channel(false);
        let health = Health::new("detector");
        let stop = CancellationToken::new();
        let thread = ModelThread {
            shelf: Shelf::new(store, 2, <_>::default()),
            shadows: shadows(),
            default_model: "m0".parse().unwrap(),
            batches,
            answers,
            is_loaded,
            part: health.register("model", MODEL_DEADLINE),
            meters: meters().0,
            runtime: Handle::current(),
            stop: stop.clone(),
        };
        Bench {
            batches: batch_sender,
            answers: answer_receiver,
            is_loaded: is_loaded_receiver,
            health,
            thread: thread.spawn().unwrap(),
            stop,
        }
    }

    fn frame(source: &str, side: u32) -> Received<Decoded> {
        let pixels = vec![0; (side * side * 3) as usize];
        Received::untracked(Decoded {
            job: job(source, "m1", b"\xff\xd8"),
            picture: RgbImage::new(side, side, pixels).unwrap(),
        })
    }

    async fn ask(bench: &mut Bench, model: &str, frames: Vec<Received<Decoded>>) -> Vec<String> {
        let model = model.parse().unwrap();
        bench.batches.send(Batch { model, frames }).await.unwrap();
        let answers = bench.answers.recv().await.unwrap();
        let words = answers.into_iter().map(|answer| match answer.complete() {
            Ok(seen) => format!("{} by {}", seen.job.frame.source, seen.model.name),
            Err(failed) => format!("{}: {}", failed.kind, failed.reason),
        });
        words.collect()
    }

    #[tokio::test]
    async fn a_batch_is_one_run_unless_a_frame_spoils_it() {
        let store = FakeStore::default();
        let runs = std::sync::Arc::clone(&store.runs);
        let mut bench = start(store);
        let good = vec![frame("a", 4), frame("b", 4)];
        assert_eq!(ask(&mut bench, "m1", good).await, ["a by m1", "b by m1"]);
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        let mixed = vec![frame("a", 4), frame("b", 1), frame("c", 4)];
        let answers = ask(&mut bench, "m1", mixed).await;
        assert_eq!([&*answers[0], &*answers[2]], ["a by m1", "c by m1"]);
        assert_eq!(answers[1], "model_failed: one pixel is too few");
        drop(bench.batches);
        bench.thread.join().unwrap();
        assert!(bench.health.report().parts.is_empty(), "it retired");
    }

    #[tokio::test]
    async fn an_unknown_model_fails_its_frames_alone() {
        let mut bench = start(FakeStore::default());
        let answers = ask(&mut bench, "other", vec![frame("a", 4)]).await;
        assert!(answers[0].starts_with("unknown_model: there is no model \"other\""));
        assert_eq!(
            ask(&mut bench, "m1", vec![frame("a", 4)]).await,
            ["a by m1"]
        );
    }

    #[tokio::test]
    async fn a_default_model_that_cannot_be_had_makes_not_ready_and_says_why() {
        let bench = start(FakeStore {
            broken_loads: usize::MAX,
            ..FakeStore::default()
        });
        let reason = async {
            loop {
                let report = bench.health.report();
                if let Some(reason) = &report.parts[0].reason
                    && reason.contains("cannot be had")
                {
                    return reason.clone();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let reason = timeout(Duration::from_mins(1), reason).await.unwrap();
        assert!(
            reason.contains("m0") && reason.contains("cut short"),
            "{reason}"
        );
        assert!(!*bench.is_loaded.borrow());
        bench.stop.cancel();
        bench.thread.join().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_default_model_is_tried_again_until_it_loads() {
        let mut bench = start(FakeStore {
            broken_loads: 3,
            ..FakeStore::default()
        });
        bench.is_loaded.wait_for(|loaded| *loaded).await.unwrap();
        assert!(bench.health.report().ready);
    }
}
