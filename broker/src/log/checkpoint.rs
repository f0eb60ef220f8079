//! The two small files beside the segments: producers and epochs up to an offset, and the start that `DeleteRecords` moved.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::disk::{self, Disk};
use super::epochs::Epochs;
use super::producers::Producers;

const STATE_FILE: &str = "state";
const START_FILE: &str = "start";

/// Right as of `offset`; what stands behind it is read from the batch headers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    pub offset: i64,
    pub producers: Producers,
    pub epochs: Epochs,
}

impl State {
    pub(super) fn save(&self, disk: &dyn Disk, folder: &Path) -> io::Result<()> {
        let content = serde_json::to_vec(self)?;
        disk::replace_file(disk, &folder.join(STATE_FILE), &content)
    }

    /// `None` when missing or damaged: then all headers are read again.
    pub(super) fn load(folder: &Path) -> io::Result<Option<Self>> {
        let content = disk::read_checked(&folder.join(STATE_FILE))?;
        Ok(content.and_then(|content| serde_json::from_slice(&content).ok()))
    }
}

pub(super) fn save_start(disk: &dyn Disk, folder: &Path, offset: i64) -> io::Result<()> {
    disk::replace_file(disk, &folder.join(START_FILE), &offset.to_be_bytes())
}

pub(super) fn load_start(folder: &Path) -> io::Result<Option<i64>> {
    let content = disk::read_checked(&folder.join(START_FILE))?;
    Ok(content
        .and_then(|content| content.first_chunk().copied())
        .map(i64::from_be_bytes))
}
