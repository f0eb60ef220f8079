//! Runs that answer, fail, panic, hang, and hang for good.

use std::sync::Mutex;

use super::*;
use crate::model::manifest::Manifest;
use crate::model::repository::Precision;
use crate::model::{Interrupter, Model, ModelError};
use crate::worker::shelf::tests::manifest;
use pipeline::detections::ModelVersion;

const SHORT: Patience<'static> = Patience {
    limit: Duration::from_millis(20),
    grace: Duration::from_millis(20),
    alive: &|| {},
};
const LONG: Patience<'static> = Patience {
    limit: Duration::from_mins(4),
    grace: Duration::from_mins(4),
    alive: &|| {},
};

/// A run that waits until it is let go.
#[derive(Clone)]
pub(crate) struct Gate {
    open: SyncSender<()>,
    opened: Arc<Mutex<Receiver<()>>>,
}

impl Gate {
    pub(crate) fn shut() -> Self {
        let (open, opened) = sync_channel(64);
        Self {
            open,
            opened: Arc::new(Mutex::new(opened)),
        }
    }

    /// Lets one run go, now or later.
    pub(crate) fn open(&self) {
        self.open.send(()).unwrap();
    }

    fn wait(&self) {
        self.opened.lock().unwrap().recv().unwrap();
    }
}

/// What a model does with a picture of so many pixels in a row.
pub(crate) mod width {
    /// It fails.
    pub(crate) const FAILS: u32 = 1;
    /// It panics.
    pub(crate) const PANICS: u32 = 2;
    /// It hangs until it is interrupted.
    pub(crate) const HANGS: u32 = 3;
    /// It hangs, interrupted or not.
    pub(crate) const IS_LOST: u32 = 5;
    /// It answers.
    pub(crate) const IS_FINE: u32 = 8;
}

/// A model with all the faults that there are.
pub(crate) struct Faulty {
    manifest: Manifest,
    interrupted: Gate,
    released: Gate,
}

impl Faulty {
    pub(crate) fn new(name: &str, released: &Gate) -> Self {
        Self {
            manifest: manifest(name),
            interrupted: Gate::shut(),
            released: released.clone(),
        }
    }
}

impl Model for Faulty {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn version(&self) -> u32 {
        1
    }

    fn precision(&self) -> Precision {
        Precision::Fp32
    }

    fn predict(&mut self, images: &[&RgbImage]) -> Result<Vec<Prediction>, ModelError> {
        for image in images {
            match image.width() {
                width::FAILS => return Err(ModelError::Engine("too small".into())),
                width::PANICS => panic!("out of bounds"),
                width::HANGS => {
                    self.interrupted.wait();
                    return Err(ModelError::Engine("told to end".into()));
                }
                width::IS_LOST => self.released.wait(),
                _ => {}
            }
        }
        Ok(vec![Prediction::Classes(Vec::new()); images.len()])
    }

    fn interrupter(&self) -> Interrupter {
        let interrupted = self.interrupted.clone();
        Interrupter::new(move || interrupted.open())
    }
}

pub(crate) fn picture(width: u32) -> RgbImage {
    RgbImage::new(width, 1, vec![0; (width * 3) as usize]).unwrap()
}

struct Bench {
    runner: Runner,
    released: Gate,
}

impl Bench {
    fn new() -> Self {
        Self {
            runner: Runner::default(),
            released: Gate::shut(),
        }
    }

    fn run(&mut self, widths: &[u32], patience: Patience<'_>) -> (Answer, bool) {
        let loaded = Loaded {
            name: ModelVersion {
                name: "m1".to_owned(),
                version: 1,
            },
            model: Box::new(Faulty::new("m1", &self.released)),
        };
        let pictures: Vec<_> = widths
            .iter()
            .map(|&width| Arc::new(picture(width)))
            .collect();
        let kept = pictures.clone();
        let ran = self.runner.run(loaded, pictures, patience);
        if self.runner.lost() == 0 {
            let are_free = kept.iter().all(|picture| Arc::strong_count(picture) == 1);
            assert!(are_free, "whoever waited has the pictures for itself");
        }
        (ran.answer, ran.loaded.is_some())
    }
}

fn seen(count: usize) -> Answer {
    Answer::Seen(vec![Prediction::Classes(Vec::new()); count])
}

#[test]
fn a_model_that_answers_or_fails_comes_back() {
    let mut bench = Bench::new();
    assert_eq!(bench.run(&[width::IS_FINE; 2], LONG), (seen(2), true));
    let failed = Answer::Failed("too small".to_owned());
    assert_eq!(bench.run(&[width::FAILS], LONG), (failed, true));
}

#[test]
fn a_panic_takes_the_model_and_nothing_else() {
    let mut bench = Bench::new();
    let panicked = Answer::Cut(Cut::Panicked);
    assert_eq!(bench.run(&[width::PANICS], LONG), (panicked, false));
    assert_eq!(bench.run(&[width::IS_FINE], LONG), (seen(1), true));
    assert_eq!(bench.runner.lost(), 0);
}

#[test]
fn a_run_past_its_limit_is_ended_and_takes_the_model() {
    let mut bench = Bench::new();
    let patience = Patience {
        grace: LONG.grace,
        ..SHORT
    };
    let ended = Answer::Cut(Cut::Ended);
    assert_eq!(bench.run(&[width::HANGS], patience), (ended, false));
    assert_eq!(bench.runner.lost(), 0);
    assert_eq!(bench.run(&[width::IS_FINE], LONG), (seen(1), true));
}

#[test]
fn a_run_that_cannot_be_ended_is_given_up_and_counted_until_it_comes_back() {
    let mut bench = Bench::new();
    for lost in 1..=2 {
        let answer = bench.run(&[width::IS_LOST], SHORT);
        assert_eq!(answer, (Answer::Cut(Cut::Lost), false));
        assert_eq!(bench.runner.lost(), lost);
        assert_eq!(bench.run(&[width::IS_FINE], LONG), (seen(1), true));
    }
    bench.released.open();
    bench.released.open();
    let deadline = Instant::now() + LONG.limit;
    while bench.runner.lost() > 0 {
        assert!(Instant::now() < deadline, "the threads come back");
        std::thread::yield_now();
    }
}
