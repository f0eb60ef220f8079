//! A whole service as a process of its own: signals, drain and exit codes.
//!
//! Each test starts this test binary again with only itself selected and `KADR_TEST_CHILD` set; in
//! that process it becomes the service instead.
#![cfg(feature = "service")]

use std::{
    future::pending,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, ExitCode, Stdio, exit},
    sync::mpsc::{Receiver, sync_channel},
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use pipeline::service::{Context, OperatingArgs, run_service, shutdown::AnyError};
use serde_json::Value;

const CHILD: &str = "KADR_TEST_CHILD";
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    operating: OperatingArgs,
}

/// In the child process: becomes the service and never returns. In the test process: nothing.
fn become_service_if_child<F>(serve: impl FnOnce(Context) -> F)
where
    F: Future<Output = Result<(), AnyError>> + Send + 'static,
{
    let Ok(flags) = std::env::var(CHILD) else {
        return;
    };
    let words = ["probe", "--log-format=json"]
        .into_iter()
        .chain(flags.split_whitespace());
    let operating = Cli::parse_from(words).operating;
    let code = run_service("probe", &operating, &(), serve);
    let known = [
        (ExitCode::SUCCESS, 0),
        (ExitCode::FAILURE, 1),
        (ExitCode::from(2), 2),
    ];
    exit(
        known
            .iter()
            .find(|(known, _)| *known == code)
            .map_or(99, |(_, number)| *number),
    );
}

/// The service process, its log read line by line.
struct Service {
    process: Child,
    log: Receiver<Value>,
}

impl Service {
    fn start(test: &str, flags: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this test binary"))
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, flags)
            .env_remove("RUST_LOG")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this test binary can be started again");
        let stderr = process.stderr.take().expect("stderr is piped");
        let (lines, log) = sync_channel(1024);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Not every line is a log line: a panic message is not.
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        Self { process, log }
    }

    /// The next log line with this message.
    fn logged(&self, message: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("{message:?} was never logged"));
            if line["message"]
                .as_str()
                .is_some_and(|text| text.starts_with(message))
            {
                return line;
            }
        }
    }

    fn admin_address(&self) -> SocketAddr {
        let line = self.logged("admin port is open");
        line["address"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("an address")
    }

    fn send(&self, signal: &str) {
        // The shell's own kill needs no package.
        let command = format!("kill -s {signal} {}", self.process.id());
        let status = Command::new("sh")
            .args(["-c", &command])
            .status()
            .expect("a shell");
        assert!(status.success(), "the service has already ended");
    }

    /// The exit code, once the log has ended, which is when the process does.
    fn exit_code(mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        while self
            .log
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            .is_ok()
        {}
        assert!(Instant::now() < deadline, "the service does not end");
        self.process.wait().expect("a child process").code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail if the process has ended, which is what is wanted.
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("an open admin port");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a valid timeout");
    let request = format!("GET {path} HTTP/1.1\r\nhost: kadr\r\nconnection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .expect("the request fits");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn either_signal_drains_and_exits_zero() {
    become_service_if_child(async |context| {
        tracing::info!("serving");
        context.shutdown.begun().await;
        tracing::info!("drained");
        Ok(())
    });
    for signal in ["TERM", "INT"] {
        let flags = "--admin-listen=127.0.0.1:0";
        let service = Service::start("either_signal_drains_and_exits_zero", flags);
        let line = service.logged("effective configuration");
        let config = line["config"].as_str().expect("one line of json");
        assert!(config.contains("\"shutdown_grace\":\"8s\""), "{config}");
        service.logged("serving");
        service.send(signal);
        service.logged("drained");
        service.logged("ended cleanly");
        assert_eq!(service.exit_code(), Some(0), "after SIG{signal}");
    }
}

#[test]
fn a_drain_beyond_the_grace_period_is_a_failure() {
    become_service_if_child(async |_context| {
        tracing::info!("serving");
        pending().await
    });
    let service = Service::start(
        "a_drain_beyond_the_grace_period_is_a_failure",
        "--admin-listen=127.0.0.1:0 --shutdown-grace=100ms",
    );
    service.logged("serving");
    service.send("TERM");
    let line = service.logged("ended with an error");
    let error = line["error"].as_str().expect("an error");
    assert!(
        error.starts_with("probe did not finish within 100ms"),
        "{error}"
    );
    assert_eq!(service.exit_code(), Some(1));
}

#[test]
fn a_second_signal_ends_a_stuck_service_at_once() {
    become_service_if_child(async |_context| {
        tracing::info!("serving");
        loop {
            // Blocks the runtime's thread, as no service should.
            thread::park();
        }
    });
    let service = Service::start(
        "a_second_signal_ends_a_stuck_service_at_once",
        "--admin-listen=127.0.0.1:0 --shutdown-grace=1h",
    );
    service.logged("serving");
    service.send("TERM");
    service.logged("shutting down");
    service.send("INT");
    service.logged("second signal");
    assert_eq!(service.exit_code(), Some(130));
}

#[test]
fn the_admin_port_outlives_the_drain() {
    become_service_if_child(async |context| {
        let part = context.health.register("probe", PATIENCE);
        part.ready();
        tracing::info!("serving");
        pending().await
    });
    let flags = "--admin-listen=127.0.0.1:0 --shutdown-grace=1h";
    let service = Service::start("the_admin_port_outlives_the_drain", flags);
    let address = service.admin_address();
    service.logged("serving");
    assert!(get(address, "/readyz").starts_with("HTTP/1.1 200"));
    service.send("TERM");
    service.logged("shutting down");
    let deadline = Instant::now() + PATIENCE;
    while get(address, "/readyz").starts_with("HTTP/1.1 200") {
        assert!(Instant::now() < deadline, "still ready");
    }
    let answer = get(address, "/readyz");
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("\"draining\":true"),
        "{answer}"
    );
    assert!(get(address, "/healthz").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_failing_service_says_why_and_exits_one() {
    become_service_if_child(async |_context| Err("model parts@1 is missing".into()));
    let flags = "--admin-listen=127.0.0.1:0";
    let service = Service::start("a_failing_service_says_why_and_exits_one", flags);
    let line = service.logged("ended with an error");
    assert_eq!(line["error"], "probe failed: model parts@1 is missing");
    assert_eq!(service.exit_code(), Some(1));
}

#[test]
fn a_taken_admin_port_is_told_in_plain_words() {
    become_service_if_child(async |_context| pending().await);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    let flags = format!("--admin-listen={address}");
    let service = Service::start("a_taken_admin_port_is_told_in_plain_words", &flags);
    let line = service.logged("ended with an error");
    let error = line["error"].as_str().expect("an error");
    let expected = format!(
        "port {} is in use: choose another with --admin-listen: ",
        address.port()
    );
    assert!(error.starts_with(&expected), "{error}");
    assert_eq!(service.exit_code(), Some(1));
}

#[test]
fn traces_that_cannot_be_sent_are_refused_at_the_start() {
    become_service_if_child(async |_context| pending().await);
    let flags = "--admin-listen=127.0.0.1:0 --otlp-endpoint=https://collector:4318";
    let test = "traces_that_cannot_be_sent_are_refused_at_the_start";
    let service = Service::start(test, flags);
    let line = service.log.recv_timeout(PATIENCE).expect("a reason");
    let line = line.as_str().expect("a line for people");
    assert!(
        line.contains("https://collector:4318") && line.contains("http://127.0.0.1:4318"),
        "{line}"
    );
    assert_eq!(service.exit_code(), Some(2));
}
