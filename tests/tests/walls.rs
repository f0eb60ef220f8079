//! The walls of ARCHITECTURE.md, asserted: who may depend on whom, and the rules every file keeps.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// What any member may depend on.
const SHARED: [&str; 2] = ["pipeline", "belt"];

/// The only members that may put several services together.
const ASSEMBLERS: [&str; 3] = ["kadr", "tests", "benches"];

/// Libraries that stay behind one wall, and the members on their side of it. Families count with
/// their root: `sqlx` also stands for `sqlx-core`.
const WALLED: [(&str, &[&str]); 10] = [
    ("ort", &["detector"]),
    ("opencv", &["camera"]),
    ("nokhwa", &["camera"]),
    ("v4l", &["camera"]),
    ("sqlx", &["viewer"]),
    ("rusqlite", &["viewer"]),
    ("rdkafka", &["pipeline", "tests", "benches"]),
    ("kafka-protocol", &["broker", "tests"]),
    ("opentelemetry-otlp", &["pipeline"]),
    ("opentelemetry_sdk", &["pipeline"]),
];

/// Beyond this a file has more than one subject.
const MAX_LINES: usize = 500;

/// One workspace member.
struct Member {
    name: String,
    folder: PathBuf,
    manifest: String,
    /// Normal, build and development dependencies alike.
    dependencies: Vec<String>,
}

fn members() -> Vec<Member> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes json");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let members: Vec<Member> = packages.iter().map(member).collect();
    // Guards every test here against passing on an empty list.
    assert!(
        members.iter().any(|member| member.name == "pipeline"),
        "the contract is a member"
    );
    members
}

fn member(package: &Value) -> Member {
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let manifest_path = PathBuf::from(text(&package["manifest_path"]));
    let dependencies = package["dependencies"]
        .as_array()
        .expect("a list of dependencies");
    Member {
        name: text(&package["name"]),
        folder: manifest_path
            .parent()
            .expect("a manifest lies in a folder")
            .to_owned(),
        manifest: fs::read_to_string(&manifest_path).expect("a readable manifest"),
        dependencies: dependencies
            .iter()
            .map(|found| text(&found["name"]))
            .collect(),
    }
}

/// Every Rust file of the members.
fn rust_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = members().into_iter().map(|member| member.folder).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let entry = entry.expect("a readable entry");
            let is_folder = entry.file_type().expect("a known kind of file").is_dir();
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_folder && name != "target" && !name.starts_with('.') {
                folders.push(entry.path());
            } else if entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "rs")
            {
                files.push(entry.path());
            }
        }
    }
    assert!(
        files.iter().any(|file| file.ends_with(file!())),
        "this file is one of them"
    );
    files
}

fn assert_none(broken: &[String], rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

fn is_of_family(dependency: &str, root: &str) -> bool {
    dependency
        .strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

#[test]
fn services_depend_on_the_contract_and_never_on_each_other() {
    let members = members();
    let is_member = |name: &String| members.iter().any(|member| member.name == *name);
    let broken: Vec<String> = members
        .iter()
        .filter(|member| !ASSEMBLERS.contains(&member.name.as_str()))
        .flat_map(|member| member.dependencies.iter().map(move |found| (member, found)))
        .filter(|(_, found)| is_member(found) && !SHARED.contains(&found.as_str()))
        .map(|(member, found)| format!("{} depends on {found}", member.name))
        .collect();
    assert_none(
        &broken,
        "services never depend on each other: what two must agree on goes to pipeline, what puts \
         several together to kadr, tests or benches",
    );
}

#[test]
fn the_contract_depends_on_no_other_member() {
    let members = members();
    let contract = members
        .iter()
        .find(|member| member.name == "pipeline")
        .expect("a member");
    let broken: Vec<String> = contract
        .dependencies
        .iter()
        .filter(|found| members.iter().any(|member| member.name == **found))
        .map(|found| format!("pipeline depends on {found}"))
        .collect();
    assert_none(
        &broken,
        "everything depends on pipeline, so pipeline depends on no member",
    );
}

#[test]
fn heavy_libraries_stay_behind_their_wall() {
    let members = members();
    let mut broken = Vec::new();
    for (library, allowed) in WALLED {
        for member in members
            .iter()
            .filter(|member| !allowed.contains(&member.name.as_str()))
        {
            for found in member
                .dependencies
                .iter()
                .filter(|found| is_of_family(found, library))
            {
                let name = &member.name;
                broken.push(format!(
                    "{name} depends on {found}, allowed only in {allowed:?}"
                ));
            }
        }
    }
    assert_none(
        &broken,
        "each of these libraries belongs to one room: use that room's interface",
    );
}

#[test]
fn a_family_is_told_from_a_namesake() {
    for (dependency, root, expected) in [
        ("ort", "ort", true),
        ("ort-sys", "ort", true),
        ("sqlx-core", "sqlx", true),
        ("orthogonal", "ort", false),
        ("sort", "ort", false),
    ] {
        assert_eq!(
            is_of_family(dependency, root),
            expected,
            "{dependency} and {root}"
        );
    }
}

#[test]
fn every_member_inherits_the_lints_of_the_workspace() {
    let inherits = |manifest: &str| {
        let mut lines = manifest
            .lines()
            .map(str::trim)
            .skip_while(|line| *line != "[lints]")
            .skip(1);
        lines.next() == Some("workspace = true")
    };
    let broken: Vec<String> = members()
        .into_iter()
        .filter(|member| !inherits(&member.manifest))
        .map(|member| format!("{}/Cargo.toml", member.folder.display()))
        .collect();
    assert_none(
        &broken,
        "add the two lines `[lints]` and `workspace = true` to",
    );
}

#[test]
fn every_file_says_what_it_is_for() {
    let broken: Vec<String> = rust_files()
        .iter()
        .filter(|file| !read(file).starts_with("//! "))
        .map(|file| file.display().to_string())
        .collect();
    assert_none(
        &broken,
        "the first line of every file is `//! ` and what the file is for",
    );
}

#[test]
fn no_file_has_more_than_one_subject() {
    let broken: Vec<String> = rust_files()
        .iter()
        .map(|file| (file, read(file).lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(file, lines)| format!("{} has {lines} lines", file.display()))
        .collect();
    assert_none(
        &broken,
        &format!("split files that are longer than {MAX_LINES} lines"),
    );
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).expect("a readable source file")
}
