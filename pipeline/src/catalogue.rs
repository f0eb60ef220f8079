//! What models there are: `<root>/<name>/model.toml` and `<root>/<name>/<version>/…`, read leniently.
//!
//! Versions are whole numbers. `[versions]` in `model.toml` says which of them are offered, and
//! `rollout.toml` beside it which one serves whom; without either all are offered and the highest
//! serves. Folder names that start with `0` or `.`, and folders without a `model.toml`, are not
//! looked at. Whether a model can be run is the detector's business; here is what everybody else
//! wants to know of it.
//!
//! - [`policy`]: which versions are offered
//! - [`rollout`]: which one serves whom, and how it was before; [`rollout_file`] keeps it
//! - [`versions`]: what the names of a model's versions stand for

pub mod policy;
pub mod rollout;
pub mod rollout_file;
pub mod versions;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::detections::Rgb;
use crate::frame::ModelRef;
use policy::VersionPolicy;
use rollout::{Change, Rollout};
use rollout_file::RolloutError;
pub use versions::Versions;

/// The file that makes a folder a model.
pub const MANIFEST_FILE: &str = "model.toml";

/// A manifest is a page of text; what is longer is something else.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// Colours for classes whose manifest names none; they repeat after the twelfth.
const PALETTE: [Rgb; 12] = [
    Rgb([230, 25, 75]),
    Rgb([60, 180, 75]),
    Rgb([0, 130, 200]),
    Rgb([245, 130, 48]),
    Rgb([145, 30, 180]),
    Rgb([70, 240, 240]),
    Rgb([240, 50, 230]),
    Rgb([210, 245, 60]),
    Rgb([0, 128, 128]),
    Rgb([170, 110, 40]),
    Rgb([255, 225, 25]),
    Rgb([128, 0, 0]),
];

/// The colour of a class, counted from zero, whose manifest names none.
pub fn default_color(class: usize) -> Rgb {
    PALETTE[class % PALETTE.len()]
}

/// Where models are and which one is the default; the services that care about models share them.
#[derive(Args, Clone, Debug, Serialize)]
pub struct ModelArgs {
    /// The folder of models
    #[arg(
        long,
        env = "KADR_MODELS",
        default_value = "models",
        value_name = "DIR"
    )]
    pub models: PathBuf,

    /// The model for frames that ask for none, as name or name@version
    #[arg(
        long,
        env = "KADR_MODEL",
        default_value = "parts",
        value_name = "MODEL"
    )]
    #[serde(serialize_with = "as_text")]
    pub model: ModelRef,
}

fn as_text<S: Serializer>(model: &ModelRef, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(model)
}

/// A folder of models. Nothing is read before it is asked for.
#[derive(Clone, Debug)]
pub struct Catalogue {
    root: PathBuf,
}

/// A model by its folders alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The model's name.
    pub name: String,
    /// Its versions, ascending.
    pub versions: Vec<u32>,
}

/// A model as its manifest describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The model's name.
    pub name: String,
    /// What it does, such as `instance-segmentation`.
    pub task: String,
    /// The versions that are offered, ascending; never empty.
    pub versions: Vec<u32>,
    /// What may stand behind the `@` beside a number, and for which version.
    pub aliases: BTreeMap<String, u32>,
    /// Its classes, in their order.
    pub labels: Vec<Label>,
}

/// A class of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Label {
    /// What it is called.
    pub name: String,
    /// The colour it is drawn in.
    pub color: Rgb,
}

/// A model that was asked for and is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The model's name.
    pub name: String,
    /// The chosen version.
    pub version: u32,
    /// The folder that holds the version's files.
    pub folder: PathBuf,
}

/// Why a model cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A folder cannot be read.
    #[error("cannot read the model repository {path}: {reason}; point --models at a folder of models", path = .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        reason: std::io::Error,
    },
    /// There is no such model.
    #[error("there is no model {name:?}; there is {}", listed(available))]
    UnknownModel {
        /// The wanted name.
        name: String,
        /// What there is instead.
        available: Vec<String>,
    },
    /// The model does not have that version.
    #[error(
        "model {name:?} has no version {version}; it has {}",
        listed(available)
    )]
    UnknownVersion {
        /// The model.
        name: String,
        /// The wanted version.
        version: u32,
        /// What there is instead.
        available: Vec<u32>,
    },
    /// The model's folder holds no version.
    #[error("model {name:?} has no version; put its files into {folder}/1", folder = .folder.display())]
    NoVersions {
        /// The model.
        name: String,
        /// Its folder.
        folder: PathBuf,
    },
    /// No version is called so.
    #[error(
        "model {name:?} has no version called {alias:?}; there is {}",
        listed(available)
    )]
    Alias {
        /// The model.
        name: String,
        /// The wanted name of a version.
        alias: String,
        /// What there is instead.
        available: Vec<String>,
    },
    /// The model's rollout cannot be read or changed.
    #[error("model {name:?}: {reason}")]
    Rollout {
        /// The model.
        name: String,
        /// Why.
        reason: RolloutError,
    },
}

/// The part of `model.toml` that is looked at; unknown keys are the detector's.
#[derive(Deserialize)]
struct Manifest {
    task: String,
    #[serde(default)]
    labels: Vec<ManifestLabel>,
    #[serde(default)]
    versions: VersionPolicy,
}

#[derive(Deserialize)]
struct ManifestLabel {
    name: String,
    color: Option<String>,
}

impl Catalogue {
    /// The models in `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder of models.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The models with their versions, by name. Manifests are not read.
    pub fn folders(&self) -> Result<Vec<Listing>, CatalogueError> {
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

    /// The models that have a version and a manifest that can be read, by name. One broken model
    /// does not hide the others.
    pub fn list(&self) -> Result<Vec<Entry>, CatalogueError> {
        let listings = self.folders()?;
        Ok(listings
            .into_iter()
            .filter(|listing| !listing.versions.is_empty())
            .filter_map(|listing| self.entry(listing))
            .collect())
    }

    /// Finds a model and its version.
    pub fn find(&self, wanted: &ModelRef) -> Result<Found, CatalogueError> {
        let versions = self.versions(wanted.name())?;
        let version = versions.resolve(wanted.selector())?;
        let folder = versions.folder.join(version.to_string());
        Ok(Found {
            name: versions.name,
            version,
            folder,
        })
    }

    /// The versions of a model and what their names stand for.
    pub fn versions(&self, name: &str) -> Result<Versions, CatalogueError> {
        let mut listings = self.folders()?;
        let Some(at) = listings.iter().position(|listing| listing.name == name) else {
            listings.retain(|listing| !listing.versions.is_empty());
            return Err(CatalogueError::UnknownModel {
                name: name.to_owned(),
                available: listings.into_iter().map(|listing| listing.name).collect(),
            });
        };
        // What cannot be read limits nothing here; whoever runs the model reads it whole and says
        // what is wrong with it.
        let policy = read_manifest(&self.manifest_path(name))
            .map(|manifest| manifest.versions)
            .unwrap_or_default();
        self.versions_of(listings.swap_remove(at), &policy)
    }

    /// Changes which version of a model serves whom; detectors see it within seconds.
    pub fn roll_out(&self, name: &str, change: &Change) -> Result<Versions, CatalogueError> {
        let mut versions = self.versions(name)?;
        let offered = versions.offered.clone();
        let changed = rollout_file::update(&versions.folder, |rollout| {
            rollout.changed(change, &offered, Timestamp::now())
        });
        versions.rollout = changed.map_err(|reason| rollout_error(name, reason))?;
        Ok(versions)
    }

    /// Takes the last change of [`roll_out`](Self::roll_out) back.
    pub fn roll_back(&self, name: &str) -> Result<Versions, CatalogueError> {
        let mut versions = self.versions(name)?;
        let changed = rollout_file::update(&versions.folder, Rollout::back);
        versions.rollout = changed.map_err(|reason| rollout_error(name, reason))?;
        Ok(versions)
    }

    /// The manifest of a model.
    pub fn manifest_path(&self, name: &str) -> PathBuf {
        self.root.join(name).join(MANIFEST_FILE)
    }

    fn versions_of(
        &self,
        listing: Listing,
        policy: &VersionPolicy,
    ) -> Result<Versions, CatalogueError> {
        let folder = self.root.join(&listing.name);
        let rollout = rollout_file::read(&folder);
        let rollout = rollout.map_err(|reason| rollout_error(&listing.name, reason))?;
        Ok(Versions {
            offered: policy.offered(listing.versions),
            name: listing.name,
            folder,
            rollout,
        })
    }

    fn entry(&self, listing: Listing) -> Option<Entry> {
        let path = self.manifest_path(&listing.name);
        let left_out = |reason: String| {
            tracing::warn!(path = %path.display(), reason, "a model is left out of the list");
        };
        let manifest = read_manifest(&path).map_err(left_out).ok()?;
        let versions = self.versions_of(listing, &manifest.versions);
        let versions = versions.map_err(|error| left_out(error.to_string())).ok()?;
        if versions.offered.is_empty() {
            return None;
        }
        Some(Entry {
            task: manifest.task,
            aliases: versions.aliases(),
            name: versions.name,
            versions: versions.offered,
            labels: labels_of(manifest.labels),
        })
    }
}

fn rollout_error(name: &str, reason: RolloutError) -> CatalogueError {
    CatalogueError::Rollout {
        name: name.to_owned(),
        reason,
    }
}

fn read_manifest(path: &Path) -> Result<Manifest, String> {
    let bytes = std::fs::metadata(path)
        .map_err(|error| error.to_string())?
        .len();
    if bytes > MAX_MANIFEST_BYTES {
        return Err(format!("{bytes} bytes are too many for a manifest"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    toml::from_str(&text).map_err(|error| error.message().to_owned())
}

fn labels_of(labels: Vec<ManifestLabel>) -> Vec<Label> {
    let label = |(class, label): (usize, ManifestLabel)| Label {
        name: label.name,
        color: label
            .color
            .and_then(|color| color.parse().ok())
            .unwrap_or_else(|| default_color(class)),
    };
    labels.into_iter().enumerate().map(label).collect()
}

/// Names of the folders in `path`; names that are not UTF-8 cannot be asked for and are left out.
fn folders_in(path: &Path) -> Result<Vec<String>, CatalogueError> {
    let unreadable = |reason| CatalogueError::Folder {
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
fn versions_in(model_folder: &Path) -> Result<Vec<u32>, CatalogueError> {
    let mut versions: Vec<u32> = folders_in(model_folder)?
        .iter()
        .filter_map(|name| parse_version(name))
        .collect();
    versions.sort_unstable();
    Ok(versions)
}

/// A version is digits only and does not start with `0`, so each has one spelling.
pub fn parse_version(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if is_plain { text.parse().ok() } else { None }
}

/// `a, b and c` for error messages.
pub fn listed<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
#[path = "catalogue_tests.rs"]
mod tests;
