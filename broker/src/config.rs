//! What a broker is started with: where it listens and keeps its data, and every bound it holds.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::topics::settings::TopicSettings;

const MEBIBYTE: usize = 1 << 20;

/// How a broker runs.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Where clients connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Host and port told to clients, where they differ from what a client connected to.
    pub advertised: Option<Advertised>,
    /// The folder of everything durable. One broker at a time may use it.
    pub data: PathBuf,
    /// Whether asking for an unknown topic creates it, as `auto.create.topics.enable` does.
    pub auto_create_topics: bool,
    /// Partitions of a topic whose creator names no number.
    pub default_partitions: i32,
    /// Settings of a topic that says nothing else.
    pub topic_defaults: TopicSettings,
    /// Least time between two flushes to the disk; what arrives meanwhile shares the next one.
    pub flush_interval: Duration,
    /// How often retention is looked after.
    pub retention_interval: Duration,
    /// How long the first member of a group waits for others.
    pub group_initial_delay: Duration,
    /// What no client may exceed.
    pub limits: Limits,
}

/// A host and port for clients to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Bounds on what clients may ask for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections; one more is closed at once.
    pub connections: usize,
    /// Bytes of one request.
    pub request_bytes: usize,
    /// Bytes of one request that carries no records.
    pub small_request_bytes: usize,
    /// Bytes of all requests being read or worked on.
    pub requests_bytes: usize,
    /// Bytes of records in one answer, unless its first batch alone is larger.
    pub fetch_bytes: usize,
    /// Bytes of records of all answers being read or sent.
    pub fetches_bytes: usize,
    /// Topics.
    pub topics: usize,
    /// Partitions of all topics.
    pub partitions: usize,
    /// A connection without a request for so long is closed.
    pub idle: Duration,
    /// A request must have arrived in full within this time.
    pub receive: Duration,
    /// A client must have taken an answer within this time.
    pub send: Duration,
}

impl BrokerConfig {
    /// Loopback, a free port, and defaults under which a laptop's disk cannot fill.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertised: None,
            data: data.into(),
            auto_create_topics: false,
            default_partitions: 1,
            topic_defaults: TopicSettings::default(),
            flush_interval: Duration::from_millis(2),
            retention_interval: Duration::from_secs(1),
            group_initial_delay: Duration::ZERO,
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1000,
            request_bytes: 64 * MEBIBYTE,
            small_request_bytes: 4 * MEBIBYTE,
            requests_bytes: 128 * MEBIBYTE,
            fetch_bytes: 8 * MEBIBYTE,
            fetches_bytes: 128 * MEBIBYTE,
            topics: 1000,
            partitions: 10_000,
            idle: Duration::from_mins(10),
            receive: Duration::from_secs(30),
            send: Duration::from_mins(1),
        }
    }
}
