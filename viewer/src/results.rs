//! The last results of a source as JSON without masks, bounded in number and in bytes.

use std::{collections::VecDeque, sync::Arc};

use pipeline::detections::Detections;

pub(crate) const MAX_RESULTS: usize = 100;
/// Hundreds of instances a frame shorten the list; a table of them reads no further anyway.
const MAX_BYTES: usize = 1 << 20;

/// Newest last. The texts are shared with whoever reads them.
#[derive(Debug, Default)]
pub(crate) struct Results {
    texts: VecDeque<Arc<str>>,
    bytes: usize,
}

impl Results {
    /// Adds a result whose masks were already taken out.
    pub(crate) fn add(&mut self, result: &Detections) {
        let text = serde_json::to_string(result).expect("plain fields and finite, checked numbers");
        self.bytes += text.len();
        self.texts.push_back(text.into());
        while self.texts.len() > MAX_RESULTS || (self.bytes > MAX_BYTES && self.texts.len() > 1) {
            self.bytes -= self.texts.pop_front().map_or(0, |oldest| oldest.len());
        }
    }

    /// The newest ones first.
    pub(crate) fn newest(&self, limit: usize) -> Vec<Arc<str>> {
        self.texts.iter().rev().take(limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{detections, instance};

    #[test]
    fn the_newest_come_first_and_old_ones_leave() {
        let mut results = Results::default();
        let ids: Vec<String> = (0..MAX_RESULTS + 20)
            .map(|_| {
                let result = detections("belt-1");
                results.add(&result);
                result.id.to_string()
            })
            .collect();
        let newest = results.newest(usize::MAX);
        assert_eq!(newest.len(), MAX_RESULTS);
        assert!(newest[0].contains(ids.last().unwrap()));
        assert!(newest[MAX_RESULTS - 1].contains(&ids[20]));
        assert_eq!(results.newest(3).len(), 3);
    }

    #[test]
    fn crowded_frames_shorten_the_list() {
        let mut results = Results::default();
        let mut crowded = detections("belt-1");
        crowded.instances = (0..1000).map(|_| instance("gear", 4)).collect();
        for _ in 0..MAX_RESULTS {
            results.add(&crowded);
        }
        assert!(results.bytes <= MAX_BYTES);
        assert!(results.newest(MAX_RESULTS).len() < MAX_RESULTS);
        // One that is too big alone is still the newest.
        crowded.instances = (0..20_000).map(|_| instance("gear", 4)).collect();
        results.add(&crowded);
        assert_eq!(results.newest(MAX_RESULTS).len(), 1);
    }
}
