//! The `belt` command: the files it writes and what it says when it will not.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use pipeline::mask::Mask;
use serde_json::Value;

fn run_belt(arguments: &[&str], out: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_belt"))
        .args(arguments)
        .arg("--out")
        .arg(out)
        .output()
        .expect("the belt command starts")
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("the file was written");
    serde_json::from_str(&text).expect("the file holds JSON")
}

fn files(directory: &Path) -> usize {
    fs::read_dir(directory)
        .expect("the directory was written")
        .count()
}

/// Eight small pictures, a share of them to validate.
fn export(val_fraction: &str, more: &[&str], out: &Path) -> Output {
    let arguments = ["export", "--count", "8", "--seed", "4", "--size", "160x120"];
    run_belt(
        &[&arguments[..], &["--val-fraction", val_fraction], more].concat(),
        out,
    )
}

#[test]
fn export_writes_coco_splits_that_fit_their_pictures() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let out = directory.path().join("set");
    let output = export("0.25", &[], &out);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.stderr.is_empty(),
        "a progress bar was drawn without a terminal"
    );
    for (split, pictures) in [("train", 6), ("val", 2)] {
        let set = json(&out.join(split).join("annotations.json"));
        assert_eq!(files(&out.join(split).join("images")), pictures);
        let categories: Vec<(u64, &str)> = array(&set["categories"])
            .iter()
            .map(|category| (number(&category["id"]), text(&category["name"])))
            .collect();
        let names = [
            "bolt", "nut", "washer", "gear", "bracket", "spring", "defect",
        ];
        assert_eq!(categories, (1..=7).zip(names).collect::<Vec<_>>());
        let images = array(&set["images"]);
        assert_eq!(images.len(), pictures);
        for image in images {
            assert_picture(
                &out.join(split)
                    .join("images")
                    .join(text(&image["file_name"])),
            );
            assert_eq!(
                (number(&image["width"]), number(&image["height"])),
                (160, 120)
            );
        }
        assert_annotations(&set);
    }
}

fn assert_picture(path: &Path) {
    let jpeg = fs::read(path).expect("the picture was written");
    let header = turbojpeg::read_header(&jpeg).expect("the picture is a JPEG");
    assert_eq!((header.width, header.height), (160, 120));
    assert_eq!(header.subsamp, turbojpeg::Subsamp::Sub2x2);
}

fn assert_annotations(set: &Value) {
    let image_ids: HashSet<u64> = array(&set["images"])
        .iter()
        .map(|image| number(&image["id"]))
        .collect();
    let annotations = array(&set["annotations"]);
    assert!(!annotations.is_empty());
    let mut ids = HashSet::new();
    for annotation in annotations {
        assert!(
            ids.insert(number(&annotation["id"])),
            "an annotation id is used twice"
        );
        assert!(image_ids.contains(&number(&annotation["image_id"])));
        assert!((1..=7).contains(&number(&annotation["category_id"])));
        assert_eq!(number(&annotation["iscrowd"]), 0);
        let counts = text(&annotation["segmentation"]["counts"]);
        let mask = Mask::from_counts([120, 160], counts).expect("the counts are COCO's");
        assert_eq!(u64::from(mask.area()), number(&annotation["area"]));
        let bbox = mask.bbox();
        assert_eq!(
            annotation["bbox"],
            serde_json::json!([bbox.x, bbox.y, bbox.w, bbox.h])
        );
        let is_defect = number(&annotation["category_id"]) == 7;
        assert_eq!(annotation["part_of"].is_u64(), is_defect);
        assert_eq!(annotation["defect_kind"].is_string(), is_defect);
        assert!(annotation["color"].is_string() && annotation["visible"].is_number());
    }
}

#[test]
fn a_data_set_is_never_mixed_with_another() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    assert!(export("0.25", &[], directory.path()).status.success());
    let first = fs::read(directory.path().join("train/annotations.json")).expect("written");
    let note = directory.path().join("note.txt");
    fs::write(&note, "mine").expect("a file of the user's own");

    let refused = export("0.25", &[], directory.path());
    assert!(!refused.status.success());
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        message.contains("is not empty") && message.contains("--force"),
        "{message}"
    );

    assert!(export("0", &["--force"], directory.path()).status.success());
    assert!(
        !directory.path().join("val").exists(),
        "the older val split was left behind"
    );
    assert_eq!(
        fs::read_to_string(&note).expect("not ours to delete"),
        "mine"
    );
    let second = fs::read(directory.path().join("train/annotations.json")).expect("written");
    assert_ne!(first, second, "eight pictures are not six");
}

#[test]
fn a_stride_films_one_belt() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let arguments = [
        "export",
        "--count",
        "4",
        "--size",
        "160x120",
        "--val-fraction",
        "0",
        "--stride",
        "2",
    ];
    assert!(run_belt(&arguments, directory.path()).status.success());
    let set = json(&directory.path().join("train/annotations.json"));
    let tracks = |image: u64| -> HashSet<u64> {
        let annotations = array(&set["annotations"]).iter();
        annotations
            .filter(|annotation| number(&annotation["image_id"]) == image)
            .map(|annotation| number(&annotation["track_id"]))
            .collect()
    };
    assert!(
        !tracks(1).is_disjoint(&tracks(2)),
        "no object is in two neighbouring pictures"
    );
}

#[test]
fn crops_are_balanced_and_labelled() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = run_belt(
        &["crops", "--count", "20", "--size", "64"],
        directory.path(),
    );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let labels = json(&directory.path().join("labels.json"));
    assert_eq!(array(&labels["items"]).len(), 20);
    for class in array(&labels["classes"]) {
        assert!((3..=4).contains(&files(&directory.path().join(text(class)))));
    }
    for item in array(&labels["items"]) {
        assert!(text(&item["file"]).starts_with(text(&item["class"])));
        let jpeg = fs::read(directory.path().join(text(&item["file"]))).expect("written");
        let header = turbojpeg::read_header(&jpeg).expect("a JPEG");
        assert_eq!((header.width, header.height), (64, 64));
    }
}

#[test]
fn preview_draws_the_truth_and_a_legend() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (plain, drawn) = (
        directory.path().join("plain.png"),
        directory.path().join("drawn.png"),
    );
    let arguments = ["preview", "--seed", "2", "--size", "320x240"];
    assert!(run_belt(&arguments, &drawn).status.success());
    assert!(
        run_belt(&[&arguments[..], &["--no-truth"]].concat(), &plain)
            .status
            .success()
    );
    let plain = image::open(&plain).expect("a PNG").to_rgb8();
    let drawn = image::open(&drawn).expect("a PNG").to_rgb8();
    assert_eq!(plain.dimensions(), (320, 240));
    assert_eq!(drawn.width(), 320);
    assert!(drawn.height() > 240, "there is no legend");
    let config = belt::BeltConfig {
        seed: 2,
        width: 320,
        height: 240,
        ..Default::default()
    };
    let scene = belt::Belt::new(config)
        .expect("a valid configuration")
        .scene(0);
    assert_eq!(plain, scene.image);
    let changed = (0..240).flat_map(|y| (0..320).map(move |x| (x, y)));
    let changed = changed
        .filter(|&(x, y)| plain.get_pixel(x, y) != drawn.get_pixel(x, y))
        .count();
    let covered: u64 = scene.instances.iter().map(|truth| truth.area).sum();
    assert!(changed as u64 > covered / 2, "the masks were not drawn");
}

#[test]
fn impossible_wishes_are_refused_with_a_reason() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let refuse = |arguments: &[&str]| {
        let output = run_belt(arguments, &directory.path().join("set"));
        assert!(!output.status.success(), "{arguments:?} was accepted");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let message = refuse(&["export", "--count", "1", "--size", "50x50"]);
    assert!(
        message.contains("50x50") && message.contains("640x480"),
        "{message}"
    );
    assert!(refuse(&["export", "--count", "1", "--size", "big"]).contains("640x480"));
    assert!(refuse(&["export", "--count", "0"]).contains("count is 0"));
    assert!(refuse(&["export", "--count", "1", "--quality", "101"]).contains("from 1 to 100"));
    assert!(refuse(&["export", "--count", "1", "--val-fraction", "1"]).contains("val-fraction"));
    assert!(refuse(&["crops", "--count", "6", "--size", "4"]).contains("from 16 to 512"));
    assert!(
        !directory.path().join("set").exists(),
        "a refused export left a directory behind"
    );
}

fn array(value: &Value) -> &Vec<Value> {
    value.as_array().expect("an array")
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a whole number")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}
