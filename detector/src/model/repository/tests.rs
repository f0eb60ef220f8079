//! Resolution in repositories made for the purpose.

use tempfile::TempDir;

use super::*;

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
[thresholds]
[files]
fp32 = "model.onnx"
[[labels]]
name = "bolt"
"#;

/// A repository with `parts` 1, 2 and 10, `empty` without a version, and things that are none.
fn repository() -> (TempDir, Repository) {
    let root = tempfile::tempdir().unwrap();
    for folder in [
        "parts/1",
        "parts/2",
        "parts/10",
        "parts/03",
        "parts/cut",
        "empty",
        "train/1",
    ] {
        std::fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    for name in ["parts", "empty", "0hidden"] {
        std::fs::create_dir_all(root.path().join(name)).unwrap();
        let manifest = MANIFEST.replace("NAME", name);
        std::fs::write(root.path().join(name).join("model.toml"), manifest).unwrap();
    }
    std::fs::write(root.path().join("README.md"), "models").unwrap();
    std::fs::write(root.path().join("parts/10/model.onnx"), "graph").unwrap();
    let repository = Repository::new(root.path());
    (root, repository)
}

fn resolve(repository: &Repository, reference: &str) -> Result<ResolvedModel, RepositoryError> {
    repository.resolve(&reference.parse()?)
}

#[test]
fn only_folders_with_a_manifest_are_models_and_only_numbers_are_versions() {
    let (_root, repository) = repository();
    assert_eq!(
        repository.list().unwrap(),
        [
            Listing {
                name: "empty".to_owned(),
                versions: vec![]
            },
            Listing {
                name: "parts".to_owned(),
                versions: vec![1, 2, 10]
            },
        ]
    );
}

#[test]
fn the_latest_version_is_the_highest_number() {
    let (root, repository) = repository();
    let model = resolve(&repository, "parts").unwrap();
    assert_eq!(model.version, 10);
    assert_eq!(model.folder, root.path().join("parts/10"));
    assert_eq!(model.reference().to_string(), "parts@10");
    assert_eq!(resolve(&repository, "parts@2").unwrap().version, 2);
}

#[test]
fn errors_list_what_there_is() {
    let (_root, repository) = repository();
    let model = resolve(&repository, "pants").unwrap_err().to_string();
    assert!(
        model.contains("\"pants\"") && model.contains("there is parts"),
        "{model}"
    );
    let version = resolve(&repository, "parts@3").unwrap_err().to_string();
    assert!(
        version.contains("no version 3; it has 1, 2 and 10"),
        "{version}"
    );
    let none = resolve(&repository, "empty").unwrap_err().to_string();
    assert!(
        none.contains("has no version") && none.contains("empty/1"),
        "{none}"
    );
    let hidden = resolve(&repository, "0hidden").unwrap_err();
    assert!(hidden.to_string().contains("no model"), "{hidden}");
}

#[test]
fn references_that_name_no_model_are_refused() {
    for text in [
        "",
        "@1",
        "parts@",
        "parts@-1",
        "parts@4294967296",
        "a/b",
        "..",
        "p@1@2",
    ] {
        let error = text.parse::<ModelReference>().unwrap_err();
        assert!(
            matches!(error, RepositoryError::Malformed { .. }),
            "{text}: {error}"
        );
    }
}

#[test]
fn a_version_has_names() {
    let (_root, repository) = repository();
    for (text, version) in [("parts@stable", 10), ("parts@latest", 10), ("parts@2", 2)] {
        let reference: ModelReference = text.parse().unwrap();
        assert_eq!(reference.to_string(), text);
        assert_eq!(repository.resolve(&reference).unwrap().version, version);
    }
    let error = resolve(&repository, "parts@night").unwrap_err().to_string();
    assert!(error.contains("stable, canary and latest"), "{error}");
}

#[test]
fn files_are_checked_when_asked_for() {
    let (_root, repository) = repository();
    let model = resolve(&repository, "parts").unwrap();
    assert!(
        model
            .file(Precision::Fp32)
            .unwrap()
            .ends_with("parts/10/model.onnx")
    );
    let int8 = model.file(Precision::Int8).unwrap_err().to_string();
    assert!(int8.contains("parts@10 has no int8 form"), "{int8}");
    let missing = resolve(&repository, "parts@1")
        .unwrap()
        .file(Precision::Fp32)
        .unwrap_err();
    assert!(
        missing.to_string().contains("parts@1 has no model.onnx"),
        "{missing}"
    );
}

#[test]
fn a_manifest_of_another_model_is_refused() {
    let (root, repository) = repository();
    let manifest = MANIFEST.replace("NAME", "bolts");
    std::fs::write(root.path().join("parts/model.toml"), manifest).unwrap();
    let error = resolve(&repository, "parts").unwrap_err().to_string();
    assert!(
        error.contains("name = \"bolts\", but its folder is \"parts\""),
        "{error}"
    );
}

#[test]
fn a_root_that_is_not_there_says_so() {
    let error = Repository::new("/nowhere/models")
        .list()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("/nowhere/models") && error.contains("--models"),
        "{error}"
    );
}
