//! The journal against a failing disk, a torn file, and a plain map as its model.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use serde_json::json;

use super::super::disk::DiskFile;
use super::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The write puts down this many bytes, then the disk is full.
    Write(usize),
    WriteAndCut(usize),
    Sync,
    SyncThenReplace,
    SyncThenFolder,
}

/// A real file that fails as told; each fault is used up by the commit it strikes.
struct FaultyFile {
    inner: DiskFile,
    faults: Arc<Mutex<VecDeque<Fault>>>,
}

impl FaultyFile {
    fn take(&self, wanted: impl Fn(Fault) -> Option<Option<Fault>>) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let fault = *faults.front()?;
        let then = wanted(fault)?;
        faults.pop_front();
        faults.extend(then);
        Some(fault)
    }
}

fn full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

impl JournalFile for FaultyFile {
    fn write_at(&mut self, bytes: &[u8], position: u64) -> io::Result<()> {
        let fault = self.take(|fault| match fault {
            Fault::Write(_) => Some(None),
            Fault::WriteAndCut(part) => Some(Some(Fault::WriteAndCut(part))),
            _ => None,
        });
        if let Some(Fault::Write(part) | Fault::WriteAndCut(part)) = fault {
            self.inner
                .write_at(&bytes[..part.min(bytes.len())], position)?;
            return Err(full());
        }
        self.inner.write_at(bytes, position)
    }

    fn sync(&mut self) -> io::Result<()> {
        let fault = self.take(|fault| match fault {
            Fault::Sync => Some(None),
            Fault::SyncThenReplace | Fault::SyncThenFolder => Some(Some(fault)),
            _ => None,
        });
        if fault.is_some() {
            Err(full())
        } else {
            self.inner.sync()
        }
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        match self.take(|fault| matches!(fault, Fault::WriteAndCut(_)).then_some(None)) {
            Some(_) => Err(full()),
            None => self.inner.set_len(len),
        }
    }

    fn replace(&mut self, contents: &[u8]) -> io::Result<()> {
        match self.take(|fault| (fault == Fault::SyncThenReplace).then_some(None)) {
            Some(_) => Err(full()),
            None => self.inner.replace(contents),
        }
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        match self.take(|fault| (fault == Fault::SyncThenFolder).then_some(None)) {
            Some(_) => Err(full()),
            None => self.inner.sync_folder(),
        }
    }

    fn keep_damaged(&mut self, contents: &[u8]) -> io::Result<PathBuf> {
        self.inner.keep_damaged(contents)
    }
}

type Entries = BTreeMap<String, Value>;
type Changes = Vec<(String, Option<Value>)>;

struct Bench {
    folder: tempfile::TempDir,
    faults: Arc<Mutex<VecDeque<Fault>>>,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            faults: Arc::default(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    fn open(&self) -> (Store<FaultyFile>, Entries) {
        open_with(&self.path(), self.faults.clone())
    }

    fn fail_next(&self, fault: Fault) {
        self.faults.lock().unwrap().push_back(fault);
    }
}

fn open_with(path: &Path, faults: Arc<Mutex<VecDeque<Fault>>>) -> (Store<FaultyFile>, Entries) {
    let (inner, contents) = DiskFile::open(path).unwrap();
    assert!(line::is_readable(&contents));
    Store::recover(FaultyFile { inner, faults }, &contents).unwrap()
}

fn commit(store: &mut Store<FaultyFile>, changes: &Changes) -> io::Result<()> {
    let set: ChangeSet = changes
        .iter()
        .map(|(key, value)| (key.clone(), value.as_ref().map(Value::to_string)))
        .collect();
    let mut lines = Vec::new();
    line::encode(&set, &mut lines);
    store.commit(&lines, vec![set])
}

fn set(key: &str, value: Value) -> Changes {
    vec![(key.to_owned(), Some(value))]
}

fn apply(model: &mut Entries, changes: &Changes) {
    for (key, value) in changes {
        match value {
            Some(value) => model.insert(key.clone(), value.clone()),
            None => model.remove(key),
        };
    }
}

#[test]
fn a_file_cut_at_any_byte_holds_the_change_sets_that_are_whole() {
    let bench = Bench::new();
    let sets = [
        vec![
            ("a".to_owned(), Some(json!(1))),
            ("b".to_owned(), Some(json!({"x": "y"}))),
        ],
        vec![
            ("a".to_owned(), None),
            ("c".to_owned(), Some(json!([1, 2]))),
        ],
        set("b", json!("last")),
    ];
    let (mut store, _) = bench.open();
    let mut states = vec![(store.len as usize, Entries::new())];
    for changes in &sets {
        commit(&mut store, changes).unwrap();
        let mut state = states.last().unwrap().1.clone();
        apply(&mut state, changes);
        states.push((store.len as usize, state));
    }
    let whole = fs::read(bench.path()).unwrap();
    for cut in 0..=whole.len() {
        let torn = Bench::new();
        fs::write(torn.path(), &whole[..cut]).unwrap();
        let (mut store, entries) = torn.open();
        let expected = states
            .iter()
            .rev()
            .find(|(len, _)| *len <= cut)
            .unwrap_or(&states[0]);
        assert_eq!(entries, expected.1, "cut at {cut}");
        commit(&mut store, &set("after", json!(cut))).unwrap();
        let (_, reopened) = torn.open();
        assert_eq!(reopened.len(), entries.len() + 1, "cut at {cut}");
        assert_eq!(reopened["after"], json!(cut));
    }
}

#[test]
fn zeros_after_the_last_line_are_cut_too() {
    let bench = Bench::new();
    commit(&mut bench.open().0, &set("a", json!(1))).unwrap();
    let mut bytes = fs::read(bench.path()).unwrap();
    let good = bytes.len();
    bytes.extend([0; 4096]);
    fs::write(bench.path(), bytes).unwrap();
    assert_eq!(bench.open().1["a"], json!(1));
    assert_eq!(fs::metadata(bench.path()).unwrap().len(), good as u64);
}

#[test]
fn damage_in_the_middle_loses_that_line_only_and_keeps_a_copy() {
    let bench = Bench::new();
    let (mut store, _) = bench.open();
    for key in ["a", "b", "c"] {
        commit(&mut store, &set(key, json!("value"))).unwrap();
    }
    let mut bytes = fs::read(bench.path()).unwrap();
    let middle = bytes
        .windows(3)
        .position(|window| window == b"\"b\"")
        .unwrap();
    bytes[middle + 1] = b'x';
    fs::write(bench.path(), &bytes).unwrap();
    let (_, entries) = bench.open();
    assert_eq!(entries.keys().collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(
        fs::read(bench.folder.path().join("journal.damaged")).unwrap(),
        bytes
    );
    assert_eq!(bench.open().1, entries);
}

#[test]
fn a_failed_write_leaves_nothing_behind_and_the_next_one_works() {
    let faults = [
        Fault::Write(0),
        Fault::Write(9),
        Fault::Write(usize::MAX),
        Fault::WriteAndCut(20),
        Fault::Sync,
        Fault::SyncThenReplace,
        Fault::SyncThenFolder,
    ];
    for fault in faults {
        let bench = Bench::new();
        let (mut store, _) = bench.open();
        commit(&mut store, &set("kept", json!(1))).unwrap();
        bench.fail_next(fault);
        let mut failures = 0;
        while commit(&mut store, &set("refused", json!("x".repeat(50)))).is_err() {
            failures += 1;
            assert!(failures < 4, "{fault:?} does not heal");
            let left = bench.faults.lock().unwrap().len();
            if left == 0 {
                break;
            }
        }
        assert!(failures > 0, "{fault:?} was never seen");
        commit(&mut store, &set("healed", json!(2))).unwrap();
        let (_, entries) = bench.open();
        assert_eq!(entries["kept"], json!(1), "{fault:?}");
        assert_eq!(entries["healed"], json!(2), "{fault:?}");
        assert!(!entries.contains_key("refused"), "{fault:?}");
    }
}

#[test]
fn what_was_refused_does_not_come_back_even_if_it_could_not_be_cut() {
    let bench = Bench::new();
    let (mut store, _) = bench.open();
    commit(&mut store, &set("kept", json!(1))).unwrap();
    // The whole line reaches the file, and still the write fails.
    bench.fail_next(Fault::WriteAndCut(usize::MAX));
    commit(&mut store, &set("refused", json!(2))).unwrap_err();
    let (_, entries) = bench.open();
    assert_eq!(entries, BTreeMap::from([("kept".to_owned(), json!(1))]));
}

#[test]
fn a_file_full_of_old_values_is_rewritten() {
    let bench = Bench::new();
    let (mut store, _) = bench.open();
    store.min_garbage_bytes = 1_000;
    for round in 0..500 {
        commit(&mut store, &set("offset/g/t/0", json!({"offset": round}))).unwrap();
        store.compact_if_worthwhile();
        assert!(store.len < 1_200, "grew to {}", store.len);
    }
    assert_eq!(fs::metadata(bench.path()).unwrap().len(), store.len);
    assert_eq!(
        bench.open().1,
        BTreeMap::from([("offset/g/t/0".to_owned(), json!({"offset": 499}))])
    );
    assert!(!bench.folder.path().join("journal.new").exists());
}

#[test]
fn a_rewrite_that_fails_costs_nothing_and_is_tried_again_later() {
    let bench = Bench::new();
    let (mut store, _) = bench.open();
    store.min_garbage_bytes = 1_000;
    let blocked = bench.folder.path().join("journal.new");
    fs::create_dir(&blocked).unwrap();
    for round in 0..60 {
        commit(&mut store, &set("key", json!({"offset": round}))).unwrap();
        store.compact_if_worthwhile();
    }
    let grown = store.len;
    assert!(grown > 1_000);
    fs::remove_dir(&blocked).unwrap();
    for round in 0..60 {
        commit(&mut store, &set("key", json!({"offset": round}))).unwrap();
        store.compact_if_worthwhile();
    }
    assert!(store.len < grown);
    assert_eq!(bench.open().1["key"], json!({"offset": 59}));
}

#[derive(Clone, Debug)]
enum Step {
    Put(Changes),
    Fail(Fault),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let value = prop_oneof![
        any::<i64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        Just(Value::Null),
    ];
    let change = ("[a-f]", proptest::option::weighted(0.7, value));
    let fault = prop_oneof![
        (0_usize..80).prop_map(Fault::Write),
        (0_usize..80).prop_map(Fault::WriteAndCut),
        Just(Fault::Sync),
        Just(Fault::SyncThenReplace),
        Just(Fault::SyncThenFolder),
    ];
    let step = prop_oneof![
        8 => proptest::collection::vec(change, 1..4).prop_map(Step::Put),
        1 => fault.prop_map(Step::Fail),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn reopening_equals_a_map_whatever_fails_on_the_way(steps in steps()) {
        let bench = Bench::new();
        let mut model = Entries::new();
        let (mut store, _) = bench.open();
        store.min_garbage_bytes = 300;
        for step in steps {
            match step {
                Step::Put(changes) => {
                    if commit(&mut store, &changes).is_ok() {
                        apply(&mut model, &changes);
                    }
                    store.compact_if_worthwhile();
                }
                Step::Fail(fault) => bench.fail_next(fault),
                Step::Reopen => {
                    bench.faults.lock().unwrap().clear();
                    let (reopened, entries) = bench.open();
                    prop_assert_eq!(&entries, &model);
                    store = reopened;
                    store.min_garbage_bytes = 300;
                }
            }
        }
        bench.faults.lock().unwrap().clear();
        prop_assert_eq!(bench.open().1, model);
    }
}
