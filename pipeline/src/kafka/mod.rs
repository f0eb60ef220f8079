//! Kafka source, sink and admin over librdkafka.
//!
//! - [`KafkaConfig`]: brokers and properties, our defaults, secrets redacted
//! - [`frame_topics`]: the topics as every service expects them
//! - [`ensure_topics`]: creates the topics, or says what is wrong with them;
//!   [`look_at_topics`] only says
//! - [`Source`]: a group member that yields [`Received`] records and commits them in order
//! - [`Tail`]: reads the end of topics without a group, for viewers
//! - [`Lookup`]: single records, by their place or by key and time
//! - [`Scan`]: reads through what a topic holds; [`Ledger`]: which of its records are dealt with
//! - [`Sink`]: sends records and tells when they are acknowledged
//! - [`KafkaMetrics`], [`Link`]: what the three tell Prometheus and the health checks

mod admin;
mod committer;
mod consumer;
mod delivery;
mod frame_topics;
mod held;
mod ledger;
mod link;
mod lookup;
mod marks;
pub mod metrics;
mod partitions;
mod profile;
mod properties;
mod reader;
mod rebalance;
mod received;
mod scan;
mod sink;
mod source;
mod tail;
mod topic_spec;
mod tracker;
mod wake;
mod wire;

pub use admin::{AdminError, TopicReport, delete_topics, ensure_topics, look_at_topics};
pub use delivery::{Delivered, Delivery, SinkError};
pub use frame_topics::frame_topics;
pub use ledger::{Ledger, LedgerError};
pub use link::Link;
pub use lookup::{Lookup, LookupError, Search, SearchOutcome};
pub use metrics::KafkaMetrics;
pub use profile::MAX_RECORD_BYTES;
pub use properties::{BROKERS_VARIABLES, KafkaConfig, PROPERTIES_VARIABLE, PropertyError};
pub use received::{Received, Token};
pub use scan::{Scan, ScanError, ScanStart};
pub use sink::{Sink, SinkStartError};
pub use source::{Closed, Source, SourceConfig, SourceError, StartPosition};
pub use tail::{Seen, Tail, TailError};
pub use topic_spec::{Durability, TopicSpec};

pub use crate::topic::Place;
