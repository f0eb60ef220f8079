//! Committed offsets of all groups, as the journal has them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Committed {
    pub offset: i64,
    /// -1 when the client did not say.
    pub leader_epoch: i32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub metadata: String,
    /// When it was committed.
    pub since_ms: i64,
    /// Old clients (`OffsetCommit` up to version 4) may say how long their offsets are to be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OffsetKey {
    pub group: String,
    pub topic: String,
    pub partition: i32,
}

type OfGroup = BTreeMap<(String, i32), Committed>;

#[derive(Default)]
pub(super) struct Offsets {
    by_group: BTreeMap<String, OfGroup>,
}

impl Offsets {
    pub(super) fn insert(&mut self, key: OffsetKey, committed: Committed) {
        let group = self.by_group.entry(key.group).or_default();
        group.insert((key.topic, key.partition), committed);
    }

    pub(super) fn remove(&mut self, key: &OffsetKey) {
        if let Some(group) = self.by_group.get_mut(&key.group) {
            group.remove(&(key.topic.clone(), key.partition));
            if group.is_empty() {
                self.by_group.remove(&key.group);
            }
        }
    }

    pub(super) fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.by_group
            .get(group)?
            .get(&(topic.to_owned(), partition))
    }

    pub(super) fn of_group(
        &self,
        group: &str,
    ) -> impl Iterator<Item = (&str, i32, &Committed)> + use<'_> {
        let offsets = self.by_group.get(group).into_iter().flatten();
        offsets.map(|((topic, partition), committed)| (topic.as_str(), *partition, committed))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = (OffsetKey, &Committed)> {
        self.by_group.iter().flat_map(|(group, offsets)| {
            offsets.iter().map(|((topic, partition), committed)| {
                let key = OffsetKey {
                    group: group.clone(),
                    topic: topic.clone(),
                    partition: *partition,
                };
                (key, committed)
            })
        })
    }
}
