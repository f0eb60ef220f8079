//! The `detector` command as a person uses it.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::{graphs, plain_image};
use serde_json::Value;

fn detector(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_detector"))
        .args(arguments)
        .env("KADR_MODELS", graphs())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn write_jpeg(path: &Path) {
    let image = plain_image(200, 100, [10, 20, 240]);
    let view = turbojpeg::Image {
        pixels: image.pixels(),
        width: 200,
        pitch: 600,
        height: 100,
        format: turbojpeg::PixelFormat::RGB,
    };
    let jpeg = turbojpeg::compress(view, 95, turbojpeg::Subsamp::None).unwrap();
    std::fs::write(path, &jpeg).unwrap();
}

#[test]
fn a_model_is_run_on_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let jpeg = folder.path().join("blue.jpg");
    write_jpeg(&jpeg);
    let jpeg = jpeg.to_str().unwrap();

    let output = detector(&["model", "run", "square", jpeg, "--json", "--threads", "1"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["model"]["name"], "square");
    assert_eq!(
        (&report["width"], &report["height"]),
        (&200.into(), &100.into())
    );
    let square = &report["instances"][0];
    assert_eq!(square["label"], "square");
    assert_eq!(square["bbox"], serde_json::json!([50.0, 25.0, 100.0, 50.0]));
    assert_eq!(
        square["segmentation"]["size"],
        serde_json::json!([100, 200])
    );

    let output = detector(&["model", "run", "colour@1", jpeg]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(
        table.starts_with("colour@1 sees in 200x100 pixels:\n  blue"),
        "{table}"
    );
}

#[test]
fn models_are_listed_with_their_versions() {
    let output = detector(&["model", "list"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines: Vec<String> = text(&output.stdout)
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(lines, ["colour 1", "endless 1", "nothing 1", "square 1"]);
}

#[test]
fn mistakes_are_answered_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let jpeg = folder.path().join("picture.jpg");
    write_jpeg(&jpeg);
    let jpeg = jpeg.to_str().unwrap();
    let cases: [(&[&str], &str); 4] = [
        (
            &["model", "run", "circle", jpeg],
            "there is colour, endless, nothing and square",
        ),
        (&["model", "run", "square@7", jpeg], "it has 1"),
        (
            &["model", "run", "square", "/nowhere.jpg"],
            "cannot read the picture /nowhere.jpg",
        ),
        (
            &["model", "run", "square", jpeg, "--provider", "gpu"],
            "write cpu, cuda",
        ),
    ];
    for (arguments, expected) in cases {
        let output = detector(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let complaint = text(&output.stderr);
        assert!(complaint.contains(expected), "{arguments:?}: {complaint}");
        assert!(!complaint.contains("panicked"), "{complaint}");
    }
}
