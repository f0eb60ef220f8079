//! The thread that follows the repository: what a model's plan asks for is loaded and tried here,
//! beside the running models, and routed to once it is ready. What fails is told and not tried again
//! until its files change or somebody asks.
//!
//! It looks every [`LOOK`], at the models in use alone, by sizes and times of files. A version is
//! taken once its files have not changed for [`SETTLE`], so that one that is being copied waits.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use pipeline::catalogue::Versions;
use pipeline::catalogue::rollout::Canary;
use pipeline::detections::ModelVersion;
use pipeline::frame::{ModelRef, ModelSelector};
use pipeline::service::Part;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::orders::Command;
use super::readiness::Readiness;
use super::routes::{Route, Routes};
use super::shadow::Shadows;
use super::stamp::Stamp;
use crate::worker::shelf::{ShelfError, Store};

/// How often the files are looked at.
pub(crate) const LOOK: Duration = Duration::from_secs(2);

/// Files that did not change for so long are whole.
pub(crate) const SETTLE: Duration = Duration::from_millis(1500);

/// Building a large graph for a GPU may take minutes.
pub(crate) const KEEPER_DEADLINE: Duration = Duration::from_mins(30);

/// Everything the thread owns.
pub(crate) struct Keeper<S> {
    pub(crate) store: S,
    pub(crate) board: Board,
    pub(crate) routes: Routes,
    pub(crate) shadows: Shadows,
    pub(crate) default_model: ModelRef,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) part: Part,
    pub(crate) runtime: Handle,
    pub(crate) stop: CancellationToken,
    /// How long files must have been the same before they are taken.
    pub(crate) settle: Duration,
    pub(crate) memory: Memory,
}

/// What the keeper remembers between two looks.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The files that loaded models were made of.
    pub(super) loaded: HashMap<ModelVersion, Stamp>,
    /// The files that could not be used.
    pub(super) failed: HashMap<ModelVersion, Stamp>,
    /// The files that are to be taken, and since when they are as they are.
    pub(super) seen: HashMap<ModelVersion, (Stamp, Instant)>,
    /// What shadows were made of, by model.
    pub(super) shadows: HashMap<String, (ModelVersion, Stamp)>,
    /// What they take.
    pub(super) shadow_bytes: HashMap<String, u64>,
    /// Models whose plan cannot be followed, and why.
    troubles: BTreeMap<String, String>,
}

impl<S: Store + 'static> Keeper<S> {
    /// Starts the thread; it ends with the detector.
    pub(crate) fn spawn(self) -> std::io::Result<std::thread::JoinHandle<()>> {
        std::thread::Builder::new()
            .name("model keeper".to_owned())
            .spawn(move || self.run())
    }

    fn run(mut self) {
        while !self.stop.is_cancelled() {
            self.look();
            let next = async {
                tokio::select! {
                    () = self.stop.cancelled() => None,
                    Some(command) = self.commands.recv() => Some(command),
                    () = self.board.changed() => None,
                    () = tokio::time::sleep(LOOK) => None,
                }
            };
            if let Some(Command { order, answer }) = self.runtime.clone().block_on(next) {
                let obeyed = self.obey(order);
                self.look();
                // Nobody waits any more; what was done is in the log.
                drop(answer.send(obeyed));
            }
        }
        self.shadows.retain(|_| false);
        self.part.retire();
    }

    /// Brings what is served in line with the repository.
    pub(crate) fn look(&mut self) {
        let loaded = self.board.loaded();
        let names: BTreeSet<String> = loaded.iter().map(|model| model.name.clone()).collect();
        self.memory.loaded.retain(|name, _| loaded.contains(name));
        for model in &loaded {
            if !self.memory.loaded.contains_key(model)
                && let Some(stamp) = self.store.stamp(model)
            {
                self.memory.loaded.insert(model.clone(), stamp);
            }
        }
        self.memory.troubles.retain(|name, _| names.contains(name));
        self.memory.shadows.retain(|name, _| names.contains(name));
        self.routes.retain(|name| names.contains(name));
        self.forget_failures();
        for name in &names {
            match self.store.versions(name) {
                Ok(versions) => {
                    self.memory.troubles.remove(name);
                    self.tend(&versions);
                }
                // What serves goes on serving.
                Err(error) => {
                    let reason = error.to_string();
                    if self.memory.troubles.get(name) != Some(&reason) {
                        tracing::warn!(model = name, reason, "a model's plan cannot be followed");
                        self.memory.troubles.insert(name.clone(), reason);
                    }
                }
            }
        }
        let shadows = &self.memory.shadows;
        self.shadows.retain(|name| shadows.contains_key(name));
        self.tell_shadows();
        self.keep_default();
        self.tell();
    }

    pub(super) fn tell_shadows(&mut self) {
        let Memory {
            shadows,
            shadow_bytes,
            ..
        } = &mut self.memory;
        shadow_bytes.retain(|name, _| shadows.contains_key(name));
        self.board.report_shadows(shadow_bytes.values().sum());
    }

    fn tend(&mut self, versions: &Versions) {
        let name = &versions.name;
        let is_offered =
            |model: &ModelVersion| model.name != *name || versions.offered.contains(&model.version);
        self.memory.seen.retain(|model, _| is_offered(model));
        let candidates = versions.candidates().unwrap_or_else(|error| {
            self.memory.troubles.insert(name.clone(), error.to_string());
            Vec::new()
        });
        let before = self.routes.get(name);
        let serving = before.as_ref().map(|route| route.current);
        let Some(current) = self.choose(name, &candidates, serving) else {
            return;
        };
        let plan = &versions.rollout.now;
        let routed = before.as_ref().and_then(|route| route.canary.as_ref());
        let routed = routed.map(|canary| canary.version);
        let canary = plan.canary.clone();
        let canary = canary.filter(|Canary { version, .. }| {
            versions.offered.contains(version)
                && self.readiness(name, (*version, routed)) == Readiness::Ready
        });
        let route = Route {
            current,
            canary,
            aliases: self.aliases(versions, before.as_ref()),
        };
        if before.as_ref() != Some(&route) {
            let canary = route.canary.as_ref().map(|canary| canary.version);
            tracing::info!(model = name, current, canary, "model routed");
            self.routes.set(name, route);
        }
        self.cast_shadow(versions, plan, current);
    }

    /// Drops what is known of versions that are not offered any more.
    fn forget_failures(&mut self) {
        let failed = self.board.failures();
        let names: BTreeSet<&String> = failed.keys().map(|model| &model.name).collect();
        for name in names {
            let offered = match self.store.versions(name) {
                Ok(versions) => versions.offered,
                Err(ShelfError::Unknown(_)) => Vec::new(),
                // It may come back.
                Err(ShelfError::Unusable(_)) => continue,
            };
            let is_wanted =
                |model: &ModelVersion| model.name != *name || offered.contains(&model.version);
            self.board.retain_failures(is_wanted);
            self.memory.failed.retain(|model, _| is_wanted(model));
        }
    }

    /// The first candidate that can serve. What serves goes on while a better one settles.
    fn choose(&mut self, name: &str, candidates: &[u32], serving: Option<u32>) -> Option<u32> {
        if serving.is_none() {
            return self.first_loaded(name, candidates);
        }
        for &version in candidates {
            match self.readiness(name, (version, serving)) {
                Readiness::Ready => return Some(version),
                Readiness::Settling => return serving,
                Readiness::Failed => {}
            }
        }
        serving
    }

    /// What a model begins to serve with: the first candidate that is not known to fail, if it has
    /// been loaded. Else nobody has asked for the model by its name yet.
    fn first_loaded(&self, name: &str, candidates: &[u32]) -> Option<u32> {
        let (loaded, failed) = (self.board.loaded(), self.board.failures());
        for &version in candidates {
            let name = name.to_owned();
            let model = ModelVersion { name, version };
            if loaded.contains(&model) {
                return Some(version);
            }
            if !failed.contains_key(&model) {
                return None;
            }
        }
        None
    }

    /// Aliases that lead to loaded models move to a version that is ready; others are followed when
    /// a frame asks.
    fn aliases(&mut self, versions: &Versions, before: Option<&Route>) -> BTreeMap<String, u32> {
        let loaded = self.board.loaded();
        let mut aliases = BTreeMap::new();
        for (alias, &version) in &versions.rollout.now.aliases {
            let last = before.and_then(|route| route.aliases.get(alias).copied());
            let last = last.filter(|&last| {
                let is_last = |model: &ModelVersion| model.version == last;
                last != version && loaded.iter().any(|m| m.name == versions.name && is_last(m))
            });
            let is_ready = |keeper: &mut Self| {
                keeper.readiness(&versions.name, (version, None)) == Readiness::Ready
            };
            let target = match last {
                Some(last) if !is_ready(self) => last,
                _ => version,
            };
            aliases.insert(alias.clone(), target);
        }
        aliases
    }

    /// The versions of the default model that serve are never put away.
    fn keep_default(&self) {
        let Some(route) = self.routes.get(self.default_model.name()) else {
            return;
        };
        let own = match self.default_model.selector() {
            ModelSelector::Default => None,
            ModelSelector::Version(version) => Some(*version),
            ModelSelector::Alias(alias) => route.aliases.get(alias).copied(),
        };
        let canary = route.canary.map(|canary| canary.version);
        let kept = [Some(own.unwrap_or(route.current)), canary];
        let kept = kept.into_iter().flatten().map(|version| ModelVersion {
            name: self.default_model.name().to_owned(),
            version,
        });
        self.board.keep(kept.collect());
    }

    fn tell(&self) {
        let failures = self.board.failures();
        let mut failed: Vec<_> = failures.iter().collect();
        failed.sort_by(|a, b| (&a.0.name, a.0.version).cmp(&(&b.0.name, b.0.version)));
        let failed = failed.into_iter().map(|(model, failure)| {
            let (name, version) = (&model.name, model.version);
            format!("{name}@{version} does not serve: {}", failure.reason)
        });
        let troubles = self.memory.troubles.values().cloned();
        let remarks: Vec<String> = failed.chain(troubles).collect();
        let remark = (!remarks.is_empty()).then(|| remarks.join("; "));
        self.part.ready_with(remark.as_deref());
        let mut states: Vec<(ModelVersion, &str)> = Vec::new();
        let names: BTreeSet<String> = self.board.loaded().into_iter().map(|m| m.name).collect();
        for name in names {
            let at = |version| ModelVersion {
                name: name.clone(),
                version,
            };
            let Some(route) = self.routes.get(&name) else {
                continue;
            };
            states.push((at(route.current), "serving"));
            states.extend(route.canary.map(|canary| (at(canary.version), "canary")));
            let shadow = self.shadows.get(&name);
            states.extend(shadow.map(|(shadow, _)| (at(shadow.version), "shadow")));
        }
        states.extend(failures.into_keys().map(|model| (model, "failed")));
        let states = states.iter().map(|(model, state)| (model, *state));
        self.shadows.meters().states(states);
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
