//! The topics as every service expects them: small enough that a laptop's disk cannot fill. Topics
//! that exist already keep their settings; see `ensure_topics` for what is then checked.

use std::time::Duration;

use super::topic_spec::{Durability, TopicSpec};
use crate::topic::Topics;

const PARTITIONS: i32 = 4;
const HOUR: Duration = Duration::from_hours(1);

/// What is created where it is missing.
///
/// Live pictures are worthless after a while; everything else may be waited for.
pub fn frame_topics(topics: &Topics) -> Vec<TopicSpec> {
    let spec = |name: &str, retention, megabytes_per_partition: u64| TopicSpec {
        retention_bytes_per_partition: Some(megabytes_per_partition << 20),
        ..TopicSpec::new(name, PARTITIONS, retention)
    };
    vec![
        spec(&topics.frames(), 24 * HOUR, 1024),
        TopicSpec {
            durability: Durability::Memory,
            ..spec(&topics.live(), HOUR / 4, 128)
        },
        spec(&topics.annotated(), 24 * HOUR, 1024),
        spec(&topics.results(), 24 * HOUR, 256),
        spec(&topics.dead(), 7 * 24 * HOUR, 256),
    ]
}
