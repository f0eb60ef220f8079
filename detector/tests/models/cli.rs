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

fn colour_file() -> String {
    let path = graphs().join("colour/1/model.onnx");
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_file_is_inspected() {
    let file = colour_file();
    let output = detector(&["model", "inspect", &file]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    for expected in [
        "opset 17",
        "image float32 [batch, 3, 8, 8]",
        "logits float32 [batch, 3]",
        "ReduceMean 1",
        "taken for \"logits\", classification",
        "convention = \"logits\"",
    ] {
        assert!(printed.contains(expected), "{expected}: {printed}");
    }

    let output = detector(&["model", "inspect", &file, "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["opset"], 17);
    assert_eq!(
        report["inputs"][0]["shape"],
        serde_json::json!(["batch", 3, 8, 8])
    );
    assert_eq!(report["recognised"]["convention"], "logits");
    assert_eq!(report["refusal"], Value::Null);
}

#[test]
fn a_suggested_manifest_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let sheet = folder.path().join("model.toml");
    let write = [
        "model",
        "inspect",
        &colour_file(),
        "--write",
        sheet.to_str().unwrap(),
    ];
    let output = detector(&write);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let manifest = detector::model::manifest::Manifest::read(&sheet).unwrap();
    assert_eq!((&*manifest.name, manifest.labels.len()), ("colour", 3));

    std::fs::write(&sheet, "mine").unwrap();
    assert!(!detector(&write).status.success());
    assert_eq!(std::fs::read_to_string(&sheet).unwrap(), "mine");
}

#[test]
fn a_file_that_cannot_be_served_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cut.onnx");
    let whole = std::fs::read(colour_file()).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 9]).unwrap();
    let file = file.to_str().unwrap();
    let jpeg = folder.path().join("picture.jpg");
    write_jpeg(&jpeg);
    for arguments in [
        vec!["model", "inspect", file],
        vec!["model", "run", file, jpeg.to_str().unwrap()],
    ] {
        let output = detector(&arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let complaint = text(&output.stderr);
        assert!(complaint.contains("cut short or damaged"), "{complaint}");
    }
}

#[test]
fn a_file_is_run_without_a_repository() {
    let folder = tempfile::tempdir().unwrap();
    let jpeg = folder.path().join("blue.jpg");
    write_jpeg(&jpeg);
    let jpeg = jpeg.to_str().unwrap();
    let file = colour_file();
    let output = detector(&["model", "run", &file, jpeg, "--threads", "1"]);
    let (printed, told) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{told}");
    assert!(printed.contains("\n  class 2"), "{printed}");
    assert!(told.contains("taken for: output logits"), "{told}");

    // With its sheet, the classes have names.
    let sheet = graphs().join("colour/model.toml");
    let annotated = folder.path().join("out.jpg");
    let output = detector(&[
        "model",
        "run",
        &file,
        jpeg,
        "--manifest",
        sheet.to_str().unwrap(),
        "-o",
        annotated.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("\n  blue"));
    assert!(
        std::fs::read(&annotated)
            .unwrap()
            .starts_with(&[0xff, 0xd8])
    );
}

/// A repository with three versions of `colour`, of which the third is cut short.
fn versions() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let (from, to) = (graphs().join("colour"), root.path().join("colour"));
    let graph = std::fs::read(from.join("1/model.onnx")).unwrap();
    for (version, bytes) in [("1", &graph[..]), ("2", &graph), ("3", &graph[..90])] {
        std::fs::create_dir_all(to.join(version)).unwrap();
        std::fs::write(to.join(version).join("model.onnx"), bytes).unwrap();
    }
    std::fs::copy(from.join("model.toml"), to.join("model.toml")).unwrap();
    root
}

fn in_versions(root: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_detector"))
        .arg("model")
        .args(arguments)
        .env("KADR_MODELS", root)
        .output()
        .unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    (output.status.success(), said)
}

#[test]
fn versions_are_rolled_out_and_back() {
    let root = versions();
    let done = |arguments: &[&str]| {
        let (is_done, said) = in_versions(root.path(), arguments);
        assert!(is_done, "{arguments:?}: {said}");
        said
    };
    assert!(done(&["status", "colour"]).contains("serves    3 (the newest)"));
    assert!(done(&["rollout", "colour@1"]).contains("serves    1\n"));
    let trial = [
        "rollout", "colour@2", "--canary", "10", "--source", "line-3",
    ];
    assert!(done(&trial).contains("canary    2 on 10 % of the sources and on line-3\n"));
    done(&["rollout", "colour@2", "--alias", "night"]);
    done(&["rollout", "colour@canary"]);
    let status = done(&["status"]);
    assert!(
        status.contains("serves    2\n") && status.contains("night is 2"),
        "{status}"
    );
    assert!(!status.contains("canary"), "it was promoted: {status}");
    assert!(done(&["rollback", "colour"]).contains("taken back: serve version 2\n"));
    done(&["rollout", "colour", "--end", "canary"]);
    done(&["rollout", "colour", "--newest"]);
    let shadow = done(&["rollout", "colour@2", "--shadow"]);
    assert!(shadow.contains("shadow    2 on 100 %"), "{shadow}");
}

#[test]
fn a_version_that_cannot_run_is_not_rolled_out_unless_untried() {
    let root = versions();
    let (is_done, said) = in_versions(root.path(), &["rollout", "colour@3"]);
    assert!(!is_done && said.contains("it is not rolled out"), "{said}");
    assert!(!root.path().join("colour/rollout.toml").exists());
    let (is_done, said) = in_versions(root.path(), &["rollout", "colour@3", "--unchecked"]);
    assert!(is_done, "{said}");
    for (arguments, told) in [
        (&["rollout", "colour"][..], "say which version"),
        (&["rollout", "colour@9"], "it has 1, 2 and 3"),
        (&["rollout", "colour@2", "--end", "canary"], "name alone"),
        (
            &["rollout", "colour", "--end", "canary"],
            "no canary to end",
        ),
        (
            &["rollout", "colour@1", "--shadow", "--source", "a"],
            "belongs to --canary",
        ),
        (
            &["rollout", "colour@1", "--canary", "5", "--alias", "x"],
            "cannot be used with",
        ),
        (&["rollout", "colour@1", "--canary", "0"], "1..=100"),
        (&["rollback", "circle"], "there is colour"),
    ] {
        let (is_done, said) = in_versions(root.path(), arguments);
        assert!(!is_done && said.contains(told), "{arguments:?}: {said}");
    }
}
