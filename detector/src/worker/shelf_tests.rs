//! Which models are loaded, when one makes room, and what is answered where there is none.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::image::RgbImage;
use crate::model::manifest::Manifest;
use crate::model::{ModelError, Prediction};

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

/// A model that fails on pictures of one pixel and counts its runs.
pub(crate) struct FakeModel {
    manifest: Manifest,
    version: u32,
    runs: Arc<AtomicUsize>,
}

impl Model for FakeModel {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn predict(&mut self, images: &[&RgbImage]) -> Result<Vec<Prediction>, ModelError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        if images.iter().any(|image| image.pixels().len() == 3) {
            return Err(ModelError::Engine("one pixel is too few".into()));
        }
        Ok(vec![Prediction::Classes(Vec::new()); images.len()])
    }
}

/// Has every model whose name begins with `m`, in version 1 unless another is asked for.
#[derive(Default)]
pub(crate) struct FakeStore {
    pub(crate) loads: Arc<Mutex<Vec<String>>>,
    pub(crate) runs: Arc<AtomicUsize>,
    /// Loads that fail before one succeeds.
    pub(crate) broken_loads: usize,
}

impl Store for FakeStore {
    fn find(&mut self, wanted: &ModelRef) -> Result<ModelVersion, ShelfError> {
        let reference = reference_of(wanted)?;
        if !reference.name.starts_with('m') {
            let text = format!("there is no model {:?}; there is m1", reference.name);
            return Err(ShelfError::Unknown(text));
        }
        Ok(ModelVersion {
            name: reference.name,
            version: reference.version.unwrap_or(1),
        })
    }

    fn load(&mut self, model: &ModelVersion) -> Result<Box<dyn Model>, ShelfError> {
        if self.broken_loads > 0 {
            self.broken_loads -= 1;
            return Err(ShelfError::Unusable("the file is cut short".to_owned()));
        }
        let mut loads = self.loads.lock().unwrap();
        loads.push(format!("{}@{}", model.name, model.version));
        Ok(Box::new(FakeModel {
            manifest: manifest(&model.name),
            version: model.version,
            runs: Arc::clone(&self.runs),
        }))
    }
}

fn wanted(text: &str) -> ModelRef {
    text.parse().unwrap()
}

fn shelf(capacity: usize) -> (Shelf<FakeStore>, Arc<Mutex<Vec<String>>>, BatchSizes) {
    let store = FakeStore::default();
    let loads = Arc::clone(&store.loads);
    let sizes = BatchSizes::default();
    (Shelf::new(store, capacity, sizes.clone()), loads, sizes)
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
    let (mut shelf, _, sizes) = shelf(2);
    assert_eq!(sizes.of(&wanted("m1")), 1, "nothing is known yet");
    shelf.get(&wanted("m1")).unwrap();
    shelf.get(&wanted("m1@1")).unwrap();
    assert_eq!((sizes.of(&wanted("m1")), sizes.of(&wanted("m1@1"))), (4, 4));
    shelf.get(&wanted("m2")).unwrap();
    shelf.get(&wanted("m3")).unwrap();
    assert_eq!((sizes.of(&wanted("m1")), sizes.of(&wanted("m3"))), (1, 4));
}

#[test]
fn what_is_not_there_is_unknown_and_what_is_broken_is_unusable() {
    let store = FakeStore {
        broken_loads: 1,
        ..FakeStore::default()
    };
    let mut shelf = Shelf::new(store, 2, BatchSizes::default());
    let mut error = |name: &str| shelf.get(&wanted(name)).map(|_| ()).unwrap_err();
    assert!(matches!(error("x"), ShelfError::Unknown(reason) if reason.contains("there is m1")));
    let alias = error("m1@stable");
    assert!(matches!(alias, ShelfError::Unknown(reason) if reason.contains("no alias \"stable\"")));
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
    };
    let error = store.find(&wanted("yours")).unwrap_err();
    let expected = "there is no model \"yours\"; there is mine";
    assert_eq!(error, ShelfError::Unknown(expected.to_owned()));
    assert!(matches!(
        store.find(&wanted("mine@2")),
        Err(ShelfError::Unknown(_))
    ));
    let found = store.find(&wanted("mine")).unwrap();
    assert_eq!((&*found.name, found.version), ("mine", 1));
    std::fs::write(folder.join("model.toml"), "broken").unwrap();
    assert!(matches!(
        store.find(&wanted("mine")),
        Err(ShelfError::Unusable(_))
    ));
}

#[test]
fn a_model_that_is_taken_comes_back_or_is_loaded_anew() {
    let (mut shelf, loads, sizes) = shelf(2);
    let taken = shelf.take(&wanted("m1")).unwrap();
    shelf.put_back(taken);
    let taken = shelf.take(&wanted("m1")).unwrap();
    assert_eq!(loads.lock().unwrap().len(), 1, "it was there");
    shelf.forget(&taken.name);
    assert_eq!(shelf.names().count(), 0);
    assert_eq!(sizes.of(&wanted("m1")), 1, "nothing is known of it");
    shelf.get(&wanted("m1")).unwrap();
    assert_eq!(loads.lock().unwrap().len(), 2);
}
