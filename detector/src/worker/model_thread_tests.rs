//! What the model thread answers, what it does without a model, and with one that hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pipeline::{
    catalogue::{Versions, rollout::Rollout},
    detections::ModelVersion,
    service::{Health, Metrics},
};

use super::super::job::tests::job;
use super::super::metrics::tests::meters;
use super::super::metrics::{CUT_RUNS_TOTAL, LOST_THREADS};
use super::super::runner::tests::{Faulty, Gate, picture, width};
use super::super::shelf::{ShelfError, tests::FakeStore};
use super::*;
use crate::image::RgbImage;
use crate::model::Model;
use crate::rollout::{Stamp, shadow::tests::shadows};

struct Bench {
    batches: mpsc::Sender<Batch>,
    answers: mpsc::Receiver<Vec<Outcome<Predicted>>>,
    is_loaded: watch::Receiver<bool>,
    health: Health,
    metrics: Metrics,
    thread: JoinHandle<Result<(), LostThreads>>,
    stop: CancellationToken,
}

/// Loads models that hang.
struct FaultyStore {
    released: Gate,
    loads: Arc<AtomicUsize>,
}

impl Store for FaultyStore {
    fn versions(&mut self, name: &str) -> Result<Versions, ShelfError> {
        Ok(Versions {
            name: name.to_owned(),
            folder: name.into(),
            offered: vec![1],
            rollout: Rollout::default(),
        })
    }

    fn stamp(&mut self, _model: &ModelVersion) -> Option<Stamp> {
        None
    }

    fn expected_bytes(&mut self, _model: &ModelVersion) -> u64 {
        0
    }

    fn load(&mut self, model: &ModelVersion) -> Result<Box<dyn Model>, ShelfError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Faulty::new(&model.name, &self.released)))
    }
}

fn start(store: impl Store + 'static) -> Bench {
    let (batch_sender, batches) = mpsc::channel(1);
    let (answers, answer_receiver) = mpsc::channel(1);
    let (is_loaded, is_loaded_receiver) = watch::channel(false);
    let health = Health::new("detector");
    let stop = CancellationToken::new();
    let (meters, metrics) = meters();
    let thread = ModelThread {
        shelf: Shelf::new(store, 2, <_>::default()),
        shadows: shadows(),
        default_model: "m0".parse().unwrap(),
        batches,
        answers,
        is_loaded,
        part: health.register("model", MODEL_DEADLINE),
        meters,
        runtime: Handle::current(),
        stop: stop.clone(),
        runner: Runner::default(),
        limits: RunLimits::new(Some(Duration::from_millis(50))),
        shares: Shares::default(),
        grace: Duration::from_millis(50),
    };
    Bench {
        batches: batch_sender,
        answers: answer_receiver,
        is_loaded: is_loaded_receiver,
        health,
        metrics,
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
    let batch = Batch {
        model,
        frames,
        reservation: None,
    };
    bench.batches.send(batch).await.unwrap();
    let answers = bench.answers.recv().await.unwrap();
    let words = answers.into_iter().map(|answer| match answer.complete() {
        Ok(seen) => format!("{} by {}", seen.job.frame.source, seen.model.name),
        Err(failed) => {
            let attempts = failed.origin.attempts;
            format!("{} after {attempts}: {}", failed.kind, failed.reason)
        }
    });
    words.collect()
}

#[tokio::test]
async fn a_batch_is_one_run_unless_a_frame_spoils_it() {
    let store = FakeStore::default();
    let runs = Arc::clone(&store.runs);
    let mut bench = start(store);
    let good = vec![frame("a", 4), frame("b", 4)];
    assert_eq!(ask(&mut bench, "m1", good).await, ["a by m1", "b by m1"]);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    let mixed = vec![frame("a", 4), frame("b", 1), frame("c", 4)];
    let answers = ask(&mut bench, "m1", mixed).await;
    assert_eq!([&*answers[0], &*answers[2]], ["a by m1", "c by m1"]);
    assert_eq!(answers[1], "model_failed after 2: one pixel is too few");
    drop(bench.batches);
    bench.thread.join().unwrap().unwrap();
    assert!(bench.health.report().parts.is_empty(), "it retired");
}

#[tokio::test]
async fn an_unknown_model_fails_its_frames_alone() {
    let mut bench = start(FakeStore::default());
    let answers = ask(&mut bench, "other", vec![frame("a", 4)]).await;
    assert!(answers[0].starts_with("unknown_model after 0: there is no model \"other\""));
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
    bench.thread.join().unwrap().unwrap();
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

fn faulty(source: &str, width: u32) -> Received<Decoded> {
    Received::untracked(Decoded {
        job: job(source, "m1", b"\xff\xd8"),
        picture: picture(width),
    })
}

struct FaultyBench {
    bench: Bench,
    loads: Arc<AtomicUsize>,
    released: Gate,
}

fn start_faulty() -> FaultyBench {
    let (loads, released) = (Arc::default(), Gate::shut());
    let store = FaultyStore {
        loads: Arc::clone(&loads),
        released: released.clone(),
    };
    FaultyBench {
        bench: start(store),
        loads,
        released,
    }
}

#[tokio::test]
async fn a_frame_that_hangs_the_model_is_tried_three_times_and_the_others_once_more() {
    let FaultyBench {
        mut bench, loads, ..
    } = start_faulty();
    let batch = vec![
        faulty("a", width::IS_FINE),
        faulty("b", width::HANGS),
        faulty("c", width::IS_FINE),
    ];
    let answers = ask(&mut bench, "m1", batch).await;
    assert_eq!([&*answers[0], &*answers[2]], ["a by m1", "c by m1"]);
    let expected =
        "model_failed after 3: model m1@1 did not answer within 50ms; it was tried 3 times";
    assert_eq!(answers[1], expected);
    let ended = bench
        .metrics
        .sum(CUT_RUNS_TOTAL, &[("how", "ended"), ("model", "m1")]);
    assert_eq!(ended as i64, 3);
    // At the start m0, and m1 anew after each of the three.
    assert_eq!(loads.load(Ordering::SeqCst), 1 + 1 + 3);
    assert!(bench.health.report().ready);
}

#[tokio::test]
async fn a_frame_that_breaks_the_model_is_tried_three_times() {
    let FaultyBench { mut bench, .. } = start_faulty();
    let answers = ask(&mut bench, "m1", vec![faulty("a", width::PANICS)]).await;
    let expected = "model_failed after 3: model m1@1 broke down; it was tried 3 times";
    assert_eq!(answers, [expected]);
    let fine = vec![faulty("b", width::IS_FINE)];
    assert_eq!(ask(&mut bench, "m1", fine).await, ["b by m1"]);
}

#[tokio::test]
async fn attempts_of_other_detectors_count() {
    let FaultyBench { mut bench, .. } = start_faulty();
    let mut tried = job("a", "m1", b"\xff\xd8");
    tried.origin.attempts = 2;
    let tried = Received::untracked(Decoded {
        job: tried,
        picture: picture(width::HANGS),
    });
    let answers = ask(&mut bench, "m1", vec![tried]).await;
    assert!(
        answers[0].starts_with("model_failed after 3"),
        "{answers:?}"
    );
    assert_eq!(bench.metrics.sum(CUT_RUNS_TOTAL, &[]) as i64, 1);
}

#[tokio::test]
async fn runs_that_cannot_be_ended_are_told_and_in_the_end_the_detector_ends() {
    let FaultyBench {
        mut bench,
        released,
        ..
    } = start_faulty();
    let mut once = job("a", "m1", b"\xff\xd8");
    once.origin.attempts = 2;
    let once = Received::untracked(Decoded {
        job: once,
        picture: picture(width::IS_LOST),
    });
    let answers = ask(&mut bench, "m1", vec![once]).await;
    assert!(answers[0].contains("could not be ended"), "{answers:?}");
    let fine = vec![faulty("b", width::IS_FINE)];
    assert_eq!(ask(&mut bench, "m1", fine).await, ["b by m1"]);
    let report = bench.health.report();
    let remark = report.parts[0].reason.as_deref().unwrap_or_default();
    assert!(report.ready && remark.contains("1 of 3"), "{report:?}");
    assert_eq!(bench.metrics.sum(LOST_THREADS, &[]) as i64, 1);

    let answers = ask(&mut bench, "m1", vec![faulty("c", width::IS_LOST)]).await;
    assert!(answers[0].contains("tried 3 times"), "{answers:?}");
    let ended = bench.thread.join().unwrap();
    assert!(
        ended
            .unwrap_err()
            .to_string()
            .contains("restart the detector")
    );
    (0..4).for_each(|_| released.open());
}
