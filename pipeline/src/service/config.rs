//! The flags that services share, each with its environment fall-back.
//!
//! A flag wins over its variable. Our own variables start with `KADR_`; secrets can also be handed
//! over in a file named by `…_FILE`.

use std::{net::SocketAddr, time::Duration};

use clap::Args;
use jiff::fmt::serde::unsigned_duration::friendly::compact;
use serde::Serialize;
#[cfg(feature = "kafka")]
use serde::{Serializer, ser::SerializeStruct};

#[cfg(feature = "kafka")]
use super::shutdown::describe;
use super::{
    secret::{Secret, SecretError},
    telemetry::{LogFormat, parse_filter},
    traces::{TraceSettings, TraceSettingsError, Traces},
    units::parse_duration,
};
#[cfg(feature = "kafka")]
use crate::kafka::{KafkaConfig, PROPERTIES_VARIABLE, PropertyError};

/// The name that every exporter of OTLP reads.
const OTLP_ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const ADMIN_TOKEN_VARIABLE: &str = "KADR_ADMIN_TOKEN";

/// How Kafka is reached; whatever talks to it flattens these with `#[command(flatten)]`.
#[cfg(feature = "kafka")]
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Kafka")]
#[expect(
    clippy::doc_markdown,
    reason = "--help shows these comments as they stand"
)]
pub struct KafkaArgs {
    /// Kafka brokers, as host:port,host:port [env: KAFKA_BROKERS or KAFKA_BOOTSTRAP_SERVERS]
    // Two variables are accepted, so the environment is read by `pipeline::kafka`, not by clap.
    #[arg(long, value_name = "HOST:PORT,…")]
    brokers: Option<String>,

    /// Any librdkafka property, as name=value; may be given several times [env: KADR_KAFKA,
    /// comma-separated, or KADR_KAFKA_FILE, a file with one property a line]
    // Properties may be passwords, so they are secrets until `pipeline::kafka` has sorted them.
    #[arg(long, value_name = "NAME=VALUE")]
    kafka: Vec<Secret>,

    /// First part of every topic name
    #[arg(
        long,
        env = "KADR_TOPIC_PREFIX",
        default_value = "kadr",
        value_name = "NAME"
    )]
    pub topic_prefix: String,
}

/// How a service is operated; every service flattens these with `#[command(flatten)]`.
#[derive(Args, Clone, Debug, Serialize)]
#[command(next_help_heading = "Operation")]
pub struct OperatingArgs {
    /// Where /healthz, /readyz, /metrics and /admin are served; in a container, 0.0.0.0:9100
    #[arg(
        long,
        env = "KADR_ADMIN_LISTEN",
        default_value = "127.0.0.1:9100",
        value_name = "IP:PORT",
        value_parser = parse_listen_address
    )]
    pub admin_listen: SocketAddr,

    /// Token that orders below /admin must bear; without one they are taken from this machine alone
    // Also from the file that KADR_ADMIN_TOKEN_FILE names.
    #[arg(
        long,
        env = ADMIN_TOKEN_VARIABLE,
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    admin_token: Option<Secret>,

    /// What is logged, as level or target=level, separated by commas
    #[arg(
        long,
        env = "RUST_LOG",
        default_value = "info",
        value_name = "FILTER",
        value_parser = parse_filter
    )]
    pub log: String,

    /// How log lines look
    #[arg(
        long,
        env = "KADR_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,

    /// Where traces are sent by OTLP over HTTP, usually to port 4318; none are made without
    // Which of them, and as whose, is in the `OTEL_…` variables: see `traces`.
    #[arg(long, env = OTLP_ENDPOINT_VARIABLE, value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// How long work in hand may take after SIGTERM
    // `docker stop` kills after 10 s, so the default stays below.
    #[arg(
        long,
        env = "KADR_SHUTDOWN_GRACE",
        default_value = "8s",
        value_name = "DURATION",
        value_parser = parse_duration
    )]
    #[serde(with = "compact::required")]
    pub shutdown_grace: Duration,
}

impl OperatingArgs {
    /// The token of the flag, the variable or the file it names; one that is empty is none.
    pub fn admin_token(&self) -> Result<Option<Secret>, SecretError> {
        let file = process_env("KADR_ADMIN_TOKEN_FILE").map(Into::into);
        let token = self.admin_token.clone();
        let token = token.filter(|token| !token.expose().is_empty());
        Secret::resolve(ADMIN_TOKEN_VARIABLE, token, file)
    }

    /// Whether and how traces are exported.
    pub fn traces(&self) -> Result<Traces, TraceSettingsError> {
        let settings = TraceSettings::read(self.otlp_endpoint.as_deref(), &process_env)?;
        Ok(Traces::new(settings))
    }
}

/// Reads `127.0.0.1:9100` and `[::]:9100`.
pub fn parse_listen_address(text: &str) -> Result<SocketAddr, String> {
    text.trim().parse().map_err(|_not_an_address| {
        format!("{text:?} is not IP:PORT, such as 127.0.0.1:9100, 0.0.0.0:9100 or [::]:9100")
    })
}

/// A variable of the process environment; set to nothing counts as not set, as compose files and
/// charts leave it so.
pub fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Why the Kafka settings were not accepted.
#[cfg(feature = "kafka")]
#[derive(Debug, thiserror::Error)]
pub enum KafkaSettingsError {
    /// `KADR_KAFKA_FILE` cannot be used.
    #[error(transparent)]
    File(#[from] SecretError),
    /// A property or the broker list is wrong.
    #[error(transparent)]
    Property(#[from] PropertyError),
}

#[cfg(feature = "kafka")]
impl KafkaArgs {
    /// The Kafka settings of the flags and of this process's environment.
    pub fn config(&self) -> Result<KafkaConfig, KafkaSettingsError> {
        self.config_with(&process_env)
    }

    /// The same, for brokers found in another way: the environment may name none, or others.
    pub fn config_for(&self, brokers: &str) -> Result<KafkaConfig, KafkaSettingsError> {
        let with_brokers = Self {
            brokers: Some(brokers.to_owned()),
            ..self.clone()
        };
        with_brokers.config()
    }

    /// The same as [`config`](Self::config) with a given environment.
    pub fn config_with(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<KafkaConfig, KafkaSettingsError> {
        let from_env = Secret::resolve(
            PROPERTIES_VARIABLE,
            env(PROPERTIES_VARIABLE).map(Secret::new),
            env("KADR_KAFKA_FILE").map(Into::into),
        )?;
        let from_file = env("KADR_KAFKA_FILE").is_some();
        let properties = from_env.map(|text| {
            if from_file {
                property_lines(text.expose())
            } else {
                text.expose().to_owned()
            }
        });
        let env_with_file = |name: &str| match name {
            PROPERTIES_VARIABLE => properties.clone(),
            _ => env(name),
        };
        let flags: Vec<String> = self
            .kafka
            .iter()
            .map(|pair| pair.expose().to_owned())
            .collect();
        Ok(KafkaConfig::from_settings(
            self.brokers.as_deref(),
            &flags,
            &env_with_file,
        )?)
    }
}

/// The lines of a properties file without comments; the final line break marks it as lines.
#[cfg(feature = "kafka")]
fn property_lines(text: &str) -> String {
    let is_property = |line: &&str| !line.is_empty() && !line.starts_with('#');
    text.lines()
        .map(str::trim)
        .filter(is_property)
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// For the effective configuration: what is in force, whichever flag or variable it came from.
#[cfg(feature = "kafka")]
impl Serialize for KafkaArgs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let in_force = match self.config() {
            Ok(config) => config.to_string(),
            Err(KafkaSettingsError::Property(PropertyError::NoBrokers)) => {
                "no brokers named".to_owned()
            }
            Err(error) => describe(&error),
        };
        let mut fields = serializer.serialize_struct("KafkaArgs", 2)?;
        fields.serialize_field("kafka", &in_force)?;
        fields.serialize_field("topic_prefix", &self.topic_prefix)?;
        fields.end()
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
