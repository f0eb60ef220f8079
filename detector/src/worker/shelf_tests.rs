//! Which models are loaded, when one makes room, and what is answered where there is none.

use std::sync::atomic::{AtomicUsize, Ordering};

use pipeline::catalogue::rollout::Rollout;
use pipeline::detections::Classification;

use super::super::onnx_store::OnnxStore;
use super::*;
use crate::image::RgbImage;
use crate::model::manifest::Manifest;
use crate::model::repository::{Precision, Repository};
use crate::model::{ModelError, Prediction};
use crate::onnx::LoadOptions;

const MANIFEST: &str = r#"name = "NAME"
task = "classification"
[input]
name = "image"
layout = "nchw"
channels = "rgb"
range = "0-1"
resize = { mode = "fixed", width = 8, height = 8 }
[output]
convention = "logits"
[batching]
max_batch_size = 4
[thresholds]
[files]
fp32 = "model.onnx"
[[labels]]
name = "bolt"
"#;

pub(crate) fn manifest(name: &str) -> Manifest {
    let text = MANIFEST.replace("NAME", name);
    Manifest::parse(&text, "model.toml".as_ref()).unwrap()
}

/// A model that fails on pictures of one pixel and counts its runs. From version 3 on it sees a nut
/// where it saw a bolt.
pub(crate) struct FakeModel {
    manifest: Manifest,
    version: u32,
    runs: Arc<AtomicUsize>,
    memory_bytes: u64,
}

impl Model for FakeModel {
    fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn precision(&self) -> Precision {
        Precision::Fp32
    }

    fn predict(&mut self, images: &[&RgbImage]) -> Result<Vec<Prediction>, ModelError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        if images.iter().any(|image| image.pixels().len() == 3) {
            return Err(ModelError::Engine("one pixel is too few".into()));
        }
        let class = Classification {
            label: if self.version < 3 { "bolt" } else { "nut" }.to_owned(),
            score: 0.5,
        };
        Ok(vec![Prediction::Classes(vec![class]); images.len()])
    }
}

/// Has every model whose name begins with `m`: in versions 1 and 2, of which 1 serves, unless
/// something else is offered. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct FakeStore {
    pub(crate) loads: Arc<Mutex<Vec<String>>>,
    pub(crate) runs: Arc<AtomicUsize>,
    /// Loads that fail before one succeeds.
    pub(crate) broken_loads: usize,
    pub(crate) world: Arc<Mutex<World>>,
}

/// The repository that is pretended.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) offered: HashMap<String, Vec<u32>>,
    pub(crate) rollouts: HashMap<String, Rollout>,
    pub(crate) stamps: HashMap<(String, u32), u64>,
    pub(crate) broken: Vec<(String, u32)>,
    pub(crate) unreadable: bool,
    /// What models take when they are loaded; nothing is known of it before.
    pub(crate) memory: HashMap<String, u64>,
}

impl Store for FakeStore {
    fn versions(&mut self, name: &str) -> Result<Versions, ShelfError> {
        let world = self.world.lock().unwrap();
        if world.unreadable {
            return Err(ShelfError::Unusable("rollout.toml is torn".to_owned()));
        }
        if !name.starts_with('m') {
            let text = format!("there is no model {name:?}; there is m1");
            return Err(ShelfError::Unknown(text));
        }
        let (offered, rollout) = if let Some(offered) = world.offered.get(name) {
            let rollout = world.rollouts.get(name).cloned();
            (offered.clone(), rollout.unwrap_or_default())
        } else {
            let mut first = Rollout::default();
            first.now.current = Some(1);
            (vec![1, 2], first)
        };
        Ok(Versions {
            name: name.to_owned(),
            folder: name.into(),
            offered,
            rollout,
        })
    }

    fn stamp(&mut self, model: &ModelVersion) -> Option<Stamp> {
        let offered = self.versions(&model.name).ok()?.offered;
        let world = self.world.lock().unwrap();
        let stamp = world.stamps.get(&(model.name.clone(), model.version));
        let stamp = Stamp::new(stamp.copied().unwrap_or_default());
        offered.contains(&model.version).then_some(stamp)
    }

    fn expected_bytes(&mut self, _model: &ModelVersion) -> u64 {
        0
    }

    fn load(&mut self, model: &ModelVersion) -> Result<Box<dyn Model>, ShelfError> {
        let name = (model.name.clone(), model.version);
        let is_broken = self.world.lock().unwrap().broken.contains(&name);
        if is_broken || self.broken_loads > 0 {
            self.broken_loads = self.broken_loads.saturating_sub(1);
            return Err(ShelfError::Unusable("the file is cut short".to_owned()));
        }
        let memory = self.world.lock().unwrap().memory.get(&model.name).copied();
        let mut loads = self.loads.lock().unwrap();
        loads.push(format!("{}@{}", model.name, model.version));
        Ok(Box::new(FakeModel {
            manifest: manifest(&model.name),
            version: model.version,
            runs: Arc::clone(&self.runs),
            memory_bytes: memory.unwrap_or(0),
        }))
    }
}

fn wanted(text: &str) -> ModelRef {
    text.parse().unwrap()
}

fn shelf(capacity: usize) -> (Shelf<FakeStore>, Arc<Mutex<Vec<String>>>, BatchRules) {
    let store = FakeStore::default();
    let loads = Arc::clone(&store.loads);
    let rules = BatchRules::default();
    let told = (rules.clone(), Board::default());
    (Shelf::new(store, capacity, told), loads, rules)
}

fn size(rules: &BatchRules, model: &ModelRef) -> usize {
    rules.of(model).max_size
}

#[test]
fn a_model_is_loaded_once_however_it_is_called() {
    let (mut shelf, loads, _) = shelf(3);
    for name in ["m1", "m1@1", "m1", "m1@2", "m1"] {
        shelf.get(&wanted(name)).unwrap();
    }
    assert_eq!(*loads.lock().unwrap(), ["m1@1", "m1@2"]);
}

#[test]
fn the_model_that_was_not_used_for_longest_makes_room() {
    let (mut shelf, loads, _) = shelf(3);
    for name in ["m1", "m2", "m3", "m1", "m4", "m1", "m2"] {
        shelf.get(&wanted(name)).unwrap();
    }
    let expected = ["m1@1", "m2@1", "m3@1", "m4@1", "m2@1"];
    assert_eq!(*loads.lock().unwrap(), expected);
    let names: Vec<_> = shelf.names().map(|model| model.name.clone()).collect();
    assert_eq!(names, ["m4", "m1", "m2"]);
}

#[test]
fn the_default_model_is_never_put_away() {
    let (mut shelf, loads, _) = shelf(2);
    shelf.load_default(&wanted("m0")).unwrap();
    for name in ["m1", "m2", "m0", "m3"] {
        shelf.get(&wanted(name)).unwrap();
    }
    let expected = ["m0@1", "m1@1", "m2@1", "m3@1"];
    assert_eq!(*loads.lock().unwrap(), expected);
}

#[test]
fn batch_sizes_are_known_while_a_model_is_loaded() {
    let (mut shelf, _, rules) = shelf(2);
    assert_eq!(size(&rules, &wanted("m1")), 1, "nothing is known yet");
    shelf.get(&wanted("m1")).unwrap();
    shelf.get(&wanted("m1@1")).unwrap();
    assert_eq!(
        (size(&rules, &wanted("m1")), size(&rules, &wanted("m1@1"))),
        (4, 4)
    );
    shelf.get(&wanted("m2")).unwrap();
    shelf.get(&wanted("m3")).unwrap();
    assert_eq!(
        (size(&rules, &wanted("m1")), size(&rules, &wanted("m3"))),
        (1, 4)
    );
}

#[test]
fn what_is_not_there_is_unknown_and_what_is_broken_is_unusable() {
    let store = FakeStore {
        broken_loads: 1,
        ..FakeStore::default()
    };
    let mut shelf = Shelf::new(store, 2, <_>::default());
    let mut error = |name: &str| shelf.get(&wanted(name)).map(|_| ()).unwrap_err();
    assert!(matches!(error("x"), ShelfError::Unknown(reason) if reason.contains("there is m1")));
    let alias = error("m1@night");
    assert!(matches!(alias, ShelfError::Unknown(reason) if reason.contains("called \"night\"")));
    assert!(matches!(error("m1"), ShelfError::Unusable(_)));
    assert!(
        shelf.get(&wanted("m1")).is_ok(),
        "asked again, it is tried again"
    );
}

#[test]
fn the_repository_says_what_there_is_and_not_where() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("mine");
    std::fs::create_dir_all(folder.join("1")).unwrap();
    std::fs::write(folder.join("model.toml"), MANIFEST.replace("NAME", "mine")).unwrap();
    let mut store = OnnxStore {
        repository: Repository::new(root.path()),
        library: None,
        options: LoadOptions::default(),
        asked: <_>::default(),
        tuning: root.path().join("tuning.toml"),
        seen: <_>::default(),
    };
    let error = store.versions("yours").unwrap_err();
    let expected = "there is no model \"yours\"; there is mine";
    assert_eq!(error, ShelfError::Unknown(expected.to_owned()));
    assert_eq!(store.versions("mine").unwrap().offered, [1]);
    let mine = |version| ModelVersion {
        name: "mine".to_owned(),
        version,
    };
    assert!(store.stamp(&mine(1)).is_some() && store.stamp(&mine(2)).is_none());
    let mut load = |version| store.load(&mine(version)).map(|_| ()).unwrap_err();
    assert!(matches!(load(2), ShelfError::Unknown(_)));
    std::fs::write(folder.join("model.toml"), "broken").unwrap();
    assert!(matches!(load(1), ShelfError::Unusable(_)));
    std::fs::write(folder.join("rollout.toml"), "broken").unwrap();
    assert!(matches!(
        store.versions("mine"),
        Err(ShelfError::Unusable(_))
    ));
}

#[test]
fn a_model_that_is_taken_comes_back_or_is_loaded_anew() {
    let (mut shelf, loads, rules) = shelf(2);
    let taken = shelf.take(&wanted("m1")).unwrap();
    shelf.put_back(taken);
    let taken = shelf.take(&wanted("m1")).unwrap();
    assert_eq!(loads.lock().unwrap().len(), 1, "it was there");
    shelf.forget(&taken.name);
    assert_eq!(shelf.names().count(), 0);
    assert_eq!(size(&rules, &wanted("m1")), 1, "nothing is known of it");
    shelf.get(&wanted("m1")).unwrap();
    assert_eq!(loads.lock().unwrap().len(), 2);
}

#[test]
fn what_the_default_model_serves_with_stays_be_there_room_or_not() {
    let (mut shelf, loads, _) = shelf(2);
    shelf.load_default(&wanted("m0")).unwrap();
    let kept = |version| ModelVersion {
        name: "m0".to_owned(),
        version,
    };
    shelf.get(&wanted("m0@2")).unwrap();
    shelf.board.keep(vec![kept(1), kept(2)]);
    for name in ["m1", "m0", "m0@2", "m2", "m0", "m0@2"] {
        shelf.get(&wanted(name)).unwrap();
    }
    assert_eq!(*loads.lock().unwrap(), ["m0@1", "m0@2", "m1@1", "m2@1"]);
    assert_eq!(shelf.names().count(), 3, "one more than there is room for");
}

#[test]
fn where_the_newest_cannot_be_loaded_the_next_newest_stands_in_and_it_is_told() {
    let (mut shelf, _, _) = shelf(2);
    {
        let mut world = shelf.store.world.lock().unwrap();
        world.offered.insert("m0".to_owned(), vec![1, 2, 3]);
        world.broken.push(("m0".to_owned(), 3));
    }
    assert_eq!(shelf.load_default(&wanted("m0")).unwrap().name.version, 2);
    let failures = shelf.board.failures();
    let told: Vec<_> = failures
        .iter()
        .map(|(n, f)| (n.version, &*f.reason))
        .collect();
    assert_eq!(told, [(3, "the file is cut short")]);
    assert!(
        shelf.get(&wanted("m0@3")).is_err(),
        "nobody stands in for a number"
    );
}

#[test]
fn a_delivered_model_takes_the_place_of_its_like() {
    let (mut shelf, loads, rules) = shelf(2);
    shelf.get(&wanted("m1")).unwrap();
    let fresh = shelf.store.load(&ModelVersion {
        name: "m1".to_owned(),
        version: 1,
    });
    let name = shelf.names().next().unwrap().clone();
    shelf
        .board
        .deliver(Delivery::Put(name.clone(), fresh.unwrap()));
    shelf.get(&wanted("m1")).unwrap();
    assert_eq!((shelf.names().count(), shelf.changes()), (1, 2));
    assert_eq!(size(&rules, &wanted("m1@1")), 4, "routed frames ask so");
    shelf.board.deliver(Delivery::Drop(name));
    shelf.take_deliveries();
    assert_eq!((shelf.names().count(), size(&rules, &wanted("m1"))), (0, 1));
    shelf.get(&wanted("m1")).unwrap();
    assert_eq!(loads.lock().unwrap().len(), 3);
}

/// A shelf for many models, with a budget of 100 MiB and models of 30, 40, 50, 90 and 101.
fn shelf_with_budget() -> Shelf<FakeStore> {
    let store = FakeStore::default();
    for (name, bytes) in [("m0", 30), ("m1", 40), ("m2", 50), ("m3", 90), ("m4", 101)] {
        let mut world = store.world.lock().unwrap();
        world.memory.insert(name.to_owned(), bytes << 20);
    }
    let board = Board::with_budget(Some(100 << 20));
    Shelf::new(store, 9, (BatchRules::default(), board))
}

fn on_shelf(shelf: &Shelf<FakeStore>) -> Vec<&str> {
    shelf.names().map(|model| &*model.name).collect()
}

#[test]
fn the_memory_of_all_models_stays_within_the_budget() {
    let mut shelf = shelf_with_budget();
    shelf.load_default(&wanted("m0")).unwrap();
    shelf.get(&wanted("m1")).unwrap();
    assert!(shelf.take_evictions().is_empty(), "70 of 100");
    shelf.get(&wanted("m2")).unwrap();
    assert_eq!(
        on_shelf(&shelf),
        ["m0", "m2"],
        "m1 was not used for longest"
    );
    let evictions = shelf.take_evictions();
    assert_eq!((evictions.len(), evictions[0].1), (1, Room::Memory));
    assert_eq!(evictions[0].0.name, "m1");
    assert_eq!(shelf.board.memory().used_bytes(), 80 << 20);
    // Shadows take their part.
    shelf.board.report_shadows(40 << 20);
    let error = shelf.get(&wanted("m1")).map(|_| ()).unwrap_err();
    assert!(
        error.to_string().contains("m1@1 takes 40.0 MiB beside"),
        "{error}"
    );
    assert_eq!(on_shelf(&shelf), ["m0"], "no room beside the shadow");
}

#[test]
fn a_model_that_cannot_fit_is_refused_and_drives_nobody_out() {
    let mut shelf = shelf_with_budget();
    shelf.load_default(&wanted("m0")).unwrap();
    shelf.get(&wanted("m2")).unwrap();
    for name in ["m3", "m4"] {
        let error = shelf.get(&wanted(name)).map(|_| ()).unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, ShelfError::Unusable(_)), "{told}");
        assert!(
            told.contains("--model-memory-budget allows 100.0 MiB"),
            "{told}"
        );
    }
    assert_eq!(on_shelf(&shelf), ["m0", "m2"]);
    let mut shelf = shelf_with_budget();
    let error = shelf.load_default(&wanted("m4")).map(|_| ()).unwrap_err();
    assert!(
        error.to_string().contains("m4@1 takes 101.0 MiB, and"),
        "{error}"
    );
}
