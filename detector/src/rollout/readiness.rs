//! How the keeper gets a version ready: once its files have settled it is loaded and tried, and what
//! fails is remembered with the files it failed with.

use std::time::Instant;

use pipeline::catalogue::{Versions, rollout::Plan};
use pipeline::detections::ModelVersion;

use super::board::Delivery;
use super::keeper::Keeper;
use super::stamp::Stamp;
use crate::model::Model;
use crate::worker::memory::OverBudget;
use crate::worker::shelf::{ShelfError, Store};

/// Whether a version can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    /// Its files are still being written.
    Settling,
    Failed,
}

impl<S: Store + 'static> Keeper<S> {
    /// Whether a version can serve; loads and tries it if that is what it takes. One that is routed
    /// to already and was put away to make room is not loaded before a frame asks for it.
    pub(super) fn readiness(
        &mut self,
        name: &str,
        (version, routed): (u32, Option<u32>),
    ) -> Readiness {
        let model = ModelVersion {
            name: name.to_owned(),
            version,
        };
        let is_loaded = self.board.loaded().contains(&model);
        if !is_loaded && routed == Some(version) {
            return Readiness::Ready;
        }
        // With a model in memory, new files that cannot be used change nothing.
        let otherwise = |readiness| {
            if is_loaded {
                Readiness::Ready
            } else {
                readiness
            }
        };
        let Some(stamp) = self.store.stamp(&model) else {
            return otherwise(Readiness::Failed);
        };
        if is_loaded && self.memory.loaded.get(&model) == Some(&stamp) {
            return Readiness::Ready;
        }
        if self.memory.failed.get(&model) == Some(&stamp) {
            return otherwise(Readiness::Failed);
        }
        if !self.is_settled(&model, stamp) {
            return otherwise(Readiness::Settling);
        }
        match self.prepare(&model, stamp) {
            Ok(()) => Readiness::Ready,
            Err(_told) => otherwise(Readiness::Failed),
        }
    }

    /// Whether the files have been as they are for a while.
    fn is_settled(&mut self, model: &ModelVersion, stamp: Stamp) -> bool {
        let now = Instant::now();
        let seen = self.memory.seen.entry(model.clone());
        let (last, since) = seen.or_insert((stamp, now));
        if *last != stamp {
            (*last, *since) = (stamp, now);
        }
        since.elapsed() >= self.settle
    }

    /// Loads a version and hands it to the shelf.
    pub(super) fn prepare(&mut self, model: &ModelVersion, stamp: Stamp) -> Result<(), ShelfError> {
        let (name, version) = (&model.name, model.version);
        match self.load_within_budget(model) {
            Ok(ready) => {
                tracing::info!(model = name, version, "new files are ready to serve");
                self.shadows.meters().loaded(model, "ready");
                self.board.deliver(Delivery::Put(model.clone(), ready));
                self.memory.loaded.insert(model.clone(), stamp);
                self.memory.failed.remove(model);
                Ok(())
            }
            Err(error) => {
                self.note_failure(model, stamp, &error);
                Err(error)
            }
        }
    }

    /// Loads a version for which there is room beside what stays.
    fn load_within_budget(&mut self, model: &ModelVersion) -> Result<Box<dyn Model>, ShelfError> {
        let over = |over: OverBudget| ShelfError::Unusable(over.to_string());
        let expected = self.store.expected_bytes(model);
        self.board.check_budget(model, expected).map_err(over)?;
        let loaded = self.store.load(model)?;
        let bytes = loaded.memory_bytes();
        self.board.check_budget(model, bytes).map_err(over)?;
        Ok(loaded)
    }

    fn note_failure(&mut self, model: &ModelVersion, stamp: Stamp, error: &ShelfError) {
        let (name, version) = (&model.name, model.version);
        tracing::error!(model = name, version, %error, "a version cannot serve and is left out");
        self.shadows.meters().loaded(model, "failed");
        self.memory.failed.insert(model.clone(), stamp);
        self.board.fail(model.clone(), error.to_string());
    }

    /// Starts, adjusts or ends the shadow of a model.
    pub(super) fn cast_shadow(&mut self, versions: &Versions, plan: &Plan, current: u32) {
        let name = &versions.name;
        let wanted = plan.shadow.filter(|shadow| {
            shadow.version != current && versions.offered.contains(&shadow.version)
        });
        let Some(shadow) = wanted else {
            self.memory.shadows.remove(name);
            return;
        };
        let model = ModelVersion {
            name: name.clone(),
            version: shadow.version,
        };
        let Some(stamp) = self.store.stamp(&model) else {
            return;
        };
        if self.memory.shadows.get(name) == Some(&(model.clone(), stamp)) {
            return self.shadows.adjust(name, shadow);
        }
        let has_failed = self.memory.failed.get(&model) == Some(&stamp);
        if has_failed || !self.is_settled(&model, stamp) {
            return;
        }
        let started = self.load_within_budget(&model).and_then(|loaded| {
            let bytes = loaded.memory_bytes();
            let started = self.shadows.start(&model, shadow, loaded);
            let started = started.map_err(|error| ShelfError::Unusable(error.to_string()));
            started.map(|()| bytes)
        });
        match started {
            Ok(bytes) => {
                tracing::info!(model = name, version = shadow.version, "shadow runs");
                self.memory.shadows.insert(name.clone(), (model, stamp));
                self.memory.shadow_bytes.insert(name.clone(), bytes);
                self.tell_shadows();
            }
            Err(error) => self.note_failure(&model, stamp, &error),
        }
    }
}
