//! Catalogues made for the purpose.

use clap::Parser;
use tempfile::TempDir;

use super::*;

/// `parts` 1, 2 and 10, `kind` 1 whose manifest is broken, `empty` without a version, and things
/// that are none.
fn catalogue() -> (TempDir, Catalogue) {
    let root = tempfile::tempdir().unwrap();
    for folder in [
        "parts/1",
        "parts/2",
        "parts/10",
        "parts/03",
        "parts/cut",
        "kind/1",
        "empty",
    ] {
        std::fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    std::fs::create_dir_all(root.path().join("train/1")).unwrap();
    std::fs::create_dir_all(root.path().join("0hidden/1")).unwrap();
    let manifest = "task = \"instance-segmentation\"\nnovelty = 7\n[input]\nx = 1\n\
                    [[labels]]\nname = \"bolt\"\ncolor = \"#010203\"\n[[labels]]\nname = \"nut\"\n";
    for (name, text) in [
        ("parts", manifest),
        ("empty", manifest),
        ("kind", "task = "),
        ("0hidden", manifest),
    ] {
        std::fs::write(root.path().join(name).join(MANIFEST_FILE), text).unwrap();
    }
    let catalogue = Catalogue::new(root.path());
    (root, catalogue)
}

fn find(catalogue: &Catalogue, model: &str) -> Result<Found, CatalogueError> {
    catalogue.find(&model.parse().unwrap())
}

#[test]
fn a_broken_model_does_not_hide_the_others() {
    let (_root, catalogue) = catalogue();
    let label = |name: &str, color| Label {
        name: name.to_owned(),
        color,
    };
    let parts = Entry {
        name: "parts".to_owned(),
        task: "instance-segmentation".to_owned(),
        versions: vec![1, 2, 10],
        labels: vec![
            label("bolt", Rgb([1, 2, 3])),
            label("nut", default_color(1)),
        ],
    };
    assert_eq!(catalogue.list().unwrap(), [parts]);
    let names: Vec<String> = catalogue
        .folders()
        .unwrap()
        .into_iter()
        .map(|l| l.name)
        .collect();
    assert_eq!(names, ["empty", "kind", "parts"]);
}

#[test]
fn the_highest_version_is_found_unless_one_is_named() {
    let (root, catalogue) = catalogue();
    let found = find(&catalogue, "parts").unwrap();
    assert_eq!(
        (found.version, found.folder),
        (10, root.path().join("parts/10"))
    );
    assert_eq!(find(&catalogue, "parts@2").unwrap().version, 2);
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let (_root, catalogue) = catalogue();
    for (model, told) in [
        ("pants", "no model \"pants\"; there is kind and parts"),
        ("parts@3", "no version 3; it has 1, 2 and 10"),
        ("parts@stable", "no version called \"stable\""),
        ("empty", "has no version; put its files into"),
        ("0hidden", "no model \"0hidden\""),
    ] {
        let error = find(&catalogue, model).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    let error = Catalogue::new("/nowhere/models")
        .list()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("/nowhere/models") && error.contains("--models"),
        "{error}"
    );
}

#[test]
fn the_shared_flags_have_defaults_and_refuse_what_is_no_model() {
    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        models: ModelArgs,
    }
    let parse = |args: &[&str]| Cli::try_parse_from(["x"].iter().chain(args));
    let models = parse(&[]).unwrap().models;
    assert_eq!(
        (models.models.as_path(), models.model.name()),
        (Path::new("models"), "parts")
    );
    assert!(parse(&["--model", "../x"]).is_err());
    let json = serde_json::to_value(parse(&["--model", "kind@2"]).unwrap().models).unwrap();
    assert_eq!(json["model"], "kind@2");
}
