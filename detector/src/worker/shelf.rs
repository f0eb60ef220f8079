//! The loaded models: the default stays, others come when a frame asks for them or the keeper has
//! made them ready, and the one that was not used for longest makes room.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pipeline::catalogue::{CatalogueError, Versions};
use pipeline::detections::ModelVersion;
use pipeline::frame::{ModelRef, ModelSelector};
use pipeline::service::shutdown::describe;

use crate::model::Model;
use crate::model::repository::{
    ModelReference, Precision, Repository, RepositoryError, ResolvedModel,
};
use crate::onnx::{LoadOptions, Runtime, SessionPool};
use crate::rollout::board::Delivery;
use crate::rollout::warm::warm_up;
use crate::rollout::{Board, Stamp, stamp_of};
use crate::tune::record::{Subject, Tuned, Tuning};

/// Where models come from.
pub(crate) trait Store: Send {
    /// The versions of a model and their plan.
    fn versions(&mut self, name: &str) -> Result<Versions, ShelfError>;

    /// Stands for the files of a version; none where they cannot be read.
    fn stamp(&mut self, model: &ModelVersion) -> Option<Stamp>;

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
    batch_sizes: BatchSizes,
    board: Board,
    changes: usize,
}

/// A model on the shelf.
pub(crate) struct Loaded {
    pub(crate) name: ModelVersion,
    pub(crate) model: Box<dyn Model>,
}

/// How many frames the loaded models take at once, for whoever makes batches.
#[derive(Clone, Debug, Default)]
pub(crate) struct BatchSizes(Arc<Mutex<HashMap<ModelRef, usize>>>);

impl BatchSizes {
    /// One until the model is loaded.
    pub(crate) fn of(&self, model: &ModelRef) -> usize {
        let sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.get(model).copied().unwrap_or(1)
    }

    fn replace(&self, sizes: HashMap<ModelRef, usize>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = sizes;
    }
}

impl<S: Store> Shelf<S> {
    /// An empty shelf for at least two models.
    pub(crate) fn new(
        store: S,
        capacity: usize,
        (batch_sizes, board): (BatchSizes, Board),
    ) -> Self {
        Self {
            store,
            capacity: capacity.max(2),
            loaded: Vec::new(),
            known: HashMap::new(),
            batch_sizes,
            board,
            changes: 0,
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
                    self.make_room();
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

    /// The same, with the form of the weights that each is loaded in.
    pub(crate) fn forms(&self) -> impl Iterator<Item = (&ModelVersion, Precision)> {
        let loaded = self.loaded.iter();
        loaded.map(|loaded| (&loaded.name, loaded.model.precision()))
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
        self.make_room();
        let model = self.store.load(&name)?;
        self.board.forgive(&name);
        self.changes += 1;
        tracing::info!(model = name.name, version = name.version, "model loaded");
        Ok(Loaded { name, model })
    }

    /// Puts away what was not used for longest until there is room for one more. What the default
    /// model serves with stays, be there room or not.
    fn make_room(&mut self) {
        let kept = self.board.kept();
        while self.loaded.len() >= self.capacity {
            let oldest = self.loaded.iter().position(|l| !kept.contains(&l.name));
            let Some(position) = oldest else {
                return;
            };
            let Loaded { name, .. } = self.loaded.remove(position);
            self.known.retain(|_, known| *known != name);
            self.changes += 1;
            self.tell();
            tracing::info!(model = name.name, version = name.version, "model put away");
        }
    }

    fn tell(&self) {
        self.tell_batch_sizes();
        self.board.report(self.names().cloned());
    }

    fn tell_batch_sizes(&self) {
        let size_of = |name: &ModelVersion| {
            let loaded = self.loaded.iter().find(|loaded| loaded.name == *name);
            loaded.map(|loaded| loaded.model.manifest().max_batch_size)
        };
        let sizes = self.known.iter();
        let sizes = sizes.filter_map(|(wanted, name)| Some((wanted.clone(), size_of(name)?)));
        // Routed frames ask by version, the first of them before it is known here.
        let by_version = self.names().filter_map(|name| {
            let wanted: ModelRef = name.name.parse().ok()?;
            Some((wanted.at(name.version), size_of(name)?))
        });
        self.batch_sizes.replace(sizes.chain(by_version).collect());
    }
}

/// The model repository, run by ONNX Runtime.
#[derive(Clone, Debug)]
pub(crate) struct OnnxStore {
    pub(crate) repository: Repository,
    /// The library to use instead of the one that is found.
    pub(crate) library: Option<PathBuf>,
    pub(crate) options: LoadOptions,
    /// Sessions of a model, where that was said.
    pub(crate) sessions: Option<usize>,
    /// What was found best for models on this machine.
    pub(crate) tuning: PathBuf,
}

impl OnnxStore {
    /// What was measured for this model on this machine, read anew so that a fresh tuning counts from
    /// the model's next load on.
    fn tuned(&self, model: &ModelVersion, precision: Precision) -> Option<Tuned> {
        let session = &self.options.session;
        let subject = Subject::here(model, session.provider, precision);
        match Tuning::read(&self.tuning) {
            Ok(tuning) => tuning.find(&subject).cloned(),
            Err(error) => {
                tracing::warn!(error = describe(&error), "the tuning is left aside");
                None
            }
        }
    }

    /// Threads where none were asked for, sessions and frames in a run of each.
    fn setting(
        &self,
        (model, resolved): (&ModelVersion, &ResolvedModel),
    ) -> (LoadOptions, (usize, Option<usize>)) {
        let mut options = self.options.clone();
        let precision = resolved.form(options.precision);
        let Some(tuned) = self.tuned(model, precision) else {
            return (options, (self.sessions.unwrap_or(1), None));
        };
        if options.session.threads == 0 {
            options.session.threads = tuned.threads;
        }
        let sessions = self.sessions.unwrap_or(tuned.sessions);
        let (threads, batch) = (options.session.threads, tuned.batch);
        let (model, version) = (&model.name, model.version);
        tracing::info!(
            model,
            version,
            sessions,
            threads,
            batch,
            "tuned for this machine"
        );
        (options, (sessions, Some(batch)))
    }
}

impl Store for OnnxStore {
    fn versions(&mut self, name: &str) -> Result<Versions, ShelfError> {
        let versions = self.repository.versions(name);
        versions.map_err(|error| unavailable(&error))
    }

    fn stamp(&mut self, model: &ModelVersion) -> Option<Stamp> {
        let catalogue = self.repository.catalogue();
        let folder = catalogue.root().join(&model.name);
        let folder = folder.join(model.version.to_string());
        stamp_of(&catalogue.manifest_path(&model.name), &folder).ok()
    }

    fn load(&mut self, model: &ModelVersion) -> Result<Box<dyn Model>, ShelfError> {
        let reference = ModelReference::version(&model.name, model.version);
        let resolved = self.repository.resolve(&reference);
        let resolved = resolved.map_err(|error| unavailable(&error))?;
        let unusable = |error: &dyn std::error::Error| ShelfError::Unusable(describe(error));
        let runtime = Runtime::load(self.library.as_deref()).map_err(|error| unusable(&error))?;
        let (options, shares) = self.setting((model, &resolved));
        let loaded = SessionPool::load(&runtime, &resolved, &options, shares);
        let mut loaded = loaded.map_err(|error| unusable(&error))?;
        warm_up(&mut loaded).map_err(|error| {
            ShelfError::Unusable(format!("its first run failed: {}", describe(&error)))
        })?;
        let (precision, provider) = (loaded.precision(), options.session.provider);
        let (model, version) = (&model.name, model.version);
        tracing::info!(model, version, %precision, %provider, "model ready");
        Ok(Box::new(loaded))
    }
}

fn unavailable(error: &RepositoryError) -> ShelfError {
    use CatalogueError::{Alias, UnknownModel, UnknownVersion};
    match error {
        RepositoryError::Catalogue(UnknownModel { .. } | UnknownVersion { .. } | Alias { .. })
        | RepositoryError::Malformed { .. } => ShelfError::Unknown(error.to_string()),
        _ => ShelfError::Unusable(describe(error)),
    }
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
pub(crate) mod tests;
