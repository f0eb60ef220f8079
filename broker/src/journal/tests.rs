//! The journal as its users see it: through the handle, over restarts.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use super::*;

fn set(key: &str, value: Value) -> Vec<(String, Option<Value>)> {
    vec![(key.to_owned(), Some(value))]
}

#[tokio::test]
async fn what_was_put_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (journal, entries) = Journal::open(&path).unwrap();
    assert!(entries.is_empty());
    journal
        .put(set("topic/a", json!({"partitions": 4})))
        .await
        .unwrap();
    journal.put(set("topic/b", json!(1))).await.unwrap();
    journal
        .put(vec![("topic/b".to_owned(), None)])
        .await
        .unwrap();
    // Read while the first handle is open, as after kill -9.
    assert_eq!(
        Journal::open(&path).unwrap().1,
        BTreeMap::from([("topic/a".to_owned(), json!({"partitions": 4}))])
    );
    journal.close();
}

/// A file in memory that can be full, and whose flushes wait to be let through.
struct SlowFile {
    gate: std::sync::mpsc::Receiver<()>,
    begun: Arc<AtomicUsize>,
    flushes: Arc<AtomicUsize>,
    is_full: Arc<AtomicBool>,
}

impl JournalFile for SlowFile {
    fn write_at(&mut self, _bytes: &[u8], _position: u64) -> io::Result<()> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.gate
            .recv()
            .map_err(|_closed| io::ErrorKind::BrokenPipe)?;
        self.flushes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn set_len(&mut self, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn replace(&mut self, _contents: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn keep_damaged(&mut self, _contents: &[u8]) -> io::Result<PathBuf> {
        Ok(PathBuf::new())
    }
}

struct Slow {
    journal: Journal,
    gate: std::sync::mpsc::SyncSender<()>,
    begun: Arc<AtomicUsize>,
    flushes: Arc<AtomicUsize>,
    is_full: Arc<AtomicBool>,
}

impl Slow {
    fn new() -> Self {
        let (gate, receiver) = std::sync::mpsc::sync_channel(1_000);
        let (flushes, is_full) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let begun = Arc::<AtomicUsize>::default();
        let file = SlowFile {
            gate: receiver,
            begun: begun.clone(),
            flushes: flushes.clone(),
            is_full: is_full.clone(),
        };
        let (store, _) = Store::recover(file, line::HEADER).unwrap();
        Self {
            journal: Journal::start(store).unwrap(),
            gate,
            begun,
            flushes,
            is_full,
        }
    }

    fn waiting(&self) -> usize {
        QUEUE_CHANGE_SETS - self.journal.sender().unwrap().capacity()
    }
}

#[tokio::test]
async fn whoever_comes_during_a_flush_shares_the_next_one() {
    let slow = Slow::new();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..101 {
        let journal = slow.journal.clone();
        tasks.spawn(async move { journal.put(set(&format!("k{number}"), json!(number))).await });
        // The first is with the file before the others come.
        while slow.begun.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    }
    while slow.waiting() < 100 {
        tokio::task::yield_now().await;
    }
    for _ in 0..101 {
        slow.gate.send(()).unwrap();
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap().unwrap();
    }
    assert_eq!(slow.flushes.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_full_disk_is_an_error_until_there_is_room_again() {
    let slow = Slow::new();
    slow.gate.send(()).unwrap();
    slow.is_full.store(true, Ordering::SeqCst);
    let error = slow.journal.put(set("a", json!(1))).await.unwrap_err();
    assert!(error.to_string().contains("free space"), "{error}");
    assert_eq!(slow.journal.trouble(), Some(error.to_string()));
    slow.is_full.store(false, Ordering::SeqCst);
    slow.journal.put(set("a", json!(1))).await.unwrap();
    assert_eq!(slow.journal.trouble(), None);
}

#[tokio::test]
async fn a_closed_journal_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(&folder.path().join("journal")).unwrap();
    let other = journal.clone();
    journal.close();
    assert!(matches!(
        other.put(set("a", json!(1))).await,
        Err(JournalError::Closed)
    ));
}

#[test]
fn a_foreign_file_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    fs::write(&path, "somebody's notes\n").unwrap();
    let error = Journal::open(&path).err().unwrap();
    assert!(matches!(error, JournalError::Foreign(_)), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's notes\n");
}

#[test]
fn a_missing_folder_is_named_in_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = Journal::open(&folder.path().join("absent/journal"))
        .err()
        .unwrap();
    assert!(error.to_string().contains("absent/journal"), "{error}");
}
