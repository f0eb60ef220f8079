//! P21: twice the detectors, twice the frames; twice the partitions and consumers on the same cores,
//! as many frames; and no partition left behind. All services stand by while others are measured.

use std::{num::NonZeroU32, time::Instant};

use benches::{
    curves::{Axis, Chart},
    measure::{
        Finding, Turn,
        goals::{Direction, goal},
        rounds::{take_turns, take_turns_each},
    },
};
use pipeline::{
    detections::Detections,
    topic::{Topics, partition_for},
};
use rdkafka::Message as _;

use crate::{
    Stand,
    bus::{Reader, Sender, make_topic},
    consumers::Consumers,
    pictures::Picture,
    same::{assert_same, bare_model, predict},
    services::{Service, Surroundings, shipped_models},
};

const PARTITIONS: u32 = 4;

/// A detector has a core.
const ONE_THREAD: [&str; 2] = ["--model-threads", "1"];

pub(crate) fn measure(stand: &Stand) -> Vec<Finding> {
    let mut findings = vec![more_detectors(stand)];
    findings.extend(more_partitions(stand));
    findings
}

/// Some detectors of one group.
struct Crew {
    sender: Sender,
    results: Reader,
    topics: Topics,
    keys: Vec<String>,
    detectors: Vec<Service>,
}

impl Crew {
    fn of(count: usize, surroundings: &Surroundings) -> Self {
        let topics = Topics::new(&surroundings.topic_prefix).expect("a prefix");
        let start = || Service::detector_with(surroundings, &ONE_THREAD);
        Self {
            sender: Sender::open(&surroundings.brokers),
            results: Reader::open(&surroundings.brokers, &topics.results()),
            topics,
            keys: a_source_for_each_partition(),
            detectors: (0..count).map(|_| start()).collect(),
        }
    }

    /// Frames a second while each partition has as many; the last result.
    fn run(&self, picture: &Picture, count: usize) -> (f64, Vec<u8>) {
        let topic = self.topics.frames();
        let begin = Instant::now();
        for key in self.keys.iter().cycle().take(count) {
            self.sender.send_from(&topic, key, &picture.jpeg);
        }
        let mut last = Vec::new();
        self.results.take(count, |record| {
            last = record.payload().unwrap_or_default().to_vec();
        });
        (count as f64 / begin.elapsed().as_secs_f64(), last)
    }

    fn memory_mib(&self) -> f64 {
        self.detectors.iter().map(Service::memory_mib).sum()
    }
}

fn more_detectors(stand: &Stand) -> Finding {
    let around = |name| Surroundings {
        models: shipped_models(),
        ..stand.surroundings(name, "parts")
    };
    let (lone, pair) = (around("scaling-one"), around("scaling-two"));
    let crews = [Crew::of(2, &pair), Crew::of(1, &lone)];
    let picture = Picture::of_belt(640, 480);
    let bare = predict(&mut bare_model(&pair), &picture.decoded());
    for crew in &crews {
        // So many that each detector has had some: both have joined their group by then.
        let (_, last) = crew.run(&picture, stand.pick(24, 8));
        let result: Detections = serde_json::from_slice(&last).expect("a result");
        assert_same(&result.instances, &bare);
    }
    let count = stand.pick(64, 4);
    let [two, one] = &crews;
    let by_two = || {
        let (per_second, _) = two.run(&picture, count);
        Turn::of(per_second)
            .with("two_fps", per_second)
            .with("two_mib", two.memory_mib())
    };
    let by_one = || {
        let (per_second, _) = one.run(&picture, count);
        Turn::of(per_second)
            .with("one_fps", per_second)
            .with("one_mib", one.memory_mib())
    };
    let comparison = take_turns(stand.plan, &stand.ours, by_two, by_one);
    let fps = |name: &str| comparison.detail.get(name).copied().unwrap_or_default();
    stand.keep_curve(
        "P21",
        "p21-detectors",
        Chart::new(
            "Detectors of one thread on two cores",
            Axis::linear("detectors"),
            Axis::linear("frames a second"),
        )
        .series(
            "measured",
            vec![(1.0, fps("one_fps")), (2.0, fps("two_fps"))],
        )
        .series(
            "in proportion",
            vec![(1.0, fps("one_fps")), (2.0, 2.0 * fps("one_fps"))],
        ),
    );
    Finding {
        goal: goal("P21").expect("a goal"),
        variant: Some("detectors".to_owned()),
        comparison,
    }
}

/// Sources, one on each partition.
fn a_source_for_each_partition() -> Vec<String> {
    let count = NonZeroU32::new(PARTITIONS).expect("some");
    let names = (0..).map(|number| format!("camera-{number}"));
    let on = |wanted| {
        let mut names = names.clone();
        names.find(|name| partition_for(name.as_bytes(), count) == wanted)
    };
    (0..PARTITIONS).filter_map(on).collect()
}

/// Four partitions with a consumer each, against two. A consumer is what stands in front of every
/// service, our source, and decodes each picture.
fn more_partitions(stand: &Stand) -> [Finding; 2] {
    let topics = Topics::new("scaling").expect("a prefix");
    let bootstrap = stand.bootstrap();
    let picture = Picture::of_belt(640, 480);
    let group = |name: &str, partitions: i32| {
        make_topic(bootstrap, &topics, (name, partitions));
        Consumers::start(bootstrap, (name, partitions))
    };
    let (four, two) = (group("scaling-4", 4), group("scaling-2", 2));
    let sender = Sender::open(bootstrap);
    for group in [&four, &two] {
        group.wait_until_all_read(&sender, &picture);
    }
    let count = stand.pick(1200, 16);
    let least = std::cell::Cell::new(0.0);
    let by_four = || {
        let run = four.run(&sender, &picture, count);
        let done = run.done_at_half.iter().map(|done| *done as f64);
        least.set(done.clone().fold(f64::INFINITY, f64::min));
        let most = done.fold(0.0, f64::max);
        [
            Turn::of(run.per_second).with("four_fps", run.per_second),
            Turn::of(most).with("most_done", most),
        ]
    };
    let by_two = || {
        let run = two.run(&sender, &picture, count);
        [
            Turn::of(run.per_second).with("two_fps", run.per_second),
            // Of the run of the four before.
            Turn::of(least.get().max(1.0)).with("least_done", least.get()),
        ]
    };
    let found = take_turns_each(stand.plan, &stand.ours, by_four, by_two);
    let scaling = goal("P21").expect("a goal");
    let per_second = "frames a second, 4 partitions and consumers / 2 and 2";
    let skew = "frames done of the partition that is furthest / least far, half-way";
    let goals = [
        scaling.about(per_second, Direction::AtLeast, (0.95, 0.99)),
        scaling.about(skew, Direction::AtMost, (1.1, 1.03)),
    ];
    let mut found = goals.into_iter().zip(["partitions", "skew"]).zip(found);
    std::array::from_fn(|_| {
        let ((goal, variant), comparison) = found.next().expect("two of each");
        Finding {
            goal,
            variant: Some(variant.to_owned()),
            comparison,
        }
    })
}
