//! The embedded broker in a process of its own, to be killed at any moment.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;

use crate::kafka::unique;

const ANNOUNCEMENT: &str = "Kafka clients connect to ";

/// A broker that may be stopped, killed and started again on its folder and port.
pub struct BrokerProcess {
    folder: tempfile::TempDir,
    address: String,
    options: Vec<String>,
    child: Mutex<Option<Child>>,
}

impl BrokerProcess {
    /// Starts one on an empty folder and a free port; `options` are those of `kadr broker`.
    pub fn start(purpose: &str, options: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix(&unique(purpose))
            .tempdir()
            .expect("a temporary folder");
        let broker = Self {
            folder,
            address: free_address(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            child: Mutex::new(None),
        };
        broker.start_again();
        broker
    }

    /// Where clients connect.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where its data are.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        let child = self.child.lock().expect("no test panics here");
        child.as_ref().map(Child::id)
    }

    /// Starts it on what is in its folder, and waits until it serves.
    pub fn start_again(&self) {
        let mut child = Command::new(program())
            .args(["broker", "--admin-listen", "127.0.0.1:0"])
            .args(["--broker-listen", &self.address])
            .arg("--data")
            .arg(self.data())
            .args(&self.options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = collect(child.stderr.take().expect("a pipe"));
        let mut announced = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout)
            .read_line(&mut announced)
            .expect("readable output");
        if !announced.starts_with(ANNOUNCEMENT) {
            drop(child.kill());
            let log = log.join().unwrap_or_default();
            panic!("the broker did not start: {announced}\n{log}");
        }
        *self.child.lock().expect("no test panics here") = Some(child);
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&self) {
        self.end("KILL");
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&self) {
        self.end("TERM");
    }

    fn end(&self, signal: &str) {
        let child = self.child.lock().expect("no test panics here").take();
        let Some(mut child) = child else { return };
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success(), "the broker runs");
        let ended = child.wait().expect("a child of ours");
        assert!(signal == "KILL" || ended.success(), "ended with {ended}");
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        if let Ok(Some(mut child)) = self.child.lock().map(|mut child| child.take()) {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Cargo puts programs one folder above the tests.
pub(crate) fn program() -> PathBuf {
    let this = std::env::current_exe().expect("this program");
    let folder = this
        .parent()
        .and_then(Path::parent)
        .expect("a target folder");
    let program = folder.join("kadr-under-test");
    assert!(
        program.exists(),
        "{} is not built: cargo build --package tests",
        program.display()
    );
    program
}

/// A port that is free now and stays the broker's over its restarts.
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound listener").to_string()
}

/// Reads the log to its end, so that the broker never waits for a reader.
fn collect(mut log: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        drop(log.read_to_end(&mut text));
        String::from_utf8_lossy(&text).into_owned()
    })
}
