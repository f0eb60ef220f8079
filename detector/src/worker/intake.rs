//! The way in: reads both lanes, lets the scheduler choose, and never lets the model wait for work
//! that is there.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pipeline::{
    frame::{Lane, ModelRef},
    kafka::{KafkaMetrics, Received, Source},
    record::Record,
    service::{DropReason, Part, Traces},
    topic::Topics,
};
use tokio::{
    sync::{
        mpsc::{self, OwnedPermit},
        watch,
    },
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    decode::Chosen,
    job::{Finished, Job, Origin, Outcome, give_up},
    metrics::Meters,
    model_thread::{Batch, keeping_alive},
    scheduler::{Pushed, Room, Scheduler, Taken},
    shelf::BatchRules,
    trace::FrameTrace,
};
use crate::rollout::Routes;

/// How often frames that nobody took in time are cleared away.
const TICK: Duration = Duration::from_millis(500);
pub(crate) const INTAKE_DEADLINE: Duration = Duration::from_secs(15);

/// What may wait for the model.
pub(crate) const ROOM: Room = Room {
    live_sources: 256,
    durable_frames: 64,
};

/// A lane's reader ended by itself.
#[derive(Debug, thiserror::Error)]
#[error("the Kafka reader of the {0} lane has died: this is a defect, see the log")]
pub(crate) struct ReaderDied(&'static str);

/// The stage.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) durable: Source,
    pub(crate) live: Source,
    pub(crate) desk: Desk,
    /// Whether the default model is loaded.
    pub(crate) is_loaded: watch::Receiver<bool>,
    /// The place in front of the model thread.
    pub(crate) model: mpsc::Sender<Batch>,
    pub(crate) chosen: mpsc::Sender<Chosen>,
    /// Says how far the lanes are behind.
    pub(crate) kafka: KafkaMetrics,
    pub(crate) topics: Topics,
    pub(crate) part: Part,
    pub(crate) stop: CancellationToken,
    /// How long what is in hand may take at the end.
    pub(crate) drain: Duration,
}

/// What is done with each record, apart from waiting.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) scheduler: Scheduler<Received<Job>>,
    pub(crate) default_model: ModelRef,
    /// From the model asked for to the version that serves.
    pub(crate) routes: Routes,
    pub(crate) batch_rules: BatchRules,
    /// Nothing waits for company any more.
    pub(crate) is_ending: bool,
    pub(crate) failures: mpsc::Sender<Outcome<Finished>>,
    pub(crate) meters: Meters,
    pub(crate) traces: Traces,
}

impl Intake {
    /// Reads until the shutdown, then waits for what the other stages have in hand and commits.
    pub(crate) async fn run(mut self) -> Result<(), ReaderDied> {
        let ended = self.read().await;
        if timeout(self.drain, self.finish_owed()).await.is_err() {
            tracing::warn!("frames that others had overtaken are left, those others come again");
        }
        let Self {
            durable,
            live,
            desk,
            model,
            chosen,
            part,
            drain,
            ..
        } = self;
        // What was not begun is read again by whoever comes next. The stages end one after the
        // other, as each finds that nobody can send to it any more.
        drop((desk, model, chosen));
        let (durable, live) = tokio::join!(durable.close(drain), live.close(drain));
        for (lane, closed) in [(Lane::Durable, durable), (Lane::Live, live)] {
            if closed.unfinished > 0 {
                let (lane, frames) = (lane.as_str(), closed.unfinished);
                tracing::warn!(lane, frames, "frames were not finished in time");
            }
        }
        part.retire();
        ended
    }

    /// Brings those frames on their way that others have overtaken.
    async fn finish_owed(&mut self) {
        self.desk.scheduler.keep_owed();
        self.desk.is_ending = true;
        while *self.is_loaded.borrow() && !self.desk.scheduler.is_empty() {
            let place = self.model.clone().reserve_owned();
            let Ok(place) = keeping_alive(&self.part, place).await else {
                return;
            };
            self.choose(place).await;
        }
    }

    async fn read(&mut self) -> Result<(), ReaderDied> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = self.stop.clone();
        loop {
            let desk = &mut self.desk;
            let is_loaded = *self.is_loaded.borrow();
            let wait = is_loaded.then(|| desk.wait(Timestamp::now())).flatten();
            let may_choose = wait.is_some_and(|wait| wait.is_zero());
            let place = self.model.clone().reserve_owned();
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {
                    keeping_alive(&self.part, desk.clear(Timestamp::now())).await;
                    for lane in [Lane::Durable, Lane::Live] {
                        let seconds = self.kafka.behind_seconds(&self.topics.of_lane(lane));
                        desk.meters.behind(lane, seconds);
                    }
                    self.part.ready();
                }
                record = self.live.recv() => {
                    let record = record.ok_or(ReaderDied("live"))?;
                    keeping_alive(&self.part, desk.take_in(record, Lane::Live)).await;
                }
                record = self.durable.recv(), if desk.scheduler.has_durable_room() => {
                    let record = record.ok_or(ReaderDied("durable"))?;
                    keeping_alive(&self.part, desk.take_in(record, Lane::Durable)).await;
                }
                Ok(place) = place, if may_choose => self.choose(place).await,
                // Looks again when a batch has waited for long enough.
                () = sleep(wait.unwrap_or_default()), if wait.is_some() && !may_choose => {}
                Ok(()) = self.is_loaded.changed() => {}
            }
        }
    }

    /// Sends the next batch on its way, if there is one.
    async fn choose(&mut self, place: OwnedPermit<Batch>) {
        let now = Timestamp::now();
        keeping_alive(&self.part, self.desk.give_up_late(now)).await;
        if let Some(chosen) = self.desk.choose(now, place) {
            // There is one place, so the decoder is free; it is gone only at the end.
            drop(self.chosen.send(chosen).await);
        }
    }
}

impl Desk {
    /// Reads a record and lets it wait for its turn.
    async fn take_in(&mut self, received: Received<Record>, lane: Lane) {
        let Some(place) = received.place().cloned() else {
            tracing::error!("a record without a place was read: this is a defect");
            return drop(received);
        };
        let attempts = received.attempts_before();
        let (record, token) = received.into_parts();
        let origin = Origin {
            record,
            place,
            lane,
            attempts,
            trace: FrameTrace::default(),
        };
        let mut read = Job::read(origin, &self.default_model, Timestamp::now());
        FrameTrace::open(&self.traces, &mut read);
        match read {
            Ok(mut job) => {
                job.model = self.routes.of(&job.model, &job.frame.source);
                let job = Received::from_parts(job, token);
                self.enqueue(job, lane, Timestamp::now()).await;
            }
            Err(failed) => self.fail(Received::from_parts(Err(failed), token)).await,
        }
    }

    async fn fail(&self, failed: Outcome<Finished>) {
        // Without a publisher the record is not completed, and so comes again.
        drop(self.failures.send(failed).await);
    }

    async fn enqueue(&mut self, job: Received<Job>, lane: Lane, now: Timestamp) {
        if job.value().is_late(now) {
            return self.give_up(job, now).await;
        }
        match lane {
            Lane::Durable => self.scheduler.push_durable(job, now),
            Lane::Live => match self.scheduler.push_live(job, now) {
                Pushed::Waits => {}
                Pushed::Superseded(older) => self.skip(older, DropReason::Superseded),
                Pushed::Refused(job) => self.skip(job, DropReason::QueueFull),
            },
        }
    }

    /// How long until a batch may go; nothing when none waits.
    fn wait(&self, now: Timestamp) -> Option<Duration> {
        let rule_of = |model: &ModelRef| self.batch_rules.of(model);
        let ready_at = self.scheduler.ready_at(now, rule_of)?;
        let wait = Duration::try_from(ready_at.duration_since(now));
        Some(wait.unwrap_or(Duration::ZERO))
    }

    /// The next frames for the model, if any may go.
    fn choose(&mut self, now: Timestamp, place: OwnedPermit<Batch>) -> Option<Chosen> {
        let (rules, is_ending) = (&self.batch_rules, self.is_ending);
        let taken = self.scheduler.take(now, |model| match rules.of(model) {
            rule if is_ending => rule.at_once(),
            rule => rule,
        });
        let Taken {
            frames,
            reservation,
        } = taken?;
        let model = frames.first()?.value().model.clone();
        Some(Chosen {
            model,
            frames,
            reservation,
            place,
        })
    }

    /// Ends the frames that nobody looks at in time any more.
    async fn give_up_late(&mut self, now: Timestamp) {
        for frame in self.scheduler.take_late(now) {
            self.give_up(frame, now).await;
        }
    }

    async fn give_up(&self, late: Received<Job>, now: Timestamp) {
        if let Some(failed) = give_up(late, now, &self.meters) {
            self.fail(failed).await;
        }
    }

    /// Ends what came too late, and tells what waits and how long the oldest frames do.
    async fn clear(&mut self, now: Timestamp) {
        self.give_up_late(now).await;
        for lane in [Lane::Durable, Lane::Live] {
            let oldest = self.scheduler.oldest(lane);
            let age = oldest.map_or(SignedDuration::ZERO, |oldest| now.duration_since(oldest));
            let age = Duration::try_from(age).unwrap_or(Duration::ZERO);
            self.meters.oldest_waiting(lane, age);
        }
        let lengths = [Lane::Durable, Lane::Live].map(|lane| (lane, self.scheduler.lengths(lane)));
        self.meters.waiting(&lengths);
    }

    fn skip(&self, frame: Received<Job>, reason: DropReason) {
        self.meters.dropped(reason);
        frame.complete().origin.trace.dropped(reason);
    }
}

#[cfg(test)]
mod tests {
    use pipeline::record::FailureKind;
    use pipeline::service::{Metrics, metrics::FRAMES_DROPPED_TOTAL};

    use super::super::job::tests::job;
    use super::super::metrics::tests::meters;
    use super::super::shares::Shares;
    use super::*;

    fn desk() -> (Desk, Metrics, mpsc::Receiver<Outcome<Finished>>) {
        let (meters, metrics) = meters();
        let (failures, failed) = mpsc::channel(4);
        let desk = Desk {
            scheduler: Scheduler::new(
                Room {
                    live_sources: 2,
                    durable_frames: 2,
                },
                Shares::default(),
            ),
            default_model: "parts".parse().unwrap(),
            routes: Routes::default(),
            batch_rules: BatchRules::default(),
            is_ending: false,
            failures,
            meters,
            traces: Traces::default(),
        };
        (desk, metrics, failed)
    }

    /// A frame of the live lane, worth showing for a second.
    fn live(source: &str) -> Received<Job> {
        let mut job = job(source, "part-kind", b"\xff\xd8");
        job.frame.deadline_ms = Some(1000);
        job.deadline = Some(Duration::from_secs(1));
        job.origin.lane = Lane::Live;
        Received::untracked(job)
    }

    /// A frame of the durable lane, wanted within so many milliseconds.
    fn durable(source: &str, deadline_ms: Option<u64>) -> Received<Job> {
        let mut job = job(source, "parts", b"\xff\xd8");
        job.deadline = deadline_ms.map(Duration::from_millis);
        Received::untracked(job)
    }

    fn captured_at() -> Timestamp {
        live("any").value().frame.captured_at
    }

    fn dropped(metrics: &Metrics, reason: &str) -> i64 {
        metrics.sum(FRAMES_DROPPED_TOTAL, &[("reason", reason)]) as i64
    }

    #[tokio::test]
    async fn every_live_frame_is_chosen_or_counted() {
        let (mut desk, metrics, _failed) = desk();
        for source in ["a", "b", "a", "c"] {
            desk.enqueue(live(source), Lane::Live, captured_at()).await;
        }
        assert_eq!(dropped(&metrics, "superseded"), 1);
        assert_eq!(dropped(&metrics, "queue_full"), 1);
        let (model, _batches) = mpsc::channel(1);
        let place = model.clone().reserve_owned().await.unwrap();
        let chosen = desk.choose(captured_at(), place).unwrap();
        assert_eq!(chosen.model, "part-kind".parse().unwrap());
        assert_eq!(chosen.frames.len(), 1);
        drop(chosen);
        let too_late = captured_at() + SignedDuration::from_secs(2);
        desk.give_up_late(too_late).await;
        let place = model.reserve_owned().await.unwrap();
        assert!(desk.choose(too_late, place).is_none());
        assert_eq!(dropped(&metrics, "stale"), 1);
        desk.enqueue(live("late"), Lane::Live, too_late).await;
        assert!(desk.scheduler.is_empty(), "it was late when it came");
        assert_eq!(dropped(&metrics, "stale"), 2);
    }

    #[tokio::test]
    async fn what_waits_is_cleared_and_its_age_is_told() {
        let (mut desk, metrics, _failed) = desk();
        let now = captured_at();
        desk.enqueue(live("a"), Lane::Live, now).await;
        desk.enqueue(durable("job", None), Lane::Durable, now).await;
        desk.clear(now + SignedDuration::from_millis(500)).await;
        let oldest = |lane| metrics.sum(super::super::metrics::OLDEST_WAITING, &[("lane", lane)]);
        assert_eq!((oldest("live"), oldest("durable")), (0.5, 0.5));
        let of_lane = |lane| metrics.sum(super::super::metrics::WAITING, &[("lane", lane)]);
        assert_eq!((of_lane("live"), of_lane("durable")), (1.0, 1.0));
        desk.clear(now + SignedDuration::from_secs(60)).await;
        assert_eq!(dropped(&metrics, "stale"), 1);
        assert_eq!((oldest("live"), oldest("durable")), (0.0, 60.0));
        assert_eq!((of_lane("live"), of_lane("durable")), (0.0, 1.0));
    }

    #[tokio::test]
    async fn a_durable_frame_past_its_deadline_is_buried_wherever_it_waits() {
        let (mut desk, _metrics, mut failed) = desk();
        let now = captured_at();
        let late = now + SignedDuration::from_millis(1500);
        desk.enqueue(durable("a", Some(1000)), Lane::Durable, now)
            .await;
        desk.enqueue(durable("b", None), Lane::Durable, now).await;
        desk.enqueue(durable("c", Some(1000)), Lane::Durable, late)
            .await;
        desk.clear(late).await;
        for _ in 0..2 {
            let letter = failed.try_recv().unwrap().complete().unwrap_err();
            assert_eq!(letter.kind, FailureKind::Deadline);
            let reason = letter.reason;
            assert!(reason.contains("within 1s, and 1s 500ms"), "{reason}");
        }
        assert!(failed.try_recv().is_err(), "b waits for ever");
        assert!(!desk.scheduler.is_empty());
    }
}
