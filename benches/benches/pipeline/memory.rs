//! P19: the detector's memory while it works, against that of the model alone, and of a Python process
//! that runs the same graph in ONNX Runtime. All of them are started anew in every round.

use std::cell::Cell;

use benches::measure::{Finding, Goal, Turn, goals::goal, processes, rounds::take_turns};
use serde_json::json;

use crate::{
    Stand,
    bare::BareModel,
    chores::{Chores, text},
    pictures::Picture,
    services::{Surroundings, shipped_models},
    tax::Bench,
};

/// The model that ships.
const MODEL: &str = "parts";

/// Columns of the smaller picture.
const SMALL: u32 = 640;

/// Against a whole graph in Python: pass and stretch.
const BY_PYTHON: (f64, f64) = (0.3, 0.25);

/// What is looked at, by whom and how often.
struct Subject<'a> {
    stand: &'a Stand,
    picture: Picture,
    count: usize,
    /// Detectors started so far.
    started: Cell<usize>,
}

pub(crate) fn measure(stand: &Stand) -> Vec<Finding> {
    let of_python = Goal {
        title: "detector memory / Python with ONNX Runtime on the same graph",
        pass: BY_PYTHON.0,
        stretch: BY_PYTHON.1,
        ..goal("P19").expect("a goal")
    };
    let sizes = [(SMALL, 480), (1920, 1080)].into_iter();
    let findings = sizes.flat_map(|(width, height)| {
        let subject = Subject {
            stand,
            picture: Picture::of_belt(width, height),
            count: stand.pick(24, 1),
            started: Cell::new(0),
        };
        let finding = |name: &str, goal: Goal, by_other: &dyn Fn() -> Turn| Finding {
            goal,
            variant: Some(format!("{} / {name}", subject.picture.size())),
            comparison: take_turns(stand.plan, &stand.ours, || subject.detector(), by_other),
        };
        let mut found = vec![finding(
            "bare session",
            goal("P19").expect("a goal"),
            &|| subject.bare(),
        )];
        // Once is enough: what Python brings along does not grow with the picture.
        if width > SMALL {
            found.push(finding("Python", of_python, &|| subject.python()));
        }
        found
    });
    findings.collect()
}

impl Subject<'_> {
    /// As many frames as the others look at, as fast as they come.
    fn detector(&self) -> Turn {
        // New topics: a group whose last member was killed is waited for.
        self.started.set(self.started.get() + 1);
        let surroundings = self.around(&format!("{}-{}", self.picture.size(), self.started.get()));
        let bench = Bench::set_up(&surroundings);
        let things = bench.check(&self.picture);
        bench.turn(&self.picture, (self.count, things));
        let mib = bench.detector.memory_mib();
        Turn::of(mib).with("detector_mib", mib).with(
            "detector_greatest_mib",
            bench.detector.greatest_memory_mib(),
        )
    }

    fn bare(&self) -> Turn {
        let mut model = BareModel::start(&self.around("memory-bare"));
        model.run((self.picture.width, self.picture.height), self.count);
        let mib = model.memory_mib();
        Turn::of(mib).with("bare_session_mib", mib)
    }

    fn python(&self) -> Turn {
        let mut chores = Chores::start();
        let jpeg = chores.hand_over("picture.jpg", &self.picture.jpeg);
        let model = shipped_models().join(MODEL);
        let request = json!({
            "chore": "session", "model": text(&model), "jpeg": text(&jpeg), "count": self.count,
        });
        let things = chores.ask(&request)["things"].as_u64();
        assert!(things > Some(0), "a picture of nothing proves nothing");
        let mib = processes::memory_mib(chores.process_id()).0;
        Turn::of(mib).with("python_mib", mib)
    }

    fn around(&self, name: &str) -> Surroundings {
        Surroundings {
            models: shipped_models(),
            ..self.stand.surroundings(name, MODEL)
        }
    }
}
