//! One broker in a process of its own, and what it costs.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::PATIENCE;
use crate::measure::processes;

/// Set in the child process that becomes the embedded broker: its folder and its address.
const CHILD_DATA: &str = "KADR_BENCH_DATA";
const CHILD_LISTEN: &str = "KADR_BENCH_LISTEN";

/// The Apache Kafka instance of the benchmarks.
const INSTANCE: &str = "t-bench";

/// `ApiVersions`, version 0: the first thing any client asks.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xFF, 0xFF];

/// A running broker.
pub struct Contender {
    /// What it is called in tables.
    pub name: &'static str,
    /// Where clients connect.
    pub bootstrap: String,
    /// From nothing to the first answer, with an empty log.
    pub started_in: Duration,
    process: Process,
}

enum Process {
    Child(Child),
    Script { pid: u32 },
}

/// Becomes the embedded broker when this process was started as one.
pub fn become_broker_if_child() {
    let (Ok(data), Ok(listen)) = (std::env::var(CHILD_DATA), std::env::var(CHILD_LISTEN)) else {
        return;
    };
    let config = broker::BrokerConfig {
        listen: listen.parse().expect("an address"),
        ..broker::BrokerConfig::new(data)
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let broker = broker::Broker::start(config).await.expect("a broker");
        let mut terminated =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
                .expect("signals");
        terminated.recv().await;
        broker.close().await;
    });
    std::process::exit(0);
}

impl Contender {
    /// Our broker, on an empty folder.
    pub fn embedded(data: &Path) -> Self {
        let address = free_address();
        let begin = Instant::now();
        let child = Command::new(std::env::current_exe().expect("this program"))
            .env(CHILD_DATA, data)
            .env(CHILD_LISTEN, address.to_string())
            .stdout(Stdio::null())
            .spawn()
            .expect("this program starts again");
        wait_until_it_answers(address);
        Self {
            name: "kadr broker",
            bootstrap: address.to_string(),
            started_in: begin.elapsed(),
            process: Process::Child(child),
        }
    }

    /// Apache Kafka, as `script/kafka` sets it up, with an empty log.
    pub fn apache() -> Self {
        kafka(&["wipe"]);
        // The first start formats the storage and makes certificates, which is not measured.
        kafka(&["start", "--port", "auto"]);
        kafka(&["stop"]);
        let begin = Instant::now();
        kafka(&["start", "--port", "auto"]);
        let started_in = begin.elapsed();
        let folder = root().join(".kadr/kafka").join(INSTANCE);
        let read = |file: PathBuf| fs::read_to_string(file).expect("script/kafka wrote it");
        let pid = read(pid_file(&folder));
        Self {
            name: "Apache Kafka",
            bootstrap: read(folder.join("bootstrap")).trim().to_owned(),
            started_in,
            process: Process::Script {
                pid: pid.trim().parse().expect("a process id"),
            },
        }
    }

    /// The process that is measured.
    pub fn process_id(&self) -> u32 {
        match &self.process {
            Process::Child(child) => child.id(),
            Process::Script { pid } => *pid,
        }
    }

    /// Resident memory now, and at its greatest, in MiB.
    pub fn memory_mib(&self) -> (f64, f64) {
        processes::memory_mib(self.process_id())
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        match &mut self.process {
            Process::Child(child) => {
                drop(child.kill());
                drop(child.wait());
            }
            Process::Script { .. } => kafka(&["wipe"]),
        }
    }
}

/// An address that nobody listens on now.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound listener")
}

fn wait_until_it_answers(address: SocketAddr) {
    let begin = Instant::now();
    while !answers(address) {
        assert!(begin.elapsed() < PATIENCE, "{address} does not answer");
        std::thread::yield_now();
    }
}

fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return false;
    };
    stream.write_all(&API_VERSIONS).is_ok() && stream.read_exact(&mut [0; 8]).is_ok()
}

fn root() -> PathBuf {
    let members = Path::new(env!("CARGO_MANIFEST_DIR"));
    members
        .parent()
        .expect("a member of a workspace")
        .to_owned()
}

fn pid_file(folder: &Path) -> PathBuf {
    let mut nodes = fs::read_dir(folder).expect("a started instance");
    nodes
        .find_map(|entry| Some(entry.ok()?.path().join("pid")).filter(|file| file.exists()))
        .expect("a running node")
}

fn kafka(arguments: &[&str]) {
    let (verb, options) = arguments.split_first().expect("a verb");
    let status = Command::new(root().join("script/kafka"))
        .arg(verb)
        .args(["--instance", INSTANCE])
        .args(options)
        .stdout(Stdio::null())
        .status()
        .expect("script/kafka runs");
    assert!(status.success(), "script/kafka {arguments:?} failed");
}
