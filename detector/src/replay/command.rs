//! `detector replay`: flags in, what came of it out.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};
use pipeline::catalogue::ModelArgs;
use pipeline::frame::{Lane, ModelRef};
use pipeline::service::shutdown::AnyError;
use pipeline::service::units::parse_duration;
use pipeline::service::{Bus, Context, KafkaArgs, Shutdown, Tasks, shutdown::describe, telemetry};
use pipeline::topic::Topics;

use super::{Replay, Replayed};
use crate::history::Which;
use crate::worker::args::DetectorArgs;

/// How long the detector may take to end.
const GRACE: Duration = Duration::from_secs(8);

/// Which lanes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lanes {
    /// Uploads and jobs.
    Frames,
    /// Cameras, as far as the topic still has them.
    Live,
    /// One after the other.
    Both,
}

/// What is replayed, with which model, and where to.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take them for the command's help")]
    pub which: Which,

    /// Only what is older, such as 10m
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub until: Option<Duration>,

    /// Which frames: uploads, those of cameras, or both
    #[arg(long, value_enum, default_value_t = Lanes::Both)]
    pub lane: Lanes,

    /// The model that looks at all of them, instead of the one that each frame asked for
    #[arg(long, value_name = "MODEL")]
    pub model: Option<ModelRef>,

    /// Without --model, the model for frames that asked for none
    #[arg(
        long,
        env = "KADR_MODEL",
        default_value = "parts",
        value_name = "MODEL"
    )]
    pub default_model: ModelRef,

    /// The folder of models
    #[arg(
        long,
        env = "KADR_MODELS",
        default_value = "models",
        value_name = "DIR"
    )]
    pub models: PathBuf,

    /// First part of the names of the topics it goes into [default: PREFIX.replay]
    #[arg(long, value_name = "PREFIX")]
    pub into: Option<String>,

    /// Frames at most
    #[arg(long, default_value_t = 10_000, value_name = "COUNT", value_parser = value_parser!(u32).range(1..))]
    pub limit: u32,

    /// How models are run.
    #[command(flatten)]
    pub detector: DetectorArgs,

    /// Where Kafka is.
    #[command(flatten)]
    pub kafka: KafkaArgs,
}

impl ReplayArgs {
    fn plan(&self) -> Replay {
        let lanes = match self.lane {
            Lanes::Frames => vec![Lane::Durable],
            Lanes::Live => vec![Lane::Live],
            Lanes::Both => vec![Lane::Durable, Lane::Live],
        };
        Replay {
            which: self.which.clone(),
            until: self.until,
            lanes,
            model: self.model.clone(),
            limit: self.limit as usize,
        }
    }

    fn models(&self) -> ModelArgs {
        let model = self.model.as_ref().unwrap_or(&self.default_model);
        ModelArgs {
            models: self.models.clone(),
            model: model.clone(),
        }
    }

    fn prefix_of_copy(&self) -> String {
        let prefix = &self.kafka.topic_prefix;
        let into = self.into.clone();
        into.unwrap_or_else(|| format!("{prefix}.replay"))
    }
}

/// Replays and prints what came of it.
pub fn run(args: &ReplayArgs) -> ExitCode {
    match replay(args) {
        Ok(replayed) => {
            print!("{}", report(&replayed, &args.prefix_of_copy()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {}", describe(&*error));
            ExitCode::FAILURE
        }
    }
}

fn replay(args: &ReplayArgs) -> Result<Replayed, AnyError> {
    telemetry::init("warn", telemetry::LogFormat::Text)?;
    let from = Topics::new(&args.kafka.topic_prefix)?;
    let into = Topics::new(args.prefix_of_copy())?;
    let kafka = args.kafka.config()?;
    let config = args.detector.config(&args.models());
    let context = Context::new("replay", Shutdown::on_signals(GRACE)?)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let bus = Bus::open(kafka, into, &context)?;
        let mut tasks = Tasks::new(&context.shutdown);
        let plan = args.plan();
        let replayed = plan.run(&from, config, (&bus, &context, &mut tasks)).await;
        context.shutdown.begin();
        let drained = tasks.drained().await;
        bus.close(GRACE).await?;
        let replayed = replayed?;
        drained?;
        Ok(replayed)
    })
}

fn report(replayed: &Replayed, into: &str) -> String {
    let Replayed {
        frames,
        results,
        dead,
        unreadable,
        is_cut,
    } = *replayed;
    let mut lines = vec![
        format!("{frames} frames replayed"),
        format!("  {results} results on {into}.results, with pictures on {into}.annotated"),
        format!("  {dead} dead letters on {into}.dead"),
    ];
    if unreadable > 0 {
        lines.push(format!("{unreadable} records of the past are no frames"));
    }
    if is_cut {
        lines.push("there is more: raise --limit".to_owned());
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        replay: ReplayArgs,
    }

    fn parse(flags: &[&str]) -> ReplayArgs {
        let flags = ["replay"].iter().chain(flags);
        Command::try_parse_from(flags).unwrap().replay
    }

    #[test]
    fn flags_become_the_plan() {
        let args = parse(&[
            "--since",
            "1h",
            "--source",
            "line-3",
            "--model",
            "parts@canary",
        ]);
        let plan = args.plan();
        assert_eq!(plan.lanes, [Lane::Durable, Lane::Live]);
        assert_eq!(plan.model, "parts@canary".parse().ok());
        assert_eq!(plan.which.since, Some(Duration::from_hours(1)));
        assert_eq!(args.models().model, "parts@canary".parse().unwrap());
        assert_eq!(args.prefix_of_copy(), "kadr.replay");
        let args = parse(&["--lane", "live", "--into", "trial", "--limit", "7"]);
        assert_eq!(
            (args.plan().lanes, args.plan().limit),
            (vec![Lane::Live], 7)
        );
        assert_eq!(args.prefix_of_copy(), "trial");
    }

    #[test]
    fn the_report_says_where_it_all_is() {
        let replayed = Replayed {
            frames: 9,
            results: 8,
            dead: 1,
            unreadable: 2,
            is_cut: true,
        };
        let text = report(&replayed, "kadr.replay");
        for part in [
            "9 frames",
            "8 results on kadr.replay.results",
            "1 dead letters on kadr.replay.dead",
            "2 records",
            "--limit",
        ] {
            assert!(text.contains(part), "{part} is missing from {text}");
        }
    }
}
