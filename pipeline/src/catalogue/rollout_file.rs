//! `rollout.toml` on the disk: read whole, written whole, by one writer at a time.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::rollout::{PlanError, Rollout};

/// The file beside `model.toml`.
pub const ROLLOUT_FILE: &str = "rollout.toml";

/// Held while a change is written; empty, and left where it is.
const LOCK_FILE: &str = ".rollout.lock";

/// The new content until it takes the old one's place.
const NEXT_FILE: &str = ".rollout.toml.next";

/// A page of text; what is longer is something else.
const MAX_BYTES: u64 = 1 << 20;

const HEAD: &str = "# Which version of the model serves whom. Written by `detector model rollout`; may be edited.\n";

/// Why a rollout cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// The file cannot be read or is not one of ours.
    #[error("{path} cannot be used: {reason}; mend it, or delete it to serve the newest version", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Another change is being written.
    #[error("another change of this model is being written; try again")]
    Busy,
    /// The file cannot be written.
    #[error("cannot write {path}; the folder of models must be writable for this", path = .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The change makes no sense.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// The rollout of the model in `folder`; an empty one where there is no file.
pub(super) fn read(folder: &Path) -> Result<Rollout, RolloutError> {
    let path = folder.join(ROLLOUT_FILE);
    let unreadable = |reason: String| RolloutError::Unreadable {
        path: path.clone(),
        reason,
    };
    match fs::metadata(&path) {
        Ok(file) if file.len() > MAX_BYTES => {
            return Err(unreadable(format!("{} bytes are too many", file.len())));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Rollout::default()),
        Err(error) => return Err(unreadable(error.to_string())),
    }
    let text = fs::read_to_string(&path).map_err(|error| unreadable(error.to_string()))?;
    let rollout: Rollout =
        toml::from_str(&text).map_err(|error| unreadable(error.message().replace('\n', " ")))?;
    let checked = rollout.now.check();
    checked.map_err(|error| unreadable(error.to_string()))?;
    Ok(rollout)
}

/// Reads, changes and writes the rollout of the model in `folder`. Readers see the old file or the
/// new one, never half of it.
pub(super) fn update(
    folder: &Path,
    change: impl FnOnce(&Rollout) -> Result<Rollout, PlanError>,
) -> Result<Rollout, RolloutError> {
    let path = folder.join(ROLLOUT_FILE);
    let unwritable = |source| RolloutError::Unwritable {
        path: path.clone(),
        source,
    };
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(LOCK_FILE))
        .map_err(unwritable)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(RolloutError::Busy),
        Err(TryLockError::Error(error)) => return Err(unwritable(error)),
    }
    let rollout = change(&read(folder)?)?;
    replace(folder, &path, &rollout).map_err(unwritable)?;
    Ok(rollout)
}

fn replace(folder: &Path, path: &Path, rollout: &Rollout) -> io::Result<()> {
    let body = toml::to_string(rollout).map_err(io::Error::other)?;
    let next = folder.join(NEXT_FILE);
    let mut file = File::create(&next)?;
    file.write_all(HEAD.as_bytes())?;
    file.write_all(body.as_bytes())?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    // The new name is on the disk once the folder is.
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::rollout::Change;
    use super::*;

    fn serve(version: u32) -> impl FnOnce(&Rollout) -> Result<Rollout, PlanError> {
        move |old| {
            old.changed(
                &Change::Serve(version),
                &[1, 2],
                jiff::Timestamp::UNIX_EPOCH,
            )
        }
    }

    #[test]
    fn what_was_written_is_read_and_what_was_not_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), Rollout::default());
        update(folder.path(), serve(1)).unwrap();
        let written = update(folder.path(), serve(2)).unwrap();
        assert_eq!(read(folder.path()).unwrap(), written);
        assert_eq!((written.now.current, written.before.len()), (Some(2), 2));
        assert!(!folder.path().join(NEXT_FILE).exists());
    }

    #[test]
    fn a_refused_change_leaves_the_file_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let written = update(folder.path(), serve(1)).unwrap();
        let refused = update(folder.path(), serve(9));
        assert!(matches!(refused, Err(RolloutError::Plan(_))));
        assert_eq!(read(folder.path()).unwrap(), written);
    }

    #[test]
    fn two_writers_do_not_mix() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let outer = update(folder.path(), |old| {
            assert!(matches!(update(&path, serve(1)), Err(RolloutError::Busy)));
            serve(2)(old)
        });
        assert_eq!(outer.unwrap().now.current, Some(2));
        update(folder.path(), serve(1)).unwrap();
    }

    #[test]
    fn a_broken_file_is_named_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(ROLLOUT_FILE);
        let broken = [
            "[now",
            "[now]\ncurrent = \"2\"",
            "[now.canary]\nversion = 1\npercent = 200",
        ];
        for text in broken {
            fs::write(&path, text).unwrap();
            let error = read(folder.path()).unwrap_err().to_string();
            assert!(error.contains("rollout.toml cannot be used"), "{error}");
            assert!(update(folder.path(), serve(1)).is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::write(&path, "#".repeat(MAX_BYTES as usize + 1)).unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("too many"), "{error}");
    }
}
