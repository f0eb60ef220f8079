//! The `detector` command: runs the worker, looks into the model repository, tries a model on a picture.

mod report;
mod rollout_command;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use detector::ServiceArgs;
use detector::annotate::Annotator;
use detector::image::{DEFAULT_MAX_PIXELS, JpegDecoder, RgbImage};
use detector::jpeg::{DEFAULT_QUALITY, JpegEncoder};
use detector::model::Model as _;
use detector::model::repository::{ModelReference, Precision, Repository};
use detector::onnx::{LoadOptions, OnnxModel, Provider, Runtime, SessionOptions};
use detector::redrive::{self, RedriveArgs};
use detector::replay::{self, ReplayArgs};
use pipeline::draw::Drawing;
use report::Report;

/// Finds things in pictures with models in ONNX form.
#[derive(Debug, Parser)]
#[command(name = "detector", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Looks at the frames on Kafka until it is told to end.
    Run(Box<ServiceArgs>),

    /// Puts dead letters back on the topics they came from.
    Redrive(RedriveArgs),

    /// Runs a model on frames of the past, into topics of their own.
    Replay(Box<ReplayArgs>),

    /// Looks into the model repository, or runs one model on one picture.
    #[command(subcommand)]
    Model(ModelCommand),
}

#[derive(Debug, Subcommand)]
enum ModelCommand {
    /// Lists the models and their versions.
    List {
        #[command(flatten)]
        repository: RepositoryArgs,
    },
    /// Runs a model on a JPEG and prints what it sees.
    Run(RunArgs),
    /// Lets a version of a model serve, to all or on trial; running detectors follow by themselves.
    Rollout(rollout_command::RolloutArgs),
    /// Takes the last rollout of a model back.
    Rollback(rollout_command::RollbackArgs),
    /// Says which version of a model serves whom.
    Status(rollout_command::StatusArgs),
}

#[derive(Debug, Args)]
struct RepositoryArgs {
    /// The folder of models.
    #[arg(
        long,
        value_name = "DIR",
        env = "KADR_MODELS",
        default_value = "models"
    )]
    models: PathBuf,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    repository: RepositoryArgs,

    /// The model: name for the one that serves, name@version or name@alias.
    #[arg(value_name = "MODEL")]
    model: ModelReference,

    /// The picture, a JPEG.
    #[arg(value_name = "IMAGE")]
    image: PathBuf,

    /// Prints JSON, with masks, instead of a table.
    #[arg(long)]
    json: bool,

    /// Writes the annotated picture here, as a JPEG.
    #[arg(long, value_name = "FILE")]
    annotated: Option<PathBuf>,

    /// The form of the weights: fp32 or int8.
    #[arg(long, env = "KADR_PRECISION", default_value_t = Precision::Fp32)]
    precision: Precision,

    /// The device: cpu, cuda or cuda:N. CUDA that cannot be had is an error.
    #[arg(long, env = "KADR_PROVIDER", default_value_t = Provider::Cpu)]
    provider: Provider,

    /// Threads the model may use; 0 means one a core.
    #[arg(long, env = "KADR_MODEL_THREADS", default_value_t = 0)]
    threads: usize,

    /// The ONNX Runtime library; found by itself after script/setup.
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    onnxruntime: Option<PathBuf>,
}

fn main() -> ExitCode {
    let command = match Cli::parse().command {
        Command::Run(args) => return detector::run(*args),
        Command::Redrive(args) => return redrive::run(&args),
        Command::Replay(args) => return replay::run(&args),
        Command::Model(command) => command,
    };
    match run(&command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &ModelCommand) -> anyhow::Result<()> {
    match command {
        ModelCommand::List { repository } => list(repository),
        ModelCommand::Run(args) => run_model(args),
        ModelCommand::Rollout(args) => rollout_command::roll_out(args),
        ModelCommand::Rollback(args) => rollout_command::roll_back(args),
        ModelCommand::Status(args) => rollout_command::status(args),
    }
}

fn list(args: &RepositoryArgs) -> anyhow::Result<()> {
    for listing in Repository::new(&args.models).list()? {
        let versions: Vec<String> = listing.versions.iter().map(u32::to_string).collect();
        println!("{:24} {}", listing.name, versions.join(" "));
    }
    Ok(())
}

fn run_model(args: &RunArgs) -> anyhow::Result<()> {
    let mut image = read_jpeg(&args.image)?;
    let resolved = Repository::new(&args.repository.models).resolve(&args.model)?;
    let runtime = Runtime::load(args.onnxruntime.as_deref())?;
    let session = SessionOptions {
        provider: args.provider,
        threads: args.threads,
        ..Default::default()
    };
    let options = LoadOptions {
        precision: args.precision,
        session,
    };
    let mut model = OnnxModel::load(&runtime, &resolved, &options)?;
    let prediction = model
        .predict(&[&image])?
        .pop()
        .context("the model gave no answer for the picture")?;
    let report = Report::new(&model, &image, &prediction);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    if let Some(path) = &args.annotated {
        Annotator::default().draw(&mut image, &prediction, Drawing::default());
        let jpeg = JpegEncoder::new(DEFAULT_QUALITY)?.encode(&image)?;
        std::fs::write(path, &jpeg).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn read_jpeg(path: &Path) -> anyhow::Result<RgbImage> {
    let jpeg = std::fs::read(path)
        .with_context(|| format!("cannot read the picture {}", path.display()))?;
    JpegDecoder::new(DEFAULT_MAX_PIXELS)?
        .decode(&jpeg)
        .with_context(|| format!("cannot decode {}", path.display()))
}
