//! What the Kafka clients tell Prometheus.

use prometheus::{
    GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector,
    proto::{LabelPair, MetricFamily},
};

/// Records between the committed position and the end of the partition.
pub const LAG: &str = "kadr_kafka_lag_records";
/// Age of the oldest record that is not finished; 0 when nothing waits.
pub const BEHIND: &str = "kadr_kafka_behind_seconds";
/// Partitions this member reads.
pub const ASSIGNED: &str = "kadr_kafka_assigned_partitions";
/// Records that stages hold or that wait for one.
pub const IN_FLIGHT_RECORDS: &str = "kadr_kafka_in_flight_records";
/// Their bytes.
pub const IN_FLIGHT_BYTES: &str = "kadr_kafka_in_flight_bytes";
/// Records read.
pub const RECEIVED: &str = "kadr_kafka_received_total";
/// Records dropped by a stage without being completed, to be read again.
pub const ABANDONED: &str = "kadr_kafka_abandoned_total";
/// Records completed after their partition had gone to another member.
pub const LATE: &str = "kadr_kafka_late_total";
/// Records still held when a partition's drain deadline passed.
pub const UNDRAINED: &str = "kadr_kafka_undrained_total";
/// Offset commits that failed, to be tried again.
pub const COMMIT_ERRORS: &str = "kadr_kafka_commit_errors_total";
/// Records acknowledged by the brokers.
pub const SENT: &str = "kadr_kafka_sent_total";
/// Their bytes.
pub const SENT_BYTES: &str = "kadr_kafka_sent_bytes_total";
/// Sends that failed, by kind: `full`, `too_big`, `broken`.
pub const SEND_ERRORS: &str = "kadr_kafka_send_errors_total";
/// Bytes sent and not yet acknowledged.
pub const UNACKNOWLEDGED_BYTES: &str = "kadr_kafka_unacknowledged_bytes";
/// Clients thrown away and made anew after a fatal or indefinite error, by client: `source`, `sink`.
pub const REBUILDS: &str = "kadr_kafka_client_rebuilds_total";

/// Handles to all metrics of this module; register once per registry and clone.
#[derive(Clone, Debug)]
pub struct KafkaMetrics {
    pub(super) lag: IntGaugeVec,
    pub(super) behind: GaugeVec,
    pub(super) assigned: IntGaugeVec,
    pub(super) in_flight_records: IntGauge,
    pub(super) in_flight_bytes: IntGauge,
    pub(super) received_total: IntCounterVec,
    pub(super) abandoned_total: IntCounter,
    pub(super) late_total: IntCounter,
    pub(super) undrained_total: IntCounter,
    pub(super) commit_errors_total: IntCounter,
    pub(super) sent_total: IntCounterVec,
    pub(super) sent_bytes_total: IntCounterVec,
    pub(super) send_errors_total: IntCounterVec,
    pub(super) unacknowledged_bytes: IntGauge,
    pub(super) rebuilds_total: IntCounterVec,
}

impl KafkaMetrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        const PARTITION: &[&str] = &["group", "topic", "partition"];
        let opts = Opts::new;
        Ok(Self {
            lag: add(
                registry,
                IntGaugeVec::new(opts(LAG, "Records not yet committed"), PARTITION)?,
            )?,
            behind: add(
                registry,
                GaugeVec::new(
                    opts(BEHIND, "Age of the oldest unfinished record"),
                    PARTITION,
                )?,
            )?,
            assigned: add(
                registry,
                IntGaugeVec::new(opts(ASSIGNED, "Partitions this member reads"), &["group"])?,
            )?,
            in_flight_records: add(
                registry,
                IntGauge::new(IN_FLIGHT_RECORDS, "Records read and not finished")?,
            )?,
            in_flight_bytes: add(
                registry,
                IntGauge::new(IN_FLIGHT_BYTES, "Bytes read and not finished")?,
            )?,
            received_total: add(
                registry,
                IntCounterVec::new(opts(RECEIVED, "Records read"), &["topic"])?,
            )?,
            abandoned_total: add(
                registry,
                IntCounter::new(ABANDONED, "Records dropped unfinished, to be read again")?,
            )?,
            late_total: add(
                registry,
                IntCounter::new(
                    LATE,
                    "Records finished after their partition was taken away",
                )?,
            )?,
            undrained_total: add(
                registry,
                IntCounter::new(UNDRAINED, "Records held past a drain deadline")?,
            )?,
            commit_errors_total: add(
                registry,
                IntCounter::new(COMMIT_ERRORS, "Offset commits that failed")?,
            )?,
            sent_total: add(
                registry,
                IntCounterVec::new(opts(SENT, "Records acknowledged"), &["topic"])?,
            )?,
            sent_bytes_total: add(
                registry,
                IntCounterVec::new(opts(SENT_BYTES, "Bytes acknowledged"), &["topic"])?,
            )?,
            send_errors_total: add(
                registry,
                IntCounterVec::new(opts(SEND_ERRORS, "Sends that failed"), &["topic", "kind"])?,
            )?,
            unacknowledged_bytes: add(
                registry,
                IntGauge::new(UNACKNOWLEDGED_BYTES, "Bytes sent and not acknowledged")?,
            )?,
            rebuilds_total: add(
                registry,
                IntCounterVec::new(
                    opts(REBUILDS, "Clients made anew after an error"),
                    &["client"],
                )?,
            )?,
        })
    }
}

impl KafkaMetrics {
    /// How far the partition of a topic that is furthest behind is behind; 0 when none is.
    pub fn behind_seconds(&self, topic: &str) -> f64 {
        let families = self.behind.collect();
        let series = families.iter().flat_map(MetricFamily::get_metric);
        let of_topic = series.filter(|series| {
            let is_topic = |label: &LabelPair| label.name() == "topic" && label.value() == topic;
            series.get_label().iter().any(is_topic)
        });
        of_topic
            .map(|series| series.get_gauge().get_value())
            .fold(0.0, f64::max)
    }
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_as_far_behind_as_its_last_partition() {
        let metrics = KafkaMetrics::register(&Registry::new()).unwrap();
        for (topic, partition, seconds) in [("a", "0", 2.0), ("a", "1", 7.0), ("b", "0", 9.0)] {
            let labels = ["group", topic, partition];
            metrics.behind.with_label_values(&labels).set(seconds);
        }
        let behind = ["a", "b", "c"].map(|topic| metrics.behind_seconds(topic));
        assert_eq!(behind.map(|seconds| seconds as i64), [7, 9, 0]);
    }
}
