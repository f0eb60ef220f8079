//! `kadr up` with its two belts for as long as asked: nothing may grow, no camera may be left behind.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{verdict::Verdict, watch, web};

const INTERVAL: Duration = Duration::from_secs(5);
/// What one answer may take: the machine is busy on purpose.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first tenth warms up; the second is compared with the last.
const PARTS: usize = 10;
/// What the line says that names the address.
const ANNOUNCEMENT: &str = "Kadr is running: http://";

/// What may have changed from the second tenth to the last.
const MEMORY_GROWTH: f64 = 1.1;
const AGE_GROWTH: f64 = 1.5;
/// Frames shown of the luckiest camera to those of the unluckiest.
const UNFAIRNESS: f64 = 1.1;
/// Connections and blocking threads come and go.
const SLACK: f64 = 8.0;

/// One look at the running demo.
struct Sample {
    memory_mib: f64,
    disk_mib: f64,
    open_files: f64,
    threads: f64,
    /// From capture to the joined picture, the worst camera, milliseconds.
    age_ms: f64,
    stale: usize,
    /// Frames seen of each camera so far.
    shown: BTreeMap<String, f64>,
}

/// Runs `program up` on the empty folder `data` for `minutes`; whether every verdict held.
pub fn demo(program: &Path, data: &Path, minutes: u64) -> bool {
    let mut running = Running::start(program, data).expect("the program starts");
    println!("watching {} for {minutes} minutes", running.address);
    println!("  minute  MiB memory  MiB disk  files  threads  age ms  stale");
    let begin = Instant::now();
    let length = Duration::from_mins(minutes);
    let mut samples = Vec::new();
    while begin.elapsed() < length {
        thread::park_timeout(INTERVAL);
        match running.sample(data) {
            Ok(sample) => samples.push(sample),
            Err(cause) => {
                println!("the demo cannot be watched, is it gone? {cause}");
                return false;
            }
        }
        if samples.len().is_multiple_of(12) {
            print_line(begin.elapsed(), samples.last());
        }
    }
    let verdicts = judge(&samples, running.stop());
    for verdict in &verdicts {
        println!("{verdict}");
    }
    verdicts.iter().all(Verdict::held)
}

fn print_line(elapsed: Duration, sample: Option<&Sample>) {
    let Some(sample) = sample else { return };
    println!(
        "{:8.1}  {:10.1}  {:8.0}  {:5.0}  {:7.0}  {:6.0}  {:5}",
        elapsed.as_secs_f64() / 60.0,
        sample.memory_mib,
        sample.disk_mib,
        sample.open_files,
        sample.threads,
        sample.age_ms,
        sample.stale
    );
}

/// The demo in a process of its own.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(program: &Path, data: &Path) -> io::Result<Self> {
        let any_port = "127.0.0.1:0";
        let mut child = Command::new(program)
            .args(["up", "--listen", any_port, "--broker-listen", any_port])
            .args(["--admin-listen", any_port, "--log", "warn", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let address = loop {
            let line = lines
                .next()
                .unwrap_or_else(|| Err(io::Error::other("it ended before it named its address")))?;
            if let Some(address) = line.strip_prefix(ANNOUNCEMENT) {
                break address.trim_end_matches('/').to_owned();
            }
        };
        // Read to the end, so that the demo never waits for a reader.
        thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, address })
    }

    fn sample(&mut self, data: &Path) -> io::Result<Sample> {
        let metrics = self.get("/metrics")?;
        let sources: Value = serde_json::from_str(&self.get("/api/sources")?)?;
        let sources = sources["sources"].as_array().cloned().unwrap_or_default();
        let ages = sources
            .iter()
            .filter_map(|source| source["latency_ms"].as_f64());
        Ok(Sample {
            memory_mib: metric(&metrics, "process_resident_memory_bytes")? / 1_048_576.0,
            disk_mib: watch::disk_bytes(data)? as f64 / 1_048_576.0,
            open_files: metric(&metrics, "process_open_fds")?,
            threads: metric(&metrics, "process_threads")?,
            age_ms: ages.fold(0.0, f64::max),
            stale: sources
                .iter()
                .filter(|source| source["stale"] == true)
                .count(),
            shown: sources
                .iter()
                .filter_map(|source| {
                    let id = source["id"].as_str()?.to_owned();
                    Some((id, source["frames"].as_f64()?))
                })
                .collect(),
        })
    }

    fn get(&self, path: &str) -> io::Result<String> {
        web::get(&self.address, path, PATIENCE)
    }

    /// Asks it to end as Ctrl-C does; whether it ended well.
    fn stop(&mut self) -> bool {
        let asked = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status();
        asked.is_ok_and(|status| status.success())
            && self.child.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The value of a metric without labels.
fn metric(text: &str, name: &str) -> io::Result<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.trim().parse().ok())
        .ok_or_else(|| io::Error::other(format!("no {name} among the metrics")))
}

fn judge(samples: &[Sample], ended_well: bool) -> Vec<Verdict> {
    let part = samples.len() / PARTS;
    if part == 0 {
        return vec![Verdict::new(
            "long enough",
            None,
            format!("{} samples", samples.len()),
        )];
    }
    let (early, late) = (&samples[part..2 * part], &samples[samples.len() - part..]);
    let compare = |question, value: fn(&Sample) -> f64, factor: f64, slack: f64| {
        let (before, after) = (median(early, value), median(late, value));
        let details = format!("{before:.1}, then {after:.1}");
        Verdict::new(question, Some(after <= before * factor + slack), details)
    };
    let stale: usize = samples[part..].iter().map(|sample| sample.stale).sum();
    vec![
        compare("memory does not grow", |s| s.memory_mib, MEMORY_GROWTH, 0.0),
        compare("open files do not grow", |s| s.open_files, 1.0, SLACK),
        compare("threads do not grow", |s| s.threads, 1.0, SLACK),
        compare(
            "the picture's age does not grow",
            |s| s.age_ms,
            AGE_GROWTH,
            0.0,
        ),
        Verdict::new(
            "no camera goes stale",
            Some(stale == 0),
            format!("{stale} times"),
        ),
        fairness(&samples[part - 1], &samples[samples.len() - 1]),
        Verdict::new("it ends when asked", Some(ended_well), String::new()),
    ]
}

fn median(samples: &[Sample], value: fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Frames of each camera between two looks.
fn fairness(from: &Sample, to: &Sample) -> Verdict {
    let shown: Vec<f64> = to
        .shown
        .iter()
        .map(|(id, frames)| frames - from.shown.get(id).unwrap_or(&0.0))
        .collect();
    let least = shown.iter().copied().fold(f64::INFINITY, f64::min);
    let most = shown.iter().copied().fold(0.0, f64::max);
    let is_fair = (shown.len() > 1).then_some(least > 0.0 && most <= least * UNFAIRNESS);
    Verdict::new(
        "every camera is seen alike",
        is_fair,
        format!("{least:.0} to {most:.0} frames"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(change: impl Fn(usize, &mut Sample)) -> Vec<Sample> {
        let sample = |index: usize| {
            let shown = |frames: f64| {
                ["belt-1", "belt-2"]
                    .map(|id| (id.to_owned(), frames))
                    .into()
            };
            let mut sample = Sample {
                memory_mib: 200.0,
                disk_mib: 100.0,
                open_files: 60.0,
                threads: 20.0,
                age_ms: 150.0,
                stale: 0,
                shown: shown(index as f64 * 50.0),
            };
            change(index, &mut sample);
            sample
        };
        (0..100).map(sample).collect()
    }

    fn broken(samples: &[Sample]) -> Vec<String> {
        let verdicts = judge(samples, true);
        let broken = verdicts.iter().filter(|verdict| !verdict.held());
        broken.map(ToString::to_string).collect()
    }

    #[test]
    fn a_steady_demo_holds() {
        assert_eq!(broken(&samples(|_, _| {})), Vec::<String>::new());
    }

    #[test]
    fn each_growth_is_named() {
        type Change = fn(usize, &mut Sample);
        let cases: [(&str, Change); 5] = [
            ("memory", |index, sample| {
                sample.memory_mib += index as f64;
            }),
            ("open files", |index, sample| {
                sample.open_files += index as f64;
            }),
            ("threads", |index, sample| {
                sample.threads += index as f64;
            }),
            ("the picture's age", |index, sample| {
                sample.age_ms += 2.0 * index as f64;
            }),
            ("no camera goes stale", |index, sample| {
                sample.stale = usize::from(index == 50);
            }),
        ];
        for (start, change) in cases {
            let broken = broken(&samples(change));
            assert!(
                broken.len() == 1 && broken[0].starts_with(start),
                "{start}: {broken:?}"
            );
        }
    }

    #[test]
    fn a_camera_left_behind_and_a_run_too_short_are_told() {
        let unfair = samples(|_, sample| *sample.shown.get_mut("belt-2").unwrap() *= 0.8);
        assert!(broken(&unfair)[0].starts_with("every camera"));
        assert!(!judge(&samples(|_, _| {})[..5], true)[0].held());
    }

    #[test]
    fn metrics_are_read_by_their_whole_name() {
        let text = "# TYPE a gauge\na_b 3\na 4.5\n";
        assert!((metric(text, "a").unwrap() - 4.5).abs() < 1e-9);
        assert!(metric(text, "b").is_err());
    }
}
