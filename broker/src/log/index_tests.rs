//! Tests of the index and its file.

use tempfile::TempDir;

use super::super::disk::RealDisk;
use super::super::testing::Making;
use super::*;

fn grown(batches: usize) -> SparseIndex {
    let mut index = SparseIndex::new(100);
    for at in 0..batches {
        let mut header = Making::at(&[at as i64 * 10]).batch().header;
        header.base_offset = 100 + at as i64;
        header.bytes = 10_000;
        index.grow(&header);
    }
    index
}

#[test]
fn has_one_entry_for_about_32_kib() {
    let index = grown(100);
    assert_eq!(index.entries.len(), 25);
    assert_eq!(index.entries[1].position, 40_000);
    assert_eq!(index.entries[1].max_timestamp_before_ms, 30);
    assert_eq!(index.summary.end_offset, 200);
    assert_eq!(index.summary.max_timestamp_ms, 990);
}

#[test]
fn the_file_answers_like_the_memory() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("x.index");
    let index = grown(100);
    save(&index.summary, &index.entries, &RealDisk, &path).unwrap();
    assert_eq!(
        load_summary(&path, index.summary.bytes).unwrap(),
        Some(index.summary)
    );
    for offset in 90..210 {
        let before = |entry: &Entry| entry.offset <= offset;
        assert_eq!(
            position_in_file(&path, before).unwrap(),
            position_in(&index.entries, before)
        );
    }
}

#[test]
fn a_damaged_or_foreign_file_is_seen() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("x.index");
    let index = grown(10);
    save(&index.summary, &index.entries, &RealDisk, &path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(load_summary(&path, index.summary.bytes + 1).unwrap(), None);
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(load_summary(&path, index.summary.bytes).unwrap(), None);
        std::fs::write(&path, &whole[..at]).unwrap();
        assert_eq!(load_summary(&path, index.summary.bytes).unwrap(), None);
    }
}
