//! The routes with a way to Kafka that does as it is told.
