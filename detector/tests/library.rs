//! An ONNX Runtime that is missing, foreign or too old is an error to read, never a panic.
//!
//! These tests share a process with no other: a library that was loaded once stays.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

use detector::onnx::{Runtime, RuntimeError};
use tempfile::TempDir;

/// What a library of another version answers, as far as it is asked.
const OLD_LIBRARY: &str = r#"
struct base { const void *(*get_api)(unsigned); const char *(*get_version)(void); };
static const void *get_api(unsigned version) { (void)version; return 0; }
static const char *get_version(void) { return "1.10.0"; }
static const struct base BASE = { get_api, get_version };
const struct base *OrtGetApiBase(void) { return &BASE; }
"#;

fn compile(folder: &TempDir, source: &str) -> PathBuf {
    let source_path = folder.path().join("library.c");
    let library = folder.path().join("library.so");
    std::fs::write(&source_path, source).unwrap();
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source_path])
        .status()
        .expect("cc links every Rust program, so it is here");
    assert!(status.success());
    library
}

fn load_error(path: &Path) -> String {
    Runtime::load(Some(path)).unwrap_err().to_string()
}

#[test]
fn a_missing_library_says_where_it_was_looked_for_and_what_to_do() {
    let path = Path::new("/nowhere/libonnxruntime.so");
    let error = Runtime::load(Some(path)).unwrap_err();
    assert!(matches!(error, RuntimeError::NotFound { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("/nowhere/libonnxruntime.so"), "{message}");
    assert!(message.contains("script/setup"), "{message}");
}

#[test]
fn a_file_that_is_no_library_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    std::fs::write(&path, "not a library").unwrap();
    let message = load_error(&path);
    assert!(
        message.contains("cannot use the ONNX Runtime at"),
        "{message}"
    );
    assert!(message.contains("script/setup"), "{message}");
}

#[test]
fn another_library_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let message = load_error(&compile(&folder, "int answer(void) { return 42; }"));
    assert!(message.contains("OrtGetApiBase"), "{message}");
}

#[test]
fn an_old_library_is_refused_with_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let message = load_error(&compile(&folder, OLD_LIBRARY));
    assert!(
        message.contains("1.10.0") && message.contains("1.22"),
        "{message}"
    );
    assert!(message.contains("script/setup"), "{message}");
}
