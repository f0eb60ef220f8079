//! The contract: the types and the Kafka code that two services must agree on, and nothing else.
//!
//! Layout, in the order a frame meets it:
//!
//! - [`frame`]: what a frame is, who sent it and on which lane it travels
//! - [`detections`]: what the model saw, in frame pixels; serialises to the result JSON
//! - [`draw`]: how the annotated picture is drawn, and what may be wished of it
//! - [`mask`]: COCO run-length masks, byte for byte as pycocotools writes them
//! - [`topic`]: topic names, the key rule and the partition rule
//! - [`record`]: record <-> type, the only place that knows Kafka headers
//! - [`kafka`]: source, sink and topic admin over librdkafka
//! - [`catalogue`]: what models there are, for whoever does not run them
//! - [`service`]: what every service needs to be operated: config, health, metrics, shutdown
#![warn(missing_docs)]

#[cfg(feature = "service")]
pub mod catalogue;
pub mod detections;
pub mod draw;
pub mod frame;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod mask;
pub mod record;
#[cfg(feature = "service")]
pub mod service;
pub mod topic;
