//! Older uploads, found on the topics by key and by the time that is in their id.

use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use pipeline::{
    frame::FrameId,
    kafka::{Lookup, LookupError, Search, SearchOutcome, Seen},
    record::RecordError,
    topic::{Topics, key_of},
};

use super::{Fate, read, source_of};

/// Clocks of gateways and detectors differ, but not by more than this.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(5);
/// Results and letters are small; a frame is found among its first few.
const MAX_RECORDS: usize = 50_000;
const MAX_BYTES: usize = 256 << 20;

/// Why an older upload cannot be told about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error(transparent)]
    Lookup(#[from] LookupError),
    #[error("the record of this upload cannot be read: {0}")]
    Record(#[from] RecordError),
    #[error("there are too many records to look through")]
    GaveUp,
}

/// The topics as an archive of uploads.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    lookup: Lookup,
    topics: Topics,
}

impl Archive {
    pub(crate) fn new(lookup: Lookup, topics: Topics) -> Self {
        Self { lookup, topics }
    }

    /// What became of an upload; `None` when no topic has heard of it, or not any more.
    pub(crate) async fn fate_of(&self, id: FrameId) -> Result<Option<Fate>, ArchiveError> {
        let Some(made_at) = read::made_at(id) else {
            return Ok(None);
        };
        if let Some(seen) = self.find(&self.topics.results(), id, made_at).await? {
            return Ok(Some(read::result(seen.record)?.1));
        }
        if let Some(seen) = self.find(&self.topics.dead(), id, made_at).await? {
            return Ok(Some(read::dead_letter(seen)?.1));
        }
        match self.find(&self.topics.frames(), id, made_at).await? {
            Some(seen) => Ok(Some(read::frame(seen)?)),
            None => Ok(None),
        }
    }

    /// The picture that was sent in.
    pub(crate) async fn original(
        &self,
        id: FrameId,
        place: Option<(i32, i64)>,
    ) -> Result<Option<Bytes>, ArchiveError> {
        let topic = self.topics.frames();
        if let Some((partition, offset)) = place {
            return self.picture_at((&topic, partition, offset), id).await;
        }
        let Some(made_at) = read::made_at(id) else {
            return Ok(None);
        };
        let found = self.find(&topic, id, made_at).await?;
        Ok(found.map(|seen| seen.record.value))
    }

    /// The picture with what was seen, at the place that the result names.
    pub(crate) async fn annotated(
        &self,
        id: FrameId,
        (partition, offset): (i32, i64),
    ) -> Result<Option<Bytes>, ArchiveError> {
        let topic = self.topics.annotated();
        self.picture_at((&topic, partition, offset), id).await
    }

    /// The picture at a place, if it is this upload's: places are told by records of strangers.
    async fn picture_at(
        &self,
        place: (&str, i32, i64),
        id: FrameId,
    ) -> Result<Option<Bytes>, ArchiveError> {
        let record = self.lookup.at(place, PATIENCE).await?;
        let key = key_of(&source_of(id));
        let ours = record.filter(|record| record.key.as_ref() == Some(&key));
        Ok(ours.map(|record| record.value))
    }

    async fn find(
        &self,
        topic: &str,
        id: FrameId,
        made_at: Timestamp,
    ) -> Result<Option<Seen>, ArchiveError> {
        let search = Search {
            from: made_at.saturating_sub(CLOCK_SKEW).unwrap_or(made_at),
            max_records: MAX_RECORDS,
            max_bytes: MAX_BYTES,
            patience: PATIENCE,
        };
        let key = key_of(&source_of(id));
        let is_of_upload = move |record: &_| read::id_of(record) == Some(id);
        match self
            .lookup
            .find((topic, &key), search, is_of_upload)
            .await?
        {
            SearchOutcome::Found(seen) => Ok(Some(*seen)),
            SearchOutcome::NotThere => Ok(None),
            SearchOutcome::GaveUp => Err(ArchiveError::GaveUp),
        }
    }
}
