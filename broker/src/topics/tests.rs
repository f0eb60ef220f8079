//! Topics over changes, refusals and restarts, on a real folder.

use std::fs;

use tempfile::TempDir;

use super::*;

fn config(folder: &TempDir) -> BrokerConfig {
    let limits = Limits {
        topics: 3,
        partitions: 10,
        ..Limits::default()
    };
    BrokerConfig {
        limits,
        ..BrokerConfig::new(folder.path())
    }
}

fn load(config: &BrokerConfig) -> (Data, Topics) {
    let (data, entries) = Data::open(config).unwrap();
    let topics = Topics::load(config, &data, &entries).unwrap();
    (data, topics)
}

/// The end of a run; after it the folder can be used again.
async fn restart((data, topics): (Data, Topics), config: &BrokerConfig) -> (Data, Topics) {
    drop(topics);
    data.journal.put(data.mark_open()).await.unwrap();
    data.close().await.unwrap();
    load(config)
}

fn new(name: &str, partitions: usize) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions,
        overrides: Overrides::new(),
    }
}

fn setting(name: &str, value: &str) -> Overrides {
    Overrides::from([(name.to_owned(), value.to_owned())])
}

/// Names of the folders of all logs, and of those within.
fn folders(folder: &TempDir) -> Vec<String> {
    let names = |path: &std::path::Path| -> Vec<String> {
        let entries = fs::read_dir(path).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    let logs = folder.path().join(crate::LOGS_FOLDER);
    let mut all = Vec::new();
    for topic in names(&logs) {
        let partitions = names(&logs.join(&topic));
        all.extend(
            partitions
                .iter()
                .map(|partition| format!("{topic}/{partition}")),
        );
    }
    all.sort();
    all
}

/// What clients can see of a topic.
fn seen(topics: &Topics, name: &str) -> Option<(Uuid, usize, Overrides)> {
    let topic = topics.get(name)?;
    Some((topic.id, topic.partitions.len(), topic.overrides.clone()))
}

#[tokio::test]
async fn a_restart_keeps_names_ids_partitions_and_settings() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder);
    let (data, topics) = load(&config);
    let made = topics.create(new("a", 2), false).await.unwrap();
    assert_eq!(
        topics.by_id(made.id).map(|topic| topic.name.clone()),
        Some("a".to_owned())
    );
    topics.create(new("b", 1), false).await.unwrap();
    topics.grow("a", 4, false).await.unwrap();
    let change = |_old| Ok(setting("retention.ms", "5000"));
    topics.configure("a", change, false).await.unwrap();
    topics.delete("b").await.unwrap();
    let before = seen(&topics, "a");
    assert_eq!(before, Some((made.id, 4, setting("retention.ms", "5000"))));

    let (_data, topics) = restart((data, topics), &config).await;
    assert_eq!(seen(&topics, "a"), before);
    assert_eq!(topics.get("a").unwrap().settings.retention_ms, 5000);
    assert!(seen(&topics, "b").is_none());
    assert_eq!(folders(&folder).len(), 4);
}

#[tokio::test]
async fn a_topic_made_anew_is_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let (_data, topics) = load(&config(&folder));
    let first = topics.create(new("a", 1), false).await.unwrap();
    topics.delete("a").await.unwrap();
    let second = topics.create(new("a", 1), false).await.unwrap();
    assert_ne!(first.id, second.id);
    assert!(topics.by_id(first.id).is_none());
    assert!(matches!(
        first.partitions[0].read(0, 1, true),
        Err(crate::log::ReadError::Gone)
    ));
}

#[tokio::test]
async fn what_is_only_validated_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder);
    let (data, topics) = load(&config);
    topics.create(new("a", 1), true).await.unwrap();
    assert!(seen(&topics, "a").is_none());
    assert_eq!(folders(&folder), Vec::<String>::new());

    topics.create(new("a", 1), false).await.unwrap();
    let before = (seen(&topics, "a"), folders(&folder));
    topics.grow("a", 3, true).await.unwrap();
    let change = |_old| Ok(setting("retention.ms", "5000"));
    topics.configure("a", change, true).await.unwrap();
    assert_eq!((seen(&topics, "a"), folders(&folder)), before);
    let (_data, topics) = restart((data, topics), &config).await;
    assert_eq!((seen(&topics, "a"), folders(&folder)), before);
}

#[tokio::test]
async fn limits_hold_for_what_is_made_and_what_grows() {
    let folder = tempfile::tempdir().unwrap();
    let (_data, topics) = load(&config(&folder));
    let is_limit = |refused: Result<(), TopicError>| matches!(refused, Err(TopicError::Limit(_)));
    let create = async |name: &str, partitions, validate_only| {
        topics
            .create(new(name, partitions), validate_only)
            .await
            .map(|_topic| ())
    };
    assert!(is_limit(create("a", 11, false).await));
    assert!(is_limit(create("a", usize::MAX >> 1, true).await));
    create("a", 8, false).await.unwrap();
    assert!(is_limit(create("b", 3, true).await));
    assert!(is_limit(topics.grow("a", 11, false).await));
    assert!(is_limit(topics.grow("a", i32::MAX, true).await));
    create("b", 1, false).await.unwrap();
    create("c", 1, false).await.unwrap();
    assert!(is_limit(create("d", 1, false).await));
    topics.delete("b").await.unwrap();
    create("d", 1, false).await.unwrap();
    assert_eq!(folders(&folder).len(), 10);
}

#[tokio::test]
async fn refusals_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (_data, topics) = load(&config(&folder));
    topics.create(new("a", 2), false).await.unwrap();
    let before = (seen(&topics, "a"), folders(&folder));
    let again = topics.create(new("a", 1), false).await;
    assert!(matches!(again, Err(TopicError::Exists(_))));
    let wrong = NewTopic {
        overrides: setting("cleanup.policy", "compact"),
        ..new("b", 1)
    };
    assert!(matches!(
        topics.create(wrong, false).await,
        Err(TopicError::Setting(_))
    ));
    for count in [2, 1, 0, -1, i32::MIN] {
        let shrunk = topics.grow("a", count, false).await;
        assert!(matches!(shrunk, Err(TopicError::Partitions(_))), "{count}");
    }
    let change = |_old| Ok(setting("retention.ms", "soon"));
    let wrong = topics.configure("a", change, false).await;
    assert!(matches!(wrong, Err(TopicError::Setting(_))));
    let absent = [
        topics.delete("b").await,
        topics.grow("b", 3, false).await,
        topics.configure("b", Ok, false).await,
    ];
    assert!(
        absent
            .iter()
            .all(|one| matches!(one, Err(TopicError::Unknown(_))))
    );
    assert_eq!((seen(&topics, "a"), folders(&folder)), before);
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_made_and_leaves_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let (data, topics) = load(&config(&folder));
    topics.create(new("a", 2), false).await.unwrap();
    let before = (seen(&topics, "a"), folders(&folder));
    data.journal.clone().close();
    let refused = [
        topics.create(new("b", 3), false).await.map(|_topic| ()),
        topics.grow("a", 4, false).await,
        topics.delete("a").await,
        topics
            .configure("a", |_old| Ok(setting("retention.ms", "5000")), false)
            .await,
    ];
    assert!(
        refused
            .iter()
            .all(|one| matches!(one, Err(TopicError::Storage(_)))),
        "{refused:?}"
    );
    assert!(seen(&topics, "b").is_none());
    assert_eq!((seen(&topics, "a"), folders(&folder)), before);
    // And what there was can be used.
    let log = topics.partition("a", 1).unwrap();
    assert!(log.read(0, 1, true).is_ok());
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_takes_the_rest_of_the_topic_along() {
    let folder = tempfile::tempdir().unwrap();
    let (_data, topics) = load(&config(&folder));
    topics.create(new("a", 1), false).await.unwrap();
    let of_topic = topics.folder(&topics.get("a").unwrap());
    // In the way of partition 2.
    fs::write(of_topic.join("2"), b"").unwrap();
    let refused = topics.grow("a", 4, false).await;
    assert!(
        matches!(refused, Err(TopicError::Storage(_))),
        "{refused:?}"
    );
    assert!(!of_topic.join("1").exists());
    fs::remove_file(of_topic.join("2")).unwrap();
    topics.grow("a", 4, false).await.unwrap();
    assert_eq!(folders(&folder).len(), 4);
}

/// Folders as a broker leaves that is killed while topics are made or deleted, and some of others.
fn leave_folders(folder: &TempDir) -> [PathBuf; 4] {
    let logs = folder.path().join(crate::LOGS_FOLDER);
    let half_made = logs.join(folders::folder("a", Uuid::new_v4()));
    fs::create_dir_all(half_made.join("0")).unwrap();
    let of_others = ["notes", "old~", "a~b"].map(|name| logs.join(name));
    fs::create_dir(&of_others[0]).unwrap();
    fs::write(&of_others[1], b"").unwrap();
    fs::create_dir(&of_others[2]).unwrap();
    let [notes, backup, odd] = of_others;
    [half_made, notes, backup, odd]
}

#[tokio::test]
async fn half_made_folders_are_removed_at_the_start_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder);
    let (data, topics) = load(&config);
    topics.create(new("a", 1), false).await.unwrap();
    let left = leave_folders(&folder);
    let (_data, topics) = restart((data, topics), &config).await;
    assert_eq!(left.map(|path| path.exists()), [false, true, true, true]);
    assert!(topics.folder(&topics.get("a").unwrap()).join("0").exists());
}

#[tokio::test]
async fn where_the_journal_was_damaged_no_folder_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder);
    let (data, topics) = load(&config);
    data.journal.put(data.mark_open()).await.unwrap();
    let lost = topics.create(new("lost", 1), false).await.unwrap();
    topics.create(new("kept", 1), false).await.unwrap();
    drop(topics);
    data.close().await.unwrap();
    let path = folder.path().join("journal");
    let journal = fs::read_to_string(&path).unwrap();
    fs::write(&path, journal.replace("topic/lost", "topic/lots")).unwrap();

    let (_data, topics) = load(&config);
    assert!(seen(&topics, "lost").is_none() && seen(&topics, "kept").is_some());
    assert!(topics.folder(&lost).join("0").exists());
}
