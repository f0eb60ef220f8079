//! Long runs that end with verdicts: the embedded broker however many records pass through it (this
//! file), the whole demo however long it runs (`demo`), and a detector however many sizes of pictures
//! it is shown (`memory`).

mod course;
mod demo;
mod ledger;
mod memory;
mod pictures;
mod probe;
mod records;
mod sequences;
mod shuttle;
mod traffic;
mod verdict;
mod watch;
mod web;

use std::{path::Path, thread, time::Instant};

pub use demo::demo;
pub use memory::memory;

use course::{Course, Load};
use ledger::Ledger;
use records::{Sizes, Topic};

use crate::brokers::{Flush, PATIENCE, contender::Contender};

/// How many records pass through the broker.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Of about 200 bytes.
    pub small_records: u64,
    /// Of 100 KB to 6 MB.
    pub large_records: u64,
}

const SMALL: Topic = Topic {
    name: "soak-small",
    partitions: 4,
    retention_bytes: 32 << 20,
    segment_bytes: 8 << 20,
    flush: Flush::EveryRecord,
};
const LARGE: Topic = Topic {
    name: "soak-large",
    partitions: 4,
    retention_bytes: 256 << 20,
    segment_bytes: 128 << 20,
    flush: Flush::EveryRecord,
};
const PROBE: Topic = Topic {
    name: "soak-probe",
    partitions: 1,
    retention_bytes: 4 << 20,
    segment_bytes: 1 << 20,
    flush: Flush::Background,
};

/// Runs the plan on a broker of its own in the empty folder `data`; whether every verdict held.
pub fn broker(plan: Plan, data: &Path) -> bool {
    let begin = Instant::now();
    let contender = Contender::embedded(data);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for topic in [SMALL, LARGE, PROBE] {
        runtime.block_on(records::create_topic(&contender.bootstrap, topic));
    }
    let course = Course::new([
        Load {
            topic: SMALL,
            records: plan.small_records,
            sizes: Sizes {
                least: 150,
                most: 250,
            },
        },
        Load {
            topic: LARGE,
            records: plan.large_records,
            sizes: Sizes {
                least: 100_000,
                most: 6_000_000,
            },
        },
    ]);
    println!(
        "{} records of about 200 B and {} of 100 KB to 6 MB",
        plan.small_records, plan.large_records
    );
    let ledger = drive(&course, &contender, data);
    println!("took {:.0} s\n", begin.elapsed().as_secs_f64());
    let bounds = verdict::Bounds {
        disk_bytes: [SMALL, LARGE, PROBE]
            .iter()
            .map(Topic::most_bytes)
            .sum::<u64>()
            + verdict::REST_BYTES,
    };
    let verdicts = verdict::judge(&ledger, &course.account(), &bounds);
    for verdict in &verdicts {
        println!("{verdict}");
    }
    verdicts.iter().all(verdict::Verdict::held)
}

fn drive(course: &Course, contender: &Contender, data: &Path) -> Ledger {
    let bootstrap = contender.bootstrap.as_str();
    thread::scope(|scope| {
        for flow in &course.flows {
            scope.spawn(|| traffic::consume(bootstrap, course, flow));
            scope.spawn(|| traffic::produce(bootstrap, course, flow));
        }
        scope.spawn(|| probe::receive(bootstrap, course));
        scope.spawn(|| probe::send(bootstrap, course));
        let ledger = watch::until_over(course, contender.process_id(), data);
        course.end_probe();
        ledger
    })
}
