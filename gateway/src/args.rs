//! The gateway's flags, and what they come to.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use jiff::fmt::serde::unsigned_duration::friendly::compact;
use pipeline::{
    catalogue::ModelArgs,
    frame::ModelRef,
    service::{
        KafkaArgs, OperatingArgs,
        config::parse_listen_address,
        units::{parse_duration, parse_size},
    },
};
use serde::Serialize;

/// What uploads may be, and how many.
#[derive(Args, Clone, Debug, Serialize)]
#[command(next_help_heading = "Uploads")]
pub struct GatewayArgs {
    /// The largest upload
    #[arg(long, env = "KADR_MAX_UPLOAD_SIZE", default_value = "32MiB", value_name = "SIZE", value_parser = parse_size)]
    pub max_upload_size: u64,

    /// The most pixels of an upload
    #[arg(long, env = "KADR_MAX_PIXELS", default_value = "64MP", value_name = "PIXELS", value_parser = parse_pixels)]
    pub max_pixels: u64,

    /// Bytes of uploads that are on their way at a time; further ones are asked to come back
    #[arg(long, env = "KADR_MAX_IN_FLIGHT", default_value = "256MiB", value_name = "SIZE", value_parser = parse_size)]
    pub max_in_flight: u64,

    /// Clients that wait for their result at a time
    #[arg(
        long,
        env = "KADR_MAX_WAITING",
        default_value_t = 256,
        value_name = "COUNT"
    )]
    pub max_waiting: u16,

    /// How long Kafka may take to acknowledge an upload
    #[arg(long, env = "KADR_PUBLISH_TIMEOUT", default_value = "2s", value_name = "DURATION", value_parser = parse_duration)]
    #[serde(with = "compact::required")]
    pub publish_timeout: Duration,
}

/// The gateway alone in a process.
#[derive(Args, Clone, Debug, Serialize)]
pub struct ServiceArgs {
    /// Where the API is served
    #[arg(long, env = "KADR_LISTEN", default_value = "127.0.0.1:8081", value_name = "IP:PORT", value_parser = parse_listen_address)]
    pub listen: SocketAddr,

    #[command(flatten)]
    #[serde(flatten)]
    pub gateway: GatewayArgs,

    #[command(flatten)]
    #[serde(flatten)]
    pub models: ModelArgs,

    #[command(flatten)]
    #[serde(flatten)]
    pub kafka: KafkaArgs,

    #[command(flatten)]
    #[serde(skip)]
    pub operating: OperatingArgs,
}

/// What the gateway is started with.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// What uploads may be, and how many.
    pub uploads: GatewayArgs,
    /// The folder of models.
    pub models: PathBuf,
    /// The model for uploads that ask for none.
    pub default_model: ModelRef,
}

impl GatewayConfig {
    pub fn new(uploads: GatewayArgs, models: ModelArgs) -> Self {
        Self {
            uploads,
            models: models.models,
            default_model: models.model,
        }
    }
}

/// `64MP`, `1.5MP` or a plain number of pixels.
fn parse_pixels(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a number of pixels such as 64MP or 2073600");
    let pixels = match text.trim().strip_suffix("MP") {
        Some(megapixels) => {
            let megapixels: f64 = megapixels.trim().parse().map_err(|_cause| wrong())?;
            megapixels * 1e6
        }
        None => text.trim().parse::<u64>().map_err(|_cause| wrong())? as f64,
    };
    let is_sensible = (1.0..=1e12).contains(&pixels);
    is_sensible.then_some(pixels as u64).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        service: ServiceArgs,
    }

    #[test]
    fn pixels_are_read_as_people_write_them() {
        for (text, pixels) in [
            ("64MP", 64_000_000),
            ("1.5 MP", 1_500_000),
            ("307200", 307_200),
        ] {
            assert_eq!(parse_pixels(text), Ok(pixels));
        }
        for text in ["", "MP", "0", "-1MP", "64mb", "nanMP", "1e30MP"] {
            let error = parse_pixels(text).expect_err(text);
            assert!(error.contains("such as 64MP"), "{error}");
        }
    }

    #[test]
    fn the_defaults_stand_and_every_flag_has_a_variable_and_a_help() {
        Cli::command().debug_assert();
        let parsed = Cli::try_parse_from(["gateway"]).unwrap().service;
        assert_eq!(parsed.gateway.max_upload_size, 32 << 20);
        assert_eq!(parsed.gateway.max_pixels, 64_000_000);
        assert_eq!(parsed.gateway.publish_timeout, Duration::from_secs(2));
        let of_ours = GatewayArgs::augment_args(clap::Command::new("x"));
        for flag in of_ours.get_arguments() {
            let name = flag.get_id().as_str().to_uppercase();
            assert_eq!(
                flag.get_env().unwrap().to_str(),
                Some(format!("KADR_{name}").as_str())
            );
            assert!(flag.get_help().is_some(), "{name}");
        }
    }
}
