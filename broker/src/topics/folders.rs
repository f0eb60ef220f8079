//! Where the logs of a topic are, and what happens to the folders when topics come and go. All of it
//! is blocking.

use std::{
    ffi::OsStr,
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use tracing::{info, warn};
use uuid::Uuid;

use crate::log::{Log, LogSettings, LogStore};

/// Between a topic's name, in which it cannot be, and its id.
const SEPARATOR: char = '~';

/// A topic deleted and made again under its name gets a new folder.
pub(super) fn folder(name: &str, id: Uuid) -> PathBuf {
    PathBuf::from(format!("{name}{SEPARATOR}{}", id.simple()))
}

/// Makes new partitions; all of them or none.
pub(super) fn make_logs(
    store: &LogStore,
    topic: &Path,
    indexes: Range<usize>,
    settings: &LogSettings,
) -> io::Result<Vec<Log>> {
    let mut logs = Vec::with_capacity(indexes.len());
    for index in indexes {
        match store.open_log(&topic.join(index.to_string()), settings.clone()) {
            Ok(log) => logs.push(log),
            Err(cause) => {
                remove_logs(store, &logs);
                return Err(cause);
            }
        }
    }
    Ok(logs)
}

/// Closes logs and removes their files. Whatever stays of these is removed at the next start.
pub(super) fn remove_logs(store: &LogStore, logs: &[Log]) {
    for log in logs {
        if let Err(cause) = store.remove(log) {
            warn!(%cause, "some files of a removed partition are still there");
        }
    }
}

/// Removes the folder of a topic that has no logs any more.
pub(super) fn remove_folder(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            warn!(folder = %folder.display(), %cause, "some files of a deleted topic are still there");
        }
        _gone => {}
    }
}

/// Removes folders left by topics that were being made or deleted when the broker was killed. Where
/// the journal was damaged, they may be of topics that it lost, so they are kept.
pub(super) fn remove_unclaimed(
    logs: &Path,
    claimed: &[PathBuf],
    is_journal_whole: bool,
) -> io::Result<()> {
    for entry in fs::read_dir(logs)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours = is_topic_folder(&name) && entry.file_type()?.is_dir();
        if !is_ours || claimed.iter().any(|folder| folder.as_os_str() == name) {
            continue;
        }
        let folder = entry.path();
        if is_journal_whole {
            info!(folder = %folder.display(), "removing what is left of a topic");
            remove_folder(&folder);
        } else {
            warn!(
                folder = %folder.display(),
                "the journal was damaged and knows no such topic: its records are kept, but not served"
            );
        }
    }
    Ok(())
}

fn is_topic_folder(name: &OsStr) -> bool {
    let id = name
        .to_str()
        .and_then(|name| name.rsplit_once(SEPARATOR))
        .map(|(_topic, id)| id);
    id.is_some_and(|id| Uuid::try_parse(id).is_ok())
}
