//! One service in a process of its own: its ports, its health, its metrics, and its end.

use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::StatusCode;
use pipeline::service::DropReason;
use pipeline::service::metrics::FRAMES_DROPPED_TOTAL;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use super::http::Http;
use crate::kafka::{root, within};
use crate::process::program;

/// Log lines of a failed test that are worth showing.
const LINES_SHOWN: usize = 60;

/// A process that runs `kadr SERVICE`. Killed when dropped.
pub struct Service {
    name: String,
    child: Child,
    log: Arc<Log>,
    admin: Http,
    /// How it ended, once it was seen to have.
    ended: Option<ExitStatus>,
}

impl Service {
    /// Starts `kadr` with these arguments on free ports, and waits until its admin port is open.
    pub async fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[]).await
    }

    /// The same, with these variables set.
    pub async fn start_with(arguments: &[&str], variables: &[(String, String)]) -> Self {
        let mut child = Command::new(program())
            .args(arguments)
            .args(["--admin-listen", "127.0.0.1:0", "--log-format", "json"])
            // Only what the test says counts.
            .env_remove("KAFKA_BROKERS")
            .env_remove("KAFKA_BOOTSTRAP_SERVERS")
            .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            // The detector finds ONNX Runtime from here.
            .current_dir(root())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let name = arguments.first().copied().unwrap_or_default();
        let log = Log::new(name);
        log.follow(child.stderr.take().expect("a pipe"));
        log.follow(child.stdout.take().expect("a pipe"));
        let admin = log.address("admin port is open").await;
        Self {
            name: name.to_owned(),
            child,
            log,
            admin: Http::at(admin),
            ended: None,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the service runs")
    }

    /// The rest of the line that begins so, once it is printed.
    pub async fn announced(&self, beginning: &str) -> String {
        let line = self.log.line(beginning).await;
        let rest = line.strip_prefix(beginning).map(str::to_owned);
        rest.unwrap_or_else(|| panic!("{line} does not begin with {beginning}"))
    }

    /// Its web port.
    pub async fn web(&self) -> Http {
        let announcement = match self.name.as_str() {
            "up" => "Kadr is running: ",
            _ => "web port is open",
        };
        Http::at(self.log.address(announcement).await)
    }

    /// Waits until it says that it can work.
    pub async fn ready(&self) {
        let poll = async {
            while self.readiness().await != Some(StatusCode::OK) {
                assert!(
                    !self.log.has_ended(),
                    "{} ended before it was ready",
                    self.name
                );
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        within(&format!("{} is ready", self.name), poll).await;
    }

    async fn readiness(&self) -> Option<StatusCode> {
        let answer = self.admin.try_get("/readyz").await;
        answer.ok().map(|answer| answer.status)
    }

    /// The sum of a metric over all series that have these labels; zero when there is none.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = self.admin.get("/metrics").await.text();
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{value}\""))
            .collect();
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let is_named = rest.starts_with(['{', ' ']);
            let has_labels = labels.iter().all(|label| rest.contains(label));
            let value = rest.rsplit(' ').next()?.parse::<f64>().ok()?;
            (is_named && has_labels).then_some(value)
        });
        values.sum()
    }

    /// Ends it as `kill -9` does.
    pub async fn kill(mut self) {
        self.child.start_kill().expect("the service runs");
        let ended = within("a killed process is gone", self.child.wait()).await;
        self.ended = Some(ended.expect("a child of ours"));
    }

    /// Asks it to end, waits until it has, and fails unless it says that all went well.
    pub async fn end(mut self) {
        let pid = self.child.id().expect("the service runs").to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().await;
        assert!(sent.expect("kill runs").success(), "{} runs", self.name);
        let ended = within(&format!("{} ends", self.name), self.child.wait()).await;
        let ended = ended.expect("a child of ours");
        self.ended = Some(ended);
        assert!(ended.success(), "{} ended with {ended}", self.name);
    }

    /// Results that a detector has published.
    pub async fn results(&self) -> f64 {
        self.metric("kadr_detector_frames_total", &[]).await
    }

    /// Frames that it has lost or skipped, for one reason or for any.
    pub async fn dropped(&self, reason: Option<DropReason>) -> f64 {
        let labels = reason.map(|reason| ("reason", reason.code()));
        self.metric(FRAMES_DROPPED_TOTAL, labels.as_slice()).await
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- {} ({:?}) said:\n{}",
                self.name,
                self.ended,
                self.log.tail()
            );
        }
    }
}

/// What a process has written so far, to its log and otherwise.
struct Log {
    name: String,
    lines: Mutex<Vec<String>>,
    news: Notify,
    /// Pipes that are still open.
    open: AtomicUsize,
}

impl Log {
    fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            lines: Mutex::default(),
            news: Notify::new(),
            open: AtomicUsize::new(0),
        })
    }

    fn follow(self: &Arc<Self>, stream: impl AsyncRead + Unpin + Send + 'static) {
        let log = Arc::clone(self);
        log.open.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                log.lines().push(line);
                log.news.notify_waiters();
            }
            log.open.fetch_sub(1, Ordering::SeqCst);
            log.news.notify_waiters();
        });
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_ended(&self) -> bool {
        self.open.load(Ordering::SeqCst) == 0
    }

    fn line_with(&self, text: &str) -> Option<String> {
        self.lines()
            .iter()
            .find(|line| line.contains(text))
            .cloned()
    }

    /// The first line that holds this text, once it is there.
    async fn line(&self, text: &str) -> String {
        let found = async {
            loop {
                // Listened for first, so that a line that comes meanwhile is not missed.
                let news = self.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if let Some(line) = self.line_with(text) {
                    return Some(line);
                }
                if self.has_ended() {
                    return None;
                }
                news.await;
            }
        };
        let line = within(text, found).await;
        line.unwrap_or_else(|| {
            panic!(
                "{} ended and never said {text}:\n{}",
                self.name,
                self.tail()
            )
        })
    }

    /// The address in the line that says `message`.
    async fn address(&self, message: &str) -> SocketAddr {
        let line = self.line(message).await;
        address_in(&line).unwrap_or_else(|| panic!("no address in {line}"))
    }

    fn tail(&self) -> String {
        let lines = self.lines();
        let first = lines.len().saturating_sub(LINES_SHOWN);
        lines[first..].join("\n")
    }
}

/// The address of a log line, or of a line for people with a link.
fn address_in(line: &str) -> Option<SocketAddr> {
    let text = match serde_json::from_str::<Value>(line) {
        Ok(line) => line["address"].as_str()?.to_owned(),
        Err(_not_a_log_line) => line
            .split("http://")
            .nth(1)?
            .trim_end_matches('/')
            .to_owned(),
    };
    text.parse().ok()
}
