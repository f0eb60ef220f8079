//! What latency is allowed: `p95=100ms`.

use std::{fmt, str::FromStr, time::Duration};

use pipeline::service::units::{format_duration, parse_duration};

use super::Measured;

/// A percentile and what it may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slo {
    percentile: Percentile,
    limit: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Percentile {
    P50,
    P95,
    P99,
}

impl Slo {
    /// Whether what was measured stays within it.
    pub fn is_kept_by(self, measured: &Measured) -> bool {
        let value_ms = match self.percentile {
            Percentile::P50 => measured.p50_ms,
            Percentile::P95 => measured.p95_ms,
            Percentile::P99 => measured.p99_ms,
        };
        value_ms <= self.limit.as_secs_f64() * 1000.0
    }
}

impl FromStr for Slo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unreadable =
            || format!("{text:?} is no limit; write p50, p95 or p99 and a time: p95=100ms");
        let (percentile, limit) = text.split_once('=').ok_or_else(unreadable)?;
        let percentile = match percentile {
            "p50" => Percentile::P50,
            "p95" => Percentile::P95,
            "p99" => Percentile::P99,
            _ => return Err(unreadable()),
        };
        let limit = parse_duration(limit)?;
        Ok(Self { percentile, limit })
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percentile = match self.percentile {
            Percentile::P50 => "p50",
            Percentile::P95 => "p95",
            Percentile::P99 => "p99",
        };
        write!(formatter, "{percentile}={}", format_duration(self.limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_as_they_are_read() {
        for text in ["p50=150ms", "p95=100ms", "p99=2s"] {
            assert_eq!(text.parse::<Slo>().unwrap().to_string(), text);
        }
        for text in ["", "95=100ms", "p90=1s", "p95", "p95=100"] {
            assert!(text.parse::<Slo>().is_err(), "{text}");
        }
    }
}
