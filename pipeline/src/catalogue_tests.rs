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
        aliases: aliases(&[("canary", 10), ("latest", 10), ("stable", 10)]),
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

fn aliases(of: &[(&str, u32)]) -> BTreeMap<String, u32> {
    of.iter()
        .map(|(name, version)| ((*name).to_owned(), *version))
        .collect()
}

#[test]
fn aliases_follow_the_rollout_and_its_taking_back() {
    let (_root, catalogue) = catalogue();
    let asked = |names: [&str; 5]| names.map(|name| find(&catalogue, name).unwrap().version);
    let names = [
        "parts",
        "parts@stable",
        "parts@canary",
        "parts@latest",
        "parts@night",
    ];
    let name_it = Change::Alias {
        name: "night".to_owned(),
        version: 1,
    };
    catalogue.roll_out("parts", &name_it).unwrap();
    assert_eq!(asked(names), [10, 10, 10, 10, 1]);
    catalogue.roll_out("parts", &Change::Serve(2)).unwrap();
    assert_eq!(asked(names), [2, 2, 2, 10, 1], "no canary is the current");
    let canary = serde_json::from_str(r#"{"canary":{"version":10,"percent":5}}"#).unwrap();
    catalogue.roll_out("parts", &canary).unwrap();
    assert_eq!(asked(names), [2, 2, 10, 10, 1]);
    catalogue.roll_back("parts").unwrap();
    let back = catalogue.roll_back("parts").unwrap();
    assert_eq!(asked(names), [10, 10, 10, 10, 1]);
    let expected = [("canary", 10), ("latest", 10), ("night", 1), ("stable", 10)];
    assert_eq!(back.aliases(), aliases(&expected));
    assert_eq!(back.candidates().unwrap(), [10, 2, 1]);
}

#[test]
fn what_the_policy_does_not_offer_is_not_there() {
    let (root, catalogue) = catalogue();
    let path = root.path().join("parts/model.toml");
    let manifest = "task = \"t\"\n[versions]\npolicy = \"named\"\nnamed = [1, 2]\n";
    std::fs::write(path, manifest).unwrap();
    assert_eq!(find(&catalogue, "parts").unwrap().version, 2);
    let error = find(&catalogue, "parts@10").unwrap_err().to_string();
    assert!(error.contains("it has 1 and 2"), "{error}");
    assert_eq!(catalogue.list().unwrap()[0].versions, [1, 2]);
    let error = catalogue.roll_out("parts", &Change::Serve(10));
    assert!(matches!(error, Err(CatalogueError::Rollout { .. })));
}

#[test]
fn a_broken_rollout_is_told_and_not_guessed_around() {
    let (root, catalogue) = catalogue();
    std::fs::write(root.path().join("parts/rollout.toml"), "now = 7").unwrap();
    let error = find(&catalogue, "parts").unwrap_err().to_string();
    assert!(error.contains("delete it to serve the newest"), "{error}");
    assert_eq!(catalogue.list().unwrap(), [], "it is told in the log");
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let (_root, catalogue) = catalogue();
    for (model, told) in [
        ("pants", "no model \"pants\"; there is kind and parts"),
        ("parts@3", "no version 3; it has 1, 2 and 10"),
        (
            "parts@night",
            "no version called \"night\"; there is stable, canary and latest",
        ),
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
