//! Consumer groups: a pure state machine per group (`state` and the files named after what happens
//! to it), the committed offsets, and the shell that lets requests, timers and the journal at them.

mod admin;
mod commit;
mod fetch;
mod image;
mod join;
mod leave;
mod load;
mod member;
mod membership;
mod offsets;
mod rebalance;
mod responses;
mod shell;
mod state;
mod subscription;
mod sync;
mod timers;
mod writer;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) use shell::Coordinator;

/// Whether a topic has this partition.
pub(crate) type TopicExists = Arc<dyn Fn(&str, i32) -> bool + Send + Sync>;

/// Who sent a request: its client id, and the address it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientInfo {
    pub id: String,
    pub host: String,
}

#[derive(Clone)]
pub(crate) struct CoordinatorConfig {
    /// What does not exist cannot be committed to.
    pub topic_exists: TopicExists,
    /// How long an empty group's offsets are kept.
    pub offsets_retention: Duration,
    pub offsets_check_interval: Duration,
    pub initial_rebalance_delay: Duration,
    pub min_session_timeout: Duration,
    pub max_session_timeout: Duration,
    pub max_groups: usize,
    pub max_members: usize,
    /// All that one member says about itself, and all that it is assigned.
    pub max_member_bytes: usize,
    pub max_offset_metadata_bytes: usize,
    /// Milliseconds since 1970.
    pub wall_clock_ms: fn() -> i64,
}

impl CoordinatorConfig {
    pub(crate) fn new(topic_exists: TopicExists) -> Self {
        Self {
            topic_exists,
            offsets_retention: Duration::from_hours(7 * 24),
            offsets_check_interval: Duration::from_mins(10),
            initial_rebalance_delay: Duration::ZERO,
            min_session_timeout: Duration::from_secs(6),
            max_session_timeout: Duration::from_mins(30),
            max_groups: 1_000,
            max_members: 250,
            max_member_bytes: 256 << 10,
            max_offset_metadata_bytes: 4_096,
            wall_clock_ms: system_clock_ms,
        }
    }
}

fn system_clock_ms() -> i64 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
