//! The versions of one model, and what their names stand for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::CatalogueError;
use super::rollout::{CANARY, LATEST, Plan, Rollout, STABLE};
use crate::frame::ModelSelector;

/// The versions of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The model's name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// What may be asked for, ascending.
    pub offered: Vec<u32>,
    /// Which one serves whom.
    pub rollout: Rollout,
}

impl Versions {
    /// The version that a selector stands for.
    pub fn resolve(&self, selector: &ModelSelector) -> Result<u32, CatalogueError> {
        let version = match selector {
            ModelSelector::Default => self.current()?,
            ModelSelector::Version(version) => *version,
            ModelSelector::Alias(alias) => self.called(alias)?,
        };
        self.of_offered(version)
    }

    /// What may stand behind the `@` beside a number, as far as it can be had.
    pub fn aliases(&self) -> BTreeMap<String, u32> {
        let plan = &self.rollout.now;
        let fixed = [STABLE, CANARY, LATEST].map(str::to_owned);
        let names = plan.aliases.keys().cloned().chain(fixed);
        names
            .filter_map(|name| {
                let version = self.resolve(&ModelSelector::Alias(name.clone())).ok()?;
                Some((name, version))
            })
            .collect()
    }

    /// The versions that may serve whoever names none, the wanted one first, then those that stand
    /// in if it cannot be loaded.
    pub fn candidates(&self) -> Result<Vec<u32>, CatalogueError> {
        self.of_offered(self.current()?)?;
        Ok(self.rollout.candidates(&self.offered))
    }

    fn current(&self) -> Result<u32, CatalogueError> {
        let current = self.rollout.now.current_of(&self.offered);
        current.ok_or_else(|| CatalogueError::NoVersions {
            name: self.name.clone(),
            folder: self.folder.clone(),
        })
    }

    fn called(&self, alias: &str) -> Result<u32, CatalogueError> {
        let Plan {
            canary, aliases, ..
        } = &self.rollout.now;
        match (alias, canary) {
            (STABLE, _) | (CANARY, None) => self.current(),
            (CANARY, Some(canary)) => Ok(canary.version),
            (LATEST, _) => {
                let latest = self.offered.last().copied();
                latest.map_or_else(|| self.current(), Ok)
            }
            _ => aliases.get(alias).copied().ok_or_else(|| {
                let fixed = [STABLE, CANARY, LATEST].map(str::to_owned);
                CatalogueError::Alias {
                    name: self.name.clone(),
                    alias: alias.to_owned(),
                    available: fixed.into_iter().chain(aliases.keys().cloned()).collect(),
                }
            }),
        }
    }

    fn of_offered(&self, version: u32) -> Result<u32, CatalogueError> {
        if self.offered.contains(&version) {
            return Ok(version);
        }
        Err(CatalogueError::UnknownVersion {
            name: self.name.clone(),
            version,
            available: self.offered.clone(),
        })
    }
}
