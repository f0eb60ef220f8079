//! The model repository: `<root>/<name>/model.toml` and `<root>/<name>/<version>/…`.
//!
//! Versions are whole numbers; the highest is taken unless one is asked for. Folder names that
//! start with `0` or `.`, and folders without a `model.toml`, are not looked at.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::manifest::{Manifest, ManifestError};

/// The file that makes a folder a model.
const MANIFEST_FILE: &str = "model.toml";

/// A model as people name it: `name` or `name@version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelReference {
    /// The model's folder.
    pub name: String,
    /// The wanted version; the latest without one.
    pub version: Option<u32>,
}

impl FromStr for ModelReference {
    type Err = RepositoryError;

    fn from_str(text: &str) -> Result<Self, RepositoryError> {
        let malformed = || RepositoryError::Malformed {
            reference: text.to_owned(),
        };
        let (name, version) = match text.split_once('@') {
            None => (text, None),
            Some((name, version)) => (name, Some(parse_version(version).ok_or_else(malformed)?)),
        };
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
            return Err(malformed());
        }
        Ok(Self {
            name: name.to_owned(),
            version,
        })
    }
}

impl fmt::Display for ModelReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            None => formatter.write_str(&self.name),
            Some(version) => write!(formatter, "{}@{version}", self.name),
        }
    }
}

/// A model that the repository holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The model's name.
    pub name: String,
    /// Its versions, ascending.
    pub versions: Vec<u32>,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floating point.
    #[default]
    Fp32,
    /// Quantised to eight bits.
    Int8,
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Fp32 => "fp32",
            Self::Int8 => "int8",
        })
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fp32" => Ok(Self::Fp32),
            "int8" => Ok(Self::Int8),
            _ => Err(format!("{text:?} is not a precision; write fp32 or int8")),
        }
    }
}

/// Why a model cannot be taken from the repository.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The folder of models cannot be read.
    #[error("cannot read the model repository {path}: {reason}; point --models at a folder of models", path = .path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        reason: std::io::Error,
    },
    /// The reference is neither `name` nor `name@version`.
    #[error(
        "{reference:?} does not name a model; write name or name@version, such as parts or parts@1"
    )]
    Malformed {
        /// What was written.
        reference: String,
    },
    /// There is no such model.
    #[error("there is no model {name:?} in {root}; there is {available}", root = .root.display())]
    NoSuchModel {
        /// The wanted name.
        name: String,
        /// The repository's folder.
        root: PathBuf,
        /// What there is instead.
        available: String,
    },
    /// The model does not have that version.
    #[error("model {name:?} has no version {version}; it has {available}")]
    NoSuchVersion {
        /// The model.
        name: String,
        /// The wanted version.
        version: u32,
        /// What there is instead.
        available: String,
    },
    /// The model's folder holds no version.
    #[error("model {name:?} has no version; put its files into {folder}/1", folder = .folder.display())]
    NoVersions {
        /// The model.
        name: String,
        /// Its folder.
        folder: PathBuf,
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
    root: PathBuf,
}

impl Repository {
    /// The repository in `root`; nothing is read yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The models with their versions, by name. Manifests are not read, so that one broken model
    /// does not hide the others.
    pub fn list(&self) -> Result<Vec<Listing>, RepositoryError> {
        let mut listings = Vec::new();
        for name in folders_in(&self.root)? {
            if name.starts_with(['0', '.']) || !self.manifest_path(&name).is_file() {
                continue;
            }
            let versions = versions_in(&self.root.join(&name))?;
            listings.push(Listing { name, versions });
        }
        listings.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listings)
    }

    /// Finds a model and reads its manifest.
    pub fn resolve(&self, reference: &ModelReference) -> Result<ResolvedModel, RepositoryError> {
        let listings = self.list()?;
        let Some(listing) = listings
            .iter()
            .find(|listing| listing.name == reference.name)
        else {
            return Err(RepositoryError::NoSuchModel {
                name: reference.name.clone(),
                root: self.root.clone(),
                available: listed(listings.iter().map(|listing| &listing.name)),
            });
        };
        let model_folder = self.root.join(&listing.name);
        let Some(&latest) = listing.versions.last() else {
            return Err(RepositoryError::NoVersions {
                name: listing.name.clone(),
                folder: model_folder,
            });
        };
        let version = reference.version.unwrap_or(latest);
        if !listing.versions.contains(&version) {
            return Err(RepositoryError::NoSuchVersion {
                name: listing.name.clone(),
                version,
                available: listed(&listing.versions),
            });
        }
        let path = self.manifest_path(&listing.name);
        let manifest = Manifest::read(&path)?;
        if manifest.name != listing.name {
            return Err(RepositoryError::WrongName {
                path,
                manifest_name: manifest.name,
                folder_name: listing.name.clone(),
            });
        }
        Ok(ResolvedModel {
            manifest,
            version,
            folder: model_folder.join(version.to_string()),
        })
    }

    fn manifest_path(&self, name: &str) -> PathBuf {
        self.root.join(name).join(MANIFEST_FILE)
    }
}

impl ResolvedModel {
    /// The model as `name@version`.
    pub fn reference(&self) -> ModelReference {
        ModelReference {
            name: self.manifest.name.clone(),
            version: Some(self.version),
        }
    }

    /// The graph of the wanted precision, which is there.
    pub fn file(&self, precision: Precision) -> Result<PathBuf, RepositoryError> {
        let files = &self.manifest.files;
        let file = match precision {
            Precision::Fp32 => &files.fp32,
            Precision::Int8 => {
                files
                    .int8
                    .as_ref()
                    .ok_or_else(|| RepositoryError::NoSuchPrecision {
                        model: self.reference(),
                        precision,
                    })?
            }
        };
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

/// Names of the folders in `path`; names that are not UTF-8 cannot be asked for and are left out.
fn folders_in(path: &Path) -> Result<Vec<String>, RepositoryError> {
    let unreadable = |reason| RepositoryError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // Asked of the path, not of the entry: a link to a folder counts as one.
        if entry.path().is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// The versions of a model, ascending by number.
fn versions_in(model_folder: &Path) -> Result<Vec<u32>, RepositoryError> {
    let mut versions: Vec<u32> = folders_in(model_folder)?
        .iter()
        .filter_map(|name| parse_version(name))
        .collect();
    versions.sort_unstable();
    Ok(versions)
}

/// A version is digits only and does not start with `0`, so each has one spelling.
fn parse_version(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if is_plain { text.parse().ok() } else { None }
}

/// `a, b and c` for error messages.
fn listed<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests;
