//! Kafka settings: brokers and librdkafka properties, from flags and environment, checked once.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use super::profile;

/// Environment variable with further properties: `key=value,key=value`, or one per line.
pub const PROPERTIES_VARIABLE: &str = "KADR_KAFKA";
/// The two names under which deployments hand over the broker list.
pub const BROKERS_VARIABLES: [&str; 2] = ["KAFKA_BROKERS", "KAFKA_BOOTSTRAP_SERVERS"];

const REDACTED: &str = "[redacted]";

/// Why a Kafka setting was not accepted. Never contains a secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PropertyError {
    /// No broker list anywhere.
    #[error("no Kafka brokers given: pass --brokers host:9092 or set KAFKA_BROKERS")]
    NoBrokers,
    /// Two places name different brokers.
    #[error("{first} and {second} name different brokers; set one of them, or both alike")]
    BrokersDisagree {
        /// Where the first list was found.
        first: &'static str,
        /// Where the second list was found.
        second: &'static str,
    },
    /// Not of the form `key=value`.
    #[error("Kafka property {text:?} is not of the form key=value")]
    NotAPair {
        /// The part before anything that could be a value.
        text: String,
    },
    /// Allowed by librdkafka, but it would break a promise of ours.
    #[error("Kafka property {name} cannot be set to {value:?}: {reason}")]
    Refused {
        /// Property name.
        name: String,
        /// The value asked for.
        value: String,
        /// The promise it would break.
        reason: &'static str,
    },
    /// librdkafka does not know it, or not with this value.
    #[error("Kafka property {name}: {reason}")]
    Invalid {
        /// Property name.
        name: String,
        /// What librdkafka says about it.
        reason: String,
    },
}

/// Brokers plus overrides of our defaults; the base of every client.
///
/// `Debug` and `Display` show the overrides with secrets redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    brokers: String,
    overrides: BTreeMap<String, String>,
}

impl KafkaConfig {
    /// Our defaults on the given brokers (`host:port,host:port`).
    pub fn new(brokers: &str) -> Result<Self, PropertyError> {
        let brokers = tidy_brokers(brokers);
        if brokers.is_empty() {
            return Err(PropertyError::NoBrokers);
        }
        Ok(Self {
            brokers,
            overrides: BTreeMap::new(),
        })
    }

    /// Reads flags with environment fall-back: a `--brokers` flag wins over the two environment
    /// names, and a `--kafka key=value` flag wins over the same key in `KADR_KAFKA`.
    pub fn from_settings(
        brokers_flag: Option<&str>,
        properties: &[String],
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, PropertyError> {
        let mut overrides = BTreeMap::new();
        let from_env = env(PROPERTIES_VARIABLE).unwrap_or_default();
        let pairs = split_list(&from_env)?
            .into_iter()
            .chain(split_pairs(properties)?);
        for (name, value) in pairs {
            overrides.insert(profile::canonical(&name).to_owned(), value);
        }
        let property = overrides.remove("bootstrap.servers");
        let brokers = choose_brokers(brokers_flag, property, env)?;
        let mut config = Self::new(&brokers)?;
        for (name, value) in overrides {
            config = config.with(&name, &value)?;
        }
        Ok(config)
    }

    /// Sets one librdkafka property, after checking that it exists and breaks no promise.
    pub fn with(mut self, name: &str, value: &str) -> Result<Self, PropertyError> {
        let name = profile::canonical(name.trim());
        let value = value.trim();
        if name == "bootstrap.servers" {
            return Ok(Self {
                brokers: Self::new(value)?.brokers,
                ..self
            });
        }
        check_known(name, value)?;
        if let Some(reason) = profile::refusal(name, value) {
            return Err(PropertyError::Refused {
                name: name.to_owned(),
                value: value.to_owned(),
                reason,
            });
        }
        self.overrides.insert(name.to_owned(), value.to_owned());
        Ok(self)
    }

    /// The broker list.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// The largest record a sink accepts, batch header included.
    pub fn max_record_bytes(&self) -> usize {
        self.number("message.max.bytes", profile::COMMON)
    }

    /// How many bytes a sink holds at most until they are acknowledged.
    pub fn sink_budget_bytes(&self) -> usize {
        self.number("queue.buffering.max.kbytes", profile::PRODUCER)
            .saturating_mul(1024)
    }

    pub(super) fn consumer(&self) -> ClientConfig {
        // librdkafka refuses a fetch limit below the record limit; both follow the record limit.
        let fetch_max_bytes = self.max_record_bytes().max(16 * 1024 * 1024);
        let response_max_bytes = fetch_max_bytes.saturating_add(1024 * 1024);
        let mut config = self.client(profile::CONSUMER);
        for (name, bytes) in [
            ("fetch.max.bytes", fetch_max_bytes),
            (
                "receive.message.max.bytes",
                response_max_bytes.max(100_000_000),
            ),
        ] {
            if !self.overrides.contains_key(name) {
                config.set(name, bytes.to_string());
            }
        }
        config
    }

    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.client(profile::PRODUCER);
        // The sink keeps the budget. librdkafka forgets a record a little later than the sink, and
        // with the same limit it would refuse what the sink has room for.
        let twice = (self.sink_budget_bytes() / 512).min(i32::MAX as usize);
        config.set("queue.buffering.max.kbytes", twice.to_string());
        config
    }

    pub(super) fn admin(&self) -> ClientConfig {
        self.client(&[])
    }

    fn client(&self, kind: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        for (name, value) in profile::COMMON.iter().chain(kind) {
            config.set(*name, *value);
        }
        for (name, value) in &self.overrides {
            config.set(name, value);
        }
        config.set_log_level(if self.overrides.contains_key("debug") {
            RDKafkaLogLevel::Debug
        } else {
            RDKafkaLogLevel::Info
        });
        config
    }

    fn number(&self, name: &str, defaults: &[(&str, &str)]) -> usize {
        let default = defaults.iter().find(|(key, _)| *key == name);
        let text = self
            .overrides
            .get(name)
            .map_or_else(|| default.map_or("", |(_, value)| value), String::as_str);
        text.parse()
            .expect("librdkafka has accepted the value as a positive integer")
    }
}

impl fmt::Display for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bootstrap.servers={}", self.brokers)?;
        for (name, value) in &self.overrides {
            let shown = if profile::is_secret(name) {
                REDACTED
            } else {
                value
            };
            write!(f, " {name}={shown}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KafkaConfig({self})")
    }
}

/// What librdkafka says when a client cannot be made, without the values it was given.
pub(super) fn client_error_text(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, _, name, _) if profile::is_secret(name) => {
            format!("{name}: the value is not valid")
        }
        KafkaError::ClientConfig(_, reason, name, _) => format!("{name}: {}", one_line(reason)),
        KafkaError::ClientCreation(reason) => one_line(reason),
        other => other.to_string(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn check_known(name: &str, value: &str) -> Result<(), PropertyError> {
    let mut probe = ClientConfig::new();
    probe.set(name, value);
    let Err(error) = probe.create_native_config() else {
        return Ok(());
    };
    let reason = match error {
        KafkaError::ClientConfig(..) if profile::is_secret(name) => "the value is not valid".into(),
        KafkaError::ClientConfig(_, reason, ..) => one_line(&reason),
        other => other.to_string(),
    };
    Err(PropertyError::Invalid {
        name: name.to_owned(),
        reason,
    })
}

fn choose_brokers(
    flag: Option<&str>,
    property: Option<String>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<String, PropertyError> {
    let named = |name: &'static str, text: Option<String>| {
        text.map(|text| (name, tidy_brokers(&text)))
            .filter(|(_, brokers)| !brokers.is_empty())
    };
    let asked = [
        named("--brokers", flag.map(str::to_owned)),
        named("Kafka property bootstrap.servers", property),
    ];
    let inherited = BROKERS_VARIABLES.map(|name| named(name, env(name)));
    // A flag is the operator's word and outranks what the environment happens to hold.
    for source in [asked, inherited] {
        match source {
            [Some((first, a)), Some((second, b))] if a != b => {
                return Err(PropertyError::BrokersDisagree { first, second });
            }
            [Some((_, brokers)), _] | [None, Some((_, brokers))] => return Ok(brokers),
            [None, None] => {}
        }
    }
    Err(PropertyError::NoBrokers)
}

fn tidy_brokers(text: &str) -> String {
    let brokers: Vec<&str> = text.split(',').map(str::trim).collect();
    brokers
        .into_iter()
        .filter(|broker| !broker.is_empty())
        .collect::<Vec<_>>()
        .join(",")
}

/// Splits `KADR_KAFKA`. With line breaks, only these separate; without, commas do, and a piece
/// that has no `=` belongs to the value before it (`debug=cgrp,topic`).
fn split_list(text: &str) -> Result<Vec<(String, String)>, PropertyError> {
    let lines = text.contains('\n');
    let mut pairs: Vec<(String, String)> = Vec::new();
    for piece in text.split(if lines { '\n' } else { ',' }) {
        if piece.trim().is_empty() {
            continue;
        }
        match (split_pair(piece), pairs.last_mut()) {
            (Ok(pair), _) => pairs.push(pair),
            (Err(_), Some((_, value))) if !lines => {
                value.push(',');
                value.push_str(piece.trim());
            }
            (Err(error), _) => return Err(error),
        }
    }
    Ok(pairs)
}

fn split_pairs(texts: &[String]) -> Result<Vec<(String, String)>, PropertyError> {
    texts.iter().map(|text| split_pair(text)).collect()
}

fn split_pair(text: &str) -> Result<(String, String), PropertyError> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(PropertyError::NotAPair {
            // Whoever forgot the key may have typed the secret: show the beginning only.
            text: text
                .split('=')
                .next()
                .unwrap_or_default()
                .chars()
                .take(4)
                .collect::<String>()
                + "…",
        }),
    }
}

#[cfg(test)]
#[path = "properties_tests.rs"]
mod tests;
