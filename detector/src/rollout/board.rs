//! What the keeper and the model thread tell each other: models that were made ready, and what
//! stands on the shelf. Neither waits for the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use pipeline::detections::ModelVersion;
use tokio::sync::Notify;

use crate::model::Model;
use crate::worker::memory::OverBudget;

/// The board. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Board {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

#[derive(Default)]
struct State {
    /// For the shelf; one a version at most.
    deliveries: Vec<Delivery>,
    loaded: Vec<ModelVersion>,
    /// What the models on the shelf take.
    memory: HashMap<ModelVersion, u64>,
    /// What shadows take.
    shadow_bytes: u64,
    /// What all models together may take.
    budget: Option<u64>,
    kept: Vec<ModelVersion>,
    failures: HashMap<ModelVersion, Failure>,
}

/// Something for the shelf.
pub(crate) enum Delivery {
    /// A model that has been loaded and tried, in the place of the one of this name, if any.
    Put(ModelVersion, Box<dyn Model>),
    /// A model that shall go.
    Drop(ModelVersion),
}

/// What models take of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemoryState {
    pub(crate) on_shelf: HashMap<ModelVersion, u64>,
    pub(crate) shadow_bytes: u64,
    pub(crate) budget_bytes: Option<u64>,
}

impl MemoryState {
    /// What all of them take.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.on_shelf.values().sum::<u64>() + self.shadow_bytes
    }
}

/// Why a version cannot serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) since: Timestamp,
}

impl Delivery {
    fn name(&self) -> &ModelVersion {
        match self {
            Self::Put(name, _) | Self::Drop(name) => name,
        }
    }
}

impl Board {
    /// A board for models that together may take so much memory.
    pub(crate) fn with_budget(budget: Option<u64>) -> Self {
        let board = Self::default();
        board.lock().budget = budget;
        board
    }

    /// The shelf says what the models on it take.
    pub(crate) fn report_memory(&self, memory: HashMap<ModelVersion, u64>) {
        self.lock().memory = memory;
    }

    /// The keeper says what its shadows take.
    pub(crate) fn report_shadows(&self, bytes: u64) {
        self.lock().shadow_bytes = bytes;
    }

    /// What models take, those on the shelf by version.
    pub(crate) fn memory(&self) -> MemoryState {
        let state = self.lock();
        MemoryState {
            on_shelf: state.memory.clone(),
            shadow_bytes: state.shadow_bytes,
            budget_bytes: state.budget,
        }
    }

    /// Whether this model can be had beside those that are never put away.
    pub(crate) fn check_budget(&self, model: &ModelVersion, bytes: u64) -> Result<(), OverBudget> {
        let state = self.lock();
        let stays = state.kept.iter().filter(|kept| *kept != model);
        let stays = stays.filter_map(|kept| state.memory.get(kept)).sum::<u64>();
        let stays = stays + state.shadow_bytes;
        match state.budget {
            Some(budget) if stays + bytes > budget => Err(OverBudget {
                model: model.clone(),
                bytes,
                stays,
                budget,
            }),
            _ => Ok(()),
        }
    }

    /// Hands something to the shelf, which takes it before its next batch: what is routed from now
    /// on finds it there.
    pub(crate) fn deliver(&self, delivery: Delivery) {
        let mut state = self.lock();
        let name = delivery.name().clone();
        state.deliveries.retain(|waiting| *waiting.name() != name);
        state.loaded.retain(|loaded| *loaded != name);
        if matches!(delivery, Delivery::Put(..)) {
            state.failures.remove(&name);
            state.loaded.push(name);
        }
        state.deliveries.push(delivery);
    }

    /// What waits for the shelf.
    pub(crate) fn take_deliveries(&self) -> Vec<Delivery> {
        std::mem::take(&mut self.lock().deliveries)
    }

    /// The shelf says what stands on it.
    pub(crate) fn report(&self, on_shelf: impl Iterator<Item = ModelVersion>) {
        let mut state = self.lock();
        let mut loaded: Vec<ModelVersion> = on_shelf.collect();
        for delivery in &state.deliveries {
            loaded.retain(|name| name != delivery.name());
            if let Delivery::Put(name, _) = delivery {
                loaded.push(name.clone());
            }
        }
        if state.loaded != loaded {
            state.loaded = loaded;
            self.changed.notify_one();
        }
    }

    /// What stands on the shelf, or will when the deliveries are taken.
    pub(crate) fn loaded(&self) -> Vec<ModelVersion> {
        self.lock().loaded.clone()
    }

    /// Says which models are never put away to make room.
    pub(crate) fn keep(&self, kept: Vec<ModelVersion>) {
        self.lock().kept = kept;
    }

    pub(crate) fn kept(&self) -> Vec<ModelVersion> {
        self.lock().kept.clone()
    }

    /// Notes that a version cannot be loaded or cannot run. One that serves with other files
    /// than those that failed goes on, so it may be loaded and noted here.
    pub(crate) fn fail(&self, name: ModelVersion, reason: String) {
        let since = Timestamp::now();
        self.lock().failures.insert(name, Failure { reason, since });
        self.changed.notify_one();
    }

    /// Notes that a version could be loaded after all.
    pub(crate) fn forgive(&self, name: &ModelVersion) {
        self.lock().failures.remove(name);
    }

    pub(crate) fn failures(&self) -> HashMap<ModelVersion, Failure> {
        self.lock().failures.clone()
    }

    /// Forgets failures that nobody asks about any more.
    pub(crate) fn retain_failures(&self, is_wanted: impl Fn(&ModelVersion) -> bool) {
        self.lock().failures.retain(|name, _| is_wanted(name));
    }

    /// Returns when the shelf or a failure has changed.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Board {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Board").finish_non_exhaustive()
    }
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

    #[tokio::test]
    async fn what_is_dropped_counts_as_gone_before_the_shelf_has_noticed() {
        let board = Board::default();
        board.report([parts(1), parts(2)].into_iter());
        board.changed().await;
        board.deliver(Delivery::Drop(parts(1)));
        assert_eq!(board.loaded(), [parts(2)]);
        // A shelf that has not taken its deliveries yet.
        board.report([parts(1), parts(2)].into_iter());
        assert_eq!(board.loaded(), [parts(2)]);
        let deliveries = board.take_deliveries();
        assert!(matches!(&deliveries[..], [Delivery::Drop(name)] if *name == parts(1)));
        assert!(board.take_deliveries().is_empty());
    }

    #[test]
    fn what_stays_leaves_the_rest_of_the_budget() {
        let board = Board::with_budget(Some(100));
        board.report_memory(HashMap::from([(parts(1), 60), (parts(2), 30)]));
        board.check_budget(&parts(3), 100).unwrap();
        board.keep(vec![parts(1)]);
        board.check_budget(&parts(3), 40).unwrap();
        let over = board.check_budget(&parts(3), 41).unwrap_err();
        assert_eq!((over.stays, over.bytes, over.budget), (60, 41, 100));
        board.check_budget(&parts(1), 100).unwrap();
        board.report_shadows(10);
        assert!(board.check_budget(&parts(3), 40).is_err());
        assert_eq!(board.memory().used_bytes(), 100);
        Board::default().check_budget(&parts(3), u64::MAX).unwrap();
    }

    #[test]
    fn the_last_word_about_a_version_counts() {
        let board = Board::default();
        board.fail(parts(2), "cut short".to_owned());
        assert_eq!(board.failures()[&parts(2)].reason, "cut short");
        board.forgive(&parts(2));
        assert!(board.failures().is_empty());
        for _ in 0..100 {
            board.deliver(Delivery::Drop(parts(2)));
        }
        assert_eq!(board.take_deliveries().len(), 1, "it does not grow");
    }
}
