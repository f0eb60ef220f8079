//! Services, each in a process of its own, started the way their own `main` starts them.
//!
//! The process is this program once more: an environment variable says which service it becomes, its
//! arguments are the service's own.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use benches::{brokers::contender::free_address, measure::processes};
use clap::Parser;

/// Set in the child process: the service that it becomes.
const SERVICE: &str = "KADR_BENCH_SERVICE";

/// Loading a model and opening Kafka take less than this on any machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often a service is asked whether it is ready; short beside what a start takes.
const ASKED_EVERY: Duration = Duration::from_millis(5);

#[derive(Parser)]
struct Detector {
    #[command(flatten)]
    args: detector::ServiceArgs,
}

#[derive(Parser)]
struct Gateway {
    #[command(flatten)]
    args: gateway::ServiceArgs,
}

#[derive(Parser)]
struct Viewer {
    #[command(flatten)]
    args: viewer::ServiceArgs,
}

/// Becomes a service when this process was started as one.
pub(crate) fn become_service_if_child() -> Option<ExitCode> {
    match std::env::var(SERVICE).ok()?.as_str() {
        "detector" => Some(detector::run(Detector::parse().args)),
        "gateway" => Some(gateway::run(Gateway::parse().args)),
        "viewer" => Some(viewer::run(Viewer::parse().args)),
        other => panic!("there is no service {other:?} to become"),
    }
}

/// A running service; ends when dropped.
pub(crate) struct Service {
    process: Child,
    /// Where its own port is, if it has one.
    pub(crate) web: SocketAddr,
}

/// What every service is told.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) brokers: String,
    pub(crate) topic_prefix: String,
    pub(crate) models: PathBuf,
    pub(crate) model: &'static str,
}

impl Surroundings {
    fn model_flags(&self) -> Vec<String> {
        let models = self.models.display().to_string();
        let flags = ["--model", self.model, "--models", &models];
        flags.map(str::to_owned).to_vec()
    }
}

impl Service {
    /// Frames in, results out. Returns when its model is loaded.
    pub(crate) fn detector(surroundings: &Surroundings) -> Self {
        Self::detector_with(surroundings, &[])
    }

    /// The same with flags of its own.
    pub(crate) fn detector_with(surroundings: &Surroundings, flags: &[&str]) -> Self {
        let mut own = surroundings.model_flags();
        own.extend(flags.iter().map(|&flag| flag.to_owned()));
        Self::start("detector", surroundings, free_address(), &own)
    }

    /// The door for uploads. Returns when it takes them.
    pub(crate) fn gateway(surroundings: &Surroundings) -> Self {
        let web = free_address();
        let mut own = surroundings.model_flags();
        own.extend(["--listen".to_owned(), web.to_string()]);
        Self::start("gateway", surroundings, web, &own)
    }

    /// The annotated pictures for browsers. Returns when it is ready for them.
    pub(crate) fn viewer(surroundings: &Surroundings) -> Self {
        let web = free_address();
        let own = ["--listen".to_owned(), web.to_string()];
        Self::start("viewer", surroundings, web, &own)
    }

    fn start(name: &str, given: &Surroundings, web: SocketAddr, own: &[String]) -> Self {
        let admin = free_address();
        let process = Command::new(std::env::current_exe().expect("this program"))
            .env(SERVICE, name)
            .args(["--brokers", &given.brokers])
            .args(["--topic-prefix", &given.topic_prefix])
            .args(["--admin-listen", &admin.to_string(), "--log", "warn"])
            .args(own)
            .stdout(Stdio::null())
            .spawn()
            .expect("this program starts again");
        let mut service = Self { process, web };
        service.wait_until_ready(name, admin);
        service
    }

    fn wait_until_ready(&mut self, name: &str, admin: SocketAddr) {
        let begin = Instant::now();
        loop {
            let answer = ureq::get(format!("http://{admin}/readyz")).call();
            if answer.is_ok() {
                return;
            }
            let ended = self.process.try_wait().expect("a child of ours");
            assert!(ended.is_none(), "the {name} ended at once: {ended:?}");
            assert!(
                begin.elapsed() < PATIENCE,
                "the {name} is not ready: {answer:?}"
            );
            thread::park_timeout(ASKED_EVERY);
        }
    }

    /// CPU time that it has used so far.
    pub(crate) fn cpu(&self) -> Duration {
        processes::cpu_of(self.process.id())
    }

    /// CPU milliseconds that it has used since `before`, for each of `count` things.
    pub(crate) fn cpu_ms_each(&self, before: Duration, count: usize) -> f64 {
        self.cpu().saturating_sub(before).as_secs_f64() * 1e3 / count as f64
    }

    /// Its resident memory in MiB.
    pub(crate) fn memory_mib(&self) -> f64 {
        processes::memory_mib(self.process.id()).0
    }

    /// The same at its greatest so far.
    pub(crate) fn greatest_memory_mib(&self) -> f64 {
        processes::memory_mib(self.process.id()).1
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // What it has not done by now nobody waits for.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The models that ship with Kadr.
pub(crate) fn shipped_models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

/// The models of these benchmarks.
pub(crate) fn quick_models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}
