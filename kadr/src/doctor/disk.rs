//! The embedded broker's data folder: may it be written, and has the disk room for what the topics may
//! come to hold?

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use bytesize::ByteSize;
use pipeline::kafka::TopicSpec;

use super::finding::Finding;

const DATA: &str = "data folder";
/// The file that a broker holds locked while it runs.
const LOCK_FILE: &str = "lock";
/// With less nothing can be said to run.
const LEAST_FREE_BYTES: u64 = 512 << 20;

pub(super) fn look(data: &Path, topics: &[TopicSpec]) -> Finding {
    let shown = data.display();
    let folder = match nearest_folder(data) {
        Ok(folder) => folder,
        Err(error) => return unusable(data, &error),
    };
    if let Err(error) = try_to_write(&folder) {
        return unusable(data, &error);
    }
    let Ok(disk) = rustix::fs::statvfs(&folder) else {
        return Finding::warn(DATA, format!("{shown}: the free space cannot be told"));
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let bound: u64 = topics.iter().map(most_bytes).sum();
    let to_come = bound.saturating_sub(bytes_in(data));
    let room = format!(
        "{shown} can be written; {} free, and the topics may come to hold {}",
        ByteSize(free),
        ByteSize(bound)
    );
    if free < LEAST_FREE_BYTES {
        return Finding::fail(DATA, room).advise("free some space or choose another with --data");
    }
    if free < to_come {
        return Finding::warn(DATA, room)
            .advise("free some space, choose another with --data, or lower the topics' retention");
    }
    Finding::ok(DATA, room)
}

/// Whether a broker of ours runs on this folder.
pub(super) fn is_in_use(data: &Path) -> bool {
    let lock = File::open(data.join(LOCK_FILE)).map(|file| file.try_lock_shared());
    matches!(lock, Ok(Err(TryLockError::WouldBlock)))
}

fn unusable(data: &Path, error: &io::Error) -> Finding {
    let text = format!("{} cannot be written: {error}", data.display());
    Finding::fail(DATA, text).advise("choose another with --data")
}

/// The folder itself, or the one it would be made in.
fn nearest_folder(data: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(data)?;
    for folder in absolute.ancestors() {
        match fs::metadata(folder) {
            Ok(found) if found.is_dir() => return Ok(folder.to_owned()),
            Ok(_file) => return Err(io::ErrorKind::NotADirectory.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Permissions alone do not tell: a disk may be read-only.
fn try_to_write(folder: &Path) -> io::Result<()> {
    let trial = folder.join(format!(".kadr-doctor-{}", std::process::id()));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&trial)?;
    fs::remove_file(&trial)
}

fn most_bytes(topic: &TopicSpec) -> u64 {
    let per_partition = topic.retention_bytes_per_partition.unwrap_or_default();
    per_partition * u64::try_from(topic.partitions).unwrap_or_default()
}

/// What lies in a folder and those below; what cannot be looked at counts as nothing.
fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_in(&entry.path()),
        Ok(found) => found.len(),
        Err(_gone) => 0,
    };
    entries.filter_map(Result::ok).map(size).sum()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn topic(bytes_per_partition: u64) -> TopicSpec {
        TopicSpec {
            retention_bytes_per_partition: Some(bytes_per_partition),
            ..TopicSpec::new("kadr.frames", 4, Duration::from_hours(1))
        }
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_judged_by_where_it_would_be() {
        let root = tempfile::tempdir().unwrap();
        let finding = look(&root.path().join("not/there/yet"), &[topic(1)]).to_string();
        assert!(finding.contains("can be written"), "{finding}");
        assert_eq!(
            fs::read_dir(root.path()).unwrap().count(),
            0,
            "left as it was"
        );

        let file = root.path().join("file");
        fs::write(&file, "12345").unwrap();
        let finding = look(&file.join("data"), &[]).to_string();
        assert!(finding.starts_with("FAIL"), "{finding}");
        assert!(finding.contains("--data"), "{finding}");
        assert_eq!(bytes_in(root.path()), 5);
    }

    #[test]
    fn topics_beyond_the_disk_are_warned_of() {
        let root = tempfile::tempdir().unwrap();
        let finding = look(root.path(), &[topic(1 << 60)]).to_string();
        assert!(finding.starts_with("warn"), "{finding}");
    }

    #[test]
    fn a_locked_folder_is_in_use() {
        let root = tempfile::tempdir().unwrap();
        assert!(!is_in_use(root.path()));
        let lock = File::create(root.path().join(LOCK_FILE)).unwrap();
        assert!(!is_in_use(root.path()));
        lock.lock().unwrap();
        assert!(is_in_use(root.path()));
    }
}
