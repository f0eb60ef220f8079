//! `detector model rollout|rollback|status`: which version of a model serves whom, written where all
//! detectors read it.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, value_parser};
use detector::model::repository::{ModelReference, Precision, Repository};
use detector::onnx::{LoadOptions, OnnxModel, Provider, Runtime, SessionOptions};
use detector::rollout::warm::warm_up;
use pipeline::catalogue::{
    Versions, listed,
    rollout::{Canary, Change, Shadow},
};
use pipeline::frame::{ModelSelector, SourceId};

#[derive(Debug, Args)]
pub(crate) struct RolloutArgs {
    /// The folder of models.
    #[arg(
        long,
        value_name = "DIR",
        env = "KADR_MODELS",
        default_value = "models"
    )]
    models: PathBuf,

    /// The model and the version to roll out, such as parts@2; the name alone to end something.
    #[arg(value_name = "MODEL")]
    model: ModelReference,

    #[command(flatten)]
    wish: Wish,

    #[command(flatten)]
    trial: Trial,
}

/// What shall become of the version; without any of these it serves everybody.
#[derive(Debug, Args)]
struct Wish {
    /// Try it on this share of the sources.
    #[arg(long, value_name = "PERCENT", group = "wish", value_parser = value_parser!(u8).range(1..=100))]
    canary: Option<u8>,

    /// Try it on this source, too; may be given several times.
    #[arg(long = "source", value_name = "SOURCE")]
    sources: Vec<SourceId>,

    /// Run it beside the serving one and compare, on this share of the sources.
    #[arg(long, value_name = "PERCENT", group = "wish", num_args = 0..=1, default_missing_value = "100", value_parser = value_parser!(u8).range(1..=100))]
    shadow: Option<u8>,

    /// Give it a name, for those who ask for name@alias.
    #[arg(long, value_name = "ALIAS", group = "wish")]
    alias: Option<String>,

    /// Serve the newest version from now on, whichever that is.
    #[arg(long, group = "wish")]
    newest: bool,

    /// End the canary, the shadow, or an alias.
    #[arg(long, value_name = "canary|shadow|ALIAS", group = "wish")]
    end: Option<String>,
}

/// How the version is tried here before it is rolled out.
#[derive(Debug, Args)]
struct Trial {
    /// Do not load and run the version here first, as when this machine has no ONNX Runtime.
    #[arg(long)]
    unchecked: bool,

    /// The form of the weights: fp32, int8 or cut; without it, the one that model.toml serves.
    #[arg(long, env = "KADR_PRECISION")]
    precision: Option<Precision>,

    /// The device: cpu, cuda or cuda:N.
    #[arg(long, env = "KADR_PROVIDER", default_value_t = Provider::Cpu)]
    provider: Provider,

    /// The ONNX Runtime library; found by itself after script/setup.
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    onnxruntime: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The folder of models.
    #[arg(
        long,
        value_name = "DIR",
        env = "KADR_MODELS",
        default_value = "models"
    )]
    models: PathBuf,

    /// The model; all of them without one.
    #[arg(value_name = "MODEL")]
    model: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The folder of models.
    #[arg(
        long,
        value_name = "DIR",
        env = "KADR_MODELS",
        default_value = "models"
    )]
    models: PathBuf,

    /// The model whose last change is taken back.
    #[arg(value_name = "MODEL")]
    model: String,
}

pub(super) fn roll_out(args: &RolloutArgs) -> anyhow::Result<()> {
    let repository = Repository::new(&args.models);
    let change = change_of(&repository, &args.model, &args.wish)?;
    if let Some(version) = started_by(&change)
        && !args.trial.unchecked
    {
        args.trial
            .run(&repository, &args.model.name, version)
            .context("it is not rolled out; --unchecked rolls it out untried")?;
    }
    let catalogue = repository.catalogue();
    let versions = catalogue.roll_out(&args.model.name, &change)?;
    println!("{}: {change}", versions.name);
    print!("{}", text_of(&versions));
    Ok(())
}

pub(super) fn roll_back(args: &RollbackArgs) -> anyhow::Result<()> {
    let repository = Repository::new(&args.models);
    let before = repository.versions(&args.model)?.rollout.before;
    let versions = repository.catalogue().roll_back(&args.model)?;
    if let Some(step) = before.last() {
        println!("{}: taken back: {}", versions.name, step.ended_by);
    }
    print!("{}", text_of(&versions));
    Ok(())
}

pub(super) fn status(args: &StatusArgs) -> anyhow::Result<()> {
    let repository = Repository::new(&args.models);
    if let Some(name) = &args.model {
        print!("{}", text_of(&repository.versions(name)?));
        return Ok(());
    }
    for listing in repository.list()? {
        match repository.versions(&listing.name) {
            Ok(versions) => print!("{}", text_of(&versions)),
            Err(error) => println!("{}\n  cannot be told: {error}", listing.name),
        }
    }
    Ok(())
}

fn change_of(
    repository: &Repository,
    model: &ModelReference,
    wish: &Wish,
) -> anyhow::Result<Change> {
    if wish.newest || wish.end.is_some() {
        if model.selector != ModelSelector::Default || !wish.sources.is_empty() {
            bail!("--newest and --end take the model's name alone");
        }
        return Ok(match wish.end.as_deref() {
            None => Change::Newest,
            Some("canary") => Change::EndCanary,
            Some("shadow") => Change::EndShadow,
            Some(alias) => Change::EndAlias(alias.to_owned()),
        });
    }
    if model.selector == ModelSelector::Default {
        bail!("say which version, such as {}@2", model.name);
    }
    let versions = repository.versions(&model.name)?;
    let version = versions.resolve(&model.selector)?;
    if wish.canary.is_some() || !wish.sources.is_empty() {
        if wish.shadow.is_some() || wish.alias.is_some() {
            bail!("--source belongs to --canary");
        }
        return Ok(Change::Canary(Canary {
            version,
            percent: wish.canary.unwrap_or(0),
            sources: wish.sources.clone(),
        }));
    }
    Ok(match (wish.shadow, &wish.alias) {
        (Some(percent), _) => Change::Shadow(Shadow { version, percent }),
        (None, Some(name)) => Change::Alias {
            name: name.clone(),
            version,
        },
        (None, None) => Change::Serve(version),
    })
}

/// The version that gets frames by the change.
fn started_by(change: &Change) -> Option<u32> {
    match change {
        Change::Serve(version) | Change::Alias { version, .. } => Some(*version),
        Change::Canary(canary) => Some(canary.version),
        Change::Shadow(shadow) => Some(shadow.version),
        Change::Newest | Change::EndCanary | Change::EndShadow | Change::EndAlias(_) => None,
    }
}

impl Trial {
    fn run(&self, repository: &Repository, name: &str, version: u32) -> anyhow::Result<()> {
        let resolved = repository.resolve(&ModelReference::version(name, version))?;
        let runtime = Runtime::load(self.onnxruntime.as_deref())?;
        let options = LoadOptions {
            precision: self.precision,
            session: SessionOptions {
                provider: self.provider,
                ..SessionOptions::default()
            },
        };
        let mut model = OnnxModel::load(&runtime, &resolved, &options)?;
        warm_up(&mut model).with_context(|| format!("the first run of {name}@{version} failed"))
    }
}

/// A model's plan, a line a thing.
fn text_of(versions: &Versions) -> String {
    let plan = &versions.rollout.now;
    let current = plan.current_of(&versions.offered);
    let current = current.map_or_else(|| "none".to_owned(), |version| version.to_string());
    let how = match plan.current {
        Some(_) => "",
        None => " (the newest)",
    };
    let mut lines = vec![
        versions.name.clone(),
        format!("  versions  {}", listed(&versions.offered)),
        format!("  serves    {current}{how}"),
    ];
    if let Some(canary) = &plan.canary {
        let Canary {
            version, percent, ..
        } = canary;
        let named = match &canary.sources[..] {
            [] => String::new(),
            sources => format!(" and on {}", listed(sources)),
        };
        let share = format!("{percent} % of the sources");
        lines.push(format!("  canary    {version} on {share}{named}"));
    }
    if let Some(Shadow { version, percent }) = plan.shadow {
        let share = format!("{percent} % of the sources");
        lines.push(format!("  shadow    {version} on {share}"));
    }
    let aliases = plan.aliases.iter();
    lines.extend(aliases.map(|(alias, version)| format!("  alias     {alias} is {version}")));
    if let Some(step) = versions.rollout.before.last() {
        lines.push(format!("  last      {}, {}", step.ended_by, step.until));
    }
    lines.push(String::new());
    lines.join("\n")
}
