//! The task between the groups and the journal: one put at a time, with all that waits in it, so
//! that memory and journal change in the same order.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::image::{group_key, offset_key};
use super::member::{Now, answer};
use super::offsets::{Committed, OffsetKey, Offsets};
use super::shell::{Book, Shared};
use super::state::{Group, State};
use crate::journal::Journal;

const MAX_WRITES_PER_PUT: usize = 256;

type Done = oneshot::Sender<Result<(), ResponseError>>;
type Changes = Vec<(String, Option<Value>)>;

pub(super) enum Write {
    Group {
        id: String,
        number: u64,
        image: Value,
    },
    Offsets {
        entries: Vec<(OffsetKey, Committed)>,
        done: Done,
    },
    Forget {
        what: Forget,
        done: Done,
    },
}

pub(super) enum Forget {
    /// A group marked as dead, with its offsets.
    Group(String),
    Topic(String),
    Offsets(Vec<OffsetKey>),
    Expired,
}

#[derive(Default)]
struct Doomed {
    groups: Vec<String>,
    offsets: Vec<OffsetKey>,
}

pub(super) struct Writer {
    journal: Journal,
    shared: Arc<Shared>,
}

impl Writer {
    pub(super) fn new(journal: Journal, shared: Arc<Shared>) -> Self {
        Self { journal, shared }
    }

    pub(super) async fn run(self, mut queue: mpsc::Receiver<Write>) {
        while let Some(first) = queue.recv().await {
            let mut batch = vec![];
            let mut next = Some(first);
            while let Some(write) = next {
                if let Write::Forget { what, done } = write {
                    // What is to be forgotten can only be told once all before it is in.
                    self.put(std::mem::take(&mut batch)).await;
                    self.forget(&what, done).await;
                } else {
                    batch.push(write);
                }
                next = if batch.len() < MAX_WRITES_PER_PUT {
                    queue.try_recv().ok()
                } else {
                    None
                };
            }
            self.put(batch).await;
        }
    }

    async fn put(&self, batch: Vec<Write>) {
        let changes: Changes = batch.iter().flat_map(changes_of).collect();
        if changes.is_empty() {
            return;
        }
        let result = self.put_changes(changes).await;
        let now = self.shared.now();
        for write in batch {
            match write {
                Write::Group { id, number, .. } => {
                    self.shared.stored(&id, number, result.is_ok());
                }
                Write::Offsets { entries, done } => {
                    if result.is_ok() {
                        self.take_over(entries, now);
                    }
                    answer(done, result);
                }
                Write::Forget { done, .. } => answer(done, result),
            }
        }
    }

    fn take_over(&self, entries: Vec<(OffsetKey, Committed)>, now: Now) {
        let mut book = self.shared.book();
        for (key, committed) in entries {
            // The group may have been deleted since it let the commit in.
            if !book.groups.contains_key(&key.group) {
                let simple = Group::new(key.group.clone(), self.shared.rules(), now);
                book.groups.insert(key.group.clone(), simple);
            }
            book.offsets.insert(key, committed);
        }
    }

    async fn forget(&self, what: &Forget, done: Done) {
        let doomed = self.doom(what);
        let offsets = doomed.offsets.iter();
        let offset_keys = offsets.map(|key| offset_key(&key.group, &key.topic, key.partition));
        let group_keys = doomed.groups.iter().map(|id| group_key(id));
        let changes: Changes = offset_keys
            .chain(group_keys)
            .map(|key| (key, None))
            .collect();
        if changes.is_empty() {
            return answer(done, Ok(()));
        }
        let result = self.put_changes(changes).await;
        self.bury(doomed, result.is_ok());
        answer(done, result);
    }

    /// Picks what goes. Groups among it are dead from now on, so that nobody joins meanwhile.
    fn doom(&self, what: &Forget) -> Doomed {
        let mut book = self.shared.book();
        let Book { groups, offsets } = &mut *book;
        let keys_where = |wanted: &dyn Fn(&OffsetKey) -> bool| -> Vec<OffsetKey> {
            offsets
                .keys()
                .map(|(key, _)| key)
                .filter(|key| wanted(key))
                .collect()
        };
        match what {
            Forget::Group(id) => Doomed {
                groups: vec![id.clone()],
                offsets: keys_where(&|key| key.group == *id),
            },
            Forget::Topic(topic) => Doomed {
                groups: Vec::new(),
                offsets: keys_where(&|key| key.topic == *topic),
            },
            Forget::Offsets(keys) => Doomed {
                groups: Vec::new(),
                offsets: keys_where(&|key| keys.contains(key)),
            },
            Forget::Expired => {
                let expiry = Expiry {
                    now: self.shared.now(),
                    retention_ms: self.shared.config.offsets_retention.as_millis() as i64,
                };
                expiry.doom(groups, offsets)
            }
        }
    }

    fn bury(&self, doomed: Doomed, is_durable: bool) {
        let now = self.shared.now();
        let mut book = self.shared.book();
        if is_durable {
            for key in &doomed.offsets {
                book.offsets.remove(key);
            }
        }
        for id in doomed.groups {
            if is_durable {
                tracing::info!(group = id, "group deleted");
                book.groups.remove(&id);
            } else if let Some(group) = book.groups.get_mut(&id) {
                group.transition(State::Empty, now);
            }
        }
    }

    async fn put_changes(&self, changes: Changes) -> Result<(), ResponseError> {
        self.journal.put(changes).await.map_err(|error| {
            // The journal says so once, for all that fail.
            tracing::debug!(%error, "groups and offsets not stored, their clients will retry");
            ResponseError::CoordinatorNotAvailable
        })
    }
}

struct Expiry {
    now: Now,
    retention_ms: i64,
}

impl Expiry {
    fn doom(&self, groups: &mut BTreeMap<String, Group>, offsets: &Offsets) -> Doomed {
        let mut doomed = Doomed::default();
        for (id, group) in groups {
            let mut is_bare = true;
            for (topic, partition, committed) in offsets.of_group(id) {
                if self.is_over(group, topic, committed) {
                    let (group, topic) = (id.clone(), topic.to_owned());
                    doomed.offsets.push(OffsetKey {
                        group,
                        topic,
                        partition,
                    });
                } else {
                    is_bare = false;
                }
            }
            if is_bare && group.state == State::Empty && group.pending_joins.is_empty() {
                group.transition(State::Dead, self.now);
                doomed.groups.push(id.clone());
            }
        }
        doomed
    }

    /// An empty group's offsets count from when it became empty; those of topics that a live
    /// consumer no longer reads, and those of clients without a group, from their commit.
    fn is_over(&self, group: &Group, topic: &str, committed: &Committed) -> bool {
        let base_ms = match (&group.protocol_type, group.state) {
            (None, _) => committed.since_ms,
            (Some(_), State::Empty) => group.state_since_ms,
            (Some(_), State::Stable)
                if group.subscribed_topics.is_some() && !group.is_subscribed_to(topic) =>
            {
                committed.since_ms
            }
            _ => return false,
        };
        match committed.expires_ms {
            Some(expires_ms) => self.now.wall_ms >= expires_ms,
            None => self.now.wall_ms.saturating_sub(base_ms) >= self.retention_ms,
        }
    }
}

fn changes_of(write: &Write) -> Changes {
    match write {
        Write::Group { id, image, .. } => vec![(group_key(id), Some(image.clone()))],
        Write::Offsets { entries, .. } => entries
            .iter()
            .map(|(key, committed)| {
                let value = serde_json::to_value(committed);
                let value = value.expect("strings and numbers are always JSON");
                (
                    offset_key(&key.group, &key.topic, key.partition),
                    Some(value),
                )
            })
            .collect(),
        Write::Forget { .. } => Vec::new(),
    }
}
