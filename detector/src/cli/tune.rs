//! `detector tune`: tries the settings of a model, prints what they gave and keeps the best.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use detector::image::RgbImage;
use detector::model::repository::{ModelReference, Precision, Repository, ResolvedModel};
use detector::onnx::{Provider, Runtime, SessionOptions};
use detector::tune::record::{Subject, TUNING_FILE, Tuned, Tuning, cores};
use detector::tune::slo::Slo;
use detector::tune::trial::{self, Trial};
use detector::tune::{Measured, Setting, best, settings};
use pipeline::detections::ModelVersion;

use super::{RepositoryArgs, read_jpeg};

/// The picture for models that were given none.
const PLAIN_SIZE: (u32, u32) = (640, 480);

#[derive(Debug, Args)]
pub(crate) struct TuneArgs {
    #[command(flatten)]
    repository: RepositoryArgs,

    /// The model: name for the latest version, or name@version.
    #[arg(value_name = "MODEL")]
    model: ModelReference,

    /// What latency of a run is allowed, such as p95=100ms.
    #[arg(long, value_name = "LIMIT")]
    slo: Option<Slo>,

    /// A JPEG such as your cameras send; may be given several times. Without one a plain grey
    /// picture is used, in which nothing is found.
    #[arg(long, value_name = "FILE")]
    picture: Vec<PathBuf>,

    /// Forms of the weights to try; int8 answers a little differently than fp32.
    #[arg(long, value_delimiter = ',', default_value = "fp32")]
    precision: Vec<Precision>,

    /// The device: cpu, cuda or cuda:N.
    #[arg(long, env = "KADR_PROVIDER", default_value_t = Provider::Cpu)]
    provider: Provider,

    /// How long a setting runs in each round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,

    /// How often each setting has its turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,

    /// Where the best is kept; tuning.toml beside the models unless said otherwise.
    #[arg(long, value_name = "FILE", env = "KADR_TUNING")]
    tuning: Option<PathBuf>,

    /// Measures and prints, and keeps nothing.
    #[arg(long)]
    dry_run: bool,

    /// The ONNX Runtime library; found by itself after script/setup.
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    onnxruntime: Option<PathBuf>,

    /// Runs one setting, given as JSON, in this process and prints what it gave.
    #[arg(long, hide = true)]
    trial: Option<String>,
}

pub(crate) fn run(args: &TuneArgs) -> anyhow::Result<()> {
    let model = Repository::new(&args.repository.models).resolve(&args.model)?;
    if let Some(setting) = &args.trial {
        let trial = try_setting(args, &model, serde_json::from_str(setting)?)?;
        println!("{}", serde_json::to_string(&trial)?);
        return Ok(());
    }
    let settings = settings(cores(), model.manifest.max_batch_size, &args.precision);
    announce(args, &model, settings.len());
    let outcomes = try_all(args, &settings)?;
    let measured: Vec<Measured> = outcomes
        .iter()
        .zip(&settings)
        .filter_map(|(outcome, &setting)| Measured::of(setting, outcome.as_deref().ok()?))
        .collect();
    let best = best(&measured, args.slo);
    print_table(&settings, &outcomes, best);
    let Some(best) = best else {
        match args.slo {
            Some(slo) if !measured.is_empty() => {
                bail!("no setting keeps {slo}; allow more, or take a smaller model or weights")
            }
            _ => bail!("no setting could be run"),
        }
    };
    keep(args, &model, best)
}

fn announce(args: &TuneArgs, model: &ResolvedModel, count: usize) {
    let name = &model.manifest.name;
    let minutes = (count as u64 * args.rounds * (args.seconds + 1)).div_ceil(60);
    println!(
        "trying {count} settings of {name}@{} on {}, {} rounds of {} s: about {minutes} min",
        model.version, args.provider, args.rounds, args.seconds
    );
    if args.picture.is_empty() {
        println!("on a plain grey picture; name one of yours with --picture");
    }
}

/// The rounds of each setting, or why it could not be run; settings take turns.
fn try_all(
    args: &TuneArgs,
    settings: &[Setting],
) -> anyhow::Result<Vec<Result<Vec<Trial>, String>>> {
    let mut outcomes: Vec<Result<Vec<Trial>, String>> = vec![Ok(Vec::new()); settings.len()];
    for _ in 0..args.rounds {
        for (outcome, &setting) in outcomes.iter_mut().zip(settings) {
            if let Ok(rounds) = outcome {
                match try_apart(args, setting)? {
                    Ok(trial) => rounds.push(trial),
                    Err(reason) => *outcome = Err(reason),
                }
            }
        }
    }
    Ok(outcomes)
}

/// Tries a setting in a process of its own; its failure is the inner error.
fn try_apart(args: &TuneArgs, setting: Setting) -> anyhow::Result<Result<Trial, String>> {
    let program = std::env::current_exe().context("cannot find this program to run it again")?;
    let mut command = Command::new(program);
    command
        .args([
            "tune",
            &args.model.to_string(),
            "--trial",
            &serde_json::to_string(&setting)?,
        ])
        .args(["--seconds", &args.seconds.to_string()])
        .args(["--provider", &args.provider.to_string()])
        .arg("--models")
        .arg(&args.repository.models)
        .stdin(Stdio::null());
    for picture in &args.picture {
        command.arg("--picture").arg(picture);
    }
    if let Some(library) = &args.onnxruntime {
        command.arg("--onnxruntime").arg(library);
    }
    let ended = command.output().context("cannot run this program again")?;
    if ended.status.success() {
        return Ok(Ok(serde_json::from_slice(&ended.stdout)?));
    }
    let words = String::from_utf8_lossy(&ended.stderr);
    let last = words.lines().rfind(|line| !line.trim().is_empty());
    Ok(Err(
        last.map_or_else(|| ended.status.to_string(), str::to_owned)
    ))
}

fn try_setting(args: &TuneArgs, model: &ResolvedModel, setting: Setting) -> anyhow::Result<Trial> {
    let pictures = pictures(args)?;
    let runtime = Runtime::load(args.onnxruntime.as_deref())?;
    let subject = trial::Subject {
        runtime: &runtime,
        model,
        session: &SessionOptions {
            provider: args.provider,
            ..SessionOptions::default()
        },
        pictures: &pictures,
    };
    Ok(trial::run(
        subject,
        setting,
        Duration::from_secs(args.seconds),
    )?)
}

fn pictures(args: &TuneArgs) -> anyhow::Result<Vec<RgbImage>> {
    if args.picture.is_empty() {
        let (width, height) = PLAIN_SIZE;
        let grey = vec![128; width as usize * height as usize * 3];
        return Ok(vec![RgbImage::new(width, height, grey)?]);
    }
    args.picture.iter().map(|path| read_jpeg(path)).collect()
}

fn print_table(
    settings: &[Setting],
    outcomes: &[Result<Vec<Trial>, String>],
    best: Option<&Measured>,
) {
    println!(
        "  sessions  threads  batch  weights   frames/s    p50 ms    p95 ms    p99 ms  memory MiB"
    );
    for (setting, outcome) in settings.iter().zip(outcomes) {
        let Setting {
            sessions,
            threads,
            batch,
            precision,
        } = setting;
        let figures = match outcome {
            Err(reason) => format!("  {reason}"),
            Ok(rounds) => Measured::of(*setting, rounds).map_or_else(String::new, |one| {
                let mark = if best == Some(&one) { "  <- best" } else { "" };
                let Measured {
                    frames_per_second,
                    p50_ms,
                    p95_ms,
                    p99_ms,
                    memory_mib,
                    ..
                } = one;
                format!("{frames_per_second:>11.1}{p50_ms:>10.1}{p95_ms:>10.1}{p99_ms:>10.1}{memory_mib:>12.0}{mark}")
            }),
        };
        println!(
            "{sessions:>10}{threads:>9}{batch:>7}  {precision:<7}{figures}",
            precision = precision.to_string()
        );
    }
}

fn keep(args: &TuneArgs, model: &ResolvedModel, best: &Measured) -> anyhow::Result<()> {
    if args.dry_run {
        return Ok(());
    }
    ensure!(
        best.setting.sessions > 0,
        "a model runs in at least one session"
    );
    let path = match &args.tuning {
        Some(path) => path.clone(),
        None => args.repository.models.join(TUNING_FILE),
    };
    let name = ModelVersion {
        name: model.manifest.name.clone(),
        version: model.version,
    };
    let subject = Subject::here(&name, args.provider, best.setting.precision);
    let mut tuning = Tuning::read(&path)?;
    tuning.put(Tuned::new(
        subject,
        best,
        args.slo.map(|slo| slo.to_string()),
    ));
    tuning.write(&path)?;
    println!(
        "kept in {}; the detector uses it from its next start on",
        path.display()
    );
    Ok(())
}
