//! P24: what more cameras cost when they send as many frames in all, whether they are served alike,
//! and how old a picture is when it is shown while the cameras send four times what can be looked at.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use benches::{
    curves::{Axis, Chart},
    measure::{
        Finding, Spread, Turn,
        goals::{Direction, goal},
        rounds::{take_turns, take_turns_each},
        spread::percentile,
    },
};
use bytes::Bytes;
use jiff::Timestamp;
use pipeline::{
    detections::Detections,
    frame::{Frame, SourceId},
    record::encode_frame,
    topic::Topics,
};
use rdkafka::Message as _;

use crate::{
    Stand,
    bus::{Reader, Sender},
    pictures::Picture,
    same::{assert_annotated, assert_same, bare_model, predict},
    services::{Service, Surroundings, shipped_models},
};

const CAMERAS: usize = 16;

/// Frames a second of all cameras together where all of them can be looked at.
const IN_TIME: f64 = 48.0;

/// How much more than can be looked at.
const OVERLOAD: f64 = 4.0;

/// So long that a frame is passed over for a newer one only: a deadline would hide how old they get.
const DEADLINE_MS: u32 = 10_000;

/// What an overload takes to show: what comes before does not count.
const SETTLING: Duration = Duration::from_secs(2);

pub(crate) fn measure(stand: &Stand) -> Vec<Finding> {
    let mut findings = vec![more_cameras(stand)];
    findings.extend(too_many_frames(stand));
    findings
}

/// A detector whose live lane is fed and read.
struct Hall {
    detector: Service,
    sender: Sender,
    results: Reader,
    topics: Topics,
    picture: Picture,
    jpeg: Bytes,
}

/// Cameras that take turns, evenly.
#[derive(Clone, Copy)]
struct Traffic {
    cameras: usize,
    per_second: f64,
    lasting: Duration,
}

/// A frame that has been looked at.
struct Shown {
    camera: String,
    at: Instant,
    age_ms: f64,
    model_ms: f64,
}

impl Traffic {
    fn count(&self) -> usize {
        (self.per_second * self.lasting.as_secs_f64()).round() as usize
    }
}

impl Hall {
    fn set_up(surroundings: &Surroundings) -> Self {
        let topics = Topics::new(&surroundings.topic_prefix).expect("a prefix");
        let picture = Picture::of_belt(640, 480);
        let hall = Self {
            detector: Service::detector(surroundings),
            sender: Sender::open(&surroundings.brokers),
            results: Reader::open(&surroundings.brokers, &topics.results()),
            jpeg: picture.jpeg.clone().into(),
            topics,
            picture,
        };
        hall.check(surroundings);
        hall
    }

    /// The live lane sees what the bare model sees. A lane starts at the end of its topic, so the
    /// first frames may come before it does.
    fn check(&self, surroundings: &Surroundings) {
        let annotated = Reader::open(&surroundings.brokers, &self.topics.annotated());
        let first = Reader::open(&surroundings.brokers, &self.topics.results());
        let is_seen = AtomicBool::new(false);
        let mut found = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..600 {
                    if is_seen.load(Ordering::Relaxed) {
                        break;
                    }
                    self.send(0, number);
                    thread::park_timeout(Duration::from_millis(100));
                }
            });
            found = first.one();
            is_seen.store(true, Ordering::Relaxed);
        });
        let result: Detections = serde_json::from_slice(&found).expect("a result");
        let original = self.picture.decoded();
        let bare = predict(&mut bare_model(surroundings), &original);
        assert_same(&result.instances, &bare);
        assert_annotated(&annotated.one(), &original);
        self.results.take_until(|| true, |_record| {});
    }

    fn send(&self, camera: usize, number: usize) {
        let source = SourceId::new(format!("camera-{camera}")).expect("a name");
        let frame = Frame {
            sequence: Some(number as u64),
            deadline_ms: Some(DEADLINE_MS),
            ..Frame::new(source, Timestamp::now(), self.jpeg.clone())
        };
        let record = encode_frame(&frame);
        self.sender.send_record(&self.topics.live(), &record);
    }

    /// Lets the cameras send and tells what was shown.
    fn run(&self, traffic: Traffic) -> Vec<Shown> {
        let gap = Duration::from_secs_f64(1.0 / traffic.per_second);
        let is_over = AtomicBool::new(false);
        let mut shown = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                let begin = Instant::now();
                for number in 0..traffic.count() {
                    let due = begin + gap * u32::try_from(number).unwrap_or(u32::MAX);
                    thread::park_timeout(due.saturating_duration_since(Instant::now()));
                    self.send(number % traffic.cameras, number);
                }
                is_over.store(true, Ordering::Relaxed);
            });
            self.results.take_until(
                || is_over.load(Ordering::Relaxed),
                |record| shown.push(Shown::of(record.payload().unwrap_or_default())),
            );
        });
        shown
    }
}

impl Shown {
    fn of(result: &[u8]) -> Self {
        let result: Detections = serde_json::from_slice(result).expect("a result");
        let age = Timestamp::now().duration_since(result.captured_at);
        Self {
            camera: result.source.to_string(),
            at: Instant::now(),
            age_ms: age.as_secs_f64() * 1e3,
            model_ms: f64::from(result.timings_ms.infer),
        }
    }
}

fn more_cameras(stand: &Stand) -> Finding {
    let hall = Hall::set_up(&stand.surroundings("cameras", "ten"));
    let of = |cameras| Traffic {
        cameras,
        per_second: IN_TIME,
        lasting: stand.pick(Duration::from_secs(4), Duration::from_millis(500)),
    };
    let cpu_ms = |cameras| {
        let traffic = of(cameras);
        let before = hall.detector.cpu();
        let shown = hall.run(traffic).len();
        let share = shown as f64 / traffic.count() as f64;
        (hall.detector.cpu_ms_each(before, shown.max(1)), share)
    };
    let many = || {
        let (each_ms, share) = cpu_ms(CAMERAS);
        Turn::of(each_ms)
            .with("many_cpu_ms", each_ms)
            .with("many_shown_share", share)
    };
    let one = || {
        let (each_ms, share) = cpu_ms(1);
        Turn::of(each_ms)
            .with("one_cpu_ms", each_ms)
            .with("one_shown_share", share)
    };
    let comparison = take_turns(stand.plan, &stand.ours, many, one);
    let known = |name: &str| comparison.detail.get(name).copied().unwrap_or_default();
    let mut curve = vec![(1.0, known("one_cpu_ms"))];
    curve.extend([2, 4, 8].map(|cameras| (f64::from(cameras), cpu_ms(cameras as usize).0)));
    curve.push((CAMERAS as f64, known("many_cpu_ms")));
    let chart = Chart::new(
        "CPU a frame, 48 frames a second in all",
        Axis::linear("cameras"),
        Axis::linear("milliseconds"),
    );
    stand.keep_curve("P24", "p24-cameras", chart.series("detector", curve));
    Finding {
        goal: goal("P24").expect("a goal"),
        variant: Some("CPU".to_owned()),
        comparison,
    }
}

/// What a run under overload found.
struct Flood {
    /// Frames shown of the luckiest camera and of the unluckiest.
    most: f64,
    least: f64,
    /// The late ones among the ages when shown, less the time between two frames of a camera.
    beyond_gap_ms: f64,
    usual_age_ms: f64,
    model_ms: f64,
    shown_per_s: f64,
}

fn too_many_frames(stand: &Stand) -> [Finding; 2] {
    let surroundings = Surroundings {
        models: shipped_models(),
        ..stand.surroundings("flood", "parts")
    };
    let hall = Hall::set_up(&surroundings);
    let can_be_seen = greatest_rate(&hall, stand.pick(64, 2));
    let traffic = Traffic {
        cameras: stand.pick(CAMERAS, 2),
        per_second: OVERLOAD * can_be_seen,
        lasting: SETTLING + stand.pick(Duration::from_secs(12), Duration::from_secs(1)),
    };
    // After the end nothing new comes, and what still waits gets older than it would have.
    let counted = stand.pick(SETTLING..traffic.lasting, Duration::ZERO..Duration::MAX);
    let last = std::cell::Cell::new((1.0, 1.0));
    // One run gives both sides of each ratio, and so B only tells what A's run found.
    let flood = || {
        let flood = flood(&hall, traffic, &counted);
        last.set((flood.least, flood.model_ms));
        [
            Turn::of(flood.most)
                .with("most_frames", flood.most)
                .with("offered_fps", traffic.per_second)
                .with("shown_fps", flood.shown_per_s),
            Turn::of(flood.beyond_gap_ms)
                .with("p99_age_less_gap_ms", flood.beyond_gap_ms)
                .with("p50_age_ms", flood.usual_age_ms)
                .with("gap_ms", gap_ms(traffic)),
        ]
    };
    let least = || {
        let (least, model_ms) = last.get();
        [
            Turn::of(least).with("least_frames", least),
            Turn::of(model_ms).with("model_run_ms", model_ms),
        ]
    };
    let found = take_turns_each(stand.plan, &stand.ours, flood, least);
    let cameras = goal("P24").expect("a goal");
    let fairness = "at 4x overload, frames shown of the luckiest camera / the unluckiest";
    let age = "at 4x overload, age when shown (p99) less a frame gap / a model run";
    let goals = [
        cameras.about(fairness, Direction::AtMost, (1.1, 1.03)),
        cameras.about(age, Direction::AtMost, (2.0, 1.5)),
    ];
    let mut found = goals.into_iter().zip(["fairness", "age"]).zip(found);
    std::array::from_fn(|_| {
        let ((goal, variant), comparison) = found.next().expect("two of each");
        Finding {
            goal,
            variant: Some(variant.to_owned()),
            comparison,
        }
    })
}

/// Frames a second when there is always one more.
fn greatest_rate(hall: &Hall, count: usize) -> f64 {
    let frames = hall.topics.frames();
    let run = || {
        let begin = Instant::now();
        hall.sender.send(&frames, &hall.jpeg, count);
        hall.results.take(count, |_record| {});
        count as f64 / begin.elapsed().as_secs_f64()
    };
    run();
    run()
}

fn flood(hall: &Hall, traffic: Traffic, counted: &Range<Duration>) -> Flood {
    let begin = Instant::now();
    let mut shown = hall.run(traffic);
    shown.retain(|shown| counted.contains(&(shown.at - begin)));
    assert!(!shown.is_empty(), "some frames are shown in time");
    let mut frames: BTreeMap<&str, u32> = BTreeMap::new();
    for one in &shown {
        *frames.entry(&one.camera).or_default() += 1;
    }
    let known: Vec<f64> = frames.values().map(|frames| f64::from(*frames)).collect();
    let Spread { min, max, .. } = Spread::of(known);
    // A camera that was never shown would otherwise not be missed.
    let least = if frames.len() < traffic.cameras {
        0.0
    } else {
        min
    };
    let ages: Vec<f64> = shown.iter().map(|shown| shown.age_ms).collect();
    let runs: Vec<f64> = shown.iter().map(|shown| shown.model_ms).collect();
    Flood {
        most: max,
        least,
        beyond_gap_ms: percentile(&ages, 0.99) - gap_ms(traffic),
        usual_age_ms: percentile(&ages, 0.5),
        model_ms: percentile(&runs, 0.5),
        shown_per_s: shown.len() as f64 / traffic.lasting.saturating_sub(SETTLING).as_secs_f64(),
    }
}

fn gap_ms(traffic: Traffic) -> f64 {
    1e3 * traffic.cameras as f64 / traffic.per_second
}
