//! Kafka source, sink and admin over librdkafka.
