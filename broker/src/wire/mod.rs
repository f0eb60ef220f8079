//! The bytes of Kafka's protocol: request headers, the versions spoken here, and answers.

pub(crate) mod answer;
pub(crate) mod fetch;
pub(crate) mod header;
pub(crate) mod shape;
mod tables;
pub(crate) mod versions;

pub(crate) use answer::Answer;
