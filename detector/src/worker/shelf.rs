//! The loaded models: the default stays, others come when a frame asks for them or the keeper has
//! made them ready, and the one that was not used for longest makes room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pipeline::catalogue::Versions;
use pipeline::detections::ModelVersion;
use pipeline::frame::{ModelRef, ModelSelector};

use super::batching::BatchRule;
use super::memory::OverBudget;
use super::onnx_store::unavailable;
use crate::model::Model;
use crate::model::repository::Precision;
use crate::rollout::board::Delivery;
use crate::rollout::{Board, Stamp};

/// Where models come from.
pub(crate) trait Store: Send {
    /// The versions of a model and their plan.
    fn versions(&mut self, name: &str) -> Result<Versions, ShelfError>;

    /// Stands for the files of a version; none where they cannot be read.
    fn stamp(&mut self, model: &ModelVersion) -> Option<Stamp>;

    /// What a version will take of memory, as far as can be known before it is loaded.
    fn expected_bytes(&mut self, model: &ModelVersion) -> u64;

    /// Loads that version and lets it look at a picture.
    fn load(&mut self, model: &ModelVersion) -> Result<Box<dyn Model>, ShelfError>;
}

/// Why a model cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ShelfError {
    /// There is no such model: whoever asked must ask for another.
    #[error("{0}")]
    Unknown(String),
    /// It is there and cannot be loaded.
    #[error("{0}")]
    Unusable(String),
}

/// Loaded models, at most so many.
pub(crate) struct Shelf<S> {
    store: S,
    capacity: usize,
    /// The one used last is at the end.
    loaded: Vec<Loaded>,
    /// What references to loaded models stand for, until routes say so.
    known: HashMap<ModelRef, ModelVersion>,
    batch_rules: BatchRules,
    board: Board,
    changes: usize,
    /// What was put away since somebody asked.
    evictions: Vec<(ModelVersion, Room)>,
}

/// What there was too little of, so that a model had to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Too many models.
    Count,
    /// Too much memory.
    Memory,
}

impl Room {
    /// The value of the `reason` label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Memory => "memory",
        }
    }
}

/// A model on the shelf.
pub(crate) struct Loaded {
    pub(crate) name: ModelVersion,
    pub(crate) model: Box<dyn Model>,
}

/// How frames for the loaded models are gathered, for whoever makes batches.
#[derive(Clone, Debug, Default)]
pub(crate) struct BatchRules(Arc<Mutex<HashMap<ModelRef, BatchRule>>>);

impl BatchRules {
    /// One by one until the model is loaded.
    pub(crate) fn of(&self, model: &ModelRef) -> BatchRule {
        let rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rules.get(model).cloned().unwrap_or_default()
    }

    fn replace(&self, rules: HashMap<ModelRef, BatchRule>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = rules;
    }
}

impl<S: Store> Shelf<S> {
    /// An empty shelf for at least two models.
    pub(crate) fn new(
        store: S,
        capacity: usize,
        (batch_rules, board): (BatchRules, Board),
    ) -> Self {
        Self {
            store,
            capacity: capacity.max(2),
            loaded: Vec::new(),
            known: HashMap::new(),
            batch_rules,
            board,
            changes: 0,
            evictions: Vec::new(),
        }
    }

    /// Loads the model that is never put away.
    pub(crate) fn load_default(&mut self, wanted: &ModelRef) -> Result<&Loaded, ShelfError> {
        let name = self.get(wanted)?.name.clone();
        self.board.keep(vec![name]);
        Ok(self.loaded.last().expect("it was loaded just now"))
    }

    /// The model, loaded if need be.
    pub(crate) fn get(&mut self, wanted: &ModelRef) -> Result<&mut Loaded, ShelfError> {
        self.take_deliveries();
        let candidates = match self.known.get(wanted) {
            Some(name) => vec![name.clone()],
            None => self.candidates(wanted)?,
        };
        let found = self.first_of(candidates)?;
        let name = found.name.clone();
        self.loaded.push(found);
        if self.known.insert(wanted.clone(), name).is_none() {
            self.tell();
        }
        Ok(self.loaded.last_mut().expect("it was pushed just now"))
    }

    /// The same, handed out for a run; it comes back by [`Shelf::put_back`] or is forgotten.
    pub(crate) fn take(&mut self, wanted: &ModelRef) -> Result<Loaded, ShelfError> {
        self.get(wanted)?;
        Ok(self.loaded.pop().expect("it was put last just now"))
    }

    /// Takes a model back after its run.
    pub(crate) fn put_back(&mut self, loaded: Loaded) {
        self.loaded.push(loaded);
    }

    /// Gives up a model that was taken and did not come back: who asks for it next loads it anew.
    pub(crate) fn forget(&mut self, name: &ModelVersion) {
        self.loaded.retain(|loaded| loaded.name != *name);
        self.known.retain(|_, known| known != name);
        self.changes += 1;
        self.tell();
        tracing::warn!(model = name.name, version = name.version, "model given up");
    }

    /// Takes what the keeper has made ready, and gives up what it wants to go.
    pub(crate) fn take_deliveries(&mut self) {
        let deliveries = self.board.take_deliveries();
        if deliveries.is_empty() {
            return;
        }
        for delivery in deliveries {
            match delivery {
                Delivery::Put(name, model) => {
                    self.loaded.retain(|loaded| loaded.name != name);
                    // It is routed to already, and there was room when the keeper looked.
                    if let Err(over) = self.make_room(&name, model.memory_bytes()) {
                        tracing::warn!(%over, "models take more memory than they may");
                    }
                    self.loaded.push(Loaded { name, model });
                }
                Delivery::Drop(name) => {
                    self.loaded.retain(|loaded| loaded.name != name);
                    self.known.retain(|_, known| *known != name);
                }
            }
            self.changes += 1;
        }
        self.tell();
    }

    /// The models on the shelf.
    pub(crate) fn names(&self) -> impl Iterator<Item = &ModelVersion> {
        self.loaded.iter().map(|loaded| &loaded.name)
    }

    /// The models on the shelf, each with the form of its weights and what it takes of memory.
    pub(crate) fn forms(&self) -> impl Iterator<Item = (&ModelVersion, Precision, u64)> {
        let loaded = self.loaded.iter();
        loaded.map(|loaded| {
            let model = &loaded.model;
            (&loaded.name, model.precision(), model.memory_bytes())
        })
    }

    /// What was put away since this was last asked, and why.
    pub(crate) fn take_evictions(&mut self) -> Vec<(ModelVersion, Room)> {
        std::mem::take(&mut self.evictions)
    }

    /// How often a model was loaded or put away.
    pub(crate) fn changes(&self) -> usize {
        self.changes
    }

    /// The versions that a reference may stand for, the wanted one first.
    fn candidates(&mut self, wanted: &ModelRef) -> Result<Vec<ModelVersion>, ShelfError> {
        if let ModelSelector::Version(version) = wanted.selector()
            && let Some(loaded) = self
                .names()
                .find(|name| name.name == wanted.name() && name.version == *version)
        {
            // What is in memory serves on, whatever has become of its files.
            return Ok(vec![loaded.clone()]);
        }
        let versions = self.store.versions(wanted.name())?;
        let numbers = match wanted.selector() {
            ModelSelector::Default => versions.candidates(),
            selector => versions.resolve(selector).map(|version| vec![version]),
        };
        let numbers = numbers.map_err(|error| unavailable(&error.into()))?;
        let named = |version| ModelVersion {
            name: wanted.name().to_owned(),
            version,
        };
        Ok(numbers.into_iter().map(named).collect())
    }

    /// Takes the first candidate that can be had off the shelf, loaded if need be. That another one
    /// stands in is told by the board.
    fn first_of(&mut self, candidates: Vec<ModelVersion>) -> Result<Loaded, ShelfError> {
        let mut first_error = None;
        for name in candidates {
            if let Some(position) = self.loaded.iter().position(|loaded| loaded.name == name) {
                return Ok(self.loaded.remove(position));
            }
            match self.load(name.clone()) {
                Ok(loaded) => return Ok(loaded),
                Err(error) => {
                    self.board.fail(name, error.to_string());
                    first_error.get_or_insert(error);
                }
            }
        }
        Err(first_error.unwrap_or_else(|| ShelfError::Unknown("it has no version".to_owned())))
    }

    fn load(&mut self, name: ModelVersion) -> Result<Loaded, ShelfError> {
        let over = |over: OverBudget| ShelfError::Unusable(over.to_string());
        // Before, so that both are never in memory, and again with what is known then.
        let expected = self.store.expected_bytes(&name);
        self.make_room(&name, expected).map_err(over)?;
        let model = self.store.load(&name)?;
        let bytes = model.memory_bytes();
        self.make_room(&name, bytes).map_err(over)?;
        self.board.forgive(&name);
        self.changes += 1;
        let version = name.version;
        tracing::info!(model = name.name, version, bytes, "model loaded");
        Ok(Loaded { name, model })
    }

    /// Puts away what was not used for longest until there is room for this one. What the default
    /// model serves with stays: be there room for one more or not, but within the budget.
    fn make_room(&mut self, wanted: &ModelVersion, bytes: u64) -> Result<(), OverBudget> {
        // Whoever cannot be had at all drives nobody out.
        self.board.check_budget(wanted, bytes)?;
        let kept = self.board.kept();
        while let Some(room) = self.lacks(bytes) {
            let oldest = self.loaded.iter().position(|l| !kept.contains(&l.name));
            let Some(position) = oldest else {
                break;
            };
            let Loaded { name, .. } = self.loaded.remove(position);
            self.known.retain(|_, known| *known != name);
            self.changes += 1;
            self.tell();
            let (model, version, reason) = (&name.name, name.version, room.as_str());
            tracing::info!(model, version, reason, "model put away");
            self.evictions.push((name, room));
        }
        Ok(())
    }

    /// What there is too little of for one more model.
    fn lacks(&self, bytes: u64) -> Option<Room> {
        let state = self.board.memory();
        let on_shelf: u64 = self.forms().map(|(_, _, bytes)| bytes).sum();
        let all = on_shelf + state.shadow_bytes + bytes;
        if self.loaded.len() >= self.capacity {
            Some(Room::Count)
        } else if state.budget_bytes.is_some_and(|budget| all > budget) {
            Some(Room::Memory)
        } else {
            None
        }
    }

    fn tell(&self) {
        self.tell_batch_rules();
        let memory = self.forms();
        let memory = memory.map(|(name, _form, bytes)| (name.clone(), bytes));
        self.board.report_memory(memory.collect());
        self.board.report(self.names().cloned());
    }

    fn tell_batch_rules(&self) {
        let rule_of = |name: &ModelVersion| {
            let loaded = self.loaded.iter().find(|loaded| loaded.name == *name);
            loaded.map(|loaded| BatchRule::of(loaded.model.manifest()))
        };
        let rules = self.known.iter();
        let rules = rules.filter_map(|(wanted, name)| Some((wanted.clone(), rule_of(name)?)));
        // Routed frames ask by version, the first of them before it is known here.
        let by_version = self.names().filter_map(|name| {
            let wanted: ModelRef = name.name.parse().ok()?;
            Some((wanted.at(name.version), rule_of(name)?))
        });
        self.batch_rules.replace(rules.chain(by_version).collect());
    }
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
pub(crate) mod tests;
