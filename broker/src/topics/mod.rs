//! The topics: their names, ids, settings and logs, durable in the journal.

mod folders;
pub(crate) mod name;
pub(crate) mod settings;

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{sync::Mutex, task::spawn_blocking};
use tracing::info;
use uuid::Uuid;

use self::settings::{Overrides, SettingError, TopicSettings};
use crate::{
    config::{BrokerConfig, Limits},
    data::Data,
    journal::{Journal, JournalError},
    log::{Log, LogStore},
};

/// Keys of the journal that hold topics.
pub(crate) const KEY_PREFIX: &str = "topic/";

/// One topic. A change makes a new one, so whoever holds it sees it as it was.
#[derive(Clone)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: Uuid,
    pub(crate) overrides: Overrides,
    pub(crate) settings: TopicSettings,
    pub(crate) partitions: Vec<Log>,
}

/// How the journal keeps a topic.
#[derive(Serialize, Deserialize)]
struct Entry {
    id: Uuid,
    partitions: usize,
    settings: Overrides,
}

/// Why a topic cannot be made, changed or deleted; the text goes to the client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopicError {
    #[error("topic {0} already exists")]
    Exists(String),
    #[error("topic {0} is unknown")]
    Unknown(String),
    #[error("{0}")]
    Name(String),
    #[error("{0}")]
    Partitions(String),
    #[error("{0}")]
    Request(String),
    #[error("{0}")]
    Limit(String),
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error("the data folder cannot be written: {0}")]
    Storage(String),
}

impl From<JournalError> for TopicError {
    fn from(cause: JournalError) -> Self {
        Self::Storage(cause.to_string())
    }
}

/// What a new topic shall be.
#[derive(Clone, Debug)]
pub(crate) struct NewTopic {
    pub(crate) name: String,
    pub(crate) partitions: usize,
    pub(crate) overrides: Overrides,
}

/// All topics.
pub(crate) struct Topics {
    by_name: RwLock<BTreeMap<String, Arc<Topic>>>,
    /// Held over every change, so that one is complete before the next looks.
    changes: Mutex<()>,
    store: Arc<LogStore>,
    /// The folder of all logs.
    logs: PathBuf,
    journal: Journal,
    defaults: TopicSettings,
    limits: Limits,
}

impl Topics {
    /// Opens the logs of all topics in the journal, and removes what belongs to none. Blocking.
    pub(crate) fn load(
        config: &BrokerConfig,
        data: &Data,
        entries: &BTreeMap<String, Value>,
    ) -> io::Result<Self> {
        let store = Arc::clone(&data.store);
        let mut by_name = BTreeMap::new();
        for (key, value) in entries {
            if let Some(name) = key.strip_prefix(KEY_PREFIX) {
                let topic = open(name, value, &store, &config.topic_defaults)?;
                by_name.insert(name.to_owned(), Arc::new(topic));
            }
        }
        let logs = config.data.join(crate::LOGS_FOLDER);
        let topics = by_name.values();
        let claimed: Vec<_> = topics
            .map(|topic| folders::folder(&topic.name, topic.id))
            .collect();
        folders::remove_unclaimed(&logs, &claimed, !data.has_damaged_journal)?;
        Ok(Self {
            by_name: RwLock::new(by_name),
            changes: Mutex::new(()),
            store,
            logs,
            journal: data.journal.clone(),
            defaults: config.topic_defaults.clone(),
            limits: config.limits.clone(),
        })
    }

    /// The topic of that name.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.read().get(name).cloned()
    }

    /// The topic of that id.
    pub(crate) fn by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.read().values().find(|topic| topic.id == id).cloned()
    }

    /// All topics by name.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.read().values().cloned().collect()
    }

    /// One partition's log.
    pub(crate) fn partition(&self, name: &str, index: i32) -> Option<Log> {
        let index = usize::try_from(index).ok()?;
        self.read().get(name)?.partitions.get(index).cloned()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Arc<Topic>>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a topic, or says why it could not be made.
    pub(crate) async fn create(
        &self,
        new: NewTopic,
        validate_only: bool,
    ) -> Result<Arc<Topic>, TopicError> {
        let _one_at_a_time = self.changes.lock().await;
        self.check_new(&new)?;
        let settings = self.defaults.with(&new.overrides)?;
        let mut topic = Topic {
            name: new.name,
            id: Uuid::new_v4(),
            overrides: new.overrides,
            settings,
            partitions: Vec::new(),
        };
        if validate_only {
            return Ok(Arc::new(topic));
        }
        topic.partitions = self.make_logs(&topic, 0..new.partitions).await?;
        let (folder, logs) = (self.folder(&topic), topic.partitions.clone());
        let kept = self.keep(topic).await;
        if kept.is_err() {
            self.remove(logs, Some(folder)).await;
        }
        kept
    }

    fn check_new(&self, new: &NewTopic) -> Result<(), TopicError> {
        let topics = self.read();
        name::check_new(&new.name, topics.keys().map(String::as_str))?;
        let limit = self.limits.topics;
        if topics.len() >= limit {
            return Err(TopicError::Limit(format!(
                "there are {limit} topics, which is the limit: delete one first"
            )));
        }
        self.check_room(&topics, new.partitions)
    }

    fn check_room(
        &self,
        topics: &BTreeMap<String, Arc<Topic>>,
        more: usize,
    ) -> Result<(), TopicError> {
        let taken: usize = topics.values().map(|topic| topic.partitions.len()).sum();
        let limit = self.limits.partitions;
        if taken + more > limit {
            return Err(TopicError::Limit(format!(
                "{more} more partitions beside {taken} are over the limit of {limit}: delete a topic first"
            )));
        }
        Ok(())
    }

    /// Deletes a topic and all its records.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), TopicError> {
        let _one_at_a_time = self.changes.lock().await;
        let topic = self.known(name)?;
        self.journal.put(vec![(key(name), None)]).await?;
        self.by_name
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
        self.remove(topic.partitions.clone(), Some(self.folder(&topic)))
            .await;
        info!(topic = name, "deleted a topic");
        Ok(())
    }

    /// Adds partitions, up to `count`.
    pub(crate) async fn grow(
        &self,
        name: &str,
        count: i32,
        validate_only: bool,
    ) -> Result<(), TopicError> {
        let _one_at_a_time = self.changes.lock().await;
        let mut topic = Topic::clone(&*self.known(name)?);
        let present = topic.partitions.len();
        let Some(wanted) = usize::try_from(count)
            .ok()
            .filter(|wanted| *wanted > present)
        else {
            return Err(TopicError::Partitions(format!(
                "topic {name} has {present} partitions: {count} would not add one"
            )));
        };
        self.check_room(&self.read(), wanted - present)?;
        if validate_only {
            return Ok(());
        }
        let added = self.make_logs(&topic, present..wanted).await?;
        topic.partitions.extend(added.iter().cloned());
        let kept = self.keep(topic).await;
        if kept.is_err() {
            self.remove(added, None).await;
        }
        kept.map(|_topic| ())
    }

    /// Gives a topic other settings, computed by `change` from those it has.
    pub(crate) async fn configure(
        &self,
        name: &str,
        change: impl FnOnce(Overrides) -> Result<Overrides, TopicError>,
        validate_only: bool,
    ) -> Result<(), TopicError> {
        let _one_at_a_time = self.changes.lock().await;
        let mut topic = Topic::clone(&*self.known(name)?);
        topic.overrides = change(topic.overrides)?;
        topic.settings = self.defaults.with(&topic.overrides)?;
        if validate_only {
            return Ok(());
        }
        let topic = self.keep(topic).await?;
        for log in &topic.partitions {
            log.reconfigure(topic.settings.for_log());
        }
        Ok(())
    }

    fn known(&self, name: &str) -> Result<Arc<Topic>, TopicError> {
        self.get(name)
            .ok_or_else(|| TopicError::Unknown(name.to_owned()))
    }

    /// Writes a topic down, then shows it.
    async fn keep(&self, topic: Topic) -> Result<Arc<Topic>, TopicError> {
        let entry = Entry {
            id: topic.id,
            partitions: topic.partitions.len(),
            settings: topic.overrides.clone(),
        };
        let entry = serde_json::to_value(entry).expect("strings and numbers are JSON");
        self.journal
            .put(vec![(key(&topic.name), Some(entry))])
            .await?;
        let topic = Arc::new(topic);
        self.by_name
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(topic.name.clone(), Arc::clone(&topic));
        Ok(topic)
    }

    async fn make_logs(
        &self,
        topic: &Topic,
        indexes: std::ops::Range<usize>,
    ) -> Result<Vec<Log>, TopicError> {
        let store = Arc::clone(&self.store);
        let folder = folders::folder(&topic.name, topic.id);
        let is_new = indexes.start == 0;
        let settings = topic.settings.for_log();
        let made =
            spawn_blocking(move || folders::make_logs(&store, &folder, indexes, &settings)).await;
        let made = made.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        if made.is_err() && is_new {
            self.remove(Vec::new(), Some(self.folder(topic))).await;
        }
        made.map_err(|cause| TopicError::Storage(cause.to_string()))
    }

    fn folder(&self, topic: &Topic) -> PathBuf {
        self.logs.join(folders::folder(&topic.name, topic.id))
    }

    /// Removes logs that no topic has, and the folder they were in.
    async fn remove(&self, logs: Vec<Log>, folder: Option<PathBuf>) {
        let store = Arc::clone(&self.store);
        let removing = spawn_blocking(move || {
            folders::remove_logs(&store, &logs);
            if let Some(folder) = folder {
                folders::remove_folder(&folder);
            }
        });
        removing.await.expect("removing files does not panic");
    }
}

fn key(name: &str) -> String {
    format!("{KEY_PREFIX}{name}")
}

fn open(
    name: &str,
    value: &Value,
    store: &LogStore,
    defaults: &TopicSettings,
) -> io::Result<Topic> {
    let broken = |cause: &dyn ToString| {
        let cause = cause.to_string();
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the journal's entry of topic {name}: {cause}"),
        )
    };
    let entry = Entry::deserialize(value).map_err(|cause| broken(&cause))?;
    let settings = defaults
        .with(&entry.settings)
        .map_err(|cause| broken(&cause))?;
    let folder = folders::folder(name, entry.id);
    let partitions = (0..entry.partitions)
        .map(|index| store.open_log(&folder.join(index.to_string()), settings.for_log()))
        .collect::<io::Result<_>>()?;
    Ok(Topic {
        name: name.to_owned(),
        id: entry.id,
        overrides: entry.settings,
        settings,
        partitions,
    })
}

#[cfg(test)]
mod tests;
