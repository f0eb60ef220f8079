//! The model repository: `<root>/<name>/model.toml` and `<root>/<name>/<version>/…`.
//!
//! Which folders are models and versions is the catalogue's to say, for the whole product.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use pipeline::catalogue::{Catalogue, CatalogueError, Versions};
use pipeline::frame::{ModelRef, ModelSelector};
use serde::{Deserialize, Serialize};

use super::manifest::{Manifest, ManifestError};

pub use pipeline::catalogue::Listing;

/// A model as people name it: `name`, `name@version` or `name@alias`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelReference {
    /// The model's folder.
    pub name: String,
    /// Which version of it.
    pub selector: ModelSelector,
}

impl ModelReference {
    /// One version of a model.
    pub fn version(name: impl Into<String>, version: u32) -> Self {
        Self {
            name: name.into(),
            selector: ModelSelector::Version(version),
        }
    }
}

impl From<&ModelRef> for ModelReference {
    fn from(model: &ModelRef) -> Self {
        Self {
            name: model.name().to_owned(),
            selector: model.selector().clone(),
        }
    }
}

impl FromStr for ModelReference {
    type Err = RepositoryError;

    fn from_str(text: &str) -> Result<Self, RepositoryError> {
        let malformed = || RepositoryError::Malformed {
            reference: text.to_owned(),
        };
        let (name, selector) = match text.split_once('@') {
            None => (text, ModelSelector::Default),
            Some((name, part)) => (name, part.parse().map_err(|_cause| malformed())?),
        };
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
            return Err(malformed());
        }
        Ok(Self {
            name: name.to_owned(),
            selector,
        })
    }
}

impl fmt::Display for ModelReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.selector {
            ModelSelector::Default => formatter.write_str(&self.name),
            ModelSelector::Version(version) => write!(formatter, "{}@{version}", self.name),
            ModelSelector::Alias(alias) => write!(formatter, "{}@{alias}", self.name),
        }
    }
}

/// A model that was found: its manifest and the folder of the chosen version.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedModel {
    /// What `model.toml` says.
    pub manifest: Manifest,
    /// The chosen version.
    pub version: u32,
    /// The folder that holds the version's files.
    pub folder: PathBuf,
}

/// The form of a model's weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    Fp32,
    /// Quantised to eight bits.
    Int8,
    /// 32-bit floating point, in three graphs: trunk, box head and mask head.
    Cut,
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Fp32 => "fp32",
            Self::Int8 => "int8",
            Self::Cut => "cut",
        })
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fp32" => Ok(Self::Fp32),
            "int8" => Ok(Self::Int8),
            "cut" => Ok(Self::Cut),
            _ => Err(format!(
                "{text:?} is not a precision; write fp32, int8 or cut"
            )),
        }
    }
}

/// Why a model cannot be taken from the repository.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// A folder cannot be read, or there is no such model or version.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The reference is of no form that there is.
    #[error(
        "{reference:?} does not name a model; write name, name@version or name@alias, such as parts, parts@1 or parts@stable"
    )]
    Malformed {
        /// What was written.
        reference: String,
    },
    /// `model.toml` cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The manifest belongs to another folder.
    #[error("{path} says name = {manifest_name:?}, but its folder is {folder_name:?}; make them equal", path = .path.display())]
    WrongName {
        /// The manifest.
        path: PathBuf,
        /// The name in it.
        manifest_name: String,
        /// The folder's name.
        folder_name: String,
    },
    /// A file that the manifest names is not there.
    #[error("model {model} has no {file} in {folder}; put it there or correct [files] in model.toml", folder = .folder.display())]
    MissingFile {
        /// The model and version.
        model: ModelReference,
        /// The file.
        file: String,
        /// Where it should be.
        folder: PathBuf,
    },
    /// The manifest names no file of that precision.
    #[error("model {model} has no {precision} form; it names none under [files] in model.toml")]
    NoSuchPrecision {
        /// The model and version.
        model: ModelReference,
        /// The wanted form.
        precision: Precision,
    },
}

/// A folder of models.
#[derive(Clone, Debug)]
pub struct Repository {
    catalogue: Catalogue,
}

impl Repository {
    /// The repository in `root`; nothing is read yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            catalogue: Catalogue::new(root),
        }
    }

    /// The models with their versions, by name. Manifests are not read, so that one broken model
    /// does not hide the others.
    pub fn list(&self) -> Result<Vec<Listing>, RepositoryError> {
        Ok(self.catalogue.folders()?)
    }

    /// The folder of models, for what does not concern their content.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The versions of a model and what their names stand for.
    pub fn versions(&self, name: &str) -> Result<Versions, RepositoryError> {
        Ok(self.catalogue.versions(name)?)
    }

    /// Finds a model and reads its manifest.
    pub fn resolve(&self, reference: &ModelReference) -> Result<ResolvedModel, RepositoryError> {
        let versions = self.versions(&reference.name)?;
        let version = versions.resolve(&reference.selector)?;
        let path = self.catalogue.manifest_path(&versions.name);
        let manifest = Manifest::read(&path)?;
        if manifest.name != versions.name {
            return Err(RepositoryError::WrongName {
                path,
                manifest_name: manifest.name,
                folder_name: versions.name,
            });
        }
        Ok(ResolvedModel {
            manifest,
            version,
            folder: versions.folder.join(version.to_string()),
        })
    }
}

impl ResolvedModel {
    /// The model as `name@version`.
    pub fn reference(&self) -> ModelReference {
        ModelReference::version(&self.manifest.name, self.version)
    }

    /// The form that is asked for, or else the one that the manifest serves.
    pub fn form(&self, asked_for: Option<Precision>) -> Precision {
        asked_for.unwrap_or(self.manifest.files.serve)
    }

    /// The graph of the wanted precision, or the `cut.toml`; it is there.
    pub fn file(&self, precision: Precision) -> Result<PathBuf, RepositoryError> {
        let files = &self.manifest.files;
        let file = match precision {
            Precision::Fp32 => Some(&files.fp32),
            Precision::Int8 => files.int8.as_ref(),
            Precision::Cut => files.cut.as_ref(),
        };
        let file = file.ok_or_else(|| RepositoryError::NoSuchPrecision {
            model: self.reference(),
            precision,
        })?;
        let path = self.folder.join(file);
        if !path.is_file() {
            return Err(RepositoryError::MissingFile {
                model: self.reference(),
                file: file.clone(),
                folder: self.folder.clone(),
            });
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests;
