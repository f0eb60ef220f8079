//! Where models come from: the repository, run by ONNX Runtime as flags, manifest and tuning say.

use std::path::PathBuf;

use pipeline::catalogue::{CatalogueError, Versions};
use pipeline::detections::ModelVersion;
use pipeline::service::shutdown::describe;

use super::memory::{Seen, mebibytes, resident_bytes};
use super::shelf::{ShelfError, Store};
use crate::model::Model;
use crate::model::manifest::SessionWishes;
use crate::model::repository::{
    ModelReference, Precision, Repository, RepositoryError, ResolvedModel,
};
use crate::onnx::{LoadOptions, Runtime, SessionPool};
use crate::rollout::warm::warm_up;
use crate::rollout::{Stamp, stamp_of};
use crate::tune::record::{Subject, Tuned, Tuning};

/// The model repository, run by ONNX Runtime.
#[derive(Clone, Debug)]
pub(crate) struct OnnxStore {
    pub(crate) repository: Repository,
    /// The library to use instead of the one that is found.
    pub(crate) library: Option<PathBuf>,
    pub(crate) options: LoadOptions,
    /// What flags say of sessions, threads and memory.
    pub(crate) asked: SessionWishes,
    /// What was found best for models on this machine.
    pub(crate) tuning: PathBuf,
    pub(crate) seen: Seen,
}

/// How one model is run.
#[derive(Clone, Debug, PartialEq)]
struct Setting {
    options: LoadOptions,
    sessions: usize,
    /// Frames in a run of each, where that was found best.
    batch: Option<usize>,
    /// What it may take.
    memory_bytes: Option<u64>,
}

impl OnnxStore {
    /// What was measured for this model on this machine, read anew so that a fresh tuning counts from
    /// the model's next load on.
    fn tuned(&self, model: &ModelVersion, precision: Precision) -> Option<Tuned> {
        let session = &self.options.session;
        let subject = Subject::here(model, session.provider, precision);
        match Tuning::read(&self.tuning) {
            Ok(tuning) => tuning.find(&subject).cloned(),
            Err(error) => {
                tracing::warn!(error = describe(&error), "the tuning is left aside");
                None
            }
        }
    }

    /// What flags say, else the manifest, else the tuning.
    fn setting(&self, manifest: SessionWishes, tuned: Option<&Tuned>) -> Setting {
        let mut options = self.options.clone();
        let session = &mut options.session;
        let flags = SessionWishes {
            threads: (session.threads > 0).then_some(session.threads),
            ..self.asked
        };
        let measured = SessionWishes {
            sessions: tuned.map(|tuned| tuned.sessions),
            threads: tuned.map(|tuned| tuned.threads),
            ..SessionWishes::default()
        };
        let wishes = flags.or(manifest).or(measured);
        let sessions = wishes.sessions.unwrap_or(1);
        session.threads = wishes.threads.unwrap_or(session.threads);
        session.inter_threads = wishes.inter_threads.unwrap_or(session.inter_threads);
        session.spinning = wishes.spinning.unwrap_or(session.spinning);
        session.arena = wishes.arena.unwrap_or(session.arena);
        let share = wishes.memory_bytes.map(|bytes| bytes / sessions as u64);
        session.card_memory_bytes = share;
        Setting {
            options,
            sessions,
            batch: tuned.map(|tuned| tuned.batch),
            memory_bytes: wishes.memory_bytes,
        }
    }

    fn resolved(&self, model: &ModelVersion) -> Result<ResolvedModel, ShelfError> {
        let reference = ModelReference::version(&model.name, model.version);
        let resolved = self.repository.resolve(&reference);
        resolved.map_err(|error| unavailable(&error))
    }

    /// The form of its weights that is served.
    fn form(&self, resolved: &ResolvedModel) -> Precision {
        resolved.form(self.options.precision)
    }

    /// The model's file, once for each session: less it cannot take. Of a cut model this is no more
    /// than its description; what it takes is known once it is loaded.
    fn least_bytes(&self, resolved: &ResolvedModel, sessions: usize) -> u64 {
        let file = resolved.file(self.form(resolved)).ok();
        let file = file.and_then(|file| std::fs::metadata(file).ok());
        file.map_or(0, |file| file.len()) * sessions as u64
    }
}

impl Store for OnnxStore {
    fn versions(&mut self, name: &str) -> Result<Versions, ShelfError> {
        let versions = self.repository.versions(name);
        versions.map_err(|error| unavailable(&error))
    }

    fn stamp(&mut self, model: &ModelVersion) -> Option<Stamp> {
        let catalogue = self.repository.catalogue();
        let folder = catalogue.root().join(&model.name);
        let folder = folder.join(model.version.to_string());
        stamp_of(&catalogue.manifest_path(&model.name), &folder).ok()
    }

    fn expected_bytes(&mut self, model: &ModelVersion) -> u64 {
        let least = self.resolved(model).map_or(0, |resolved| {
            let tuned = self.tuned(model, self.form(&resolved));
            let setting = self.setting(resolved.manifest.session, tuned.as_ref());
            self.least_bytes(&resolved, setting.sessions)
        });
        least.max(self.seen.of(model).unwrap_or(0))
    }

    fn load(&mut self, model: &ModelVersion) -> Result<Box<dyn Model>, ShelfError> {
        let resolved = self.resolved(model)?;
        let unusable = |error: &dyn std::error::Error| ShelfError::Unusable(describe(error));
        let runtime = Runtime::load(self.library.as_deref()).map_err(|error| unusable(&error))?;
        let tuned = self.tuned(model, self.form(&resolved));
        let setting = self.setting(resolved.manifest.session, tuned.as_ref());
        let before = resident_bytes().unwrap_or(0);
        let shares = (setting.sessions, setting.batch);
        let loaded = SessionPool::load(&runtime, &resolved, &setting.options, shares);
        let mut loaded = loaded.map_err(|error| unusable(&error))?;
        warm_up(&mut loaded).map_err(|error| {
            ShelfError::Unusable(format!("its first run failed: {}", describe(&error)))
        })?;
        let grown = resident_bytes().unwrap_or(0).saturating_sub(before);
        let least = self.least_bytes(&resolved, setting.sessions);
        let bytes = self.seen.note(model, grown.max(least));
        check_limit(bytes, setting.memory_bytes)?;
        loaded.note_memory(bytes);
        let (name, version) = (&model.name, model.version);
        let (sessions, threads) = (setting.sessions, setting.options.session.threads);
        let (precision, provider) = (loaded.precision(), setting.options.session.provider);
        let tuned = tuned.is_some();
        tracing::info!(
            model = name,
            version,
            %precision,
            %provider,
            sessions,
            threads,
            tuned,
            "model ready"
        );
        Ok(Box::new(loaded))
    }
}

/// Whether a model keeps to what its manifest allows it.
fn check_limit(bytes: u64, limit: Option<u64>) -> Result<(), ShelfError> {
    match limit {
        Some(limit) if bytes > limit => {
            let (took, limit) = (mebibytes(bytes), mebibytes(limit));
            Err(ShelfError::Unusable(format!(
                "it takes {took}, and model.toml allows it {limit}; raise memory under [session], \
                 or have fewer sessions"
            )))
        }
        _ => Ok(()),
    }
}

pub(crate) fn unavailable(error: &RepositoryError) -> ShelfError {
    use CatalogueError::{Alias, UnknownModel, UnknownVersion};
    match error {
        RepositoryError::Catalogue(UnknownModel { .. } | UnknownVersion { .. } | Alias { .. })
        | RepositoryError::Malformed { .. } => ShelfError::Unknown(error.to_string()),
        _ => ShelfError::Unusable(describe(error)),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::onnx::Provider;

    fn store() -> OnnxStore {
        OnnxStore {
            repository: Repository::new("nowhere"),
            library: None,
            options: LoadOptions::default(),
            asked: SessionWishes::default(),
            tuning: "nowhere/tuning.toml".into(),
            seen: Seen::default(),
        }
    }

    fn tuned() -> Tuned {
        let model = ModelVersion {
            name: "parts".to_owned(),
            version: 1,
        };
        Tuned {
            subject: Subject::here(&model, Provider::Cpu, Precision::Fp32),
            sessions: 4,
            threads: 2,
            batch: 3,
            frames_per_second: 1.0,
            p50_ms: 1.0,
            p95_ms: 1.0,
            p99_ms: 1.0,
            memory_mib: 1.0,
            slo: None,
            measured_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn flags_overrule_the_manifest_and_that_the_tuning() {
        let mut store = store();
        let plain = store.setting(SessionWishes::default(), None);
        assert_eq!((plain.sessions, plain.options.session.threads), (1, 0));
        let manifest = SessionWishes {
            threads: Some(3),
            inter_threads: Some(2),
            memory_bytes: Some(400),
            ..SessionWishes::default()
        };
        let setting = store.setting(manifest, Some(&tuned()));
        let session = setting.options.session;
        assert_eq!((setting.sessions, setting.batch), (4, Some(3)), "as tuned");
        assert_eq!((session.threads, session.inter_threads), (3, 2));
        assert_eq!(session.card_memory_bytes, Some(100), "a share for each");
        store.options.session.threads = 7;
        store.asked.sessions = Some(1);
        store.asked.spinning = Some(true);
        let setting = store.setting(manifest, Some(&tuned()));
        let session = setting.options.session;
        assert_eq!((setting.sessions, session.threads), (1, 7));
        assert!(session.spinning && !session.arena);
    }

    #[test]
    fn a_model_keeps_to_its_own_limit() {
        check_limit(10, None).unwrap();
        check_limit(10, Some(10)).unwrap();
        let error = check_limit(64 << 20, Some(32 << 20)).unwrap_err();
        assert!(error.to_string().contains("takes 64.0 MiB"), "{error}");
    }
}
