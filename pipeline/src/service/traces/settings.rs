//! What the flag and the `OTEL_…` variables say, checked at the start. Resource attributes and the
//! queue's timing are read by the library; what it would pass over in silence is refused here.

use std::time::Duration;

use axum::http::Uri;
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::trace::Sampler;

use super::{client::CollectorClient, export};
use crate::service::redact::redact_text;

/// How long the collector may take, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise.
const DEFAULT_TIMEOUT_MS: u64 = 10_000;

/// Where the spans go, and which.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// With the path.
    endpoint: String,
    timeout: Duration,
    sampler: Sampler,
    /// Whether somebody has named the service.
    is_named: bool,
}

/// Why traces cannot be exported as asked.
#[derive(Debug, thiserror::Error)]
pub enum TraceSettingsError {
    /// No address, or one that needs TLS.
    #[error(
        "{value:?} is no address to send traces to ({reason}): write one such as \
         http://127.0.0.1:4318, and let a collector near by pass them on where TLS is wanted"
    )]
    Endpoint {
        /// What was given.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Not OTLP as it is spoken here.
    #[error(
        "{variable} is {value:?}, but traces are sent as http/protobuf only: unset it, and name \
         the collector's HTTP port, which is 4318 where gRPC is 4317"
    )]
    Protocol {
        /// Which variable says so.
        variable: &'static str,
        /// What it says.
        value: String,
    },
    /// A sampler that is not known.
    #[error(
        "OTEL_TRACES_SAMPLER is {value:?}, which is not known: write always_on, always_off, \
         traceidratio, or one of these behind parentbased_"
    )]
    Sampler {
        /// What was given.
        value: String,
    },
    /// A ratio that is none.
    #[error("OTEL_TRACES_SAMPLER_ARG is {value:?}: write a share from 0 to 1, such as 0.01")]
    Ratio {
        /// What was given.
        value: String,
    },
    /// A time that is none.
    #[error("{variable} is {value:?}: write milliseconds, such as 10000")]
    Timeout {
        /// Which variable says so.
        variable: &'static str,
        /// What it says.
        value: String,
    },
    /// Anything else that the exporter refuses.
    #[error("traces cannot be exported as the OTEL_EXPORTER_OTLP_ variables ask")]
    Exporter(#[from] ExporterBuildError),
}

impl TraceSettings {
    /// What a flag and an environment ask for; none where they ask for no traces.
    pub fn read(
        endpoint: Option<&str>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, TraceSettingsError> {
        let Some(endpoint) = endpoint_of(endpoint, env)? else {
            return Ok(None);
        };
        if let Some((variable, value)) = first_of(env, PROTOCOL)
            && value != "http/protobuf"
        {
            return Err(TraceSettingsError::Protocol { variable, value });
        }
        let settings = Self {
            endpoint,
            timeout: timeout_of(env)?,
            sampler: sampler_of(env)?,
            is_named: is_named(env),
        };
        // Built for a try, so that what it refuses is told now.
        drop(export::exporter(
            &settings,
            CollectorClient::new(settings.timeout),
        )?);
        Ok(Some(settings))
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    pub(super) fn is_named(&self) -> bool {
        self.is_named
    }
}

/// The variable for traces, or else the one for everything.
const PROTOCOL: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];
const TIMEOUT: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
];

type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

fn first_of(env: Env<'_>, names: [&'static str; 2]) -> Option<(&'static str, String)> {
    names.into_iter().find_map(|name| Some((name, env(name)?)))
}

/// The flag, or the variable it falls back to, is the root of the collector; the variable for traces
/// alone is the whole address.
fn endpoint_of(root: Option<&str>, env: Env<'_>) -> Result<Option<String>, TraceSettingsError> {
    let is_disabled = env("OTEL_SDK_DISABLED").is_some_and(|value| value == "true");
    let whole = env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    let root = root.filter(|root| !root.is_empty());
    let endpoint = match (whole, root) {
        _ if is_disabled => return Ok(None),
        (Some(whole), _) => whole,
        (None, Some(root)) => format!("{}/v1/traces", root.trim_end_matches('/')),
        (None, None) => return Ok(None),
    };
    let refused = |reason: String| TraceSettingsError::Endpoint {
        value: redact_text(&endpoint),
        reason,
    };
    let uri: Uri = match endpoint.parse() {
        Ok(uri) => uri,
        Err(error) => return Err(refused(format!("{error}"))),
    };
    match uri.scheme_str() {
        Some("http") => Ok(Some(endpoint)),
        Some(other) => Err(refused(format!("it begins with {other}:"))),
        None => Err(refused("it does not begin with http:".to_owned())),
    }
}

fn timeout_of(env: Env<'_>) -> Result<Duration, TraceSettingsError> {
    let milliseconds = match first_of(env, TIMEOUT) {
        None => DEFAULT_TIMEOUT_MS,
        Some((variable, value)) => match value.parse() {
            Ok(milliseconds) if milliseconds > 0 => milliseconds,
            _ => return Err(TraceSettingsError::Timeout { variable, value }),
        },
    };
    Ok(Duration::from_millis(milliseconds))
}

fn sampler_of(env: Env<'_>) -> Result<Sampler, TraceSettingsError> {
    let Some(value) = env("OTEL_TRACES_SAMPLER") else {
        return Ok(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)));
    };
    let (name, is_parent_based) = match value.strip_prefix("parentbased_") {
        Some(rest) => (rest, true),
        None => (&*value, false),
    };
    let sampler = match name {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(ratio_of(env)?),
        _ => return Err(TraceSettingsError::Sampler { value }),
    };
    Ok(if is_parent_based {
        Sampler::ParentBased(Box::new(sampler))
    } else {
        sampler
    })
}

fn ratio_of(env: Env<'_>) -> Result<f64, TraceSettingsError> {
    let value = env("OTEL_TRACES_SAMPLER_ARG").unwrap_or_else(|| "1".to_owned());
    match value.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err(TraceSettingsError::Ratio { value }),
    }
}

fn is_named(env: Env<'_>) -> bool {
    let attributes = env("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let names_it = |pair: &str| pair.trim().starts_with("service.name=");
    env("OTEL_SERVICE_NAME").is_some() || attributes.split(',').any(names_it)
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
