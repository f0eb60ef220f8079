//! `detector model …`: what a person does with models, without Kafka.

mod inspect;
mod inspection;
mod list;
mod report;
mod rollout;
mod run;

use std::path::PathBuf;

use clap::{Args, Subcommand};

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
