//! P22: what a frame costs the detector besides the network as pictures get larger, 0.3 to 33
//! megapixels, in CPU time and in memory; the exponents with which both grow. The model finds always
//! the same ten things, at once, so that all that is left is the way through the service.

use benches::{
    curves::{Axis, Chart},
    measure::{
        Comparison, Finding,
        goals::goal,
        slope::exponent,
        sweep::{Sweep, sweep},
    },
};

use crate::{Stand, pictures::Picture, services::Surroundings, stages, tax::Bench};

/// What pictures are made of, side by side: every size has as many bytes a pixel.
const SIZES: [(u32, u32); 5] = [
    (640, 480),
    (1280, 960),
    (2560, 1920),
    (3840, 2880),
    (6656, 4992),
];

/// Pixels that each size sends in a turn: about a second of CPU time.
const MEGAPIXELS_A_TURN: f64 = 100.0;

/// At least so many frames a turn: as many as the detector holds at once, so that memory is at its
/// greatest.
const LEAST_FRAMES: usize = 6;

/// A detector that has seen pictures of one size alone.
struct Case<'a> {
    bench: Bench<'a>,
    picture: Picture,
    things: usize,
    count: usize,
    /// Before the first picture.
    idle_mib: f64,
}

/// What a turn of a case found.
struct Seen {
    cpu_ms: f64,
    /// More than without any picture, at the greatest so far.
    more_mib: f64,
}

impl<'a> Case<'a> {
    fn set_up(stand: &Stand, surroundings: &'a Surroundings, (width, height): (u32, u32)) -> Self {
        let bench = Bench::set_up(surroundings);
        let idle_mib = bench.detector.memory_mib();
        let picture = Picture::tiled(width, height);
        let count = (MEGAPIXELS_A_TURN / picture.megapixels()) as usize;
        Self {
            things: bench.check(&picture),
            bench,
            count: stand.pick(count.max(LEAST_FRAMES), 1),
            picture,
            idle_mib,
        }
    }

    fn turn(&self) -> Seen {
        let turn = self.bench.turn(&self.picture, (self.count, self.things));
        Seen {
            cpu_ms: turn.value,
            more_mib: self.bench.detector.greatest_memory_mib() - self.idle_mib,
        }
    }
}

pub(crate) fn measure(stand: &Stand) -> Vec<Finding> {
    let sizes = stand.pick(&SIZES[..], &SIZES[..2]);
    let names = (0..sizes.len()).map(|number| format!("growth-{number}"));
    let surroundings: Vec<Surroundings> =
        names.map(|name| stand.surroundings(&name, "ten")).collect();
    let cases: Vec<Case<'_>> = surroundings
        .iter()
        .zip(sizes)
        .map(|(surroundings, size)| Case::set_up(stand, surroundings, *size))
        .collect();
    let found = sweep(stand.plan, &stand.ours, cases.len(), |case| {
        cases[case].turn()
    });
    let megapixels: Vec<f64> = cases.iter().map(|case| case.picture.megapixels()).collect();
    let of = |value: fn(&Seen) -> f64| exponents(&found, &megapixels, value);
    let mut cpu = of(|seen| seen.cpu_ms);
    let memory = of(|seen| seen.more_mib);
    for (case, stages) in cases.iter().zip(stages_of(stand, &cases)) {
        for (stage, each_ms) in stages {
            cpu.detail
                .insert(format!("{stage}_at_{}", case.picture.size()), each_ms);
        }
        let kilobytes = case.picture.kilobytes();
        cpu.detail
            .insert(format!("picture_kb_at_{}", case.picture.size()), kilobytes);
    }
    draw(stand, &found, &megapixels);
    [("CPU", cpu), ("memory", memory)]
        .map(|(name, comparison)| finding(name, comparison))
        .into()
}

fn finding(name: &str, comparison: Comparison) -> Finding {
    Finding {
        goal: goal("P22").expect("a goal"),
        variant: Some(name.to_owned()),
        comparison,
    }
}

/// The exponent of every round, with the values of each size.
fn exponents(found: &Sweep<Seen>, megapixels: &[f64], value: fn(&Seen) -> f64) -> Comparison {
    let mut comparison = found.compare(|round| {
        let values = round.iter().map(value);
        exponent(&megapixels.iter().copied().zip(values).collect::<Vec<_>>())
    });
    for (megapixels, median) in megapixels.iter().zip(found.medians(value)) {
        comparison
            .detail
            .insert(format!("at_{megapixels:04.1}_mp"), median);
    }
    comparison
}

/// Where the time goes, by size: the detector's stages, in this process.
fn stages_of(stand: &Stand, cases: &[Case<'_>]) -> Vec<Vec<(&'static str, f64)>> {
    let mut model = crate::same::bare_model(cases[0].bench.surroundings);
    let stages = cases.iter().map(|case| {
        let count = stand.pick(case.count / 2, 1);
        stages::measure(&case.picture, &mut model, count)
    });
    stages.collect()
}

fn draw(stand: &Stand, found: &Sweep<Seen>, megapixels: &[f64]) {
    let points = |value: fn(&Seen) -> f64| {
        let medians = found.medians(value);
        megapixels.iter().copied().zip(medians).collect()
    };
    let cpu = Chart::new(
        "What a frame costs besides the network, 10 things",
        Axis::log("megapixels"),
        Axis::log("CPU ms a frame"),
    );
    let memory = Chart::new(
        "Memory beyond that of an idle detector, at its greatest",
        Axis::log("megapixels"),
        Axis::log("MiB"),
    );
    let cpu = cpu.series("detector, Kafka to Kafka", points(|seen| seen.cpu_ms));
    let memory = memory.series("detector", points(|seen| seen.more_mib));
    stand.keep_curve("P22", "p22-cpu", cpu);
    stand.keep_curve("P22", "p22-memory", memory);
}
