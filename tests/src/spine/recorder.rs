//! Every record on the topics of a test, from before its first service to now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pipeline::detections::Detections;
use pipeline::frame::{Frame, FrameId, Lane};
use pipeline::kafka::{KafkaConfig, Seen, Tail};
use pipeline::record::{
    DeadLetter, decode_annotated, decode_dead_letter, decode_frame, decode_result,
};
use pipeline::topic::{Place, Topics};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::kafka::until;

/// One request to the broker.
const REQUEST: Duration = Duration::from_secs(10);

/// Reads all topics along.
pub struct Recorder {
    kafka: KafkaConfig,
    topics: Topics,
    seen: Arc<Mutex<Vec<Seen>>>,
    reader: JoinHandle<()>,
}

/// Something read, where it stood, and the headers it came with.
#[derive(Clone, Debug)]
pub struct Read<T> {
    /// What it is.
    pub value: T,
    /// Where it stands.
    pub place: Place,
    /// The record's own time in milliseconds: when its producer sent it.
    pub sent_ms: i64,
}

impl Recorder {
    /// Begins to read.
    pub(super) async fn start(kafka: &KafkaConfig, topics: Topics) -> Self {
        let names = all(&topics);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let opened = Tail::open(kafka, &names, u32::MAX).await;
        let tail = opened.expect("the topics were made");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let filled = Arc::clone(&seen);
        let reader = tokio::spawn(async move {
            loop {
                let next = tail.recv().await;
                lock(&filled).push(next);
            }
        });
        Self {
            kafka: kafka.clone(),
            topics,
            seen,
            reader,
        }
    }

    /// The names of the topics.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// Waits until everything that is on the topics now was read.
    pub async fn caught_up(&self) {
        let ends = self.ends().await;
        until("all records were read", || {
            let next = self.next_offsets();
            let is_read = |(place, end): (&(String, i32), &i64)| {
                *end == 0 || next.get(place).is_some_and(|next| next >= end)
            };
            ends.iter().all(is_read)
        })
        .await;
    }

    /// Where each partition of each topic ends now.
    async fn ends(&self) -> HashMap<(String, i32), i64> {
        let mut ends = HashMap::new();
        for topic in all(&self.topics) {
            for (partition, end) in self.ends_of(&topic).await {
                ends.insert((topic.clone(), partition), end);
            }
        }
        ends
    }

    /// Where each partition of a topic ends now.
    pub async fn ends_of(&self, topic: &str) -> HashMap<i32, i64> {
        let (bootstrap, topic) = (self.kafka.brokers().to_owned(), topic.to_owned());
        let looked_up = spawn_blocking(move || {
            let mut config = ClientConfig::new();
            config.set("bootstrap.servers", bootstrap);
            let client: BaseConsumer = config.create().expect("a client");
            let metadata = client.fetch_metadata(Some(&topic), REQUEST);
            let metadata = metadata.expect("the broker answers");
            let ends = metadata.topics()[0].partitions().iter().map(|partition| {
                let id = partition.id();
                let watermarks = client.fetch_watermarks(&topic, id, REQUEST);
                (id, watermarks.expect("the broker answers").1)
            });
            ends.collect()
        });
        looked_up.await.expect("no panic")
    }

    fn next_offsets(&self) -> HashMap<(String, i32), i64> {
        let mut next = HashMap::new();
        for seen in lock(&self.seen).iter() {
            let place = (seen.place.topic.to_string(), seen.place.partition);
            next.insert(place, seen.place.offset + 1);
        }
        next
    }

    /// The raw records of a topic, each partition in order.
    pub fn raw(&self, topic: &str) -> Vec<Seen> {
        let seen = lock(&self.seen);
        let on_topic = seen.iter().filter(|seen| *seen.place.topic == *topic);
        on_topic.cloned().collect()
    }

    /// How many records a topic holds.
    pub fn count(&self, topic: &str) -> usize {
        let seen = lock(&self.seen);
        seen.iter()
            .filter(|seen| *seen.place.topic == *topic)
            .count()
    }

    /// Whether there is a result for a frame.
    pub fn has_result(&self, id: FrameId) -> bool {
        self.results().iter().any(|result| result.value.id == id)
    }

    /// The frames that were sent on a lane; what breaks the contract is left out.
    pub fn frames(&self, lane: Lane) -> Vec<Read<Frame>> {
        let records = self.raw(&self.topics.of_lane(lane)).into_iter();
        let frames = records.filter_map(|seen| {
            let frame = decode_frame(seen.record, &seen.place).ok()?;
            Some(Read::of(frame, seen.place))
        });
        frames.collect()
    }

    /// The results; each must keep the contract.
    pub fn results(&self) -> Vec<Read<Detections>> {
        let records = self.raw(&self.topics.results()).into_iter();
        let results = records.map(|seen| {
            let (result, _carried) = decode_result(seen.record).expect("a result as agreed");
            Read::of(result, seen.place)
        });
        results.collect()
    }

    /// The annotated pictures; each must keep the contract.
    pub fn annotated(&self) -> Vec<Read<Frame>> {
        let records = self.raw(&self.topics.annotated()).into_iter();
        let pictures = records.map(|seen| {
            let picture = decode_annotated(seen.record, &seen.place).expect("as agreed");
            Read::of(picture, seen.place)
        });
        pictures.collect()
    }

    /// The dead letters; each must keep the contract.
    pub fn dead(&self) -> Vec<Read<DeadLetter>> {
        let records = self.raw(&self.topics.dead()).into_iter();
        let letters = records.map(|seen| {
            let letter = decode_dead_letter(seen.record).expect("a dead letter as agreed");
            Read::of(letter, seen.place)
        });
        letters.collect()
    }
}

impl<T> Read<T> {
    fn of(value: T, place: Place) -> Self {
        Self {
            value,
            sent_ms: place.timestamp_ms,
            place,
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

fn all(topics: &Topics) -> Vec<String> {
    let mut names = topics.frame_topics().to_vec();
    names.push(topics.dead());
    names
}

/// A panic of a test while it looks leaves nothing half-done.
fn lock(seen: &Mutex<Vec<Seen>>) -> MutexGuard<'_, Vec<Seen>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
