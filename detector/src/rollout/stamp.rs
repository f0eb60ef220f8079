//! Whether a version's files have changed since they were looked at: by sizes and times, so that
//! asking costs next to nothing.

use std::collections::hash_map::DefaultHasher;
use std::fs::Metadata;
use std::hash::{Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};

/// Stands for the files of a version and the model's manifest as they were at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(u64);

impl Stamp {
    #[cfg(test)]
    pub(crate) fn new(number: u64) -> Self {
        Self(number)
    }
}

/// The stamp of the files in `folder`, of those in its folders, where a network that is cut lies, and
/// of the manifest.
pub(crate) fn stamp_of(manifest: &Path, folder: &Path) -> io::Result<Stamp> {
    let mut files = vec![(manifest.to_owned(), manifest.metadata()?)];
    for inner in add_files(folder, &mut files)? {
        add_files(&inner, &mut files)?;
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    let mut hasher = DefaultHasher::new();
    for (path, metadata) in &files {
        (path, metadata.len(), modified(metadata)?).hash(&mut hasher);
    }
    Ok(Stamp(hasher.finish()))
}

/// Adds the files in a folder and returns its folders.
fn add_files(folder: &Path, files: &mut Vec<(PathBuf, Metadata)>) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        // Asked of the path, not of the entry: what a link leads to is what is loaded.
        let metadata = path.metadata()?;
        if metadata.is_file() {
            files.push((path, metadata));
        } else if metadata.is_dir() {
            folders.push(path);
        }
    }
    Ok(folders)
}

fn modified(metadata: &Metadata) -> io::Result<std::time::SystemTime> {
    metadata.modified()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_changes_with_the_files_and_with_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let (manifest, folder) = (root.path().join("model.toml"), root.path().join("1"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&manifest, "name").unwrap();
        std::fs::write(folder.join("model.onnx"), "graph").unwrap();
        let stamp = || stamp_of(&manifest, &folder).unwrap();
        let mut last = stamp();
        assert_eq!(stamp(), last);
        for (path, content) in [
            (folder.join("model.onnx"), "a longer graph"),
            (folder.join("model.int8.onnx"), ""),
            (manifest.clone(), "another name"),
        ] {
            std::fs::write(path, content).unwrap();
            assert_ne!(stamp(), last);
            last = stamp();
        }
        std::fs::write(root.path().join("rollout.toml"), "").unwrap();
        std::fs::create_dir(folder.join("cut")).unwrap();
        assert_eq!(stamp(), last);
        std::fs::write(folder.join("cut/trunk.onnx"), "graph").unwrap();
        assert_ne!(stamp(), last);
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(stamp_of(&manifest, &folder).is_err());
    }
}
