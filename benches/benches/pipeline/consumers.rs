//! Consumers of one group that each read a partition with our source and decode what comes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use detector::image::{DEFAULT_MAX_PIXELS, JpegDecoder};
use pipeline::kafka::{KafkaConfig, KafkaMetrics, Source, SourceConfig, StartPosition};
use tokio::{runtime, time::timeout};

use crate::{bus::Sender, pictures::Picture};

/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often a consumer without work asks whether it is to end, and the caller how far they are.
const LOOK: Duration = Duration::from_millis(100);
const WATCH: Duration = Duration::from_millis(1);

/// The group, its topic, and how far it is.
pub(crate) struct Consumers {
    topic: String,
    partitions: i32,
    count: Arc<Count>,
    threads: Vec<JoinHandle<()>>,
}

struct Count {
    /// Frames decoded, by partition and by consumer.
    by_partition: Vec<AtomicUsize>,
    by_consumer: Vec<AtomicUsize>,
    is_over: AtomicBool,
}

/// What a run found.
pub(crate) struct Run {
    pub(crate) per_second: f64,
    /// Frames of each partition when half of all were done.
    pub(crate) done_at_half: Vec<usize>,
}

impl Consumers {
    /// As many as there are partitions.
    pub(crate) fn start(bootstrap: &str, (topic, partitions): (&str, i32)) -> Self {
        let counters = || (0..partitions).map(|_| AtomicUsize::new(0)).collect();
        let count = Arc::new(Count {
            by_partition: counters(),
            by_consumer: counters(),
            is_over: AtomicBool::new(false),
        });
        let start = |number| {
            let kafka = KafkaConfig::new(bootstrap).expect("an address");
            let metrics = KafkaMetrics::register(&prometheus::Registry::new());
            let settings = SourceConfig::new(topic, &[topic], StartPosition::Earliest);
            let source = Source::start(&kafka, settings, &metrics.expect("new metrics"));
            let (source, count) = (source.expect("a source"), Arc::clone(&count));
            thread::spawn(move || consume(source, &count, number))
        };
        let threads = (0..partitions as usize).map(start).collect();
        Self {
            topic: topic.to_owned(),
            partitions,
            count,
            threads,
        }
    }

    /// Sends until each consumer has had a frame: all have joined then and have a partition each.
    pub(crate) fn wait_until_all_read(&self, sender: &Sender, picture: &Picture) {
        let begin = Instant::now();
        while self.count.by_consumer.iter().any(|done| read(done) == 0) {
            assert!(begin.elapsed() < PATIENCE, "every consumer reads");
            self.run(sender, picture, self.partitions as usize);
        }
    }

    /// Sends so many frames, as many to each partition, and waits until all are decoded.
    pub(crate) fn run(&self, sender: &Sender, picture: &Picture, count: usize) -> Run {
        let before: Vec<usize> = self.count.by_partition.iter().map(read).collect();
        let done = || -> Vec<usize> {
            let now = self.count.by_partition.iter().map(read);
            now.zip(&before).map(|(now, before)| now - before).collect()
        };
        let begin = Instant::now();
        let wait_for = |wanted: usize| {
            while done().iter().sum::<usize>() < wanted {
                assert!(begin.elapsed() < PATIENCE, "{:?} of {wanted}", done());
                thread::park_timeout(WATCH);
            }
            done()
        };
        let to = (self.topic.as_str(), self.partitions);
        let done_at_half = thread::scope(|scope| {
            scope.spawn(|| sender.send_evenly(to, &picture.jpeg, count));
            let half = wait_for(count / 2);
            wait_for(count);
            half
        });
        Run {
            per_second: count as f64 / begin.elapsed().as_secs_f64(),
            done_at_half,
        }
    }
}

impl Drop for Consumers {
    fn drop(&mut self) {
        self.count.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn read(counter: &AtomicUsize) -> usize {
    counter.load(Ordering::Relaxed)
}

fn consume(mut source: Source, count: &Count, number: usize) {
    let mut decoder = JpegDecoder::new(DEFAULT_MAX_PIXELS).expect("a decoder");
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        while !count.is_over.load(Ordering::Relaxed) {
            let Ok(received) = timeout(LOOK, source.recv()).await else {
                continue;
            };
            let received = received.expect("a living reader");
            let partition = received.place().map_or(0, |place| place.partition);
            let record = received.complete();
            decoder.decode(&record.value).expect("a JPEG");
            count.by_partition[partition as usize].fetch_add(1, Ordering::Relaxed);
            count.by_consumer[number].fetch_add(1, Ordering::Relaxed);
        }
        source.close(Duration::from_secs(1)).await;
    });
}
