//! Redrive and replay on the embedded broker: what is put back and what is run again, each once, and
//! what they must leave alone.
#![expect(clippy::unwrap_used, reason = "helpers of a test fail it by panicking")]

use std::path::Path;

use bytes::Bytes;
use detector::DetectorConfig;
use detector::history::Which;
use detector::image::{DEFAULT_MAX_PIXELS, RgbImage};
use detector::jpeg::JpegEncoder;
use detector::onnx::LoadOptions;
use detector::redrive::{Redrive, Redriven};
use detector::replay::{Replay, ReplayError};
use jiff::Timestamp;
use pipeline::frame::{Frame, Lane, SourceId};
use pipeline::kafka::{KafkaConfig, Scan, ScanStart, Seen, Sink, ensure_topics, frame_topics};
use pipeline::record::{
    DeadLetter, FailureKind, Record, decode_frame, decode_result, encode_dead_letter, encode_frame,
};
use pipeline::service::{Bus, Context, Shutdown, Tasks};
use pipeline::topic::Topics;
use tests::kafka::{PATIENCE, acknowledged, sink, unique, within};
use tests::process::BrokerProcess;

struct Bench {
    kafka: KafkaConfig,
    topics: Topics,
    sink: Sink,
    _broker: BrokerProcess,
}

impl Bench {
    async fn new(purpose: &str) -> Self {
        let broker = BrokerProcess::start(purpose, &[]);
        let kafka = KafkaConfig::new(broker.address()).unwrap();
        let topics = Topics::new(unique(purpose)).unwrap();
        let specs = frame_topics(&topics);
        ensure_topics(&kafka, &specs, PATIENCE).await.unwrap();
        Self {
            sink: sink(&kafka),
            kafka,
            topics,
            _broker: broker,
        }
    }

    async fn send(&self, topic: &str, record: &Record) {
        acknowledged(self.sink.send(topic, None, record).unwrap()).await;
    }

    async fn all_of(&self, topic: &str) -> Vec<Seen> {
        let scan = Scan::open(&self.kafka, topic, ScanStart::Beginning);
        let mut scan = within("a scan", scan).await.unwrap();
        let mut all = Vec::new();
        while let Some(seen) = within("a record", scan.next()).await.unwrap() {
            all.push(seen);
        }
        all
    }

    async fn bury(&self, frame: &Frame, kind: FailureKind) {
        let letter = DeadLetter {
            original: encode_frame(frame),
            error: "for a test".to_owned(),
            kind,
            topic: self.topics.frames(),
            partition: 0,
            offset: 17,
            attempts: 3,
        };
        self.send(&self.topics.dead(), &encode_dead_letter(letter))
            .await;
    }

    async fn redrive(&self, plan: Redrive) -> Redriven {
        let redriven = plan.run(&self.kafka, &self.topics, &self.sink);
        within("a redrive", redriven).await.unwrap()
    }
}

fn frame(source: &str) -> Frame {
    let picture = RgbImage::new(64, 48, vec![90; 64 * 48 * 3]).unwrap();
    let jpeg = JpegEncoder::new(85).unwrap().encode(&picture).unwrap();
    Frame::new(SourceId::new(source).unwrap(), Timestamp::now(), jpeg)
}

fn counts(redriven: &Redriven) -> (usize, usize, usize) {
    let put_back = redriven.put_back.values().sum();
    (put_back, redriven.left, redriven.done_before)
}

#[tokio::test]
async fn dead_letters_are_put_back_once_whatever_the_filters() {
    let bench = Bench::new("redrive").await;
    let mut letters = Vec::new();
    for (source, kind) in [
        ("a", FailureKind::ModelFailed),
        ("b", FailureKind::BadImage),
        ("a", FailureKind::BadImage),
        ("c", FailureKind::ModelFailed),
        ("a", FailureKind::ModelFailed),
    ] {
        let frame = frame(source);
        bench.bury(&frame, kind).await;
        letters.push(frame);
    }
    let not_ours = Record {
        value: Bytes::from_static(b"no letter"),
        ..Record::default()
    };
    bench.send(&bench.topics.dead(), &not_ours).await;

    let of_a = Redrive {
        which: Which {
            source: vec!["a".parse().unwrap()],
            since: None,
        },
        kinds: vec![FailureKind::ModelFailed],
        ..Redrive::default()
    };
    let dry = Redrive {
        dry_run: true,
        ..of_a.clone()
    };
    let would = bench.redrive(dry).await;
    assert_eq!((counts(&would), would.unfit_count), ((2, 3, 0), 1));
    assert!(bench.all_of(&bench.topics.frames()).await.is_empty());

    assert_eq!(counts(&bench.redrive(of_a.clone()).await), (2, 3, 0));
    assert_eq!(counts(&bench.redrive(of_a).await), (0, 3, 2), "not twice");
    let all = Redrive::default();
    assert_eq!(counts(&bench.redrive(all.clone()).await), (3, 0, 2));
    assert_eq!(counts(&bench.redrive(all).await), (0, 0, 5));

    let back = bench.all_of(&bench.topics.frames()).await;
    assert_eq!(back.len(), letters.len());
    for letter in &letters {
        let of_letter = |seen: &&Seen| seen.record == encode_frame(letter);
        assert_eq!(
            back.iter().filter(of_letter).count(),
            1,
            "as it was sent first"
        );
    }
}

fn models() -> DetectorConfig {
    DetectorConfig {
        asked: <_>::default(),
        tuning: None,
        models: Path::new(env!("CARGO_MANIFEST_DIR")).join("../detector/tests/fixtures/graphs"),
        default_model: "nothing".parse().unwrap(),
        load: LoadOptions::default(),
        onnxruntime: None,
        max_loaded_models: 4,
        model_memory_budget: None,
        live_share: 0.5,
        annotated_quality: 80,
        max_pixels: DEFAULT_MAX_PIXELS,
        run_limit: None,
    }
}

#[tokio::test]
async fn history_is_run_again_with_another_model_into_topics_of_its_own() {
    let bench = Bench::new("replay").await;
    let live = bench.topics.live();
    let mut wanted = Vec::new();
    for source in ["line-3", "line-4", "line-3"] {
        let mut frame = frame(source);
        frame.deadline_ms = Some(1);
        bench.send(&live, &encode_frame(&frame)).await;
        if source == "line-3" {
            wanted.push(frame.id);
        }
    }
    let plan = Replay {
        which: Which {
            source: vec!["line-3".parse().unwrap()],
            since: Some(PATIENCE),
        },
        until: None,
        lanes: vec![Lane::Durable, Lane::Live],
        model: Some("square".parse().unwrap()),
        limit: 100,
    };
    let prefix = live.strip_suffix(".live").unwrap();
    let into = Topics::new(format!("{prefix}.replay")).unwrap();
    let context = Context::new("replay", Shutdown::new(PATIENCE)).unwrap();
    let bus = Bus::open(bench.kafka.clone(), into.clone(), &context).unwrap();
    let mut tasks = Tasks::new(&context.shutdown);
    let running = plan.run(&bench.topics, models(), (&bus, &context, &mut tasks));
    let replayed = within("a replay", running).await.unwrap();
    assert_eq!(
        (replayed.frames, replayed.results, replayed.dead),
        (2, 2, 0)
    );
    context.shutdown.begin();
    within("a clean end", tasks.drained()).await.unwrap();

    let results = bench.all_of(&into.results()).await;
    let mut seen: Vec<_> = results
        .into_iter()
        .map(|seen| {
            let (result, _) = decode_result(seen.record).unwrap();
            assert_eq!((&*result.model.name, result.instances.len()), ("square", 1));
            result.id
        })
        .collect();
    seen.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(seen, wanted);
    for topic in [
        bench.topics.results(),
        bench.topics.frames(),
        bench.topics.dead(),
    ] {
        assert!(
            bench.all_of(&topic).await.is_empty(),
            "{topic} is left alone"
        );
    }
    let copied = bench.all_of(&into.frames()).await;
    let copied = decode_frame(copied[0].record.clone(), &copied[0].place).unwrap();
    assert_eq!(copied.model, plan.model);
}

#[tokio::test]
async fn a_replay_into_the_topics_it_reads_is_refused() {
    let bench = Bench::new("same").await;
    let context = Context::new("replay", Shutdown::new(PATIENCE)).unwrap();
    let bus = Bus::open(bench.kafka.clone(), bench.topics.clone(), &context).unwrap();
    let mut tasks = Tasks::new(&context.shutdown);
    let plan = Replay {
        which: Which::default(),
        until: None,
        lanes: vec![Lane::Live],
        model: None,
        limit: 1,
    };
    let running = plan.run(&bench.topics, models(), (&bus, &context, &mut tasks));
    let refused = running.await.unwrap_err();
    assert!(matches!(refused, ReplayError::SameTopics), "{refused}");
}
