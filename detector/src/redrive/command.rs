//! `detector redrive`: flags in, what was done out.

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Args};
use pipeline::frame::ModelRef;
use pipeline::kafka::{KafkaMetrics, Sink};
use pipeline::record::FailureKind;
use pipeline::service::shutdown::AnyError;
use pipeline::service::{KafkaArgs, shutdown::describe, telemetry};
use pipeline::topic::Topics;

use super::{Redrive, Redriven};
use crate::history::Which;

/// How long the last letters may take to be acknowledged.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which dead letters are put back.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("meant").required(true).multiple(true)
    .args(["all", "kind", "source", "model", "since"]))]
pub struct RedriveArgs {
    /// Every dead letter
    #[arg(long)]
    pub all: bool,

    /// Only what died of this, such as `model_failed`; may be given several times
    #[arg(long, value_name = "KIND", value_parser = parse_kind)]
    pub kind: Vec<FailureKind>,

    /// Only what asks for this model, as name or name@version; may be given several times
    #[arg(long, value_name = "MODEL")]
    pub model: Vec<ModelRef>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take them for the command's help")]
    pub which: Which,

    /// Say what would be put back, and change nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Where Kafka is.
    #[command(flatten)]
    pub kafka: KafkaArgs,
}

fn parse_kind(text: &str) -> Result<FailureKind, String> {
    match FailureKind::from(text.to_owned()) {
        FailureKind::Other(_) => Err(format!(
            "{text:?} is no kind of failure; there are bad_record, bad_image, too_big, \
             unknown_model, model_failed and deadline"
        )),
        kind => Ok(kind),
    }
}

/// Puts dead letters back and prints what was done.
pub fn run(args: &RedriveArgs) -> ExitCode {
    match redrive(args) {
        Ok(redriven) => {
            print!("{}", report(&redriven, args.dry_run));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {}", describe(&*error));
            ExitCode::FAILURE
        }
    }
}

fn redrive(args: &RedriveArgs) -> Result<Redriven, AnyError> {
    telemetry::init("warn", telemetry::LogFormat::Text)?;
    let topics = Topics::new(&args.kafka.topic_prefix)?;
    let kafka = args.kafka.config()?;
    let plan = Redrive {
        which: args.which.clone(),
        kinds: args.kind.clone(),
        models: args.model.clone(),
        dry_run: args.dry_run,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let metrics = KafkaMetrics::register(&prometheus::Registry::new())?;
        let sink = Sink::start(&kafka, &metrics)?;
        let redriven = plan.run(&kafka, &topics, &sink).await;
        sink.close(PATIENCE).await?;
        Ok(redriven?)
    })
}

fn report(redriven: &Redriven, dry_run: bool) -> String {
    let Redriven {
        put_back,
        left,
        done_before,
        unfit,
        unfit_count,
    } = redriven;
    let total: usize = put_back.values().sum();
    let verb = if dry_run {
        "would be put back"
    } else {
        "put back"
    };
    let mut lines = vec![format!("{total} {verb}")];
    lines.extend(
        put_back
            .iter()
            .map(|(kind, count)| format!("  {count} {kind}")),
    );
    lines.push(format!("{left} left by the filters"));
    lines.push(format!("{done_before} put back before"));
    if *unfit_count > 0 {
        lines.push(format!("{unfit_count} cannot be put back, such as:"));
        lines.extend(unfit.iter().map(|reason| format!("  {reason}")));
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
        redrive: RedriveArgs,
    }

    fn parse(flags: &[&str]) -> Result<RedriveArgs, String> {
        match Command::try_parse_from(["redrive"].iter().chain(flags)) {
            Ok(command) => Ok(command.redrive),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn all_or_a_filter_must_be_asked_for() {
        assert!(parse(&[]).unwrap_err().contains("--all"));
        assert!(parse(&["--dry-run"]).is_err());
        assert!(parse(&["--all"]).unwrap().all);
        let args = parse(&["--kind", "bad_image", "--source", "line-3", "--since", "1h"]).unwrap();
        assert_eq!(args.kind, [FailureKind::BadImage]);
        assert_eq!(args.which.since, Some(Duration::from_hours(1)));
    }

    #[test]
    fn a_kind_that_does_not_exist_is_refused_with_those_that_do() {
        let error = parse(&["--kind", "bad_luck"]).unwrap_err();
        assert!(error.contains("model_failed"), "{error}");
    }

    #[test]
    fn the_report_counts_everything() {
        let redriven = Redriven {
            put_back: [("bad_image".to_owned(), 2), ("model_failed".to_owned(), 3)].into(),
            left: 4,
            done_before: 5,
            unfit: vec!["0/7 lost its picture".to_owned()],
            unfit_count: 6,
        };
        let expected = "5 would be put back\n  2 bad_image\n  3 model_failed\n4 left by the \
                        filters\n5 put back before\n6 cannot be put back, such as:\n  0/7 lost its \
                        picture\n";
        assert_eq!(report(&redriven, true), expected);
    }
}
