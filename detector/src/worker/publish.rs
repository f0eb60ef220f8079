//! What leaves the detector: the annotated picture, then the result that says where it stands, then
//! the commit. Sends of one source keep their order; many wait for their acknowledgement together.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use pipeline::{
    detections::{AnnotatedPlace, Detections},
    frame::Lane,
    kafka::{Delivered, Delivery, Received, Sink, SinkError, Token},
    record::{FailureKind, Record, encode_annotated, encode_dead_letter, encode_result},
    service::DropReason,
    topic::Topics,
};
use tokio::{sync::mpsc, task::spawn_blocking, time::sleep};

use super::{
    decode::decode_jpeg,
    finish::{encode_jpeg, received},
    job::{Failed, Finished, Outcome, milliseconds},
    metrics::Meters,
    trace::FrameTrace,
};
use crate::model::Prediction;

/// Pictures, and as many results, that wait for their acknowledgement.
const IN_FLIGHT: usize = 64;

/// The quality of a picture that was too big for Kafka in the wanted one.
const SMALL_QUALITY: u8 = 50;

/// How long to wait when librdkafka's own queue is full.
const FULL_PAUSE: Duration = Duration::from_millis(20);

/// The stage. Clones share the sink.
#[derive(Clone, Debug)]
pub(crate) struct Publish {
    pub(crate) sink: Sink,
    pub(crate) topics: Topics,
    pub(crate) meters: Meters,
    pub(crate) max_pixels: u64,
}

/// A picture on its way.
struct PictureSent {
    finished: Finished,
    started: Instant,
    delivery: Result<Delivery, SinkError>,
}

/// A picture that Kafka has.
struct PictureKept {
    finished: Finished,
    started: Instant,
    place: Delivered,
}

/// A result on its way.
struct ResultSent {
    finished: Finished,
    started: Instant,
    result: Detections,
    delivery: Result<Delivery, SinkError>,
}

impl Publish {
    /// Publishes until no stage has anything more to say.
    pub(crate) async fn run(
        self,
        outcomes: mpsc::Receiver<Outcome<Finished>>,
    ) -> Result<(), Infallible> {
        let this = Arc::new(self);
        received(outcomes)
            .then(|outcome| Arc::clone(&this).send_picture(outcome))
            .map(|sent| Arc::clone(&this).keep_picture(sent))
            .buffered(IN_FLIGHT)
            .filter_map(std::future::ready)
            .then(|kept| Arc::clone(&this).send_result(kept))
            .map(|sent| Arc::clone(&this).settle(sent))
            .buffered(IN_FLIGHT)
            .for_each(std::future::ready)
            .await;
        Ok(())
    }

    async fn send_picture(self: Arc<Self>, outcome: Outcome<Finished>) -> Outcome<PictureSent> {
        let (finished, token) = match outcome.into_parts() {
            (Ok(finished), token) => (finished, token),
            (Err(failed), token) => return Received::from_parts(Err(failed), token),
        };
        let started = Instant::now();
        let mut finished = finished;
        let mut delivery = self.send_annotated(&finished).await;
        if let Err(SinkError::TooBig { .. }) = delivery
            && let Some(smaller) = self.smaller(&finished.annotated).await
        {
            finished.annotated = smaller;
            delivery = self.send_annotated(&finished).await;
        }
        let sent = PictureSent {
            finished,
            started,
            delivery,
        };
        Received::from_parts(Ok(sent), token)
    }

    /// Waits until Kafka has the picture; nothing when the frame is lost.
    async fn keep_picture(
        self: Arc<Self>,
        sent: Outcome<PictureSent>,
    ) -> Option<Outcome<PictureKept>> {
        let (sent, token) = match sent.into_parts() {
            (Ok(sent), token) => (sent, token),
            (Err(failed), token) => return Some(Received::from_parts(Err(failed), token)),
        };
        let PictureSent {
            mut finished,
            started,
            delivery,
        } = sent;
        let mut answer = answer_of(delivery).await;
        if let Err(SinkError::TooBig { .. }) = answer
            && let Some(smaller) = self.smaller(&finished.annotated).await
        {
            // The topic takes less than the sink, which only the broker knows. Later pictures of
            // the source may have gone ahead; that is better than none.
            finished.annotated = smaller;
            answer = answer_of(self.send_annotated(&finished).await).await;
        }
        match answer {
            Ok(place) => Some(Received::from_parts(
                Ok(PictureKept {
                    finished,
                    started,
                    place,
                }),
                token,
            )),
            Err(error @ SinkError::TooBig { .. }) => {
                let origin = finished.job.origin;
                let failed = origin.failed(FailureKind::TooBig, error.to_string());
                Some(Received::from_parts(Err(failed), token))
            }
            Err(error) => {
                let origin = finished.job.origin;
                self.lose((origin.lane, origin.trace), token, &error);
                None
            }
        }
    }

    async fn send_result(self: Arc<Self>, kept: Outcome<PictureKept>) -> Outcome<ResultSent> {
        let (kept, token) = match kept.into_parts() {
            (Ok(kept), token) => (kept, token),
            (Err(failed), token) => return Received::from_parts(Err(failed), token),
        };
        let result = self.result_of(&kept);
        let PictureKept {
            finished, started, ..
        } = kept;
        let sent = match encode_result(&result, &finished.job.frame.carried) {
            Ok(record) => Ok(ResultSent {
                finished,
                started,
                result,
                delivery: self.send(&self.topics.results(), &record).await,
            }),
            // A model that answers with numbers which are none.
            Err(error) => {
                let origin = finished.job.origin;
                Err(origin.failed(FailureKind::ModelFailed, error.to_string()))
            }
        };
        Received::from_parts(sent, token)
    }

    /// Waits until Kafka has the result, then lets the offset be committed.
    async fn settle(self: Arc<Self>, sent: Outcome<ResultSent>) {
        let (sent, token) = match sent.into_parts() {
            (Ok(sent), token) => (sent, token),
            (Err(failed), token) => return self.bury(failed, token).await,
        };
        let ResultSent {
            finished,
            started,
            result,
            delivery,
        } = sent;
        let mut origin = finished.job.origin;
        match answer_of(delivery).await {
            Ok(_) => {
                let published = Instant::now();
                self.meters
                    .published(origin.lane, &result, published - started);
                origin.trace.stage("publish", started, published);
                origin.trace.published(&result.model);
                token.complete();
            }
            Err(error @ SinkError::TooBig { .. }) => {
                let failed = origin.failed(FailureKind::TooBig, error.to_string());
                self.bury(failed, token).await;
            }
            Err(error) => self.lose((origin.lane, origin.trace), token, &error),
        }
    }

    /// Sends a frame that cannot be looked at where its sender and the operator find it.
    async fn bury(&self, mut failed: Failed, token: Token) {
        let (lane, reason) = (failed.origin.lane, drop_reason(&failed.kind));
        let trace = std::mem::take(&mut failed.origin.trace);
        let (kind, error) = (failed.kind.to_string(), failed.reason.clone());
        let place = failed.origin.place.clone();
        tracing::warn!(kind, error, ?place, "a frame cannot be looked at");
        let mut letter = encode_dead_letter(failed.letter());
        let mut answer = answer_of(self.send(&self.topics.dead(), &letter).await).await;
        if let Err(SinkError::TooBig { .. }) = answer {
            // It came just under the limit and the reason put it over: the reason matters more.
            letter.value = Bytes::new();
            answer = answer_of(self.send(&self.topics.dead(), &letter).await).await;
        }
        match answer {
            Ok(_) => {
                self.meters.dropped(reason);
                trace.buried(reason, (&kind, &error));
                token.complete();
            }
            Err(error) => self.lose((lane, trace), token, &error),
        }
    }

    /// Kafka did not take an output: a durable frame comes again, a live one is past.
    fn lose(&self, (lane, trace): (Lane, FrameTrace), token: Token, error: &SinkError) {
        tracing::warn!(lane = lane.as_str(), %error, "a frame's outputs were not published");
        self.meters.dropped(DropReason::Unpublished);
        trace.lost(error);
        match lane {
            Lane::Live => token.complete(),
            Lane::Durable => drop(token),
        }
    }

    fn result_of(&self, kept: &PictureKept) -> Detections {
        let PictureKept {
            finished, place, ..
        } = kept;
        let Finished { job, model, .. } = finished;
        let (width, height) = (finished.width, finished.height);
        let mut result = Detections::for_frame(&job.frame, width, height, model.clone());
        match &finished.prediction {
            Prediction::Instances(instances) => result.instances.clone_from(instances),
            Prediction::Classes(classes) => result.classes.clone_from(classes),
        }
        result.timings_ms = job.timings;
        result.timings_ms.total = milliseconds(job.received_at.elapsed());
        result.annotated = Some(AnnotatedPlace {
            topic: self.topics.annotated(),
            partition: place.partition,
            offset: place.offset,
        });
        result
    }

    async fn send_annotated(&self, finished: &Finished) -> Result<Delivery, SinkError> {
        let annotated = finished.job.frame.with_jpeg(finished.annotated.clone());
        self.send(&self.topics.annotated(), &encode_annotated(&annotated))
            .await
    }

    async fn send(&self, topic: &str, record: &Record) -> Result<Delivery, SinkError> {
        loop {
            match self.sink.send_when_room(topic, None, record).await {
                Err(SinkError::Full { .. }) => sleep(FULL_PAUSE).await,
                outcome => return outcome,
            }
        }
    }

    /// The picture in a lower quality, if that can be made.
    async fn smaller(&self, jpeg: &Bytes) -> Option<Bytes> {
        let (jpeg, max_pixels) = (jpeg.clone(), self.max_pixels);
        let made = spawn_blocking(move || {
            let picture = decode_jpeg(&jpeg, max_pixels)?;
            encode_jpeg(&picture, SMALL_QUALITY)
        });
        match made.await {
            Ok(Ok(smaller)) => Some(smaller),
            Ok(Err(error)) => {
                tracing::warn!(%error, "an annotated picture cannot be made smaller");
                None
            }
            Err(error) => {
                tracing::error!(%error, "making a picture smaller broke");
                None
            }
        }
    }
}

async fn answer_of(delivery: Result<Delivery, SinkError>) -> Result<Delivered, SinkError> {
    delivery?.await
}

fn drop_reason(kind: &FailureKind) -> DropReason {
    match kind {
        FailureKind::BadImage => DropReason::Undecodable,
        FailureKind::TooBig => DropReason::TooBig,
        FailureKind::ModelFailed => DropReason::ModelFailed,
        FailureKind::Deadline => DropReason::Deadline,
        // A model that does not exist is a mistake in the record, too.
        FailureKind::BadRecord | FailureKind::UnknownModel | FailureKind::Other(_) => {
            DropReason::BadRecord
        }
    }
}
