//! The data folder: one owner at a time, who it is, and how it was left.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io,
    path::Path,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::{
    LOGS_FOLDER, StartError,
    config::BrokerConfig,
    journal::{Changes, Journal, JournalError},
    log::{LogStore, LogStoreConfig},
};

const LOCK_FILE: &str = "lock";
const JOURNAL_FILE: &str = "journal";
/// What the journal calls a copy of itself with lines it could not read.
const DAMAGED_JOURNAL_FILE: &str = "journal.damaged";

/// Where the journal keeps [`Identity`].
const KEY: &str = "broker";

/// The folder's layout; another number is another program's.
const FORMAT: u32 = 1;

/// Who this broker is, and how it was left.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    format: u32,
    pub(crate) cluster_id: String,
    pub(crate) leader_epoch: i32,
    /// Whether everything was flushed and closed.
    is_clean: bool,
}

/// The open data folder. The journal holds its lock, for as long as anybody holds the journal.
pub(crate) struct Data {
    pub(crate) store: Arc<LogStore>,
    pub(crate) journal: Journal,
    pub(crate) identity: Identity,
    /// Whether nobody ever used the folder.
    pub(crate) is_fresh: bool,
    /// Whether there is a copy of a journal that was damaged, put aside by this start or an earlier one.
    pub(crate) has_damaged_journal: bool,
}

/// Why the folder is not left clean.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CloseError {
    #[error("a request is still at work")]
    Busy,
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the logs cannot be flushed: {0}")]
    Logs(#[from] io::Error),
}

impl Data {
    /// Opens the folder, made if it is not there, and gives what the journal holds. Blocking.
    pub(crate) fn open(
        config: &BrokerConfig,
    ) -> Result<(Self, BTreeMap<String, Value>), StartError> {
        let path = &config.data;
        let unusable = |cause| StartError::Data {
            path: path.clone(),
            cause,
        };
        fs::create_dir_all(path.join(LOGS_FOLDER)).map_err(unusable)?;
        let lock = lock(path)?;
        let opened = Journal::open(&path.join(JOURNAL_FILE));
        let (journal, entries) =
            opened.map_err(|cause| unusable(io::Error::other(cause.to_string())))?;
        journal.hold(lock);
        if !entries.contains_key(KEY) {
            check_unused(&path.join(LOGS_FOLDER)).map_err(unusable)?;
        }
        let left = left_as(entries.get(KEY)).map_err(unusable)?;
        let identity = Identity {
            // After a crash, records may be missing that were never flushed; the epoch says so.
            leader_epoch: left.leader_epoch + i32::from(!left.is_clean),
            is_clean: false,
            ..left.clone()
        };
        let store = LogStore::open(LogStoreConfig {
            dir: path.join(LOGS_FOLDER),
            flush_interval: config.flush_interval,
            leader_epoch: identity.leader_epoch,
            was_clean: left.is_clean,
            janitor_interval: config.retention_interval,
        });
        let data = Self {
            store: Arc::new(store.map_err(unusable)?),
            journal,
            identity,
            is_fresh: !entries.contains_key(KEY),
            has_damaged_journal: path.join(DAMAGED_JOURNAL_FILE).exists(),
        };
        Ok((data, entries))
    }

    /// What says in the journal that the folder is in use, so that a crash shows at the next start.
    pub(crate) fn mark_open(&self) -> Changes {
        self.marked(false)
    }

    /// Closes logs and journal and says so in it.
    pub(crate) async fn close(self) -> Result<(), CloseError> {
        let identity = self.marked(true);
        // Whoever still holds the store may still write: then the folder is not left clean.
        let store = Arc::into_inner(self.store).ok_or(CloseError::Busy)?;
        let closed = spawn_blocking(move || store.close())
            .await
            .expect("closing the logs does not panic");
        let marked = match closed {
            Ok(()) => self.journal.put(identity).await.map_err(CloseError::from),
            Err(cause) => Err(cause.into()),
        };
        let journal = self.journal;
        spawn_blocking(move || journal.close())
            .await
            .expect("closing the journal does not panic");
        marked
    }

    fn marked(&self, is_clean: bool) -> Changes {
        let identity = Identity {
            is_clean,
            ..self.identity.clone()
        };
        let value = serde_json::to_value(identity).expect("plain fields are JSON");
        vec![(KEY.to_owned(), Some(value))]
    }
}

fn lock(path: &Path) -> Result<File, StartError> {
    let unusable = |cause| StartError::Data {
        path: path.to_owned(),
        cause,
    };
    let mut options = File::options();
    let options = options.create(true).truncate(false).write(true);
    let file = options.open(path.join(LOCK_FILE)).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse(path.to_owned())),
        Err(TryLockError::Error(cause)) => Err(unusable(cause)),
    }
}

/// Logs without a journal are somebody's records: they would be taken for leftovers and removed.
fn check_unused(logs: &Path) -> io::Result<()> {
    match fs::read_dir(logs)?.next() {
        None => Ok(()),
        Some(_entry) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it has logs and no journal that knows them: put the journal back, or name an empty folder",
        )),
    }
}

fn left_as(entry: Option<&Value>) -> io::Result<Identity> {
    let invalid = |cause: String| io::Error::new(io::ErrorKind::InvalidData, cause);
    let Some(entry) = entry else {
        return Ok(Identity {
            format: FORMAT,
            cluster_id: new_cluster_id(),
            leader_epoch: 0,
            is_clean: true,
        });
    };
    let identity = Identity::deserialize(entry)
        .map_err(|cause| invalid(format!("the journal's entry of the broker: {cause}")))?;
    if identity.format != FORMAT {
        let format = identity.format;
        return Err(invalid(format!(
            "it has format {format}, and this version knows {FORMAT} only"
        )));
    }
    Ok(identity)
}

/// As long and of the same letters as those of Apache Kafka.
fn new_cluster_id() -> String {
    Uuid::new_v4().simple().to_string()[..22].to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    fn open(folder: &TempDir) -> Result<Data, StartError> {
        Data::open(&BrokerConfig::new(folder.path())).map(|(data, _entries)| data)
    }

    async fn open_and_mark(folder: &TempDir) -> Data {
        let data = open(folder).unwrap();
        data.journal.put(data.mark_open()).await.unwrap();
        data
    }

    #[tokio::test]
    async fn the_epoch_counts_the_runs_that_were_not_closed() {
        let folder = tempfile::tempdir().unwrap();
        let mut epochs = Vec::new();
        let mut cluster_ids = Vec::new();
        for is_closed in [true, true, false, false, true, true] {
            let data = open_and_mark(&folder).await;
            epochs.push(data.identity.leader_epoch);
            cluster_ids.push(data.identity.cluster_id.clone());
            if is_closed {
                data.close().await.unwrap();
            }
        }
        assert_eq!(epochs, [0, 0, 0, 1, 2, 2]);
        cluster_ids.dedup();
        assert_eq!(cluster_ids.len(), 1);
        assert_eq!(cluster_ids[0].len(), 22);
    }

    #[tokio::test]
    async fn whoever_still_writes_keeps_the_folder_from_being_marked_clean() {
        let folder = tempfile::tempdir().unwrap();
        let data = open_and_mark(&folder).await;
        let still_held = Arc::clone(&data.store);
        assert!(matches!(data.close().await, Err(CloseError::Busy)));
        drop(still_held);
        assert_eq!(open(&folder).unwrap().identity.leader_epoch, 1);
    }

    #[tokio::test]
    async fn the_folder_is_taken_until_the_last_hand_on_its_journal_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let data = open_and_mark(&folder).await;
        let journal = data.journal.clone();
        drop(data);
        assert!(matches!(open(&folder), Err(StartError::InUse(_))));
        drop(journal);
        assert!(open(&folder).is_ok());
    }

    #[tokio::test]
    async fn another_layout_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = open_and_mark(&folder).await;
        let foreign = json!({"format": 2, "cluster_id": "x", "leader_epoch": 0, "is_clean": true});
        data.journal
            .put(vec![(KEY.to_owned(), Some(foreign))])
            .await
            .unwrap();
        drop(data);
        let before = fs::read(folder.path().join(JOURNAL_FILE)).unwrap();
        let said = open(&folder).err().unwrap().to_string();
        assert!(said.contains("format 2"), "{said}");
        assert_eq!(fs::read(folder.path().join(JOURNAL_FILE)).unwrap(), before);

        let foreign = tempfile::tempdir().unwrap();
        fs::write(foreign.path().join(JOURNAL_FILE), "notes\n").unwrap();
        let said = open(&foreign).err().unwrap().to_string();
        assert!(said.contains("not a journal"), "{said}");
    }
}
