//! The detector's own flags, for its own process and for `kadr up`.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, value_parser};
use jiff::fmt::serde::unsigned_duration::friendly::compact;
use pipeline::catalogue::ModelArgs;
use pipeline::service::units::{parse_duration, parse_size};
use serde::{Serialize, Serializer};

use super::DetectorConfig;
use crate::image::DEFAULT_MAX_PIXELS;
use crate::jpeg::DEFAULT_QUALITY;
use crate::model::manifest::SessionWishes;
use crate::model::repository::Precision;
use crate::onnx::{LoadOptions, Provider, SessionOptions};

/// How models are run; [`ModelArgs`] says which.
#[derive(Args, Clone, Debug, Serialize)]
#[command(next_help_heading = "Detector")]
pub struct DetectorArgs {
    /// The form of the weights: fp32, int8 or cut; without it, the one that each model.toml serves
    #[arg(long, env = "KADR_PRECISION")]
    pub precision: Option<Precision>,

    /// The device: cpu, cuda or cuda:N; CUDA that cannot be had keeps the detector not ready
    #[arg(long, env = "KADR_PROVIDER", default_value_t = Provider::Cpu)]
    #[serde(serialize_with = "as_text")]
    pub provider: Provider,

    /// Threads a session may use; 0 means as `detector tune` found best, or else one a core
    #[arg(
        long,
        env = "KADR_MODEL_THREADS",
        default_value_t = 0,
        value_name = "COUNT"
    )]
    pub model_threads: usize,

    /// Sessions of a model, which share its batches; without it as `detector tune` found best, or else one
    #[arg(long, env = "KADR_MODEL_SESSIONS", value_name = "COUNT", value_parser = value_parser!(u8).range(1..=64))]
    pub model_sessions: Option<u8>,

    /// Operators of a model that run at the same time, in each session; 1 unless model.toml says otherwise
    #[arg(long, env = "KADR_MODEL_INTER_THREADS", value_name = "COUNT", value_parser = value_parser!(u16).range(1..=1024))]
    pub model_inter_threads: Option<u16>,

    /// Whether idle threads of a model burn a core to wake up faster; false unless model.toml says otherwise
    #[arg(long, env = "KADR_MODEL_SPINNING", value_name = "BOOL")]
    pub model_spinning: Option<bool>,

    /// Whether a model keeps freed memory for its next run; false unless model.toml says otherwise
    #[arg(long, env = "KADR_MODEL_ARENA", value_name = "BOOL")]
    pub model_arena: Option<bool>,

    /// What `detector tune` has written; tuning.toml beside the models unless said otherwise
    #[arg(long, env = "KADR_TUNING", value_name = "FILE")]
    pub tuning: Option<PathBuf>,

    /// Models kept in memory; beyond that, the one not used for longest goes, never the default
    #[arg(long, env = "KADR_MAX_LOADED_MODELS", default_value_t = 4, value_name = "COUNT", value_parser = value_parser!(u8).range(2..))]
    pub max_loaded_models: u8,

    /// Memory that all models together may take, such as 2GiB; without a limit unless said. Beyond it,
    /// the one not used for longest goes, never the default, and one that cannot fit is refused
    #[arg(long, env = "KADR_MODEL_MEMORY_BUDGET", value_name = "SIZE", value_parser = parse_size)]
    pub model_memory_budget: Option<u64>,

    /// The part of the models' time that cameras get while uploads wait, too; what one lane does not
    /// need the other has
    #[arg(long, env = "KADR_LIVE_SHARE", default_value_t = 0.5, value_name = "SHARE", value_parser = parse_share)]
    pub live_share: f64,

    /// Quality of the annotated pictures, 1 to 100
    #[arg(long, env = "KADR_ANNOTATED_QUALITY", default_value_t = DEFAULT_QUALITY, value_name = "PERCENT", value_parser = value_parser!(u8).range(1..=100))]
    pub annotated_quality: u8,

    /// Pixels that a frame may have
    #[arg(
        long,
        env = "KADR_MAX_FRAME_PIXELS",
        default_value_t = DEFAULT_MAX_PIXELS,
        value_name = "COUNT"
    )]
    pub max_frame_pixels: u64,

    /// How long a model may look at a batch; without it, ten times as long as it usually does, at
    /// least 2s and at most 1m
    #[arg(long, env = "KADR_RUN_LIMIT", value_name = "DURATION", value_parser = parse_run_limit)]
    #[serde(with = "compact::optional")]
    pub run_limit: Option<Duration>,

    /// The ONNX Runtime library; found by itself after script/setup
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    pub onnxruntime: Option<PathBuf>,
}

impl DetectorArgs {
    /// What the flags say, with those that other services share.
    pub fn config(&self, models: &ModelArgs) -> DetectorConfig {
        DetectorConfig {
            models: models.models.clone(),
            default_model: models.model.clone(),
            load: LoadOptions {
                precision: self.precision,
                session: SessionOptions {
                    provider: self.provider,
                    threads: self.model_threads,
                    ..SessionOptions::default()
                },
            },
            asked: SessionWishes {
                sessions: self.model_sessions.map(usize::from),
                inter_threads: self.model_inter_threads.map(usize::from),
                spinning: self.model_spinning,
                arena: self.model_arena,
                ..SessionWishes::default()
            },
            tuning: self.tuning.clone(),
            onnxruntime: self.onnxruntime.clone(),
            max_loaded_models: self.max_loaded_models.into(),
            model_memory_budget: self.model_memory_budget,
            live_share: self.live_share,
            annotated_quality: self.annotated_quality,
            max_pixels: self.max_frame_pixels,
            run_limit: self.run_limit,
        }
    }
}

/// Neither lane may be left with nothing.
fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.trim().parse::<f64>().ok();
    share
        .filter(|share| (0.05..=0.95).contains(share))
        .ok_or_else(|| "write a share from 0.05 to 0.95".to_owned())
}

fn parse_run_limit(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        limit if limit.is_zero() => Err("no model answers in no time: write 2s or more".to_owned()),
        limit => Ok(limit),
    }
}

fn as_text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        detector: DetectorArgs,
        #[command(flatten)]
        models: ModelArgs,
    }

    fn parse(flags: &[&str]) -> Result<Command, String> {
        let flags = ["detector"].iter().chain(flags);
        match Command::try_parse_from(flags) {
            Ok(command) => Ok(command),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn flags_become_the_configuration() {
        let flags = [
            "--model",
            "part-kind@2",
            "--provider",
            "cuda:1",
            "--precision",
            "int8",
            "--model-threads",
            "3",
            "--annotated-quality",
            "70",
            "--max-loaded-models",
            "2",
            "--run-limit",
            "1m 30s",
            "--live-share",
            "0.75",
            "--model-memory-budget",
            "1.5GiB",
            "--model-inter-threads",
            "2",
            "--model-spinning",
            "true",
        ];
        let command = parse(&flags).unwrap();
        let config = command.detector.config(&command.models);
        assert_eq!(config.default_model, "part-kind@2".parse().unwrap());
        assert_eq!(config.load.session.provider, Provider::Cuda { device: 1 });
        assert_eq!(config.load.precision, Some(Precision::Int8));
        assert_eq!(config.load.session.threads, 3);
        assert_eq!(config.annotated_quality, 70);
        assert_eq!(config.max_loaded_models, 2);
        assert_eq!(config.model_memory_budget, Some(3 << 29));
        let asked = SessionWishes {
            inter_threads: Some(2),
            spinning: Some(true),
            ..SessionWishes::default()
        };
        assert_eq!(config.asked, asked);
        assert!((config.live_share - 0.75).abs() < f64::EPSILON);
        assert_eq!(config.run_limit, Some(Duration::from_secs(90)));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for flags in [
            ["--annotated-quality", "0"],
            ["--annotated-quality", "101"],
            ["--max-loaded-models", "1"],
            ["--provider", "gpu"],
            ["--run-limit", "0s"],
            ["--run-limit", "5"],
            ["--model-memory-budget", "much"],
            ["--live-share", "0"],
            ["--live-share", "50"],
        ] {
            let Err(error) = parse(&flags) else {
                panic!("{flags:?} were taken");
            };
            assert!(error.contains(flags[1]), "{error}");
        }
    }

    #[test]
    fn the_log_shows_them_as_they_are_written() {
        let json = serde_json::to_value(parse(&[]).unwrap().detector).unwrap();
        assert_eq!(json["provider"], "cpu");
        assert_eq!(
            json["precision"],
            serde_json::Value::Null,
            "each model's own"
        );
    }
}
