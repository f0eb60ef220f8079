//! What models take of memory, and what all of them together may take.
//!
//! What a model takes is what the process grew by while the model was loaded and tried, as the system
//! counts resident memory. That is an estimate: what other threads allocate at the same time is in it,
//! memory that was freed before and is used again is not, and what a card holds never is. So it is
//! never taken for less than the model's file for each session, nor than it was seen to be before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pipeline::detections::ModelVersion;

/// Models that are remembered.
const MODELS: usize = 256;

/// The most that models were seen to take. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<HashMap<ModelVersion, u64>>>);

impl Seen {
    /// Notes what a model took; gives the most it was ever seen to take.
    pub(crate) fn note(&self, model: &ModelVersion, bytes: u64) -> u64 {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MODELS && !seen.contains_key(model) {
            seen.clear();
        }
        let most = seen.entry(model.clone()).or_default();
        *most = bytes.max(*most);
        *most
    }

    /// The most it was seen to take.
    pub(crate) fn of(&self, model: &ModelVersion) -> Option<u64> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(model).copied()
    }
}

/// A model for which there is no room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}@{} takes {}{}, and --model-memory-budget allows {} for all models: raise it, or serve a \
     smaller or quantised one", .model.name, .model.version, mebibytes(*.bytes),
    beside(*.stays), mebibytes(*.budget)
)]
pub(crate) struct OverBudget {
    pub(crate) model: ModelVersion,
    /// What it takes, or at least will.
    pub(crate) bytes: u64,
    /// What others take that are not put away.
    pub(crate) stays: u64,
    pub(crate) budget: u64,
}

fn beside(stays: u64) -> String {
    if stays == 0 {
        return String::new();
    }
    let stays = mebibytes(stays);
    format!(" beside the {stays} of the default model and of shadows, which stay")
}

/// Bytes as people read them here.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// What this process holds of memory, as the system counts it; nothing where it does not tell.
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(version: u32) -> ModelVersion {
        ModelVersion {
            name: "parts".to_owned(),
            version,
        }
    }

    #[test]
    fn the_most_that_was_seen_counts_and_the_memory_of_it_is_bounded() {
        let seen = Seen::default();
        assert_eq!(seen.of(&parts(1)), None);
        assert_eq!(seen.note(&parts(1), 500), 500);
        assert_eq!(seen.note(&parts(1), 20), 500, "freed memory was used again");
        assert_eq!(seen.of(&parts(1)), Some(500));
        for version in 2..10_000 {
            seen.note(&parts(version), 1);
        }
        assert!(seen.0.lock().unwrap().len() <= MODELS);
    }

    #[test]
    fn no_room_is_told_with_what_to_do() {
        let mut over = OverBudget {
            model: parts(2),
            bytes: 180 << 20,
            stays: 0,
            budget: 100 << 20,
        };
        let told = over.to_string();
        assert!(
            told.starts_with("parts@2 takes 180.0 MiB, and --model-memory-budget allows 100.0 MiB"),
            "{told}"
        );
        over.stays = 30 << 20;
        let told = over.to_string();
        assert!(
            told.contains("beside the 30.0 MiB of the default"),
            "{told}"
        );
    }

    #[test]
    fn what_this_process_holds_is_read() {
        let before = resident_bytes().expect("Linux tells");
        let grown = vec![1_u8; 64 << 20];
        let after = resident_bytes().unwrap();
        assert!(
            after >= before + (48 << 20),
            "{before} {after} {}",
            grown[7]
        );
    }
}
