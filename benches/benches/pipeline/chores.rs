//! Single stages of the job in Python, `benches/peers/python/chores.py`: asked over a pipe, one request
//! a line, and told what CPU time they took.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::peer::python;

/// Threads that numpy's libraries may use: as many as the Rust code that it is compared with.
const ONE_THREAD: [&str; 3] = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"];

/// A Python process that does chores; ends when dropped.
pub(crate) struct Chores {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    files: TempDir,
}

impl Chores {
    /// Imports are done when the first chore is.
    pub(crate) fn start() -> Self {
        let mut command = python(&["chores.py"]);
        for variable in ONE_THREAD {
            command.env(variable, "1");
        }
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = started.expect("the peer starts");
        Self {
            requests: process.stdin.take(),
            answers: BufReader::new(process.stdout.take().expect("its output is ours")),
            process,
            files: tempfile::tempdir().expect("a folder for files"),
        }
    }

    /// Where what is large is handed over under that name.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Hands something over, and says where it lies.
    pub(crate) fn hand_over(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.file(name);
        fs::write(&file, content).expect("a writable folder");
        file
    }

    /// Waits for a chore to be done. The peer bounds the time itself, and ends with the chore.
    pub(crate) fn ask(&mut self, request: &Value) -> Value {
        let pipe = self.requests.as_mut().expect("open until dropped");
        writeln!(pipe, "{request}").expect("a peer that listens");
        let mut answer = String::new();
        self.answers
            .read_line(&mut answer)
            .expect("a readable pipe");
        assert!(!answer.is_empty(), "the peer ended during {request}");
        serde_json::from_str(&answer).expect("JSON")
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Chores {
    fn drop(&mut self) {
        // It ends with its input.
        self.requests = None;
        drop(self.process.wait());
    }
}

/// CPU milliseconds of each of `count` times.
pub(crate) fn cpu_ms_each(answer: &Value, count: usize) -> f64 {
    answer["cpu_s"].as_f64().expect("CPU seconds") * 1e3 / count as f64
}

/// A path as JSON has it.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("paths of plain letters")
}
