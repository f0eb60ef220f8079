//! `tuning.toml`: what was measured to be best, for which model and on which machine.
//!
//! A figure holds for the machine that gave it: an entry of another processor, or of another number
//! of cores, is not used.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pipeline::detections::ModelVersion;
use serde::{Deserialize, Serialize};

use super::Measured;
use crate::model::repository::Precision;
use crate::onnx::Provider;

/// The file's name beside the models.
pub const TUNING_FILE: &str = "tuning.toml";

const HEAD: &str = "# Written by `detector tune`. An entry is used on the machine that it names, and nowhere else.\n\n";

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// One entry for each model, version, device, form of weights and machine.
    #[serde(default, rename = "tuned")]
    entries: Vec<Tuned>,
}

/// How a model runs best.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuned {
    /// What this holds for.
    #[serde(flatten)]
    pub subject: Subject,
    /// Copies of the model that run side by side.
    pub sessions: usize,
    /// Threads inside each.
    pub threads: usize,
    /// Frames in a run at most.
    pub batch: usize,
    /// What it gave.
    pub frames_per_second: f64,
    /// Of the runs, milliseconds.
    pub p50_ms: f64,
    /// Of the runs, milliseconds.
    pub p95_ms: f64,
    /// Of the runs, milliseconds.
    pub p99_ms: f64,
    /// Of the whole process.
    pub memory_mib: f64,
    /// The latency that was asked for, if any was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<String>,
    /// When.
    pub measured_at: Timestamp,
}

/// What a measurement holds for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The model.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The device, as `--provider` writes it.
    pub provider: String,
    /// The form of the weights.
    pub precision: Precision,
    /// The processor's name.
    pub processor: String,
    /// How many cores the process may use.
    pub cores: usize,
}

impl Subject {
    /// The model on this machine.
    pub fn here(model: &ModelVersion, provider: Provider, precision: Precision) -> Self {
        Self {
            name: model.name.clone(),
            version: model.version,
            provider: provider.to_string(),
            precision,
            processor: processor(),
            cores: cores(),
        }
    }
}

/// How many cores this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_owned())
    });
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TuningError {
    /// It cannot be read.
    #[error("cannot read {path}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is not what `detector tune` writes.
    #[error("{path}: {reason}; delete it and run detector tune again", path = .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It cannot be written.
    #[error("cannot write {path}: {source}; name another file with --tuning", path = .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Tuned {
    /// An entry for what was measured just now.
    pub fn new(subject: Subject, measured: &Measured, slo: Option<String>) -> Self {
        let rounded = |value: f64| (value * 10.0).round() / 10.0;
        Self {
            subject,
            sessions: measured.setting.sessions,
            threads: measured.setting.threads,
            batch: measured.setting.batch,
            frames_per_second: rounded(measured.frames_per_second),
            p50_ms: rounded(measured.p50_ms),
            p95_ms: rounded(measured.p95_ms),
            p99_ms: rounded(measured.p99_ms),
            memory_mib: rounded(measured.memory_mib),
            slo,
            measured_at: Timestamp::now(),
        }
    }
}

impl Tuning {
    /// Reads the file; one that is not there says nothing.
    pub fn read(path: &Path) -> Result<Self, TuningError> {
        match fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).map_err(|error| TuningError::Syntax {
                path: path.to_owned(),
                reason: error.message().to_owned(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(TuningError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// What is known about exactly this.
    pub fn find(&self, subject: &Subject) -> Option<&Tuned> {
        self.entries.iter().find(|entry| entry.subject == *subject)
    }

    /// Takes the entry in, instead of what was known about the same.
    pub fn put(&mut self, entry: Tuned) {
        self.entries.retain(|known| known.subject != entry.subject);
        self.entries.push(entry);
    }

    /// Replaces the file in one step: whoever reads it meanwhile sees the old one or the new one.
    pub fn write(&self, path: &Path) -> Result<(), TuningError> {
        let text = toml::to_string(self).expect("plain fields are plain TOML");
        let draft = path.with_extension("toml.new");
        let written =
            fs::write(&draft, format!("{HEAD}{text}")).and_then(|()| fs::rename(&draft, path));
        written.map_err(|source| TuningError::Write {
            path: path.to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::Setting;

    fn entry(version: u32, threads: usize) -> Tuned {
        let model = ModelVersion {
            name: "parts".to_owned(),
            version,
        };
        let measured = Measured {
            setting: Setting {
                sessions: 2,
                threads,
                batch: 4,
                precision: Precision::Int8,
            },
            frames_per_second: 12.345,
            p50_ms: 1.0,
            p95_ms: 2.0,
            p99_ms: 3.0,
            memory_mib: 99.0,
        };
        let subject = Subject::here(&model, Provider::Cpu, Precision::Int8);
        Tuned::new(subject, &measured, Some("p95=100ms".to_owned()))
    }

    #[test]
    fn the_file_keeps_one_entry_for_each_subject() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(TUNING_FILE);
        let mut tuning = Tuning::read(&path).unwrap();
        assert_eq!(tuning, Tuning::default(), "no file is no tuning");
        tuning.put(entry(1, 1));
        tuning.put(entry(2, 3));
        tuning.put(entry(1, 2));
        tuning.write(&path).unwrap();
        let read = Tuning::read(&path).unwrap();
        assert_eq!(read, tuning);
        assert_eq!(read.find(&entry(1, 0).subject).unwrap().threads, 2);
        assert_eq!(read.entries.len(), 2);
        assert!((read.entries[0].frames_per_second - 12.3).abs() < 1e-9);
    }

    #[test]
    fn another_machine_another_tuning() {
        let mut tuning = Tuning::default();
        tuning.put(entry(1, 1));
        let mut elsewhere = entry(1, 1).subject;
        elsewhere.cores += 1;
        assert_eq!(tuning.find(&elsewhere), None);
    }

    #[test]
    fn a_file_of_other_content_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(TUNING_FILE);
        fs::write(&path, "threads = 2").unwrap();
        let error = Tuning::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("threads") && error.contains("detector tune"),
            "{error}"
        );
    }
}
