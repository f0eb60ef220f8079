//! Topic names, the key rule and the partition rule.
//!
//! **Key rule.** The key of every record is the source id in UTF-8. All records of one source land on
//! one partition, in order.
//!
//! **Partition rule.** All frame topics (frames, live, annotated, results) have the same number of
//! partitions, and every producer uses Java's default hash, murmur2, so that a key has the same
//! partition number on each of them and in each language. Java clients do so by themselves; librdkafka
//! and everything on top of it (Python, Go, .NET, Node) needs `partitioner=murmur2_random`, because
//! its own default is CRC-32.

use crate::frame::{Lane, SourceId};
use bytes::Bytes;
use std::num::NonZeroU32;
use std::sync::Arc;

/// The librdkafka `partitioner` that every producer must use.
pub const PARTITIONER: &str = "murmur2_random";

/// Where a record stands in Kafka.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Topic name.
    pub topic: Arc<str>,
    /// Partition number.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
    /// The record's Kafka timestamp in milliseconds since 1970; 0 if it has none.
    pub timestamp_ms: i64,
}

/// The topic names under one prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    prefix: String,
}

impl Topics {
    /// The prefix when none is configured.
    pub const DEFAULT_PREFIX: &str = "kadr";

    /// Kafka's limit on the length of a topic name.
    pub const MAX_NAME_LENGTH: usize = 249;

    const LONGEST_SUFFIX: &str = ".annotated";

    /// Checks that every name under `prefix` is one that Kafka accepts.
    pub fn new(prefix: impl Into<String>) -> Result<Self, PrefixError> {
        let prefix = prefix.into();
        let max_length = Self::MAX_NAME_LENGTH - Self::LONGEST_SUFFIX.len();
        if prefix.is_empty() {
            return Err(PrefixError::Empty);
        }
        if prefix.len() > max_length {
            return Err(PrefixError::TooLong {
                length: prefix.len(),
                max_length,
            });
        }
        let is_legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        match prefix.chars().find(|&c| !is_legal(c)) {
            Some(character) => Err(PrefixError::Character { prefix, character }),
            None => Ok(Self { prefix }),
        }
    }

    /// Uploads and video jobs as JPEG: the durable lane.
    pub fn frames(&self) -> String {
        self.name("frames")
    }

    /// Camera frames as JPEG: the live lane.
    pub fn live(&self) -> String {
        self.name("live")
    }

    /// Annotated JPEG.
    pub fn annotated(&self) -> String {
        self.name("annotated")
    }

    /// Result JSON.
    pub fn results(&self) -> String {
        self.name("results")
    }

    /// Records that could not be handled, each with the reason.
    pub fn dead(&self) -> String {
        self.name("dead")
    }

    /// The topics that must have the same number of partitions.
    pub fn frame_topics(&self) -> [String; 4] {
        [self.frames(), self.live(), self.annotated(), self.results()]
    }

    /// The topic that a lane's frames travel on.
    pub fn of_lane(&self, lane: Lane) -> String {
        match lane {
            Lane::Durable => self.frames(),
            Lane::Live => self.live(),
        }
    }

    /// The lane that a topic's frames travel on; none for a topic that carries no captured frames.
    pub fn lane_of(&self, topic: &str) -> Option<Lane> {
        [Lane::Durable, Lane::Live]
            .into_iter()
            .find(|&lane| self.of_lane(lane) == topic)
    }

    fn name(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.prefix)
    }
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            prefix: Self::DEFAULT_PREFIX.to_owned(),
        }
    }
}

/// Why a topic prefix cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// No characters at all.
    #[error("the topic prefix must not be empty")]
    Empty,
    /// The longest topic name would pass Kafka's limit.
    #[error("the topic prefix has at most {max_length} characters, not {length}")]
    TooLong {
        /// Its length.
        length: usize,
        /// The length allowed.
        max_length: usize,
    },
    /// A character that Kafka refuses in topic names.
    #[error(
        "the topic prefix {prefix:?} must not hold {character:?}; Kafka allows ASCII letters, digits and `. _ -`"
    )]
    Character {
        /// The prefix.
        prefix: String,
        /// The first such character.
        character: char,
    },
}

/// The key of every record of a source.
pub fn key_of(source: &SourceId) -> Bytes {
    Bytes::copy_from_slice(source.as_str().as_bytes())
}

/// The partition on which records with this key land.
pub fn partition_for(key: &[u8], partition_count: NonZeroU32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partition_count
}

/// Murmur2 with the seed that Kafka's Java client uses.
fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let (words, tail) = bytes.as_chunks::<4>();
    let mut hash = SEED ^ bytes.len() as u32;
    for &word in words {
        let mut k = u32::from_le_bytes(word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        let mut last_word = [0; 4];
        last_word[..tail.len()].copy_from_slice(tail);
        hash = (hash ^ u32::from_le_bytes(last_word)).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_equals_the_java_client() {
        // The vectors of Apache Kafka's own unit test for its `Utils.murmur2`.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn a_key_has_one_partition() {
        let twelve = NonZeroU32::new(12).unwrap();
        // -973932308 and 479470107 with the sign bit cleared, modulo 12.
        assert_eq!(partition_for(b"21", twelve), 1_173_551_340 % 12);
        assert_eq!(partition_for(b"abc", twelve), 479_470_107 % 12);
        assert_eq!(partition_for(b"abc", NonZeroU32::MIN), 0);
    }

    #[test]
    fn the_key_is_the_source_id() {
        assert_eq!(key_of(&SourceId::new("cam-1").unwrap()), "cam-1");
    }

    #[test]
    fn names_stand_under_the_prefix() {
        let topics = Topics::new("plant-7.kadr").unwrap();
        assert_eq!(
            topics.frame_topics(),
            ["frames", "live", "annotated", "results"].map(|name| format!("plant-7.kadr.{name}"))
        );
        assert_eq!(topics.dead(), "plant-7.kadr.dead");
        assert_eq!(Topics::default(), Topics::new("kadr").unwrap());
    }

    #[test]
    fn lanes_are_topics() {
        let topics = Topics::default();
        assert_eq!(topics.of_lane(Lane::Durable), "kadr.frames");
        assert_eq!(topics.of_lane(Lane::Live), "kadr.live");
        assert_eq!(topics.lane_of("kadr.frames"), Some(Lane::Durable));
        assert_eq!(topics.lane_of("kadr.live"), Some(Lane::Live));
        assert_eq!(topics.lane_of("kadr.results"), None);
    }

    #[test]
    fn prefixes_that_kafka_refuses_are_refused() {
        let longest = "x".repeat(239);
        let topics = Topics::new(longest.as_str()).unwrap();
        assert_eq!(topics.annotated().len(), Topics::MAX_NAME_LENGTH);
        assert_eq!(
            Topics::new(longest + "x"),
            Err(PrefixError::TooLong {
                length: 240,
                max_length: 239
            })
        );
        assert_eq!(Topics::new(""), Err(PrefixError::Empty));
        for (prefix, character) in [("a b", ' '), ("a/b", '/'), ("zürich", 'ü')] {
            let prefix = prefix.to_owned();
            assert_eq!(
                Topics::new(prefix.as_str()),
                Err(PrefixError::Character { prefix, character })
            );
        }
    }
}
