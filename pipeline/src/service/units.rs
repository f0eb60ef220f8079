//! Durations and sizes as people write them, for flags, variables and log lines.
//!
//! Use as `#[arg(value_parser = parse_duration)]`; for the effective configuration a duration
//! serialises with `jiff::fmt::serde::unsigned_duration::friendly::compact::required`.

use std::time::Duration;

use bytesize::ByteSize;
use jiff::fmt::friendly::{SpanParser, SpanPrinter};

/// `10s`, `500ms`, `1m 30s`; never a bare number, whose unit would be a guess.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    SpanParser::new()
        .parse_unsigned_duration(text.trim())
        .map_err(|error| format!("{text:?} is not a duration such as 10s, 500ms or 1m30s: {error}"))
}

/// `8MiB`, `10MB`, `512` (bytes).
pub fn parse_size(text: &str) -> Result<u64, String> {
    text.trim()
        .parse()
        .map(|ByteSize(bytes)| bytes)
        .map_err(|error: String| {
            format!("{text:?} is not a size such as 8MiB, 10MB or 512: {error}")
        })
}

/// The duration as [`parse_duration`] reads it.
pub fn format_duration(duration: Duration) -> String {
    SpanPrinter::new().unsigned_duration_to_string(&duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_with_a_unit_are_read() {
        for (text, millis) in [
            ("10s", 10_000),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("1m 30s", 90_000),
            (" 2h ", 7_200_000),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "for {text:?}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for text in [
            "",
            "10",
            "-5s",
            "5s ago",
            "soon",
            "10 s s",
            "99999999999999999999s",
        ] {
            let error = parse_duration(text).expect_err(text);
            assert!(error.contains("such as 10s"), "{error}");
        }
    }

    #[test]
    fn durations_are_written_as_they_are_read() {
        for millis in [0, 1, 500, 10_000, 90_000, 7_261_500] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }

    #[test]
    fn sizes_with_and_without_a_unit_are_read() {
        for (text, bytes) in [
            ("512", 512),
            ("512B", 512),
            ("8MiB", 8 << 20),
            ("8 MiB", 8 << 20),
            ("10MB", 10_000_000),
            ("1.5GiB", 3 << 29),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "for {text:?}");
        }
        for text in ["", "-1", "MiB", "8 parsecs", "1e400 GB"] {
            let error = parse_size(text).expect_err(text);
            assert!(error.contains("such as 8MiB"), "{error}");
        }
    }
}
