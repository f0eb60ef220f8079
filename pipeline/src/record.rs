//! Record <-> type: the only place that knows Kafka headers.

use bytes::Bytes;

/// A Kafka record without its place: what a producer sends and a consumer receives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The partition key; by the key rule this is the source id.
    pub key: Option<Bytes>,
    /// The payload: a JPEG, a result JSON, or whatever a foreign producer put there.
    pub value: Bytes,
    /// Headers in order; names may repeat, as Kafka allows.
    pub headers: Vec<(String, Bytes)>,
}
