//! The loaded models: the default stays, others come when a frame asks for them, and the one that
//! was not used for longest makes room.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pipeline::detections::ModelVersion;
use pipeline::frame::{ModelRef, ModelSelector};
use pipeline::service::shutdown::describe;

use crate::model::Model;
use crate::model::repository::{ModelReference, Repository, RepositoryError};
use crate::onnx::{LoadOptions, OnnxModel, Runtime};

/// Where models come from.
pub(crate) trait Store: Send {
    /// Which version the reference stands for.
    fn find(&mut self, wanted: &ModelRef) -> Result<ModelVersion, ShelfError>;

    /// Loads that version.
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
    /// Never put away.
    default: Option<ModelVersion>,
    /// What references to loaded models stand for. A new version in the repository counts from the
    /// moment its model is loaded again.
    known: HashMap<ModelRef, ModelVersion>,
    batch_sizes: BatchSizes,
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
    pub(crate) fn new(store: S, capacity: usize, batch_sizes: BatchSizes) -> Self {
        Self {
            store,
            capacity: capacity.max(2),
            loaded: Vec::new(),
            default: None,
            known: HashMap::new(),
            batch_sizes,
            changes: 0,
        }
    }

    /// Loads the model that is never put away.
    pub(crate) fn load_default(&mut self, wanted: &ModelRef) -> Result<&Loaded, ShelfError> {
        let name = self.get(wanted)?.name.clone();
        self.default = Some(name);
        Ok(self.loaded.last().expect("it was loaded just now"))
    }

    /// The model, loaded if need be.
    pub(crate) fn get(&mut self, wanted: &ModelRef) -> Result<&mut Loaded, ShelfError> {
        let name = match self.known.get(wanted) {
            Some(name) => name.clone(),
            None => self.store.find(wanted)?,
        };
        let found = match self.loaded.iter().position(|loaded| loaded.name == name) {
            Some(position) => self.loaded.remove(position),
            None => self.load(name.clone())?,
        };
        self.loaded.push(found);
        if self.known.insert(wanted.clone(), name).is_none() {
            self.tell_batch_sizes();
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
        self.tell_batch_sizes();
        tracing::warn!(model = name.name, version = name.version, "model given up");
    }

    /// The models on the shelf.
    pub(crate) fn names(&self) -> impl Iterator<Item = &ModelVersion> {
        self.loaded.iter().map(|loaded| &loaded.name)
    }

    /// How often a model was loaded or put away.
    pub(crate) fn changes(&self) -> usize {
        self.changes
    }

    fn load(&mut self, name: ModelVersion) -> Result<Loaded, ShelfError> {
        while self.loaded.len() >= self.capacity {
            self.put_one_away();
        }
        let model = self.store.load(&name)?;
        self.changes += 1;
        tracing::info!(model = name.name, version = name.version, "model loaded");
        Ok(Loaded { name, model })
    }

    fn put_one_away(&mut self) {
        let is_default = |loaded: &Loaded| Some(&loaded.name) == self.default.as_ref();
        let position = usize::from(self.loaded.first().is_some_and(is_default));
        let Loaded { name, .. } = self.loaded.remove(position);
        self.known.retain(|_, known| *known != name);
        self.changes += 1;
        self.tell_batch_sizes();
        tracing::info!(model = name.name, version = name.version, "model put away");
    }

    fn tell_batch_sizes(&self) {
        let size_of = |name: &ModelVersion| {
            let loaded = self.loaded.iter().find(|loaded| loaded.name == *name);
            loaded.map(|loaded| loaded.model.manifest().max_batch_size)
        };
        let sizes = self
            .known
            .iter()
            .filter_map(|(wanted, name)| Some((wanted.clone(), size_of(name)?)));
        self.batch_sizes.replace(sizes.collect());
    }
}

/// The model repository, run by ONNX Runtime.
#[derive(Debug)]
pub(crate) struct OnnxStore {
    pub(crate) repository: Repository,
    /// The library to use instead of the one that is found.
    pub(crate) library: Option<PathBuf>,
    pub(crate) options: LoadOptions,
}

impl Store for OnnxStore {
    fn find(&mut self, wanted: &ModelRef) -> Result<ModelVersion, ShelfError> {
        let resolved = self.repository.resolve(&reference_of(wanted)?);
        let resolved = resolved.map_err(|error| unavailable(&error))?;
        Ok(ModelVersion {
            name: resolved.manifest.name,
            version: resolved.version,
        })
    }

    fn load(&mut self, model: &ModelVersion) -> Result<Box<dyn Model>, ShelfError> {
        let reference = ModelReference {
            name: model.name.clone(),
            version: Some(model.version),
        };
        let resolved = self.repository.resolve(&reference);
        let resolved = resolved.map_err(|error| unavailable(&error))?;
        let unusable = |error: &dyn std::error::Error| ShelfError::Unusable(describe(error));
        let runtime = Runtime::load(self.library.as_deref()).map_err(|error| unusable(&error))?;
        let model = OnnxModel::load(&runtime, &resolved, &self.options);
        Ok(Box::new(model.map_err(|error| unusable(&error))?))
    }
}

fn reference_of(wanted: &ModelRef) -> Result<ModelReference, ShelfError> {
    let version = match wanted.selector() {
        ModelSelector::Default => None,
        ModelSelector::Version(version) => Some(*version),
        ModelSelector::Alias(alias) => {
            return Err(ShelfError::Unknown(format!(
                "model {:?} has no alias {alias:?}; ask for the name alone or for name@version",
                wanted.name()
            )));
        }
    };
    Ok(ModelReference {
        name: wanted.name().to_owned(),
        version,
    })
}

fn unavailable(error: &RepositoryError) -> ShelfError {
    match error {
        // Without the folder: the reason goes to whoever sent the frame.
        RepositoryError::NoSuchModel {
            name, available, ..
        } => ShelfError::Unknown(format!("there is no model {name:?}; there is {available}")),
        RepositoryError::NoSuchVersion { .. } | RepositoryError::Malformed { .. } => {
            ShelfError::Unknown(error.to_string())
        }
        _ => ShelfError::Unusable(describe(error)),
    }
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
pub(crate) mod tests;
