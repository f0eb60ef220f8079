//! `kadr up` with what cannot work: one clear line, exit code 1, and nothing left running.

use std::process::{Command, Output};

const ANY_PORT: &str = "127.0.0.1:0";

/// Runs it on an empty folder, and nothing of this machine's settings, until it ends.
fn up(listen: &str, options: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kadr"));
    let settings = std::env::vars().map(|(name, _)| name);
    for name in settings.filter(|name| name.starts_with("KADR_") || name.starts_with("KAFKA_")) {
        command.env_remove(name);
    }
    command
        .args(["up", "--listen", listen, "--admin-listen", ANY_PORT])
        .args(["--broker-listen", ANY_PORT, "--data"])
        .arg(folder.path())
        .args(options)
        .env("RUST_LOG", "error")
        .output()
        .expect("the program starts")
}

/// What it says on stderr, after ending with code 1: a crash has another.
fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{}\n{text}", output.status);
    text
}

#[test]
fn a_wrong_camera_is_told_before_anything_starts() {
    let output = up(ANY_PORT, &["--source", "ftp://line-3"]);
    let text = complaint(&output);
    assert!(text.contains("camera scheme 'ftp' is not known"), "{text}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

#[test]
fn a_camera_that_cannot_start_ends_what_runs_already() {
    let output = up(ANY_PORT, &["--source", "dir:///no/such/folder"]);
    let text = complaint(&output);
    assert!(text.contains("/no/such/folder"), "{text}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("Kafka clients connect to"));
}

#[test]
fn a_port_in_use_is_named_with_the_flag() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("a bound listener").to_string();
    let text = complaint(&up(&address, &[]));
    assert!(text.contains("choose another with --listen"), "{text}");
}
