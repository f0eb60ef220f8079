//! Capture times as they are written: RFC 3339 in UTC, always with six digits of a second.

use jiff::Timestamp;

/// How every capture time looks, for the JSON Schema.
pub(crate) const PATTERN: &str =
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$";

/// Drops what a record cannot keep: parts of a microsecond.
pub fn truncate_to_micros(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

/// Writes a time as RFC 3339 with microseconds; the rest is cut off, not rounded.
pub(crate) fn to_rfc3339(time: Timestamp) -> String {
    format!("{:.6}", truncate_to_micros(time))
}

/// Reads any RFC 3339 time, also with another offset or more digits.
pub(crate) fn from_rfc3339(text: &str) -> Result<Timestamp, jiff::Error> {
    text.parse().map(truncate_to_micros)
}

/// For `#[serde(with = "rfc3339_micros")]` on a `jiff::Timestamp`.
pub mod rfc3339_micros {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::borrow::Cow;

    /// Writes RFC 3339 with microseconds.
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::to_rfc3339(*time))
    }

    /// Reads any RFC 3339 time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        super::from_rfc3339(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_exactly_six_digits() {
        for (text, written) in [
            ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00.000000Z"),
            ("2026-03-01T12:00:00.5Z", "2026-03-01T12:00:00.500000Z"),
            (
                "2026-03-01T12:00:00.123456999Z",
                "2026-03-01T12:00:00.123456Z",
            ),
            (
                "2026-03-01T14:00:00.123456+02:00",
                "2026-03-01T12:00:00.123456Z",
            ),
        ] {
            assert_eq!(to_rfc3339(from_rfc3339(text).unwrap()), written);
            assert_eq!(to_rfc3339(text.parse().unwrap()), written);
        }
    }

    #[test]
    fn texts_without_a_zone_are_no_time() {
        for text in ["", "now", "2026-03-01T12:00:00", "1772366400"] {
            assert!(from_rfc3339(text).is_err(), "{text:?}");
        }
    }
}
