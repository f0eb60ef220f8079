//! `kadr doctor` in good surroundings and in bad ones.
#![expect(clippy::unwrap_used, reason = "helpers of a test fail it by panicking")]

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// A doctor that sees nothing of this machine's settings, and ports that nobody has.
fn doctor(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kadr"));
    let settings = std::env::vars().map(|(name, _)| name);
    for name in settings.filter(|name| name.starts_with("KADR_") || name.starts_with("KAFKA_")) {
        command.env_remove(name);
    }
    command
        .args(["doctor", "--json", "--listen", "127.0.0.1:0"])
        .args(["--admin-listen", "127.0.0.1:0"])
        .args(["--broker-listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .arg("--models")
        .arg(models());
    command
}

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

struct Report {
    exit_code: Option<i32>,
    json: Value,
}

fn examine(command: &mut Command) -> Report {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let json = serde_json::from_slice(&stdout);
    Report {
        exit_code: status.code(),
        json: json.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&stderr))),
    }
}

impl Report {
    /// Verdict and text of a check.
    fn of(&self, check: &str) -> (&str, String) {
        let checks = self.json["checks"].as_array().unwrap();
        let found = checks.iter().find(|found| found["check"] == check);
        let found = found.unwrap_or_else(|| panic!("no {check} in {}", self.json));
        let text = |key: &str| found[key].as_str().unwrap_or_default();
        let words = format!("{} {}", text("message"), text("advice"));
        (text("verdict"), words)
    }

    #[track_caller]
    fn assert(&self, check: &str, verdict: &str, words: &str) {
        let (found, text) = self.of(check);
        assert_eq!(found, verdict, "{check}: {text}");
        assert!(text.contains(words), "{check}: {text}");
    }
}

#[test]
fn where_all_is_well_every_part_is_named_and_nothing_fails() {
    let data = tempfile::tempdir().unwrap();
    let report = examine(doctor(data.path()).args(["--source", "belt://?size=160x120"]));
    for (check, words) in [
        ("brokers", "the embedded broker can have 127.0.0.1:0"),
        ("topics", "ask again while kadr up runs"),
        ("onnx runtime", "libonnxruntime.so."),
        ("models", "parts@1"),
        ("model", "parts@1 in fp32 on cpu took"),
        (
            "cameras",
            "belt-1: belt with seed 1, 160x120 gives pictures",
        ),
        ("web port", "is free"),
        ("admin port", "is free"),
        ("clock", "it is 20"),
    ] {
        report.assert(check, "ok", words);
    }
    let opencv = if cfg!(feature = "opencv") {
        "ok"
    } else {
        "warn"
    };
    report.assert("opencv", opencv, "video");
    // How much room and how many files this machine has is its own affair.
    assert!(report.of("data folder").1.contains("can be written"));
    report.of("open files");
    let fails = |found: &Value| found["verdict"] == "fail";
    let is_healthy = !report.json["checks"].as_array().unwrap().iter().any(fails);
    assert_eq!(report.json["healthy"], is_healthy);
    assert_eq!(report.exit_code, Some(i32::from(!is_healthy)));
    let left = std::fs::read_dir(data.path()).unwrap().count();
    assert_eq!(left, 0, "it changes nothing");
}

#[test]
fn whatever_is_wrong_is_said_at_once_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    std::fs::write(&file, "no folder").unwrap();
    let report = examine(
        Command::new(env!("CARGO_BIN_EXE_kadr"))
            .env_clear()
            .current_dir(root.path())
            .args(["doctor", "--json", "--listen", &address])
            .args(["--admin-listen", "192.0.2.1:9100"])
            .args(["--broker-listen", &address, "--source", "dir:///nowhere"])
            .args(["--onnxruntime", "/nowhere/libonnxruntime.so", "--data"])
            .arg(&file),
    );
    for (check, words) in [
        ("brokers", "choose another with --broker-listen"),
        ("data folder", "choose another with --data"),
        ("onnx runtime", "run script/setup"),
        ("models", "point --models at a folder of models"),
        ("cameras", "cannot read /nowhere"),
        ("web port", "choose another with --listen"),
        ("admin port", "is no address of this machine"),
    ] {
        report.assert(check, "fail", words);
    }
    report.assert("topics", "warn", "not checked");
    report.assert("model", "warn", "not checked");
    assert_eq!(report.json["healthy"], false);
    assert_eq!(report.exit_code, Some(1));
}

#[test]
fn named_brokers_that_do_not_answer_fail() {
    let data = tempfile::tempdir().unwrap();
    // Nobody listens there once it is dropped.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let brokers = gone.local_addr().unwrap().to_string();
    drop(gone);
    let report = examine(doctor(data.path()).args(["--brokers", &brokers]));
    report.assert("brokers", "fail", &brokers);
    report.assert("brokers", "fail", "correct --brokers");
    report.assert("topics", "warn", "not checked");
    assert_eq!(report.exit_code, Some(1));
}

#[test]
fn a_model_or_device_that_cannot_be_had_fails() {
    let data = tempfile::tempdir().unwrap();
    let report = examine(doctor(data.path()).args(["--model", "no-such-model"]));
    report.assert("model", "fail", "there is part-kind and parts");
    report.assert("models", "ok", "parts@1");
    let report = examine(doctor(data.path()).args(["--provider", "cuda:77"]));
    report.assert("model", "fail", "");
    assert_eq!(report.exit_code, Some(1));
}

#[test]
fn people_get_one_line_a_check() {
    let data = tempfile::tempdir().unwrap();
    let mut command = doctor(data.path());
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let without_json = arguments.iter().filter(|argument| *argument != "--json");
    let output = Command::new(command.get_program())
        .args(without_json)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let json = examine(&mut command).json;
    let checks = json["checks"].as_array().unwrap().len();
    assert_eq!(text.lines().count(), checks + 1, "{text}");
    assert!(
        text.contains("ok    web port     127.0.0.1:0 is free\n"),
        "{text}"
    );
    assert!(text.contains(" failed\n"), "{text}");
}
