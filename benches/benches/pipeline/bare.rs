//! The model alone in a process of its own: ONNX Runtime, one session, and a picture of the size that
//! the network sees. What a detector needs beyond that is its own doing.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _, stdin},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

use benches::measure::processes;
use detector::model::preprocess::Preprocessor;
use detector::model::{Model as _, geometry::Size};

use crate::{
    mask_work::plain_picture,
    same::{bare_model, predict},
    services::Surroundings,
};

/// Set in the child process: the folder of models, and the model.
const MODELS: &str = "KADR_BENCH_BARE_MODELS";
const MODEL: &str = "KADR_BENCH_BARE_MODEL";

/// A process with a loaded model; ends when dropped.
pub(crate) struct BareModel {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// What loading ONNX Runtime and making the session took.
    pub(crate) session_ms: f64,
}

/// Loads a model and runs it as often as it is told to, when this process was started for that.
pub(crate) fn become_bare_model_if_child() {
    let (Ok(models), Ok(model)) = (env::var(MODELS), env::var(MODEL)) else {
        return;
    };
    let surroundings = Surroundings {
        brokers: String::new(),
        topic_prefix: String::new(),
        models: PathBuf::from(models),
        // A process has one, for as long as it lives.
        model: model.leak(),
    };
    let begin = Instant::now();
    let mut model = bare_model(&surroundings);
    say(begin.elapsed().as_secs_f64() * 1e3);
    for line in stdin().lock().lines() {
        let line = line.expect("a readable pipe");
        let numbers: Vec<u32> = line
            .split(' ')
            .map(|word| word.parse().expect("a number"))
            .collect();
        let [width, height, count] = numbers[..] else {
            panic!("not three numbers: {line}");
        };
        let preprocessor = Preprocessor::new(&model.manifest().input);
        let seen = preprocessor.place(Size { width, height }).input;
        let picture = plain_picture(seen);
        for _ in 0..count {
            predict(&mut model, &picture);
        }
        say(f64::from(count));
    }
    std::process::exit(0);
}

fn say(number: f64) {
    println!("{number}");
    std::io::stdout().flush().expect("somebody listens");
}

impl BareModel {
    /// Returns when the model is loaded.
    pub(crate) fn start(surroundings: &Surroundings) -> Self {
        let mut process = Command::new(env::current_exe().expect("this program"))
            .env(MODELS, &surroundings.models)
            .env(MODEL, surroundings.model)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        let requests = process.stdin.take();
        let mut answers = BufReader::new(process.stdout.take().expect("its output is ours"));
        let session_ms = answer(&mut answers);
        Self {
            process,
            requests,
            answers,
            session_ms,
        }
    }

    /// Runs the network on what it would see of a frame of that size.
    pub(crate) fn run(&mut self, (width, height): (u32, u32), count: usize) {
        let pipe = self.requests.as_mut().expect("open until dropped");
        writeln!(pipe, "{width} {height} {count}").expect("a child that listens");
        answer(&mut self.answers);
    }

    /// Its resident memory in MiB.
    pub(crate) fn memory_mib(&self) -> f64 {
        processes::memory_mib(self.process.id()).0
    }
}

fn answer(answers: &mut BufReader<ChildStdout>) -> f64 {
    let mut line = String::new();
    answers.read_line(&mut line).expect("a readable pipe");
    line.trim().parse().expect("a child that goes on")
}

impl Drop for BareModel {
    fn drop(&mut self) {
        // It ends with its input.
        self.requests = None;
        drop(self.process.wait());
    }
}
