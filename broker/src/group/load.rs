//! What the coordinator knows when it starts: groups and offsets out of the journal.

use std::collections::BTreeMap;

use serde_json::Value;

use super::image::{group_of_key, offset_of_key};
use super::offsets::{Committed, OffsetKey};
use super::shell::Shared;
use super::state::Group;

impl Shared {
    /// An entry that cannot be read is left where it is, so that a newer version may.
    pub(super) fn load(&self, entries: &BTreeMap<String, Value>) {
        for (key, value) in entries {
            if let Err(error) = self.load_entry(key, value) {
                tracing::error!(key, %error, "cannot read this journal entry, going on without it");
            }
        }
    }

    fn load_entry(&self, key: &str, value: &Value) -> Result<(), serde_json::Error> {
        let now = self.now();
        if let Some(id) = group_of_key(key) {
            let group = Group::from_image(id.clone(), value.clone(), self.rules(), now)?;
            self.book().groups.insert(id, group);
        } else if let Some((group, topic, partition)) = offset_of_key(key) {
            let committed: Committed = serde_json::from_value(value.clone())?;
            let mut book = self.book();
            // A group that only ever kept offsets has no entry of its own.
            if !book.groups.contains_key(&group) {
                let simple = Group::new(group.clone(), self.rules(), now);
                book.groups.insert(group.clone(), simple);
            }
            book.offsets.insert(
                OffsetKey {
                    group,
                    topic,
                    partition,
                },
                committed,
            );
        }
        Ok(())
    }
}
