//! What an operator may ask of the keeper: load, unload, reload, look.

use pipeline::detections::ModelVersion;
use pipeline::frame::ModelSelector;
use tokio::sync::oneshot;

use super::board::Delivery;
use super::keeper::Keeper;
use crate::model::repository::ModelReference;
use crate::worker::shelf::{ShelfError, Store};

/// Something that an operator asks for.
pub(crate) struct Command {
    pub(crate) order: Order,
    pub(crate) answer: oneshot::Sender<Result<(), OrderError>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Have it ready before a frame asks.
    Load(ModelReference),
    /// Give its memory back, until a frame asks again; all versions where none is named.
    Unload(ModelReference),
    /// Take its files anew, also those that have failed.
    Reload(String),
    /// Look at once.
    Look,
}

/// Why an order is not obeyed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OrderError {
    #[error(transparent)]
    Model(#[from] ShelfError),
    #[error("{0} is the default model and stays; start the detector with another --model")]
    Default(String),
    #[error("no version of {0} is loaded")]
    NotLoaded(String),
}

impl<S: Store + 'static> Keeper<S> {
    pub(super) fn obey(&mut self, order: Order) -> Result<(), OrderError> {
        match order {
            Order::Look => Ok(()),
            Order::Load(reference) => self.load(&reference),
            Order::Unload(reference) => self.unload(&reference),
            Order::Reload(name) => self.reload(&name),
        }
    }

    fn load(&mut self, reference: &ModelReference) -> Result<(), OrderError> {
        let version = self.store.versions(&reference.name)?;
        let version = version.resolve(&reference.selector);
        let version = version.map_err(|error| ShelfError::Unknown(error.to_string()))?;
        let model = ModelVersion {
            name: reference.name.clone(),
            version,
        };
        if self.board.loaded().contains(&model) {
            return Ok(());
        }
        Ok(self.take_anew(&model)?)
    }

    fn reload(&mut self, name: &str) -> Result<(), OrderError> {
        self.memory.failed.retain(|model, _| model.name != name);
        let versions = self.store.versions(name)?;
        let loaded = self.board.loaded();
        let mut of_it = loaded.into_iter().filter(|model| model.name == name);
        let mut any = None;
        // What failed is tried again, too: by the look that follows.
        of_it.try_for_each(|model| {
            any = Some(());
            if versions.offered.contains(&model.version) {
                return self.take_anew(&model);
            }
            Ok(())
        })?;
        any.ok_or_else(|| OrderError::NotLoaded(name.to_owned()))
    }

    fn take_anew(&mut self, model: &ModelVersion) -> Result<(), ShelfError> {
        let stamp = self.store.stamp(model).ok_or_else(|| {
            let (name, version) = (&model.name, model.version);
            ShelfError::Unusable(format!("the files of {name}@{version} cannot be read"))
        })?;
        self.prepare(model, stamp)
    }

    fn unload(&mut self, reference: &ModelReference) -> Result<(), OrderError> {
        let name = &reference.name;
        let wanted = match &reference.selector {
            ModelSelector::Default => None,
            ModelSelector::Version(version) => Some(*version),
            ModelSelector::Alias(_) => {
                let versions = self.store.versions(name)?;
                let version = versions.resolve(&reference.selector);
                Some(version.map_err(|error| ShelfError::Unknown(error.to_string()))?)
            }
        };
        let kept = self.board.kept();
        let loaded = self.board.loaded().into_iter();
        let is_meant =
            |model: &ModelVersion| model.name == *name && wanted.is_none_or(|v| v == model.version);
        let meant: Vec<ModelVersion> = loaded.filter(is_meant).collect();
        if meant.is_empty() {
            return Err(OrderError::NotLoaded(reference.to_string()));
        }
        if let Some(kept) = meant.iter().find(|model| kept.contains(model)) {
            return Err(OrderError::Default(format!(
                "{}@{}",
                kept.name, kept.version
            )));
        }
        for model in meant {
            self.board.deliver(Delivery::Drop(model));
        }
        Ok(())
    }
}
