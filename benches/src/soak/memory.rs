//! A detector that is shown thousands of pictures of many sizes: its memory must not grow.
//!
//! The network costs nothing, so what is left is everything that keeps buffers: Kafka, codecs,
//! tensors, drawing. Memory is fitted with a straight line after a tenth of the pictures.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{pictures::Pictures, shuttle::Shuttle, verdict::Verdict, web};
use crate::{
    brokers::contender::{Contender, free_address},
    curves::{Axis, Chart},
    measure::{
        Comparison, Finding, Spread,
        foreign::Ours,
        goals::goal,
        processes,
        report::{merge_into, print_table, results_file},
        slope::slope,
        spread::percentile,
    },
};

/// Pictures on their way at a time.
const IN_FLIGHT: u64 = 32;

/// Looks at the memory.
const SAMPLES: u64 = 200;

/// A model that always finds ten things, at once.
const MODEL: &str = "ten";
const THINGS: usize = 10;

/// Kafka and the model are there by then.
const PATIENCE: Duration = Duration::from_mins(1);

/// Nothing may stand still for so long.
const STANDSTILL: Duration = Duration::from_secs(30);

/// Images seen, and MiB resident.
type Point = (f64, f64);

/// What the run found.
struct Run {
    points: Vec<Point>,
    images: u64,
    took: Duration,
    foreign_cores: f64,
}

/// Shows `images` pictures to a detector on an empty folder; whether every verdict held.
pub fn memory(program: &Path, data: &Path, images: u64) -> bool {
    let broker = Contender::embedded(data);
    let detector = Detector::start(program, &broker.bootstrap).expect("the program starts");
    println!(
        "{images} pictures of {} sizes, a model that costs nothing",
        Pictures::SIZES
    );
    let shown = show(&broker, &detector, images);
    let verdicts = match shown {
        Ok(run) => judge(&run),
        Err(cause) => {
            let question = "every picture has its result";
            vec![Verdict::new(question, Some(false), cause.to_string())]
        }
    };
    for verdict in &verdicts {
        println!("{verdict}");
    }
    verdicts.iter().all(Verdict::held)
}

fn show(broker: &Contender, detector: &Detector, images: u64) -> io::Result<Run> {
    let pictures = Pictures::draw();
    let shuttle = Shuttle::open(&broker.bootstrap)?;
    let ours = Ours::with(&[]);
    let (before, begin) = (ours.moment(), Instant::now());
    let mut moved_at = begin;
    let (mut sent, mut seen) = (0, 0);
    let mut points = Vec::new();
    let every = (images / SAMPLES).max(1);
    println!("  images  MiB memory");
    while seen < images {
        while sent < images && sent - seen < IN_FLIGHT {
            shuttle.send(&pictures.of(sent))?;
            sent += 1;
        }
        let Some(result) = shuttle.next()? else {
            if moved_at.elapsed() > STANDSTILL {
                let cause = format!("{seen} of {sent} came back, and then none for {STANDSTILL:?}");
                return Err(io::Error::other(cause));
            }
            continue;
        };
        check(&pictures, &result)?;
        moved_at = Instant::now();
        seen += 1;
        if seen.is_multiple_of(every) {
            let memory_mib = detector.memory_mib()?;
            points.push((seen as f64, memory_mib));
            if (points.len() as u64).is_multiple_of(SAMPLES / 10) {
                println!("{seen:8}  {memory_mib:10.1}");
            }
        }
    }
    Ok(Run {
        points,
        images,
        took: begin.elapsed(),
        foreign_cores: before.until(&ours.moment()).foreign_cores(),
    })
}

/// The result is that of a picture that was sent.
fn check(pictures: &Pictures, (source, result): &(String, Vec<u8>)) -> io::Result<()> {
    let result: Value = serde_json::from_slice(result)?;
    let things = result["instances"].as_array().map_or(0, Vec::len);
    let size = (result["width"].as_u64(), result["height"].as_u64());
    let (width, height) = pictures.size_of(source).unwrap_or_default();
    if things == THINGS && size == (Some(width.into()), Some(height.into())) {
        return Ok(());
    }
    let cause = format!("{source} of {width}x{height}: {things} things in {size:?}");
    Err(io::Error::other(cause))
}

/// The straight line through what was seen after the warm-up.
struct Line {
    begin_mib: f64,
    end_mib: f64,
    mib_per_image: f64,
    /// Twice the standard error of the growth from begin to end.
    doubt_mib: f64,
}

impl Line {
    fn through(points: &[Point]) -> Self {
        let count = points.len() as f64;
        let mib_per_image = slope(points);
        let mean = |value: fn(&Point) -> f64| points.iter().map(value).sum::<f64>() / count;
        let (middle, middle_mib) = (mean(|point| point.0), mean(|point| point.1));
        let at = |image: f64| middle_mib + mib_per_image * (image - middle);
        let (first, last) = (points[0].0, points[points.len() - 1].0);
        let missed = points
            .iter()
            .map(|(x, y)| (y - at(*x)).powi(2))
            .sum::<f64>();
        let spread = points
            .iter()
            .map(|(x, _)| (x - middle).powi(2))
            .sum::<f64>();
        let error = (missed / (count - 2.0) / spread).sqrt();
        Self {
            begin_mib: at(first),
            end_mib: at(last),
            mib_per_image,
            doubt_mib: 2.0 * error * (last - first),
        }
    }

    fn growth(&self) -> Spread {
        let ratio = |end_mib: f64| end_mib / self.begin_mib;
        Spread {
            median: ratio(self.end_mib),
            min: ratio(self.end_mib - self.doubt_mib),
            max: ratio(self.end_mib + self.doubt_mib),
        }
    }
}

fn judge(run: &Run) -> Vec<Verdict> {
    let all = Verdict::new(
        "every picture has its result",
        Some(true),
        format!("{} of {0}", run.images),
    );
    let warm = &run.points[run.points.len() / 10..];
    let question = "memory does not grow";
    if warm.len() < 20 {
        let details = format!("{} looks at it", warm.len());
        return vec![all, Verdict::new(question, None, details)];
    }
    let line = Line::through(warm);
    let finding = finding(run, warm, &line);
    let bound = finding.goal.pass;
    print_table(std::slice::from_ref(&finding));
    merge_into(&results_file(), &[finding]).expect("target/bench is writable");
    draw(run, warm, &line);
    let per_hour = line.mib_per_image * run.images as f64 / run.took.as_secs_f64() * 3600.0;
    let (growth, doubt) = (line.end_mib - line.begin_mib, line.doubt_mib);
    let details = format!(
        "{:.1} MiB after a tenth, {:.1} at the end; slope {:.3} MiB per 1000 pictures ({per_hour:.1} \
         an hour at this pace), growth {growth:.2} MiB give or take {doubt:.2}",
        line.begin_mib,
        line.end_mib,
        1000.0 * line.mib_per_image,
    );
    let is_flat = line.growth().median <= bound;
    vec![all, Verdict::new(question, Some(is_flat), details)]
}

fn finding(run: &Run, warm: &[Point], line: &Line) -> Finding {
    let memory: Vec<f64> = warm.iter().map(|point| point.1).collect();
    let seconds = run.took.as_secs_f64();
    let detail = [
        ("slope_mib_per_1000", 1000.0 * line.mib_per_image),
        ("growth_mib", line.end_mib - line.begin_mib),
        ("median_mib", percentile(&memory, 0.5)),
        ("greatest_mib", percentile(&memory, 1.0)),
        ("images", run.images as f64),
        ("sizes", Pictures::SIZES as f64),
        ("images_per_s", run.images as f64 / seconds),
    ];
    let detail = detail.map(|(name, value)| (name.to_owned(), value));
    Finding {
        goal: goal("R16").expect("a goal"),
        variant: None,
        comparison: Comparison {
            ratio: line.growth(),
            rounds: warm.len(),
            foreign_load: run.foreign_cores,
            detail: BTreeMap::from(detail),
        },
    }
}

fn draw(run: &Run, warm: &[Point], line: &Line) {
    let ends = [
        (warm[0].0, line.begin_mib),
        (warm[warm.len() - 1].0, line.end_mib),
    ];
    let chart = Chart::new(
        format!("A detector's memory, {} sizes of pictures", Pictures::SIZES),
        Axis::linear("pictures"),
        Axis::linear("MiB resident"),
    );
    let chart = chart
        .series("measured", run.points.clone())
        .series("fitted after a tenth", ends.to_vec())
        .made_by("script/soak memory");
    let files = chart
        .save("memory", false)
        .expect("target/bench is writable");
    for file in files {
        println!("{}", file.display());
    }
}

/// A detector in a process of its own.
struct Detector(Child);

impl Detector {
    fn start(program: &Path, bootstrap: &str) -> io::Result<Self> {
        let admin = free_address();
        let models = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models");
        let child = Command::new(program)
            .args([
                "detector",
                "--brokers",
                bootstrap,
                "--model",
                MODEL,
                "--models",
            ])
            .arg(models)
            .args(["--admin-listen", &admin.to_string(), "--log", "warn"])
            .stdout(Stdio::null())
            .spawn()?;
        let mut detector = Self(child);
        detector.wait_until_ready(admin)?;
        Ok(detector)
    }

    fn wait_until_ready(&mut self, admin: SocketAddr) -> io::Result<()> {
        let begin = Instant::now();
        while web::get(&admin.to_string(), "/readyz", PATIENCE).is_err() {
            if let Some(status) = self.0.try_wait()? {
                return Err(io::Error::other(format!(
                    "the detector ended at once: {status}"
                )));
            }
            if begin.elapsed() > PATIENCE {
                return Err(io::Error::other("the detector is not ready"));
            }
            thread::park_timeout(Duration::from_millis(50));
        }
        Ok(())
    }

    fn memory_mib(&self) -> io::Result<f64> {
        processes::memory_mib_of(self.0.id())
    }
}

impl Drop for Detector {
    fn drop(&mut self) {
        // What it has not done by now nobody waits for.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(memory_mib: impl Fn(f64) -> f64) -> Vec<Point> {
        let images = (1..=200).map(|number| f64::from(number) * 100.0);
        images.map(|image| (image, memory_mib(image))).collect()
    }

    #[test]
    fn a_line_through_flat_memory_is_flat_within_its_doubt() {
        let line = Line::through(&run(|image| 100.0 + (image * 0.01).sin()));
        assert!((line.begin_mib - 100.0).abs() < 1.0);
        assert!((line.end_mib - line.begin_mib).abs() < line.doubt_mib);
        let Spread { median, min, max } = line.growth();
        assert!(min < 1.0 && max > 1.0 && median < 1.02, "{median}");
    }

    #[test]
    fn growth_is_found_through_noise() {
        let line = Line::through(&run(|image| 100.0 + image / 1000.0 + (image * 0.7).sin()));
        assert!((line.mib_per_image * 1000.0 - 1.0).abs() < 0.1);
        let growth = line.growth();
        assert!(growth.min > 1.02, "{growth:?}");
    }
}
