//! Any bytes as an ONNX file: read, judged and recognised, and what is suggested for it parses.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use detector::graph::{GraphFile, suggest};
use detector::model::manifest::Manifest;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = GraphFile::parse(Cursor::new(bytes), bytes.len() as u64) else {
        return;
    };
    // A refusal is printed.
    if let Err(refusal) = file.facts.admit() {
        assert!(!refusal.to_string().is_empty());
    }
    let recognition = file.recognise();
    if let Some(text) = suggest::manifest_text(&recognition, Path::new("net.onnx"), 1) {
        Manifest::parse(&text, Path::new("model.toml")).expect("a suggestion parses");
    }
});
