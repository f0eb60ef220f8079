//! Kafka's protocol on one machine: a small durable broker that `kadr up` embeds.
