//! The thread that follows the repository: what a model's plan asks for is loaded and tried here,
//! beside the running models, and routed to once it is ready. What fails is told and not tried again
//! until its files change or somebody asks.
//!
//! It looks every [`LOOK`], at the models in use alone, by sizes and times of files. A version is
//! taken once its files have not changed for [`SETTLE`], so that one that is being copied waits.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use pipeline::catalogue::{Versions, rollout::Plan};
use pipeline::detections::ModelVersion;
use pipeline::frame::{ModelRef, ModelSelector};
use pipeline::service::Part;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::board::{Board, Delivery};
use super::orders::Command;
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

/// Whether a version can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    Ready,
    /// Its files are still being written.
    Settling,
    Failed,
}

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
    loaded: HashMap<ModelVersion, Stamp>,
    /// The files that could not be used.
    pub(super) failed: HashMap<ModelVersion, Stamp>,
    /// The files that are to be taken, and since when they are as they are.
    seen: HashMap<ModelVersion, (Stamp, Instant)>,
    /// What shadows were made of, by model.
    shadows: HashMap<String, (ModelVersion, Stamp)>,
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
                    command = self.commands.recv() => command,
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
        self.memory.troubles.retain(|name, _| names.contains(name));
        self.routes.retain(|name| names.contains(name));
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
        self.keep_default();
        self.tell();
    }

    fn tend(&mut self, versions: &Versions) {
        let name = &versions.name;
        let is_offered =
            |model: &ModelVersion| model.name != *name || versions.offered.contains(&model.version);
        self.board.retain_failures(is_offered);
        self.memory.failed.retain(|model, _| is_offered(model));
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
        let canary = plan.canary.clone();
        let canary = canary.filter(|canary| {
            versions.offered.contains(&canary.version)
                && self.readiness(name, canary.version) == Readiness::Ready
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

    /// The first candidate that can serve. What serves goes on while a better one settles.
    fn choose(&mut self, name: &str, candidates: &[u32], serving: Option<u32>) -> Option<u32> {
        for &version in candidates {
            match self.readiness(name, version) {
                Readiness::Ready => return Some(version),
                Readiness::Settling if serving.is_some() => return serving,
                Readiness::Settling | Readiness::Failed => {}
            }
        }
        serving
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
            let target = match last {
                Some(last) if self.readiness(&versions.name, version) != Readiness::Ready => last,
                _ => version,
            };
            aliases.insert(alias.clone(), target);
        }
        aliases
    }

    /// Whether a version can serve; loads and tries it if that is what it takes.
    fn readiness(&mut self, name: &str, version: u32) -> Readiness {
        let model = ModelVersion {
            name: name.to_owned(),
            version,
        };
        let is_loaded = self.board.loaded().contains(&model);
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
        if is_loaded && *self.memory.loaded.entry(model.clone()).or_insert(stamp) == stamp {
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
        match self.store.load(model) {
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

    fn note_failure(&mut self, model: &ModelVersion, stamp: Stamp, error: &ShelfError) {
        let (name, version) = (&model.name, model.version);
        tracing::error!(model = name, version, %error, "a version cannot serve and is left out");
        self.shadows.meters().loaded(model, "failed");
        self.memory.failed.insert(model.clone(), stamp);
        self.board.fail(model.clone(), error.to_string());
    }

    /// Starts, adjusts or ends the shadow of a model.
    fn cast_shadow(&mut self, versions: &Versions, plan: &Plan, current: u32) {
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
        let started = self.store.load(&model).and_then(|loaded| {
            let started = self.shadows.start(&model, shadow, loaded);
            started.map_err(|error| ShelfError::Unusable(error.to_string()))
        });
        match started {
            Ok(()) => {
                tracing::info!(model = name, version = shadow.version, "shadow runs");
                self.memory.shadows.insert(name.clone(), (model, stamp));
            }
            Err(error) => self.note_failure(&model, stamp, &error),
        }
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
