//! Where `libonnxruntime` is: asked for, or looked for in the places script/setup uses.

use std::path::{Path, PathBuf};

/// The environment variable that names the library, the same that other users of ONNX Runtime read.
pub const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// What script/setup leaves in a clone.
const IN_CLONE: &str = ".kadr/onnxruntime/current/libonnxruntime.so";

/// The file's name beside an executable or in the installed folder.
const FILE_NAME: &str = "libonnxruntime.so";

/// Where packages and container images put it.
const INSTALLED: &str = "/usr/lib/kadr";

/// What the search depends on; [`Surroundings::of_process`] reads it from the running process.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The value of [`LIBRARY_VARIABLE`], if set and not empty.
    pub variable: Option<PathBuf>,
    /// The folder of the executable.
    pub executable_folder: Option<PathBuf>,
    /// The current folder.
    pub current_folder: Option<PathBuf>,
}

impl Surroundings {
    /// The surroundings of this process.
    pub fn of_process() -> Self {
        Self {
            variable: std::env::var_os(LIBRARY_VARIABLE)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from),
            executable_folder: std::env::current_exe()
                .ok()
                .and_then(|executable| executable.parent().map(Path::to_owned)),
            current_folder: std::env::current_dir().ok(),
        }
    }

    /// The places to look at, most wanted first. A library that was asked for is the only place:
    /// if it is not there, that is an error and not a reason to take another.
    pub fn candidates(&self, asked_for: Option<&Path>) -> Vec<PathBuf> {
        if let Some(path) = asked_for.or(self.variable.as_deref()) {
            return vec![path.to_owned()];
        }
        let mut candidates = Vec::new();
        candidates.extend(
            self.executable_folder
                .as_ref()
                .map(|folder| folder.join(FILE_NAME)),
        );
        for start in [&self.current_folder, &self.executable_folder]
            .into_iter()
            .flatten()
        {
            candidates.extend(start.ancestors().map(|folder| folder.join(IN_CLONE)));
        }
        candidates.push(Path::new(INSTALLED).join(FILE_NAME));
        let mut unique = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            if !unique.contains(&candidate) {
                unique.push(candidate);
            }
        }
        unique
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings() -> Surroundings {
        Surroundings {
            variable: None,
            executable_folder: Some(PathBuf::from("/clone/target/debug")),
            current_folder: Some(PathBuf::from("/clone/detector")),
        }
    }

    #[test]
    fn the_search_walks_up_from_where_it_stands() {
        let candidates = surroundings().candidates(None);
        let expected: Vec<PathBuf> = [
            "/clone/target/debug/libonnxruntime.so",
            "/clone/detector/.kadr/onnxruntime/current/libonnxruntime.so",
            "/clone/.kadr/onnxruntime/current/libonnxruntime.so",
            "/.kadr/onnxruntime/current/libonnxruntime.so",
            "/clone/target/debug/.kadr/onnxruntime/current/libonnxruntime.so",
            "/clone/target/.kadr/onnxruntime/current/libonnxruntime.so",
            "/usr/lib/kadr/libonnxruntime.so",
        ]
        .map(PathBuf::from)
        .to_vec();
        assert_eq!(candidates, expected);
    }

    #[test]
    fn a_library_that_was_asked_for_is_the_only_candidate() {
        let mut surroundings = surroundings();
        surroundings.variable = Some(PathBuf::from("/opt/variable.so"));
        assert_eq!(
            surroundings.candidates(None),
            [PathBuf::from("/opt/variable.so")]
        );
        assert_eq!(
            surroundings.candidates(Some(Path::new("/opt/flag.so"))),
            [PathBuf::from("/opt/flag.so")]
        );
    }
}
