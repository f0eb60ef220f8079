//! What became of an upload: remembered while it is recent, read again from Kafka when it is not.
//!
//! - this file: the kinds of end, and who waits for one
//! - `index`: the recent ones, bounded in bytes
//! - `follow`: results and dead letters as they come
//! - `read`: records into fates
//! - `search`: the older ones, by the time that is in their id

mod follow;
mod index;
mod read;
mod search;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use jiff::Timestamp;
use pipeline::{
    detections::{AnnotatedPlace, ModelVersion},
    frame::{FrameId, ModelRef, SourceId, TraceContext},
};
use tokio::sync::oneshot;

pub(crate) use follow::follow;
pub(crate) use search::{Archive, ArchiveError};

use self::index::Index;

/// Sources of uploads begin like this, and go on with the frame id.
const UPLOAD_PREFIX: &str = "upload-";

/// The source of an upload.
pub(crate) fn source_of(id: FrameId) -> SourceId {
    SourceId::new(format!("{UPLOAD_PREFIX}{id}")).expect("a UUID is made of plain characters")
}

/// Whether a record's key is that of an upload; live sources are somebody else's.
fn is_upload(key: Option<&Bytes>) -> bool {
    key.is_some_and(|key| key.starts_with(UPLOAD_PREFIX.as_bytes()))
}

/// How an upload stands.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// On Kafka, not answered yet.
    Queued(Submission),
    /// Looked at.
    Done(Arc<Done>),
    /// Given up, with the reason.
    Failed(Failure),
}

/// What is known of an upload before anybody has looked at it.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    pub(crate) submitted_at: Timestamp,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) model: Option<ModelRef>,
    /// Partition and offset of the frame, when this process has written it.
    pub(crate) place: Option<(i32, i64)>,
}

/// A result.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// The result as it stands on the topic.
    pub(crate) json: Bytes,
    pub(crate) submitted_at: Timestamp,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) model: ModelVersion,
    pub(crate) annotated: Option<AnnotatedPlace>,
    /// The trace that the result bears.
    pub(crate) trace: Option<TraceContext>,
}

/// A dead letter.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// What the letter's picture tells, if it can be told.
    pub(crate) submission: Option<Submission>,
    /// The reason for programs.
    pub(crate) kind: String,
    /// The reason in words.
    pub(crate) message: String,
    /// The trace that the frame bore.
    pub(crate) trace: Option<TraceContext>,
}

impl Fate {
    fn is_final(&self) -> bool {
        !matches!(self, Self::Queued(_))
    }

    /// Where an answer goes on with the trace.
    pub(crate) fn trace(&self) -> Option<&TraceContext> {
        match self {
            Self::Queued(_) => None,
            Self::Done(done) => done.trace.as_ref(),
            Self::Failed(failure) => failure.trace.as_ref(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Queued(_) => 0,
            Self::Done(done) => done.json.len(),
            Self::Failed(failure) => failure.kind.len() + failure.message.len(),
        }
    }
}

/// The recent uploads. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Outcomes {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    index: Index,
    waiters: HashMap<FrameId, oneshot::Sender<Fate>>,
}

impl Outcomes {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Shared {
                index: Index::new(max_bytes),
                waiters: HashMap::new(),
            })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, id: FrameId) -> Option<Fate> {
        self.lock().index.get(id)
    }

    /// Takes in how an upload stands. The first end counts; whoever waits for it is told.
    pub(crate) fn note(&self, id: FrameId, fate: Fate) {
        let mut shared = self.lock();
        let is_news = shared.index.put(id, fate.clone());
        if is_news
            && fate.is_final()
            && let Some(waiter) = shared.waiters.remove(&id)
        {
            // It may have given up in this moment.
            drop(waiter.send(fate));
        }
    }

    /// Forgets an upload that did not reach Kafka.
    pub(crate) fn forget(&self, id: FrameId) {
        self.lock().index.remove(id);
    }

    /// Waits for the end of an upload that nobody else waits for.
    pub(crate) fn wait_for(&self, id: FrameId) -> Waiter {
        let (sender, receiver) = oneshot::channel();
        self.lock().waiters.insert(id, sender);
        Waiter {
            outcomes: self.clone(),
            id,
            receiver,
        }
    }
}

/// Somebody who waits; dropping it ends the wait.
#[derive(Debug)]
pub(crate) struct Waiter {
    outcomes: Outcomes,
    id: FrameId,
    receiver: oneshot::Receiver<Fate>,
}

impl Waiter {
    /// The end of the upload, however long it takes.
    pub(crate) async fn fate(&mut self) -> Fate {
        match (&mut self.receiver).await {
            Ok(fate) => fate,
            // The sender goes only together with this waiter.
            Err(_gone) => std::future::pending().await,
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.outcomes.lock().waiters.remove(&self.id);
    }
}
