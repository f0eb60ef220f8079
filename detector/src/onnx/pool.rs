//! A model in several sessions, which share the frames of a batch and run side by side.
//!
//! To everybody else it is one model that takes larger batches: frames keep their order, and a batch
//! is answered when its slowest session is done.

use std::thread;

use super::{LoadError, LoadOptions, OnnxModel, Runtime};
use crate::image::RgbImage;
use crate::model::manifest::Manifest;
use crate::model::repository::{Precision, ResolvedModel};
use crate::model::{Interrupter, Model, ModelError, Prediction};

/// Copies of a model, at least one.
#[derive(Debug)]
pub struct SessionPool {
    /// Of the whole: as many frames as all sessions take together.
    manifest: Manifest,
    sessions: Vec<OnnxModel>,
    memory_bytes: u64,
}

impl SessionPool {
    /// Loads the model so many times; each session takes at most `batch` frames, where that is less
    /// than the model allows.
    pub fn load(
        runtime: &Runtime,
        model: &ResolvedModel,
        options: &LoadOptions,
        (sessions, batch): (usize, Option<usize>),
    ) -> Result<Self, LoadError> {
        let mut model = model.clone();
        let allowed = model.manifest.max_batch_size;
        model.manifest.max_batch_size = batch.map_or(allowed, |batch| batch.clamp(1, allowed));
        let load = |_| OnnxModel::load(runtime, &model, options);
        let sessions = (0..sessions.max(1))
            .map(load)
            .collect::<Result<Vec<_>, _>>()?;
        let mut manifest = sessions[0].manifest().clone();
        manifest.max_batch_size *= sessions.len();
        // Each session is given a preferred size.
        let preferred = &mut manifest.queueing.preferred_sizes;
        preferred.retain_mut(|size| {
            *size *= sessions.len();
            *size <= manifest.max_batch_size
        });
        Ok(Self {
            manifest,
            sessions,
            memory_bytes: 0,
        })
    }

    /// Notes what the model was seen to take.
    pub fn note_memory(&mut self, bytes: u64) {
        self.memory_bytes = bytes;
    }
}

impl Model for SessionPool {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn version(&self) -> u32 {
        self.sessions[0].version()
    }

    fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    fn precision(&self) -> Precision {
        self.sessions[0].precision()
    }

    fn predict(&mut self, images: &[&RgbImage]) -> Result<Vec<Prediction>, ModelError> {
        let share = images.len().div_ceil(self.sessions.len()).max(1);
        let mut work = self.sessions.iter_mut().zip(images.chunks(share));
        let own = work.next();
        // The first share is done by this thread, so that one session needs no other.
        let answers: Vec<Result<Vec<Prediction>, ModelError>> = thread::scope(|scope| {
            let others: Vec<_> = work
                .map(|(session, share)| scope.spawn(move || session.predict(share)))
                .collect();
            let own = own.map(|(session, share)| session.predict(share));
            let others = others.into_iter().map(|other| match other.join() {
                Ok(answer) => answer,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            own.into_iter().chain(others).collect()
        });
        let mut predictions = Vec::with_capacity(images.len());
        for answer in answers {
            predictions.extend(answer?);
        }
        Ok(predictions)
    }

    fn interrupter(&self) -> Interrupter {
        let all: Vec<Interrupter> = self.sessions.iter().map(Model::interrupter).collect();
        Interrupter::new(move || all.iter().for_each(Interrupter::interrupt))
    }
}
