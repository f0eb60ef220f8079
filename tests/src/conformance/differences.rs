//! What the embedded broker answers differently on purpose; everything else must be the same.

use super::Target;
use super::requests::code;

/// Each difference and why; the functions below are where the suite makes it.
pub const DIFFERENCES: &[(&str, &str)] = &[
    (
        "transactions",
        "left to Apache Kafka: no producer id for a transactional id, no transactional batches",
    ),
    (
        "unknown compressions",
        "Kafka answers 'unknown server error'; the protocol has a code that says more",
    ),
    (
        "retention.bytes",
        "1 GiB a partition unless a topic says otherwise: a laptop's disk must not fill",
    ),
    (
        "cleanup.policy=compact",
        "left to Apache Kafka: refused when a topic is made or changed",
    ),
];

/// What a topic keeps a partition that says nothing about it.
pub fn default_retention_bytes(target: &Target) -> &'static str {
    if target.is_embedded() {
        return "1073741824";
    }
    "-1"
}

/// What a request for a transactional producer id may be answered: Kafka gives one, or is still
/// loading the state of transactions.
pub fn transactional_producer_codes(target: &Target) -> &'static [i16] {
    if target.is_embedded() {
        return &[code::TRANSACTIONAL_ID_REFUSED];
    }
    &[code::NONE, 14, 15, 16]
}

/// What a transactional batch outside a transaction is answered.
pub fn transactional_batch_codes(target: &Target) -> &'static [i16] {
    if target.is_embedded() {
        return &[code::TRANSACTIONAL_ID_REFUSED, code::INVALID_RECORD];
    }
    &[code::TRANSACTIONAL_ID_REFUSED]
}

/// What a topic with this clean-up policy is answered.
pub fn compaction_code(target: &Target) -> i16 {
    if target.is_embedded() {
        return code::INVALID_CONFIG;
    }
    code::NONE
}

/// What a batch is answered whose compression nobody knows.
pub fn unknown_compression_code(target: &Target) -> i16 {
    if target.is_embedded() {
        return code::UNSUPPORTED_COMPRESSION;
    }
    code::UNKNOWN_SERVER_ERROR
}
