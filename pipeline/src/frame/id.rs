//! Frame ids and source ids.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Names one frame, its result and its annotated picture: a UUID.
///
/// Ours are version 7, so they sort by time; any other UUID that a producer chose is kept as it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
#[schemars(extend(
    "pattern" = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
))]
pub struct FrameId(Uuid);

impl FrameId {
    /// A new id, later than all before it from this process.
    #[expect(
        clippy::new_without_default,
        reason = "a new id every time is not a default"
    )]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id of a frame that came without one: the same for every delivery of the same record, so
    /// that outputs stay idempotent. `place` names the record, as `topic/partition/offset`.
    pub(crate) fn derived(time: Timestamp, place: &str) -> Self {
        let millis = u64::try_from(time.as_millisecond()).unwrap_or_default();
        let hash = fnv1a_128(place.as_bytes()).to_be_bytes();
        let mut random_part = [0; 10];
        random_part.copy_from_slice(&hash[6..]);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random_part).into_uuid())
    }
}

/// FNV-1a: stable over versions and platforms, which the standard library's hashers are not.
fn fnv1a_128(bytes: &[u8]) -> u128 {
    const OFFSET_BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET_BASIS, |hash, &byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    })
}

impl From<Uuid> for FrameId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl From<FrameId> for Uuid {
    fn from(id: FrameId) -> Self {
        id.0
    }
}

impl fmt::Display for FrameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for FrameId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// Names a camera, an upload or a job; it is the record key, and becomes part of paths and addresses.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(!try_from, !into)]
pub struct SourceId(
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9._:@-]*$")
    )]
    String,
);

impl SourceId {
    /// The longest source id, in characters.
    pub const MAX_LENGTH: usize = 128;

    /// Checks `text`: 1 to 128 ASCII letters, digits and `. _ - : @`, beginning with a letter, a digit
    /// or `_`.
    pub fn new(text: impl Into<String>) -> Result<Self, SourceIdError> {
        let text = text.into();
        if text.is_empty() {
            return Err(SourceIdError::Empty);
        }
        if text.len() > Self::MAX_LENGTH {
            return Err(SourceIdError::TooLong { length: text.len() });
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_allowed = |at: usize, c: char| is_plain(c) || (at > 0 && ".-:@".contains(c));
        match text.char_indices().find(|&(at, c)| !is_allowed(at, c)) {
            Some((position, character)) => Err(SourceIdError::Character {
                position,
                character,
            }),
            None => Ok(Self(text)),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text cannot be a source id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceIdError {
    /// No characters at all.
    #[error("a source id must not be empty")]
    Empty,
    /// More characters than allowed.
    #[error(
        "a source id has at most {} characters, not {length}",
        SourceId::MAX_LENGTH
    )]
    TooLong {
        /// The length in bytes.
        length: usize,
    },
    /// A character that is not allowed, or not in this place.
    #[error(
        "a source id must not hold {character:?} at position {position}; allowed are ASCII letters, digits and `_`, and after the first character also `. - : @`"
    )]
    Character {
        /// Where it stands, in bytes.
        position: usize,
        /// The character.
        character: char,
    },
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SourceId {
    type Err = SourceIdError;

    fn from_str(text: &str) -> Result<Self, SourceIdError> {
        Self::new(text)
    }
}

impl TryFrom<String> for SourceId {
    type Error = SourceIdError;

    fn try_from(text: String) -> Result<Self, SourceIdError> {
        Self::new(text)
    }
}

impl From<SourceId> for String {
    fn from(source: SourceId) -> Self {
        source.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_are_version_7_and_rise() {
        let ids: Vec<FrameId> = (0..100).map(|_| FrameId::new()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert!(ids.iter().all(|id| Uuid::from(*id).get_version_num() == 7));
    }

    #[test]
    fn a_derived_id_depends_on_time_and_place_alone() {
        let time: Timestamp = "2026-03-01T12:00:00.123Z".parse().unwrap();
        let id = FrameId::derived(time, "kadr.frames/3/42");
        assert_eq!(id, FrameId::derived(time, "kadr.frames/3/42"));
        assert_ne!(id, FrameId::derived(time, "kadr.frames/3/43"));
        assert_ne!(
            id,
            FrameId::derived(
                time + jiff::SignedDuration::from_secs(1),
                "kadr.frames/3/42"
            )
        );
        let uuid = Uuid::from(id);
        assert_eq!(uuid.get_version_num(), 7);
        let (seconds, nanoseconds) = uuid.get_timestamp().unwrap().to_unix();
        assert_eq!(seconds, time.as_second() as u64);
        assert_eq!(nanoseconds, 123_000_000);
    }

    #[test]
    fn the_hash_is_fnv1a() {
        // The published test vector for the empty string and for "foobar".
        assert_eq!(fnv1a_128(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(
            fnv1a_128(b"foobar"),
            0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18
        );
    }

    #[test]
    fn plain_source_ids_are_accepted() {
        let longest = "x".repeat(SourceId::MAX_LENGTH);
        for text in ["a", "cam-1", "hall_2:cam.3@plant", "0", longest.as_str()] {
            assert_eq!(SourceId::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn other_source_ids_are_refused_with_the_reason() {
        let character = |position, character| SourceIdError::Character {
            position,
            character,
        };
        for (text, error) in [
            ("", SourceIdError::Empty),
            ("..", character(0, '.')),
            ("-v", character(0, '-')),
            ("a/b", character(1, '/')),
            ("a b", character(1, ' ')),
            ("a\n", character(1, '\n')),
            ("kamera-süd", character(8, 'ü')),
        ] {
            assert_eq!(SourceId::new(text), Err(error), "{text:?}");
        }
        let too_long = "x".repeat(SourceId::MAX_LENGTH + 1);
        assert_eq!(
            SourceId::new(too_long),
            Err(SourceIdError::TooLong { length: 129 })
        );
    }

    #[test]
    fn source_ids_are_checked_when_read_from_json() {
        assert!(serde_json::from_str::<SourceId>("\"cam-1\"").is_ok());
        assert!(serde_json::from_str::<SourceId>("\"../etc\"").is_err());
    }
}
