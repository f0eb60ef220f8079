//! What became of the latest uploads, bounded in bytes: the least recently asked for goes first.

use std::collections::{BTreeMap, HashMap};

use pipeline::frame::FrameId;

use super::Fate;

/// The bookkeeping of one entry.
const OVERHEAD_BYTES: usize = 256;

#[derive(Debug)]
pub(super) struct Index {
    entries: HashMap<FrameId, Entry>,
    /// From the least to the most recently used.
    by_use: BTreeMap<u64, FrameId>,
    clock: u64,
    bytes: usize,
    max_bytes: usize,
}

#[derive(Debug)]
struct Entry {
    fate: Fate,
    used_at: u64,
    bytes: usize,
}

impl Index {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            clock: 0,
            bytes: 0,
            max_bytes,
        }
    }

    pub(super) fn get(&mut self, id: FrameId) -> Option<Fate> {
        self.clock += 1;
        let entry = self.entries.get_mut(&id)?;
        self.by_use.remove(&entry.used_at);
        entry.used_at = self.clock;
        self.by_use.insert(self.clock, id);
        Some(entry.fate.clone())
    }

    /// Keeps a fate, unless the upload has met its end already: what was told once stays true.
    /// Answers whether it was kept.
    pub(super) fn put(&mut self, id: FrameId, fate: Fate) -> bool {
        if self
            .entries
            .get(&id)
            .is_some_and(|known| known.fate.is_final())
        {
            return false;
        }
        self.remove(id);
        self.clock += 1;
        let bytes = fate.bytes() + OVERHEAD_BYTES;
        self.bytes += bytes;
        self.by_use.insert(self.clock, id);
        let used_at = self.clock;
        self.entries.insert(
            id,
            Entry {
                fate,
                used_at,
                bytes,
            },
        );
        while self.bytes > self.max_bytes {
            let Some((_, oldest)) = self.by_use.first_key_value() else {
                break;
            };
            self.remove(*oldest);
        }
        true
    }

    pub(super) fn remove(&mut self, id: FrameId) {
        if let Some(entry) = self.entries.remove(&id) {
            self.by_use.remove(&entry.used_at);
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::outcomes::{Failure, Submission};

    fn queued() -> Fate {
        Fate::Queued(Submission {
            submitted_at: Timestamp::UNIX_EPOCH,
            width: 1,
            height: 1,
            model: None,
            place: None,
        })
    }

    fn failed(message: &str) -> Fate {
        Fate::Failed(Failure {
            submission: None,
            kind: "bad_image".to_owned(),
            message: message.to_owned(),
            trace: None,
        })
    }

    fn message(fate: Option<Fate>) -> String {
        match fate {
            Some(Fate::Failed(failure)) => failure.message,
            other => panic!("{other:?} is not a failure"),
        }
    }

    #[test]
    fn the_first_end_is_the_end() {
        let mut index = Index::new(1 << 20);
        let id = FrameId::new();
        assert!(index.put(id, queued()));
        assert!(index.put(id, failed("first")));
        assert!(!index.put(id, failed("second")));
        assert!(!index.put(id, queued()));
        assert_eq!(message(index.get(id)), "first");
    }

    #[test]
    fn the_least_recently_used_goes_first_and_the_bytes_are_kept() {
        let mut index = Index::new(3 * (OVERHEAD_BYTES + 1000));
        let ids: Vec<FrameId> = (0..4).map(|_| FrameId::new()).collect();
        let long = "x".repeat(900);
        for id in &ids[..3] {
            index.put(*id, failed(&long));
        }
        assert!(index.get(ids[0]).is_some());
        index.put(ids[3], failed(&long));
        assert!(index.get(ids[1]).is_none(), "the oldest went");
        for kept in [0, 2, 3] {
            assert!(index.get(ids[kept]).is_some());
        }
        for id in ids {
            index.remove(id);
        }
        assert_eq!((index.bytes, index.by_use.len()), (0, 0));
    }

    #[test]
    fn what_is_larger_than_all_room_is_not_kept() {
        let mut index = Index::new(1000);
        let id = FrameId::new();
        index.put(id, failed(&"x".repeat(2000)));
        assert!(index.get(id).is_none());
        assert_eq!(index.bytes, 0);
    }
}
