//! Logging: set up once, as text for people or JSON for machines, and the effective configuration
//! as its first line.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use serde::{Serialize, Serializer};
use tracing_subscriber::{
    EnvFilter,
    fmt::{MakeWriter, writer::BoxMakeWriter},
    util::SubscriberInitExt,
};

use super::redact::redact_json;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

impl Serialize for LogFormat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not understood.
    #[error(
        "log filter {filter:?} is not understood: write one such as info or info,detector=debug"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else has set up logging in this process.
    #[error("logging is set up already: call init once, in main")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Sets up logging for the process, on standard error: standard output is for data.
pub fn init(filter: &str, format: LogFormat) -> Result<(), TelemetryError> {
    let colours = io::stderr().is_terminal();
    subscriber(filter, format, (BoxMakeWriter::new(io::stderr), colours))?.try_init()?;
    Ok(())
}

/// Whether a filter is understood; for flags, so that a typo is told at once.
pub fn parse_filter(filter: &str) -> Result<String, TelemetryError> {
    parsed(filter).map(|_filter| filter.to_owned())
}

/// Logs the configuration a service starts with, in one line, with secrets redacted.
pub fn log_effective_config(service: &str, config: &impl Serialize) {
    match serde_json::to_value(config) {
        Ok(config) => {
            let config = redact_json(config);
            tracing::info!(service, %config, "effective configuration");
        }
        Err(error) => tracing::error!(service, %error, "cannot write the configuration as json"),
    }
}

fn parsed(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(filter).map_err(|source| TelemetryError::Filter {
        filter: filter.to_owned(),
        source,
    })
}

fn subscriber<W>(
    filter: &str,
    format: LogFormat,
    (writer, colours): (W, bool),
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parsed(filter)?)
        .with_writer(writer)
        .with_ansi(colours);
    Ok(match format {
        LogFormat::Text => Box::new(builder.finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::secret::Secret;
    use std::sync::{Arc, Mutex};

    /// A writer that keeps what was logged.
    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).expect("logs are text")
        }
    }

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, format: LogFormat, log: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = subscriber(filter, format, (move || writer.clone(), false)).unwrap();
        tracing::subscriber::with_default(subscriber, log);
        captured.text()
    }

    #[derive(Serialize)]
    struct Config {
        brokers: &'static str,
        camera: &'static str,
        api_key: Secret,
        sasl_password: &'static str,
        kafka: Vec<(&'static str, &'static str)>,
        extra: Vec<&'static str>,
        database_url: &'static str,
    }

    fn config_with_canaries() -> Config {
        Config {
            brokers: "kafka:9092",
            camera: "rtsp://admin:canary-1@10.0.0.7/main",
            api_key: Secret::new("canary-2"),
            sasl_password: "canary-3",
            kafka: vec![("ssl.key.pem", "canary-4"), ("acks", "all")],
            extra: vec!["sasl.jaas.config=module required password='canary-5';"],
            database_url: "postgres://kadr@db/kadr?password=canary-6",
        }
    }

    #[test]
    fn the_effective_configuration_is_one_line_without_secrets() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let text = logged("info", format, || {
                log_effective_config("detector", &config_with_canaries());
            });
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(!text.contains("canary"), "{text}");
            for shown in [
                "effective configuration",
                "kafka:9092",
                "10.0.0.7/main",
                "acks",
            ] {
                assert!(text.contains(shown), "{shown} is missing from {text}");
            }
        }
    }

    #[test]
    fn json_lines_hold_fields_of_their_own() {
        let text = logged("info", LogFormat::Json, || {
            tracing::info!(partition = 3, "assigned");
        });
        let line: serde_json::Value = serde_json::from_str(&text).expect("one json object");
        assert_eq!(line["partition"], 3);
        assert_eq!(line["message"], "assigned");
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn the_filter_chooses_what_is_logged() {
        let text = logged("warn", LogFormat::Text, || {
            tracing::info!("hidden");
            tracing::warn!("shown");
        });
        assert!(text.contains("shown") && !text.contains("hidden"), "{text}");
    }

    #[test]
    fn a_filter_with_a_typo_is_refused_with_an_example() {
        let error = parse_filter("info,detector=loud").expect_err("no such level");
        assert!(error.to_string().contains("info,detector=debug"), "{error}");
    }
}
