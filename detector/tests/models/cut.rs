//! The shipped model in three pieces: the same answers as its single graph, and what mistakes are told.

use std::path::{Path, PathBuf};

use belt::{Belt, BeltConfig};
use detector::image::RgbImage;
use detector::model::Model as _;
use detector::model::repository::Precision;
use detector::onnx::{LoadError, OnnxModel};
use pipeline::detections::Instance;
use tempfile::TempDir;

use crate::common::{instances, options, plain_image, resolve, runtime};

const MAX_BOX_DIFFERENCE_PX: f32 = 0.1;
const MAX_SCORE_DIFFERENCE: f32 = 5e-3;
const MIN_MASK_IOU: f64 = 0.99;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

fn load(precision: Precision) -> OnnxModel {
    OnnxModel::load(&runtime(), &resolve(models(), "parts"), &options(precision)).unwrap()
}

/// A frame of a belt of its own.
fn belt(seed: u64, (width, height): (u32, u32)) -> RgbImage {
    let config = BeltConfig {
        seed,
        width,
        height,
        ..BeltConfig::default()
    };
    let scene = Belt::new(config).unwrap().scene(seed % 100);
    RgbImage::new(width, height, scene.image.into_raw()).unwrap()
}

fn box_difference(one: &Instance, other: &Instance) -> f32 {
    let edges = |instance: &Instance| {
        let [x, y, width, height] = <[f32; 4]>::from(instance.bbox);
        [x, y, x + width, y + height]
    };
    let pairs = edges(one).into_iter().zip(edges(other));
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Every certain instance of one is in the other, too. Returns how many there are.
fn assert_contains(those: &[Instance], these: &[Instance], what: &str) -> usize {
    // A score beside the threshold may fall on either side of it.
    let certain = these
        .iter()
        .filter(|one| one.score >= 0.5 + MAX_SCORE_DIFFERENCE);
    let mut count = 0;
    for one in certain {
        let same = those.iter().filter(|other| other.label == one.label);
        let nearest = same.min_by(|a, b| box_difference(a, one).total_cmp(&box_difference(b, one)));
        let nearest = nearest.unwrap_or_else(|| panic!("{what}: a {} is lost", one.label));
        let difference = box_difference(one, nearest);
        assert!(
            difference <= MAX_BOX_DIFFERENCE_PX,
            "{what}: box off by {difference}"
        );
        let difference = (one.score - nearest.score).abs();
        assert!(
            difference <= MAX_SCORE_DIFFERENCE,
            "{what}: score off by {difference}"
        );
        let masks = [one, nearest].map(|instance| instance.segmentation.as_ref().unwrap());
        let iou = masks[0].iou(masks[1]).unwrap();
        assert!(iou >= MIN_MASK_IOU, "{what}: mask IoU {iou}");
        count += 1;
    }
    count
}

#[test]
fn pieces_see_what_the_single_graph_sees_in_any_size() {
    let (mut whole, mut cut) = (load(Precision::Fp32), load(Precision::Cut));
    let sizes = [
        (640, 480),
        (640, 480),
        (640, 480),
        (1280, 720),
        (333, 500),
        (160, 120),
    ];
    let mut compared = 0;
    for (seed, size) in (8_100_001_u64..).zip(sizes) {
        let image = belt(seed, size);
        let (one, other) = (instances(&mut whole, &image), instances(&mut cut, &image));
        let what = format!("{seed} {size:?}");
        compared += assert_contains(&other, &one, &what);
        assert_contains(&one, &other, &what);
    }
    assert!(
        compared >= 15,
        "the belts are too empty to tell: {compared}"
    );
    for (width, height) in [(1, 1), (31, 640), (640, 33), (3000, 40)] {
        let image = plain_image(width, height, [96; 3]);
        assert!(instances(&mut cut, &image).is_empty(), "{width}x{height}");
    }
}

#[test]
fn pieces_can_be_ended() {
    let mut cut = load(Precision::Cut);
    let image = plain_image(64, 64, [96; 3]);
    instances(&mut cut, &image);
    cut.interrupter().interrupt();
    let error = cut.predict(&[&image]).unwrap_err().to_string();
    assert!(
        error.contains("trunk.onnx") && error.contains("terminate"),
        "{error}"
    );
}

/// A copy of the model in pieces, with one piece of text in one of its files exchanged.
fn changed(file: &str, old: &str, new: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let cut = root.path().join("parts/1/cut");
    std::fs::create_dir_all(&cut).unwrap();
    for name in ["cut.toml", "trunk.onnx", "box_head.onnx", "mask_head.onnx"] {
        std::fs::copy(models().join("parts/1/cut").join(name), cut.join(name)).unwrap();
    }
    let manifest = root.path().join("parts/model.toml");
    std::fs::copy(models().join("parts/model.toml"), manifest).unwrap();
    let path = root.path().join("parts").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{old}");
    std::fs::write(&path, text.replacen(old, new, 1)).unwrap();
    root
}

fn complaint(root: &TempDir) -> String {
    let resolved = resolve(root.path(), "parts");
    let outcome = OnnxModel::load(&runtime(), &resolved, &options(Precision::Cut));
    let error: LoadError = outcome.map(drop).unwrap_err();
    error.to_string()
}

#[test]
fn pieces_that_do_not_go_together_are_refused_when_loading() {
    let defect = "[[labels]]\nname = \"defect\"\ncolor = \"#ffe119\"\n";
    for (file, old, new, expected) in [
        ("1/cut/cut.toml", "\"p2\", ", "\"q2\", ", "no output \"q2\""),
        (
            "1/cut/cut.toml",
            "size = 7",
            "size = 9",
            "float tensor [any, 64, 9, 9]",
        ),
        (
            "1/cut/cut.toml",
            "\"classes\"]",
            "\"kinds\"]",
            "no input \"kinds\"",
        ),
        (
            "1/cut/cut.toml",
            "input = \"image\"",
            "input = \"picture\"",
            "make them equal",
        ),
        (
            "1/cut/cut.toml",
            "after_nms = 150",
            "after_nms = many",
            "cut.toml:",
        ),
        (
            "model.toml",
            "name = \"image\"",
            "name = \"picture\"",
            "make them equal",
        ),
        (
            "model.toml",
            "\"detectron2\"",
            "\"torchvision\"",
            "convention \"detectron2\"",
        ),
        (
            "model.toml",
            defect,
            "",
            "7 classes apart, but model.toml has 6 labels",
        ),
    ] {
        let message = complaint(&changed(file, old, new));
        assert!(message.contains(expected), "{new}: {message}");
    }
    let root = changed("model.toml", "0-255", "0-255");
    let head = root.path().join("parts/1/cut/box_head.onnx");
    std::fs::write(&head, "not a graph").unwrap();
    let message = complaint(&root);
    assert!(
        message.contains("box_head.onnx cannot be served"),
        "{message}"
    );
}
