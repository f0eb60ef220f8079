//! The coordinator: all groups and offsets behind one short lock, a task for the timers, and a task
//! that writes to the journal. The lock is never held while anything waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kafka_protocol::ResponseError;
use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::CoordinatorConfig;
use super::member::Now;
use super::offsets::Offsets;
use super::state::{Group, GroupRules};
use super::writer::{Forget, Write, Writer};
use crate::journal::Journal;

/// Writes that may wait for the journal; past that, requests wait before they touch a group.
const WRITE_QUEUE: usize = 1_024;

/// A cheap handle. `new` must be called inside a tokio runtime.
#[derive(Clone)]
pub(crate) struct Coordinator {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub config: CoordinatorConfig,
    book: Mutex<Book>,
    writes: Mutex<Option<mpsc::Sender<Write>>>,
    deadlines_changed: Notify,
    closing: CancellationToken,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
pub(super) struct Book {
    pub groups: BTreeMap<String, Group>,
    pub offsets: Offsets,
}

/// Room in the journal's queue, taken before the lock: what changes under the lock is then queued
/// under it too, so the journal sees changes in the order in which they happened.
pub(super) type Permit = mpsc::OwnedPermit<Write>;

impl Coordinator {
    /// `entries` is all that the journal holds; keys of others are left alone.
    pub(crate) fn new(
        journal: Journal,
        config: CoordinatorConfig,
        entries: &BTreeMap<String, Value>,
    ) -> Self {
        let (writes, queue) = mpsc::channel(WRITE_QUEUE);
        let shared = Arc::new(Shared {
            config,
            book: Mutex::default(),
            writes: Mutex::new(Some(writes)),
            deadlines_changed: Notify::new(),
            closing: CancellationToken::new(),
            tasks: Mutex::default(),
        });
        shared.load(entries);
        let tasks = vec![
            tokio::spawn(Writer::new(journal, shared.clone()).run(queue)),
            tokio::spawn(run_timers(shared.clone())),
            tokio::spawn(run_offset_checks(shared.clone())),
        ];
        *lock(&shared.tasks) = tasks;
        Self { shared }
    }

    /// Answers everyone who waits with a retriable error, and returns when all accepted writes are
    /// with the journal. Requests that come later are refused in the same way.
    pub(crate) async fn close(&self) {
        self.stop();
        let tasks = std::mem::take(&mut *lock(&self.shared.tasks));
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a coordinator task failed");
            }
        }
        // A write that ended last may have let somebody wait again.
        for group in self.shared.book().groups.values_mut() {
            group.release_waiters();
        }
    }
}

impl Coordinator {
    /// As `close`, without waiting: the tasks end by themselves.
    pub(crate) fn stop(&self) {
        self.shared.closing.cancel();
        drop(lock(&self.shared.writes).take());
        for group in self.shared.book().groups.values_mut() {
            group.release_waiters();
        }
    }

    /// Forgets what was committed to topics that are no more: a crash may come between the end of a
    /// topic and that of its offsets.
    pub(crate) async fn forget_offsets_of_lost_topics(&self) {
        let topics: BTreeSet<String> = {
            let book = self.shared.book();
            let keys = book.offsets.keys().map(|(key, _committed)| key);
            let exists = &self.shared.config.topic_exists;
            keys.filter(|key| !exists(&key.topic, 0))
                .map(|key| key.topic)
                .collect()
        };
        for topic in topics {
            self.topic_deleted(&topic).await;
        }
    }
}

impl Shared {
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    pub(super) fn now(&self) -> Now {
        Now {
            tick: Instant::now().into_std(),
            wall_ms: (self.config.wall_clock_ms)(),
        }
    }

    pub(super) fn rules(&self) -> GroupRules {
        GroupRules {
            max_members: self.config.max_members,
            initial_rebalance_delay: self.config.initial_rebalance_delay,
        }
    }

    pub(super) fn check_open(&self) -> Result<(), ResponseError> {
        if self.closing.is_cancelled() {
            return Err(ResponseError::CoordinatorNotAvailable);
        }
        Ok(())
    }

    /// Room for one write; an error once the coordinator is closing.
    pub(super) async fn permit(&self) -> Result<Permit, ResponseError> {
        let sender = lock(&self.writes).clone();
        let sender = sender.ok_or(ResponseError::CoordinatorNotAvailable)?;
        sender
            .reserve_owned()
            .await
            .map_err(|_closed| ResponseError::CoordinatorNotAvailable)
    }

    /// To be called after every change of a group, under the same lock.
    pub(super) fn after_change(&self, group: &mut Group, permit: Permit) {
        // Between the permit and the lock, `close` may have answered everybody else.
        if self.closing.is_cancelled() {
            group.release_waiters();
        }
        if let Some((number, image)) = group.take_write() {
            permit.send(Write::Group {
                id: group.id.clone(),
                number,
                image,
            });
        }
        self.deadlines_changed.notify_one();
    }

    /// What this changes may itself be unwritten; the next change of the group takes it along.
    pub(super) fn stored(&self, id: &str, number: u64, is_durable: bool) {
        let now = self.now();
        if let Some(group) = self.book().groups.get_mut(id) {
            group.stored(number, is_durable, now);
        }
        self.deadlines_changed.notify_one();
    }

    pub(super) async fn forget(&self, what: Forget) -> Result<(), ResponseError> {
        let permit = self.permit().await?;
        let (done, answer) = oneshot::channel();
        permit.send(Write::Forget { what, done });
        answer
            .await
            .unwrap_or(Err(ResponseError::CoordinatorNotAvailable))
    }

    async fn tick_due_groups(&self) -> Result<(), ResponseError> {
        loop {
            let permit = self.permit().await?;
            let now = self.now();
            let mut book = self.book();
            let is_due = |group: &&mut Group| {
                group
                    .next_deadline()
                    .is_some_and(|deadline| deadline <= now.tick)
            };
            let Some(group) = book.groups.values_mut().find(is_due) else {
                return Ok(());
            };
            group.tick(now);
            self.after_change(group, permit);
        }
    }
}

async fn run_timers(shared: Arc<Shared>) {
    loop {
        let next = shared
            .book()
            .groups
            .values()
            .filter_map(Group::next_deadline)
            .min();
        let due = async {
            match next {
                Some(deadline) => tokio::time::sleep_until(Instant::from_std(deadline)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.closing.cancelled() => return,
            () = shared.deadlines_changed.notified() => {}
            () = due => {
                if shared.tick_due_groups().await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn run_offset_checks(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = shared.closing.cancelled() => return,
            () = tokio::time::sleep(shared.config.offsets_check_interval) => {}
        }
        if let Err(error) = shared.forget(Forget::Expired).await {
            tracing::warn!(%error, "expired offsets are still there, tried again later");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
