//! P18: one hop through Kafka with our sink and source, against a bare librdkafka producer and consumer
//! on the same broker: how long a record takes at a steady pace, and how many bytes a second go through.

use std::{
    cell::RefCell,
    thread,
    time::{Duration, Instant},
};

use benches::{
    brokers::{client, throughput::noise},
    measure::{
        Finding, Goal, Turn,
        goals::{Direction, goal},
        rounds::take_turns_each,
        spread::percentile,
    },
};
use bytes::Bytes;
use pipeline::{
    kafka::{KafkaConfig, KafkaMetrics, Sink, Source, SourceConfig, StartPosition},
    record::Record,
    topic::Topics,
};
use rdkafka::{
    Message as _,
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use tokio::runtime::Runtime;

use crate::{
    Stand,
    bus::{Reader, make_topic},
};

/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_mins(1);

const PARTITIONS: i32 = 4;

/// What goes through when as much as possible does, in bytes.
const BULK: usize = 100_000_000;

/// Bytes of a record, and records a second at a steady pace.
const SIZES: [(usize, u32); 3] = [(100_000, 100), (435_000, 50), (1_700_000, 20)];

/// What the parts of both are called in the report.
const OURS: [&str; 3] = ["our_p50_ms", "our_p99_ms", "our_mb_per_s"];
const BARE: [&str; 3] = ["bare_p50_ms", "bare_p99_ms", "bare_mb_per_s"];

/// Records that are sent: a key that says when, and always the same value.
#[derive(Clone, Copy)]
struct Stream<'a> {
    value: &'a Bytes,
    count: usize,
    /// None: as fast as it goes.
    gap: Option<Duration>,
    clock: Instant,
}

/// When each record came, by its key and the clock; in milliseconds.
type Latencies = Vec<f64>;

/// Both ways through one topic each.
struct Hops {
    runtime: Runtime,
    sink: Sink,
    source: Source,
    producer: ThreadedProducer<DefaultProducerContext>,
    reader: Reader,
    clock: Instant,
    topics: [String; 2],
}

pub(crate) fn measure(stand: &Stand) -> Vec<Finding> {
    let mut hops = Hops::set_up(stand);
    let sizes = SIZES.into_iter().flat_map(|(bytes, per_second)| {
        let value = Bytes::from(noise(bytes));
        let seconds = stand.pick(if per_second < 50 { 3 } else { 2 }, 1);
        let steady = (per_second * seconds) as usize;
        let bulk = stand.pick(BULK / bytes, 4);
        hops.check(&value);
        let clock = hops.clock;
        let paced = Stream {
            value: &value,
            count: steady,
            gap: Some(Duration::from_secs(1) / per_second),
            clock,
        };
        let full = Stream {
            count: bulk,
            gap: None,
            ..paced
        };
        let hops = RefCell::new(&mut hops);
        let ours = || turns(OURS, |stream| hops.borrow_mut().ours(stream), (paced, full));
        let bare = || turns(BARE, |stream| hops.borrow_mut().bare(stream), (paced, full));
        let found = take_turns_each(stand.plan, &stand.ours, ours, bare);
        let kilobytes = bytes / 1000;
        let about = goals().into_iter().zip(found);
        about.map(move |((goal, what), comparison)| Finding {
            goal,
            variant: Some(format!("{kilobytes}KB {what}")),
            comparison,
        })
    });
    sizes.collect()
}

fn goals() -> [(Goal, &'static str); 3] {
    let p50 = goal("P18").expect("a goal");
    let late = "our Kafka hop / a bare librdkafka loop: p99";
    let rate = "our Kafka hop / a bare librdkafka loop: bytes a second";
    [
        (p50, "p50"),
        (p50.about(late, Direction::AtMost, (1.3, 1.1)), "p99"),
        (p50.about(rate, Direction::AtLeast, (0.95, 0.98)), "MB/s"),
    ]
}

/// The usual latency, the late ones, and bytes a second, under these names.
fn turns(
    names: [&'static str; 3],
    mut run: impl FnMut(Stream<'_>) -> Latencies,
    (paced, full): (Stream<'_>, Stream<'_>),
) -> [Turn; 3] {
    let latencies_ms = run(paced);
    let begin = Instant::now();
    let came = run(full).len();
    let megabytes = (came * full.value.len()) as f64 / 1e6;
    let values = [
        percentile(&latencies_ms, 0.5),
        percentile(&latencies_ms, 0.99),
        megabytes / begin.elapsed().as_secs_f64(),
    ];
    std::array::from_fn(|number| Turn::of(values[number]).with(names[number], values[number]))
}

impl Hops {
    fn set_up(stand: &Stand) -> Self {
        let bootstrap = stand.bootstrap();
        let topics = Topics::new("hop").expect("a prefix");
        let names = ["hop-ours", "hop-bare"].map(str::to_owned);
        for name in &names {
            make_topic(bootstrap, &topics, (name, PARTITIONS));
        }
        let kafka = KafkaConfig::new(bootstrap).expect("an address");
        let metrics = KafkaMetrics::register(&prometheus::Registry::new()).expect("new metrics");
        let settings = SourceConfig::new("hop", &[&names[0]], StartPosition::Earliest);
        Self {
            runtime: Runtime::new().expect("a runtime"),
            sink: Sink::start(&kafka, &metrics).expect("a sink"),
            source: Source::start(&kafka, settings, &metrics).expect("a source"),
            producer: client(bootstrap).create().expect("a producer"),
            reader: Reader::open(bootstrap, &names[1]),
            clock: Instant::now(),
            topics: names,
        }
    }

    /// What is sent comes, on both ways, from every partition.
    fn check(&mut self, value: &Bytes) {
        let stream = Stream {
            value,
            count: 8,
            gap: Some(Duration::from_millis(20)),
            clock: self.clock,
        };
        assert_eq!(self.ours(stream).len(), stream.count);
        assert_eq!(self.bare(stream).len(), stream.count);
    }

    fn ours(&mut self, stream: Stream<'_>) -> Latencies {
        let (sink, topic) = (self.sink.clone(), self.topics[0].as_str());
        let source = &mut self.source;
        let runtime = &self.runtime;
        thread::scope(|scope| {
            scope.spawn(|| {
                stream.pace(|number, key| {
                    let record = Record {
                        key: Some(Bytes::copy_from_slice(&key)),
                        value: stream.value.clone(),
                        headers: vec![("content-type".to_owned(), "image/jpeg".into())],
                    };
                    let sent = sink.send_when_room(topic, Some(partition(number)), &record);
                    drop(runtime.block_on(sent).expect("a sink that takes it"));
                });
            });
            runtime.block_on(async {
                let mut latencies_ms = Latencies::new();
                while latencies_ms.len() < stream.count {
                    let received = tokio::time::timeout(PATIENCE, source.recv()).await;
                    let received = received.expect("records come").expect("a living reader");
                    let record = received.complete();
                    assert_eq!(record.value.len(), stream.value.len());
                    latencies_ms.push(stream.since(record.key.as_deref()));
                }
                latencies_ms
            })
        })
    }

    fn bare(&mut self, stream: Stream<'_>) -> Latencies {
        let (producer, topic) = (&self.producer, self.topics[1].as_str());
        let reader = &self.reader;
        thread::scope(|scope| {
            scope.spawn(move || {
                stream.pace(|number, key| {
                    let headers = OwnedHeaders::new().insert(Header {
                        key: "content-type",
                        value: Some("image/jpeg"),
                    });
                    let mut record = BaseRecord::to(topic)
                        .partition(partition(number))
                        .key(&key[..])
                        .payload(&stream.value[..])
                        .headers(headers);
                    while let Err((cause, refused)) = producer.send(record) {
                        let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
                        assert_eq!(cause, full, "the producer works");
                        thread::yield_now();
                        record = refused;
                    }
                });
            });
            let mut latencies_ms = Latencies::new();
            reader.take(stream.count, |record| {
                assert_eq!(record.payload_len(), stream.value.len());
                latencies_ms.push(stream.since(record.key()));
            });
            latencies_ms
        })
    }
}

impl Drop for Hops {
    fn drop(&mut self) {
        drop(self.producer.flush(PATIENCE));
    }
}

impl Stream<'_> {
    /// Calls `send` for each record when it is due, with its number and a key that says when that was.
    fn pace(&self, mut send: impl FnMut(usize, [u8; 8])) {
        let begin = Instant::now();
        for number in 0..self.count {
            if let Some(gap) = self.gap {
                let due = begin + gap * u32::try_from(number).unwrap_or(u32::MAX);
                thread::park_timeout(due.saturating_duration_since(Instant::now()));
            }
            let now = u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX);
            send(number, now.to_le_bytes());
        }
    }

    fn since(&self, key: Option<&[u8]>) -> f64 {
        let key = key.expect("a key").try_into().expect("eight bytes");
        let sent_at = Duration::from_nanos(u64::from_le_bytes(key));
        self.clock.elapsed().saturating_sub(sent_at).as_secs_f64() * 1e3
    }
}

fn partition(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(0) % PARTITIONS
}
