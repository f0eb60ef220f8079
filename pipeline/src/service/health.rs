//! Health as a registry of parts with deadlines.
//!
//! A part (a loop, a thread, a connection) registers with a name and a deadline and must report
//! again before it. Two questions are kept apart:
//!
//! - *live*: is every loop still turning? A part past its deadline is stalled, and one whose handle
//!   was dropped has stopped; only a restart heals either.
//! - *ready*: can work be taken? A part that says [`Part::not_ready`] (broker out of reach, model
//!   missing) is alive and tries on; a restart would not help.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{redact::redact_text, units::format_duration};

/// Monotonic time since some fixed moment; tests inject one that they move by hand.
type Clock = dyn Fn() -> Duration + Send + Sync;

/// The registry, as seen by one service. Clones share the parts.
#[derive(Clone)]
pub struct Health {
    registry: Arc<Registry>,
    service: Arc<str>,
}

/// The handle through which a part reports. Dropping it says that the part has stopped; a part
/// that ends in good order says [`Part::retire`].
#[derive(Debug)]
pub struct Part {
    registry: Arc<Registry>,
    record: Arc<Record>,
}

/// How a part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not done with its first steps; has no deadline yet, for loading a model may take minutes.
    Starting,
    /// Works.
    Ready,
    /// Turns, but cannot do its work; the reason says what to do.
    NotReady,
    /// Missed its deadline.
    Stalled,
    /// Its handle was dropped: the loop returned or panicked.
    Stopped,
}

/// What the health pages show.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// No part is stalled or stopped.
    pub live: bool,
    /// Every part is ready, there is at least one, and no shutdown has begun.
    pub ready: bool,
    /// A shutdown has begun: finish what is in hand, take no more.
    pub draining: bool,
    /// Every part, in the order of registration.
    pub parts: Vec<PartReport>,
}

/// One part in a [`Report`].
#[derive(Clone, Debug, Serialize)]
pub struct PartReport {
    /// The service that registered it; matters where one process runs several.
    pub service: String,
    /// The name it registered with.
    pub part: String,
    /// How it stands.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// Why it is not ready, or what else an operator should know, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

struct Registry {
    clock: Box<Clock>,
    /// Wall time at clock zero, to show `since` as a date.
    epoch: Timestamp,
    draining: AtomicBool,
    records: Mutex<Vec<Arc<Record>>>,
}

/// The shared side of a part. The hot path touches the atomics alone.
struct Record {
    service: Arc<str>,
    name: String,
    deadline: Duration,
    last_report_ms: AtomicU64,
    is_ready: AtomicBool,
    /// So that a stall is logged once, not at every probe.
    stall_logged: AtomicBool,
    condition: Mutex<Condition>,
}

struct Condition {
    state: State,
    since: Duration,
    reason: Option<String>,
}

impl Health {
    /// An empty registry on the system's clock.
    pub fn new(service: &str) -> Self {
        let start = Instant::now();
        Self::with_clock(service, move || start.elapsed())
    }

    /// An empty registry on a given monotonic clock.
    pub fn with_clock(service: &str, clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        let since_zero = SignedDuration::try_from(clock()).unwrap_or(SignedDuration::ZERO);
        let epoch = Timestamp::now()
            .saturating_sub(since_zero)
            .unwrap_or(Timestamp::UNIX_EPOCH);
        let registry = Registry {
            clock: Box::new(clock),
            epoch,
            draining: AtomicBool::new(false),
            records: Mutex::default(),
        };
        Self {
            registry: Arc::new(registry),
            service: service.into(),
        }
    }

    /// The same registry, for parts of another service in this process.
    #[must_use]
    pub fn for_service(&self, service: &str) -> Self {
        Self {
            registry: Arc::clone(&self.registry),
            service: service.into(),
        }
    }

    /// Adds a part, in [`State::Starting`]. Its deadline counts once it first reports ready or not
    /// ready, and anew from every report.
    pub fn register(&self, name: &str, deadline: Duration) -> Part {
        let now = self.registry.now();
        let record = Arc::new(Record {
            service: Arc::clone(&self.service),
            name: name.to_owned(),
            deadline,
            last_report_ms: AtomicU64::new(as_millis(now)),
            is_ready: AtomicBool::new(false),
            stall_logged: AtomicBool::new(false),
            condition: Mutex::new(Condition {
                state: State::Starting,
                since: now,
                reason: None,
            }),
        });
        lock(&self.registry.records).push(Arc::clone(&record));
        Part {
            registry: Arc::clone(&self.registry),
            record,
        }
    }

    /// From now on nothing is ready, so that no new work is sent here, and parts may stop.
    pub fn drain(&self) {
        self.registry.draining.store(true, Ordering::Release);
    }

    /// How all parts stand now.
    pub fn report(&self) -> Report {
        let now = self.registry.now();
        let draining = self.registry.draining.load(Ordering::Acquire);
        let records = lock(&self.registry.records).clone();
        let parts: Vec<PartReport> = records
            .iter()
            .map(|record| record.report(now, self.registry.epoch))
            .filter(|part| !(draining && part.state == State::Stopped))
            .collect();
        Report {
            live: !parts
                .iter()
                .any(|p| matches!(p.state, State::Stalled | State::Stopped)),
            ready: !draining
                && !parts.is_empty()
                && parts.iter().all(|part| part.state == State::Ready),
            draining,
            parts,
        }
    }
}

impl Part {
    /// Still turning, nothing else to say. Costs a clock reading and one atomic store.
    pub fn alive(&self) {
        self.record
            .last_report_ms
            .store(as_millis(self.registry.now()), Ordering::Relaxed);
    }

    /// Turning and working. As cheap as [`Part::alive`] while it stays so.
    pub fn ready(&self) {
        self.alive();
        if !self.record.is_ready.load(Ordering::Acquire) {
            self.change(State::Ready, None);
        }
    }

    /// Turning and working, with something that an operator should know, or nothing any more.
    pub fn ready_with(&self, remark: Option<&str>) {
        self.alive();
        self.change(State::Ready, remark);
    }

    /// Turning, but unable to work. The reason is for an operator: what is wrong and what to do.
    /// Passwords in URLs are removed from it.
    pub fn not_ready(&self, reason: &str) {
        self.alive();
        self.change(State::NotReady, Some(reason));
    }

    /// Busy with first steps, such as loading a model; the deadline rests meanwhile.
    pub fn starting(&self, step: &str) {
        self.alive();
        self.change(State::Starting, Some(step));
    }

    /// Ends the part in good order: it leaves the registry, as when a camera is removed.
    pub fn retire(self) {
        lock(&self.registry.records).retain(|record| !Arc::ptr_eq(record, &self.record));
    }

    fn change(&self, state: State, reason: Option<&str>) {
        let mut condition = lock(&self.record.condition);
        let reason = reason.map(redact_text);
        if condition.state == state && condition.reason == reason {
            return;
        }
        if condition.state != state {
            condition.since = self.registry.now();
        }
        condition.state = state;
        condition.reason = reason;
        self.record
            .is_ready
            .store(state == State::Ready, Ordering::Release);
        self.record.log(&condition);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.change(State::Stopped, None);
        let records = lock(&self.registry.records);
        let is_retired = !records
            .iter()
            .any(|record| Arc::ptr_eq(record, &self.record));
        if !is_retired && !self.registry.draining.load(Ordering::Acquire) {
            let (service, part) = (&*self.record.service, &*self.record.name);
            tracing::error!(service, part, "part has stopped");
        }
    }
}

impl Registry {
    fn now(&self) -> Duration {
        (self.clock)()
    }
}

impl Record {
    fn report(&self, now: Duration, epoch: Timestamp) -> PartReport {
        let condition = lock(&self.condition);
        let last_report = Duration::from_millis(self.last_report_ms.load(Ordering::Relaxed));
        let silence = now.saturating_sub(last_report);
        let has_deadline = matches!(condition.state, State::Ready | State::NotReady);
        let is_stalled = has_deadline && silence > self.deadline;
        self.log_stall(is_stalled, silence);
        let (state, since, reason) = if is_stalled {
            let reason = format!(
                "no sign of life for {} (deadline {}): the loop is stuck; restart the service and \
                 keep its last log lines",
                format_duration(Duration::from_secs(silence.as_secs())),
                format_duration(self.deadline),
            );
            (
                State::Stalled,
                last_report.saturating_add(self.deadline),
                Some(reason),
            )
        } else if condition.state == State::Stopped {
            let reason = "the loop has ended: restart the service and keep its last log lines";
            (State::Stopped, condition.since, Some(reason.to_owned()))
        } else {
            (condition.state, condition.since, condition.reason.clone())
        };
        let since = SignedDuration::try_from(since).unwrap_or(SignedDuration::MAX);
        PartReport {
            service: self.service.to_string(),
            part: self.name.clone(),
            state,
            since: epoch.saturating_add(since).unwrap_or(Timestamp::MAX),
            reason,
        }
    }

    fn log(&self, condition: &Condition) {
        let (service, part, reason) = (&*self.service, &*self.name, condition.reason.as_deref());
        match condition.state {
            State::NotReady => tracing::warn!(service, part, reason, "part is not ready"),
            State::Ready if reason.is_some() => {
                tracing::warn!(service, part, remark = reason, "part is ready");
            }
            State::Ready => tracing::info!(service, part, "part is ready"),
            State::Starting => tracing::info!(service, part, step = reason, "part is starting"),
            // Told by `log_stall` and by the handle's drop, which know whether it is news.
            State::Stalled | State::Stopped => {}
        }
    }

    fn log_stall(&self, is_stalled: bool, silence: Duration) {
        let was_stalled = self.stall_logged.swap(is_stalled, Ordering::Relaxed);
        let (service, part) = (&*self.service, &*self.name);
        if is_stalled && !was_stalled {
            let silence_seconds = silence.as_secs();
            tracing::error!(service, part, silence_seconds, "part has stalled");
        } else if was_stalled && !is_stalled {
            tracing::warn!(service, part, "stalled part turns again");
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Registry")
            .field("draining", &self.draining)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Health")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Record")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn as_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A panic while holding the lock leaves nothing half-done here, so poison does not matter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
