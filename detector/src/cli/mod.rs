//! `detector model …` and `detector tune`: what a person does with models, without Kafka.

mod inspect;
mod inspection;
mod list;
mod report;
mod rollout;
mod run;
pub(crate) mod tune;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use detector::image::{DEFAULT_MAX_PIXELS, JpegDecoder, RgbImage};

/// The commands about models.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Lists the models and their versions.
    List {
        #[command(flatten)]
        repository: RepositoryArgs,
    },
    /// Says what an ONNX file is, whether it can be served, and how.
    Inspect(inspect::InspectArgs),
    /// Runs a model on a JPEG and prints what it sees.
    Run(run::RunArgs),
    /// Lets a version of a model serve, to all or on trial; running detectors follow by themselves.
    Rollout(rollout::RolloutArgs),
    /// Takes the last rollout of a model back.
    Rollback(rollout::RollbackArgs),
    /// Says which version of a model serves whom.
    Status(rollout::StatusArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RepositoryArgs {
    /// The folder of models.
    #[arg(
        long,
        value_name = "DIR",
        env = "KADR_MODELS",
        default_value = "models"
    )]
    models: PathBuf,
}

impl ModelCommand {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::List { repository } => list::list(repository),
            Self::Inspect(args) => inspect::inspect(args),
            Self::Run(args) => run::run(args),
            Self::Rollout(args) => rollout::roll_out(args),
            Self::Rollback(args) => rollout::roll_back(args),
            Self::Status(args) => rollout::status(args),
        }
    }
}

fn read_jpeg(path: &Path) -> anyhow::Result<RgbImage> {
    let jpeg = std::fs::read(path)
        .with_context(|| format!("cannot read the picture {}", path.display()))?;
    JpegDecoder::new(DEFAULT_MAX_PIXELS)?
        .decode(&jpeg)
        .with_context(|| format!("cannot decode {}", path.display()))
}
