//! The pipeline against bare codecs, the bare model, bare Kafka and a Python service that does the same:
//! `script/bench P1 P6 …`; benches/README.md lists them.
//!
//! Each id of the goals has a file here. Services and broker run in processes of their own, so that
//! what each spends can be told apart. Outputs are compared before anything is timed.

mod accept;
mod bare;
mod bus;
mod cameras;
mod chores;
mod codec;
mod consumers;
mod end_to_end;
mod growth;
mod hop;
mod latency;
mod mask_work;
mod masks;
mod memory;
mod objects;
mod peer;
mod pictures;
mod preprocess;
mod runs;
mod same;
mod scaling;
mod services;
mod stages;
mod start;
mod tail;
mod tax;
mod torchserve;
mod uploads;
mod viewers;

use std::{path::Path, process::ExitCode};

use benches::{
    brokers::contender::{Contender, become_broker_if_child},
    curves::Chart,
    measure::{
        Finding, Plan,
        foreign::Ours,
        report::{merge_into, print_table, results_file},
    },
};
use clap::{Parser, ValueEnum};
use pipeline::topic::Topics;
use services::{Surroundings, become_service_if_child, quick_models};
use tempfile::TempDir;

/// What there is to measure, in this order.
const IDS: [&str; 20] = [
    "P8", "P9", "P10", "P11", "P6", "P7", "P16", "P18", "P1", "P17", "P21", "P24", "P25", "P13",
    "P14", "P15", "P19", "P22", "P23", "P27",
];

/// Those that need the Python peer.
const WITH_PEER: [&str; 6] = ["P8", "P9", "P10", "P13", "P14", "P19"];

/// What is measured, and how.
#[derive(Parser)]
struct Options {
    /// Ids of the goals to measure; all without any
    ids: Vec<String>,

    /// Rounds that count, after one that does not
    #[arg(long, default_value_t = 5)]
    rounds: usize,

    /// The broker between the services
    #[arg(long, value_enum, default_value_t = BrokerKind::Embedded)]
    broker: BrokerKind,

    /// Keeps the curves beside the benchmarks too, in benches/curves
    #[arg(long)]
    keep_curves: bool,

    /// Given by cargo bench. `cargo test` runs benchmarks too, without it
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum BrokerKind {
    /// The one that `kadr up` brings along
    Embedded,
    /// Apache Kafka, as script/kafka sets it up
    Apache,
}

/// Where everything is measured: a broker, and how much of it.
pub(crate) struct Stand {
    broker: Contender,
    /// Whose work counts as ours.
    pub(crate) ours: Ours,
    /// How often.
    pub(crate) plan: Plan,
    in_earnest: bool,
    keeps_curves: bool,
    _folder: TempDir,
}

impl Stand {
    fn set_up(options: &Options) -> Self {
        let folder = tempfile::tempdir_in(data_folder()).expect("a folder on the disk");
        let broker = match options.broker {
            BrokerKind::Embedded => Contender::embedded(folder.path()),
            BrokerKind::Apache => Contender::apache(),
        };
        let (warm_up, rounds) = if options.bench {
            (1, options.rounds.max(1))
        } else {
            (0, 1)
        };
        Self {
            ours: Ours::with(&[broker.process_id()]),
            broker,
            plan: Plan { warm_up, rounds },
            in_earnest: options.bench,
            keeps_curves: options.keep_curves,
            _folder: folder,
        }
    }

    /// One of two: for a measurement, or to see that it works.
    pub(crate) fn pick<T>(&self, measured: T, tried: T) -> T {
        if self.in_earnest { measured } else { tried }
    }

    /// Where the broker is.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.broker.bootstrap
    }

    /// Keeps a curve as a picture, where it was measured.
    pub(crate) fn keep_curve(&self, id: &str, name: &str, chart: Chart) {
        if self.in_earnest {
            let chart = chart.made_by(format!("script/bench {id}"));
            let files = chart
                .save(name, self.keeps_curves)
                .expect("target/bench is writable");
            for file in files {
                println!("{}", file.display());
            }
        }
    }

    /// New topics for a measurement of that name, and one of the benchmarks' models.
    pub(crate) fn surroundings(&self, name: &str, model: &'static str) -> Surroundings {
        let topics = Topics::new(name).expect("a prefix");
        bus::make_topics(&self.broker.bootstrap, &topics);
        Surroundings {
            brokers: self.broker.bootstrap.clone(),
            topic_prefix: name.to_owned(),
            models: quick_models(),
            model,
        }
    }

    fn measure(&self, id: &str) -> Vec<Finding> {
        match id {
            "P8" => preprocess::measure(self),
            "P9" => masks::measure(self),
            "P10" => runs::measure(self),
            "P19" => memory::measure(self),
            "P22" => growth::measure(self),
            "P23" => objects::measure(self),
            "P27" => start::measure(self),
            "P1" => end_to_end::measure(self),
            "P6" => tax::measure(self, id, "ten"),
            "P7" => tax::measure(self, id, "hundred"),
            "P11" => accept::measure(self),
            "P13" => peer::measure_door(self),
            "P14" => peer::measure_service(self),
            "P15" => torchserve::measure(self),
            "P16" => latency::measure(self),
            "P17" => tail::measure(self),
            "P18" => hop::measure(self),
            "P21" => scaling::measure(self),
            "P24" => cameras::measure(self),
            "P25" => viewers::measure(self),
            _ => unreachable!("ids are checked"),
        }
    }
}

fn main() -> ExitCode {
    become_broker_if_child();
    bare::become_bare_model_if_child();
    if let Some(code) = become_service_if_child() {
        return code;
    }
    let options = Options::parse();
    let wanted = match wanted(&options) {
        Ok(wanted) => wanted,
        Err(unknown) => {
            eprintln!("there is no {unknown}; there is {}", IDS.join(", "));
            return ExitCode::from(2);
        }
    };
    let stand = Stand::set_up(&options);
    let mut findings = Vec::new();
    for id in wanted {
        if WITH_PEER.contains(&id) && std::env::var_os(peer::PYTHON).is_none() {
            println!("{id} is left out: only script/bench brings the Python peer");
            continue;
        }
        if id == "P15" && std::env::var_os(torchserve::PYTHON).is_none() {
            println!(
                "P15 is not measured: set {}; see benches/README.md",
                torchserve::PYTHON
            );
            continue;
        }
        println!("measuring {id}");
        let found = stand.measure(id);
        if options.bench {
            // At once: whatever becomes of the next one, this was measured.
            merge_into(&results_file(), &found).expect("target/bench is writable");
        }
        findings.extend(found);
    }
    if options.bench {
        print_table(&findings);
    } else {
        println!("all of it works; cargo bench measures");
    }
    ExitCode::SUCCESS
}

/// The ids asked for, in the order of [`IDS`]; the first that there is not.
fn wanted(options: &Options) -> Result<Vec<&'static str>, &str> {
    let unknown = options.ids.iter().find(|id| !IDS.contains(&id.as_str()));
    match unknown {
        Some(unknown) if options.bench => return Err(unknown),
        // `cargo test FILTER` hands its filter to benchmarks too.
        None if !options.ids.is_empty() => {}
        _ => return Ok(IDS.to_vec()),
    }
    let is_wanted = |id: &&str| options.ids.iter().any(|wanted| wanted == id);
    Ok(IDS.into_iter().filter(is_wanted).collect())
}

/// On the disk, not in a file system of memory.
fn data_folder() -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.kadr");
    std::fs::create_dir_all(&folder).expect("a writable clone");
    folder
}
