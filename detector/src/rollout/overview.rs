//! How the models stand, for people: what is planned, what serves, and what failed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pipeline::catalogue::rollout::{Plan, Shadow};
use pipeline::catalogue::{Catalogue, CatalogueError, Versions};
use pipeline::detections::ModelVersion;
use serde::Serialize;

use super::board::{Board, Failure};
use super::routes::Routes;
use super::shadow::{Shadows, Tally};

/// Whoever sees all parts of it. Clones see the same.
#[derive(Clone, Debug)]
pub(crate) struct Overseer {
    pub(crate) catalogue: Catalogue,
    pub(crate) board: Board,
    pub(crate) routes: Routes,
    pub(crate) shadows: Shadows,
}

/// How one model stands.
#[derive(Debug, Serialize)]
pub(crate) struct ModelState {
    name: String,
    /// The versions that are offered.
    versions: Vec<u32>,
    aliases: BTreeMap<String, u32>,
    plan: Plan,
    /// What `rollback` would take back.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_change: Option<String>,
    /// In this detector's memory.
    loaded: Vec<u32>,
    /// What each of these was seen to take.
    memory_bytes: BTreeMap<u32, u64>,
    /// What frames that name no version get now; none while the model is not in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    serving: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<ShadowState>,
    failed: Vec<FailedVersion>,
    /// Why its plan cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

#[derive(Debug, Serialize)]
struct ShadowState {
    #[serde(flatten)]
    shadow: Shadow,
    #[serde(flatten)]
    tally: Tally,
}

/// What the models of this detector take of memory.
#[expect(clippy::struct_field_names, reason = "the unit stands in every name")]
#[derive(Debug, Serialize)]
pub(crate) struct MemoryTold {
    used_bytes: u64,
    /// Of these.
    shadow_bytes: u64,
    /// What they may take; none where nobody has set a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct FailedVersion {
    version: u32,
    reason: String,
    since: Timestamp,
}

impl Overseer {
    /// All models of the repository. Reads files.
    pub(crate) fn models(&self) -> Result<Vec<ModelState>, CatalogueError> {
        let listings = self.catalogue.folders()?;
        let names = listings.into_iter().map(|listing| listing.name);
        Ok(names.map(|name| self.model(&name)).collect())
    }

    /// One model. Reads files.
    pub(crate) fn model(&self, name: &str) -> ModelState {
        match self.catalogue.versions(name) {
            Ok(versions) => self.state_of(name, Some(&versions), None),
            Err(error) => self.state_of(name, None, Some(error.to_string())),
        }
    }

    fn state_of(
        &self,
        name: &str,
        versions: Option<&Versions>,
        trouble: Option<String>,
    ) -> ModelState {
        let of_it = |model: &ModelVersion| model.name == name;
        let loaded = self.board.loaded().into_iter().filter(of_it);
        let mut loaded: Vec<u32> = loaded.map(|model| model.version).collect();
        loaded.sort_unstable();
        let route = self.routes.get(name);
        let canary = route.as_ref().and_then(|route| route.canary.as_ref());
        let shadow = self.shadows.get(name);
        let rollout = versions.map(|versions| &versions.rollout);
        let last = rollout.and_then(|rollout| rollout.before.last());
        ModelState {
            name: name.to_owned(),
            versions: versions.map_or_else(Vec::new, |versions| versions.offered.clone()),
            aliases: versions.map_or_else(BTreeMap::new, Versions::aliases),
            plan: rollout.map_or_else(Plan::default, |rollout| rollout.now.clone()),
            last_change: last.map(|step| step.ended_by.clone()),
            loaded,
            memory_bytes: self.memory_of(name),
            serving: route.as_ref().map(|route| route.current),
            canary: canary.map(|canary| canary.version),
            shadow: shadow.map(|(shadow, tally)| ShadowState { shadow, tally }),
            failed: self.failed(name),
            trouble,
        }
    }

    /// What all models take, and may.
    pub(crate) fn memory(&self) -> MemoryTold {
        let memory = self.board.memory();
        MemoryTold {
            used_bytes: memory.used_bytes(),
            shadow_bytes: memory.shadow_bytes,
            budget_bytes: memory.budget_bytes,
        }
    }

    fn memory_of(&self, name: &str) -> BTreeMap<u32, u64> {
        let on_shelf = self.board.memory().on_shelf.into_iter();
        let of_it = on_shelf.filter(|(model, _)| model.name == name);
        of_it.map(|(model, bytes)| (model.version, bytes)).collect()
    }

    fn failed(&self, name: &str) -> Vec<FailedVersion> {
        let failures = self.board.failures().into_iter();
        let of_it = failures.filter(|(model, _)| model.name == name);
        let mut failed: Vec<FailedVersion> = of_it
            .map(|(model, Failure { reason, since })| FailedVersion {
                version: model.version,
                reason,
                since,
            })
            .collect();
        failed.sort_by_key(|failed| failed.version);
        failed
    }
}
