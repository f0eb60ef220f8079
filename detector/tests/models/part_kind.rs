//! The shipped classifier, on pictures of single parts that no training has seen.

use std::path::{Path, PathBuf};

use crate::common::{classes, load};
use belt::Class;
use belt::dataset::{CropOptions, export_crops};
use detector::image::{DEFAULT_MAX_PIXELS, JpegDecoder, RgbImage};
use detector::model::Model as _;

/// Seeds of the training and evaluation sets are far below.
const UNSEEN_SEED: u64 = 7_000_001;

const CROPS: u64 = 60;

fn jpegs_in(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

#[test]
fn parts_are_told_apart_in_batches() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("crops");
    export_crops(&CropOptions {
        directory: directory.clone(),
        count: CROPS,
        seed: UNSEEN_SEED,
        side: 96,
        quality: 90,
        force: false,
    })
    .unwrap();
    let mut decoder = JpegDecoder::new(DEFAULT_MAX_PIXELS).unwrap();
    let mut crops: Vec<(Class, RgbImage)> = Vec::new();
    for class in Class::PARTS {
        for path in jpegs_in(&directory.join(class.name())) {
            crops.push((
                class,
                decoder.decode(&std::fs::read(path).unwrap()).unwrap(),
            ));
        }
    }
    assert_eq!(crops.len() as u64, CROPS);

    let mut model = load(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../models"),
        "part-kind",
    );
    assert!(
        model.manifest().max_batch_size > 1,
        "batches are part of what is tested"
    );
    let images: Vec<&RgbImage> = crops.iter().map(|(_, image)| image).collect();
    let answers = classes(&mut model, &images);
    let right = crops
        .iter()
        .zip(&answers)
        .filter(|((class, _), answer)| {
            answer
                .first()
                .is_some_and(|best| best.label == class.name())
        })
        .count();
    assert!(
        right as u64 * 100 >= CROPS * 93,
        "{right} of {CROPS} are right"
    );

    // A batch answers as each picture alone does.
    for index in [0, 17, 59] {
        let alone = &classes(&mut model, &[images[index]])[0];
        let together = &answers[index];
        assert_eq!(alone.len(), together.len());
        for (one, other) in alone.iter().zip(together) {
            assert_eq!(one.label, other.label);
            assert!(
                (one.score - other.score).abs() < 1e-4,
                "{alone:?} {together:?}"
            );
        }
    }
}
