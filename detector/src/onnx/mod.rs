//! ONNX Runtime behind the model trait; nothing outside this module knows `ort`.
//!
//! - [`library`]: where `libonnxruntime` is
//! - [`provider`]: the device asked for, threads and memory
//! - [`session`]: a graph on a device, its inputs and outputs by name
//! - `answer`: what a run answered, in the types that are read
//! - `head`: the decoder of the graph's convention
//! - `cut`: a network in three pieces
//! - [`model`]: a [`Model`](crate::model::Model) that runs a session
//! - `pool`: the same in several sessions side by side
//!
//! The library is loaded when the program starts its [`Runtime`], never linked: the binaries start
//! without it and can say what is missing.

mod answer;
mod cut;
mod head;
pub mod library;
pub mod model;
mod pool;
pub mod provider;
pub mod session;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use library::{LIBRARY_VARIABLE, Surroundings};

pub use model::{LoadError, LoadOptions, OnnxModel};
pub use pool::SessionPool;
pub use provider::{Provider, SessionOptions};

/// The runtime of this process, once it is loaded; a library cannot be exchanged afterwards.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// A loaded ONNX Runtime; cheap to clone.
#[derive(Clone, Debug)]
pub struct Runtime {
    library: PathBuf,
    environment: ort::environment::Environment,
}

/// Why there is no ONNX Runtime.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No library in any place.
    #[error(
        "ONNX Runtime was not found; run script/setup, or name the library with {LIBRARY_VARIABLE}. Looked at: {}",
        listed(.looked_at)
    )]
    NotFound {
        /// Every place, most wanted first.
        looked_at: Vec<PathBuf>,
    },
    /// There is a file, but it is not a library that can be used: broken, foreign or too old.
    #[error(
        "cannot use the ONNX Runtime at {path}: {reason}; run script/setup for the right version, or name another library with {LIBRARY_VARIABLE}",
        path = .path.display()
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the loader says.
        reason: String,
    },
    /// Another library was loaded before.
    #[error(
        "ONNX Runtime {loaded} is already loaded, so {wanted} cannot be; a process uses one library",
        loaded = .loaded.display(), wanted = .wanted.display()
    )]
    AlreadyLoaded {
        /// The library in use.
        loaded: PathBuf,
        /// The library asked for now.
        wanted: PathBuf,
    },
}

impl Runtime {
    /// Loads the library at `asked_for`, or the one that is found; later calls give the same one.
    pub fn load(asked_for: Option<&Path>) -> Result<Self, RuntimeError> {
        // A panic while loading leaves `None` behind, which is a state like any other.
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref() {
            return match asked_for {
                Some(wanted) if !is_same_file(wanted, &runtime.library) => {
                    Err(RuntimeError::AlreadyLoaded {
                        loaded: runtime.library.clone(),
                        wanted: wanted.to_owned(),
                    })
                }
                _ => Ok(runtime.clone()),
            };
        }
        let candidates = Surroundings::of_process().candidates(asked_for);
        let Some(library) = candidates.iter().find(|candidate| candidate.is_file()) else {
            return Err(RuntimeError::NotFound {
                looked_at: candidates,
            });
        };
        let runtime = Self::open(library)?;
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// The library in use.
    pub fn library(&self) -> &Path {
        &self.library
    }

    fn open(path: &Path) -> Result<Self, RuntimeError> {
        let unusable = |reason: String| RuntimeError::Unusable {
            path: path.to_owned(),
            reason,
        };
        // A relative path would be looked for beside the executable.
        let library = std::path::absolute(path).map_err(|error| unusable(error.to_string()))?;
        let environment = ort::init_from(&library)
            .map_err(|error| unusable(error.to_string()))?
            .with_name("kadr")
            .with_telemetry(false)
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Self {
            library,
            environment,
        })
    }
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}
