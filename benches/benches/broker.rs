//! The embedded broker beside Apache Kafka: `script/bench broker`.
//!
//! Both run at once on the same disk, each in a process of its own, and take turns. Each line is the
//! median of its rounds. "flushed" is on the disk before it is acknowledged, for both.

use std::{path::Path, time::Duration};

use benches::brokers::{
    Flush,
    contender::{Contender, become_broker_if_child},
    create_topic, delete_topic,
    latency::{Latency, Stream, measure},
    throughput::{consume, produce},
};
use clap::Parser;

const RECORD_BYTES: usize = 100_000;

/// How much is measured.
#[derive(Parser)]
struct Plan {
    /// Rounds of each contender in each mode
    #[arg(long, default_value_t = 3)]
    rounds: usize,

    /// Records of the throughput part
    #[arg(long, default_value_t = 10_000)]
    records: u64,

    /// Seconds of each latency part
    #[arg(long, default_value_t = 12)]
    seconds: u64,

    /// Given by cargo bench. `cargo test` runs benchmarks too, without it
    #[arg(long, hide = true)]
    bench: bool,

    /// What cargo test passes on
    #[arg(hide = true)]
    filter: Option<String>,
}

/// What one round of one contender gave.
struct Round {
    megabytes_in: f64,
    megabytes_out: f64,
    slow: Latency,
    fast: Latency,
}

/// A title, and where its value stands.
type Column = (&'static str, fn(&Round) -> f64);

fn main() {
    become_broker_if_child();
    let mut plan = Plan::parse();
    if !plan.bench {
        // Shows that all of it works.
        (plan.rounds, plan.records, plan.seconds) = (1, 20, 3);
    }
    let folder = tempfile::tempdir_in(data_folder()).expect("a folder on the disk measured");
    let contenders = if plan.bench {
        vec![Contender::embedded(folder.path()), Contender::apache()]
    } else {
        vec![Contender::embedded(folder.path())]
    };
    run(&contenders, &plan);
}

/// On the disk that Apache Kafka's data is on, not in a file system of memory.
fn data_folder() -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.kadr");
    std::fs::create_dir_all(&folder).expect("a writable clone");
    folder
}

fn run(contenders: &[Contender], plan: &Plan) {
    println!(
        "{} rounds of {} records of 100 KB, 4 partitions",
        plan.rounds, plan.records
    );
    for flush in [Flush::Background, Flush::EveryRecord] {
        let mut rounds: Vec<Vec<Round>> = contenders.iter().map(|_| Vec::new()).collect();
        for number in 0..plan.rounds {
            for (contender, rounds) in contenders.iter().zip(&mut rounds) {
                rounds.push(round(contender, flush, number, plan));
            }
        }
        print_table(contenders, flush, &rounds);
    }
    println!(
        "\n{:<14} {:>10} {:>14} {:>14}",
        "", "start ms", "memory MiB", "greatest MiB"
    );
    for contender in contenders {
        let (now, greatest) = contender.memory_mib();
        let start = contender.started_in.as_secs_f64() * 1000.0;
        println!(
            "{:<14} {start:>10.0} {now:>14.0} {greatest:>14.0}",
            contender.name
        );
    }
}

fn round(contender: &Contender, flush: Flush, number: usize, plan: &Plan) -> Round {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let bootstrap = &contender.bootstrap;
    let with_topic = |name: &str, work: &dyn Fn(&str)| {
        let topic = format!("bench-{name}-{flush:?}-{number}");
        runtime.block_on(create_topic(bootstrap, &topic, flush));
        work(&topic);
        runtime.block_on(delete_topic(bootstrap, &topic));
    };
    let megabytes = plan.records as f64 * RECORD_BYTES as f64 / 1e6;
    let rates = std::cell::Cell::new((0.0, 0.0));
    with_topic("throughput", &|topic| {
        let sent_in = produce(bootstrap, topic, plan.records, RECORD_BYTES);
        let read_in = consume(bootstrap, topic, plan.records);
        rates.set((
            megabytes / sent_in.as_secs_f64(),
            megabytes / read_in.as_secs_f64(),
        ));
    });
    let latency = |rate: u32| {
        let stream = Stream {
            rate,
            bytes: RECORD_BYTES,
            lasting: Duration::from_secs(plan.seconds),
        };
        let found = std::cell::Cell::new(None);
        with_topic(&format!("latency-{rate}"), &|topic| {
            found.set(Some(measure(bootstrap, topic, stream)));
        });
        found.get().expect("measured")
    };
    let (megabytes_in, megabytes_out) = rates.get();
    Round {
        megabytes_in,
        megabytes_out,
        slow: latency(30),
        fast: latency(300),
    }
}

fn print_table(contenders: &[Contender], flush: Flush, rounds: &[Vec<Round>]) {
    let title = match flush {
        Flush::Background => "in the background",
        Flush::EveryRecord => "flushed",
    };
    println!("\n{title}");
    let columns: [Column; 8] = [
        ("MB/s in", |round| round.megabytes_in),
        ("MB/s out", |round| round.megabytes_out),
        ("p50@30/s", |round| round.slow.p50),
        ("p99@30/s", |round| round.slow.p99),
        ("max@30/s", |round| round.slow.max),
        ("p50@300/s", |round| round.fast.p50),
        ("p99@300/s", |round| round.fast.p99),
        ("max@300/s", |round| round.fast.max),
    ];
    let names: Vec<_> = columns
        .iter()
        .map(|(name, _)| format!("{name:>10}"))
        .collect();
    println!("{:<14}{}", "", names.concat());
    let medians: Vec<Vec<f64>> = rounds
        .iter()
        .map(|rounds| {
            let column = columns.iter();
            column
                .map(|(_, value)| median(rounds.iter().map(value).collect()))
                .collect()
        })
        .collect();
    for (contender, medians) in contenders.iter().zip(&medians) {
        println!("{:<14}{}", contender.name, cells(medians));
    }
    if let [ours, theirs] = &medians[..] {
        let ratios: Vec<f64> = ours
            .iter()
            .zip(theirs)
            .map(|(ours, theirs)| ours / theirs)
            .collect();
        println!("{:<14}{}", "ratio", cells(&ratios));
    }
}

fn cells(values: &[f64]) -> String {
    let cells: Vec<_> = values
        .iter()
        .map(|value| format!("{value:>10.2}"))
        .collect();
    cells.concat()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
