//! One shutdown token for the whole process, and tasks that are waited for when it is cancelled.

use std::{collections::HashMap, error::Error, io, thread, time::Duration};

use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    task::{Id, JoinError, JoinSet},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::units::format_duration;

/// Any error; what tasks may end with.
pub type AnyError = Box<dyn Error + Send + Sync>;

/// The end of a process: when it was asked for, and how long it may take. Clones share it.
#[derive(Clone, Debug)]
pub struct Shutdown {
    token: CancellationToken,
    grace: Duration,
}

impl Shutdown {
    /// A shutdown that begins only by [`Shutdown::begin`].
    pub fn new(grace: Duration) -> Self {
        Self {
            token: CancellationToken::new(),
            grace,
        }
    }

    /// A shutdown that begins with SIGTERM or SIGINT; a second signal ends the process at once.
    pub fn on_signals(grace: Duration) -> io::Result<Self> {
        let shutdown = Self::new(grace);
        // A thread and runtime of its own: the second signal has to work when all else is stuck.
        let watcher = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let signals = {
            let _inside = watcher.enter();
            Signals {
                term: signal(SignalKind::terminate())?,
                int: signal(SignalKind::interrupt())?,
            }
        };
        let watched = shutdown.clone();
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || watcher.block_on(watched.obey(signals)))?;
        Ok(shutdown)
    }

    async fn obey(self, mut signals: Signals) {
        let name = signals.next().await.name;
        let grace = format_duration(self.grace);
        tracing::info!(
            signal = name,
            grace,
            "shutting down, a second signal ends at once"
        );
        self.begin();
        let second = signals.next().await;
        tracing::error!(
            signal = second.name,
            "second signal, ending without waiting"
        );
        std::process::exit(second.exit_code);
    }

    /// Asks everybody to finish.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Returns once the shutdown has begun.
    pub async fn begun(&self) {
        self.token.cancelled().await;
    }

    /// The token itself, for code that takes one.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// From the beginning of the shutdown to the moment when nobody is waited for any more.
    pub fn grace(&self) -> Duration {
        self.grace
    }
}

struct Signals {
    term: Signal,
    int: Signal,
}

struct Received {
    name: &'static str,
    /// 128 plus the signal's number, as shells report it.
    exit_code: i32,
}

impl Signals {
    async fn next(&mut self) -> Received {
        tokio::select! {
            _ = self.term.recv() => Received { name: "SIGTERM", exit_code: 128 + 15 },
            _ = self.int.recv() => Received { name: "SIGINT", exit_code: 128 + 2 },
        }
    }
}

/// Why the tasks did not end well.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// A task ended with an error; the rest was shut down.
    #[error("{task} failed")]
    Failed {
        /// The name it was spawned with.
        task: &'static str,
        /// Its error.
        source: AnyError,
    },
    /// A task panicked; the rest was shut down.
    #[error("{task} panicked: this is a defect, please report it with the last log lines")]
    Panicked {
        /// The name it was spawned with.
        task: &'static str,
        /// The panic.
        source: JoinError,
    },
    /// Some tasks went on beyond the grace period and were cut off.
    #[error(
        "{} did not finish within {}: raise --shutdown-grace if this is normal",
        tasks.join(", "), format_duration(*grace)
    )]
    TimedOut {
        /// The names they were spawned with.
        tasks: Vec<&'static str>,
        /// How long they were given.
        grace: Duration,
    },
}

/// The long-running tasks of a service. They stand and fall together: the first that ends, in
/// whatever way, begins the shutdown.
#[derive(Debug)]
pub struct Tasks {
    shutdown: Shutdown,
    running: JoinSet<Result<(), AnyError>>,
    names: HashMap<Id, &'static str>,
    first_error: Option<DrainError>,
}

impl Tasks {
    /// No tasks yet.
    pub fn new(shutdown: &Shutdown) -> Self {
        Self {
            shutdown: shutdown.clone(),
            running: JoinSet::new(),
            names: HashMap::new(),
            first_error: None,
        }
    }

    /// Starts a task; it should finish what is in hand and return once the shutdown has begun.
    pub fn spawn<E: Into<AnyError>>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let handle = self.running.spawn(async { task.await.map_err(Into::into) });
        self.names.insert(handle.id(), name);
    }

    /// Waits for all tasks, after the beginning of the shutdown at most for the grace period.
    /// Answers the first error, if any.
    pub async fn drained(mut self) -> Result<(), DrainError> {
        let shutdown = self.shutdown.clone();
        let out_of_time = async {
            shutdown.begun().await;
            sleep(shutdown.grace).await;
        };
        let mut out_of_time = std::pin::pin!(out_of_time);
        loop {
            tokio::select! {
                biased;
                ended = self.running.join_next_with_id() => match ended {
                    Some(ended) => self.note(ended),
                    None => return self.first_error.map_or(Ok(()), Err),
                },
                () = &mut out_of_time => return Err(self.cut_off()),
            }
        }
    }

    /// The way out of a start that failed half-way: what runs already ends in good order, as a
    /// process must not exit under its threads. The start's own error is the one to report.
    pub async fn abandoned(self) {
        self.shutdown.begin();
        if let Err(error) = self.drained().await {
            tracing::warn!(error = describe(&error), "the rest did not end well either");
        }
    }

    fn note(&mut self, ended: Result<(Id, Result<(), AnyError>), JoinError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let task = self
            .names
            .remove(&id)
            .expect("every running task has a name");
        self.shutdown.begin();
        let error = match ended {
            Ok((_, Ok(()))) => return tracing::debug!(task, "task has finished"),
            Ok((_, Err(source))) => DrainError::Failed { task, source },
            Err(source) => DrainError::Panicked { task, source },
        };
        match self.first_error {
            None => self.first_error = Some(error),
            // The first error is the caller's to report; later ones would be lost.
            Some(_) => {
                tracing::error!(
                    error = describe(&error),
                    "another task failed during shutdown"
                );
            }
        }
    }

    /// The tasks are aborted as the set is dropped.
    fn cut_off(mut self) -> DrainError {
        let mut tasks: Vec<_> = self.names.values().copied().collect();
        tasks.sort_unstable();
        let timed_out = DrainError::TimedOut {
            tasks,
            grace: self.shutdown.grace,
        };
        match self.first_error.take() {
            None => timed_out,
            Some(first) => {
                tracing::error!(
                    error = describe(&timed_out),
                    "tasks cut off during shutdown"
                );
                first
            }
        }
    }
}

/// An error with all its causes on one line.
pub fn describe(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    const GRACE: Duration = Duration::from_secs(8);

    async fn until_shutdown(shutdown: Shutdown) -> Result<(), AnyError> {
        shutdown.begun().await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_clean_drain_waits_for_the_last_task() {
        let shutdown = Shutdown::new(GRACE);
        let mut tasks = Tasks::new(&shutdown);
        tasks.spawn("quick", until_shutdown(shutdown.clone()));
        let has_flushed = Arc::new(AtomicBool::new(false));
        let (token, flushed) = (shutdown.token(), Arc::clone(&has_flushed));
        tasks.spawn("slow", async move {
            token.cancelled().await;
            sleep(GRACE * 7 / 8).await;
            flushed.store(true, Ordering::SeqCst);
            Ok::<_, AnyError>(())
        });
        shutdown.begin();
        tasks.drained().await.expect("inside the grace period");
        assert!(has_flushed.load(Ordering::SeqCst));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_finish_is_named_and_cut_off() {
        let shutdown = Shutdown::new(GRACE);
        let mut tasks = Tasks::new(&shutdown);
        tasks.spawn("kafka", until_shutdown(shutdown.clone()));
        tasks.spawn("model", std::future::pending::<Result<(), AnyError>>());
        shutdown.begin();
        let error = tasks
            .drained()
            .await
            .expect_err("one never ends")
            .to_string();
        assert!(
            error.starts_with("model did not finish within 8s"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn the_first_failure_shuts_down_the_rest_and_is_reported() {
        let shutdown = Shutdown::new(GRACE);
        let mut tasks = Tasks::new(&shutdown);
        tasks.spawn("kafka", until_shutdown(shutdown.clone()));
        tasks.spawn("model", async { Err("out of memory") });
        let error = tasks.drained().await.expect_err("the model");
        assert_eq!(describe(&error), "model failed: out of memory");
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_too() {
        let shutdown = Shutdown::new(GRACE);
        let mut tasks = Tasks::new(&shutdown);
        tasks.spawn("kafka", until_shutdown(shutdown.clone()));
        tasks.spawn("model", async {
            assert!(std::env::args().count() > 1_000_000, "index out of range");
            Ok::<_, AnyError>(())
        });
        let error = tasks.drained().await.expect_err("the model");
        assert!(
            matches!(error, DrainError::Panicked { task: "model", .. }),
            "{error:?}"
        );
        assert!(describe(&error).contains("index out of range"), "{error:?}");
    }

    #[tokio::test]
    async fn a_task_that_is_done_ends_the_service_in_peace() {
        let shutdown = Shutdown::new(GRACE);
        let mut tasks = Tasks::new(&shutdown);
        tasks.spawn("kafka", until_shutdown(shutdown.clone()));
        tasks.spawn("file", async { Ok::<_, AnyError>(()) });
        tasks.drained().await.expect("a clean end");
    }
}
