//! Topics, records and client settings of a soak.

use std::time::Instant;

use rdkafka::{
    ClientConfig,
    admin::{AdminOptions, NewTopic, TopicReplication},
};

use crate::brokers::{Flush, PATIENCE, admin};

/// Where the sequence number and the moment of sending stand in a payload.
const STAMP_BYTES: usize = 16;

/// A topic that keeps only a part of what it is given.
#[derive(Clone, Copy)]
pub(super) struct Topic {
    pub(super) name: &'static str,
    pub(super) partitions: u16,
    /// Of one partition.
    pub(super) retention_bytes: u64,
    pub(super) segment_bytes: u64,
    pub(super) flush: Flush,
}

impl Topic {
    /// Retention gives up whole segments, and the one being written stays: two more than is kept.
    pub(super) fn most_bytes(&self) -> u64 {
        u64::from(self.partitions) * (self.retention_bytes + 2 * self.segment_bytes)
    }
}

/// Sizes of payloads, as many between 1 and 2 MB as between 2 and 4 MB.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) least: usize,
    pub(super) most: usize,
}

impl Sizes {
    /// The size of a topic's record of this number, the same whenever it is asked for.
    pub(super) fn of(self, number: u64) -> usize {
        let share = scatter(number) as f64 / u64::MAX as f64;
        let ratio = self.most as f64 / self.least as f64;
        (self.least as f64 * ratio.powf(share)) as usize
    }
}

/// A number that says nothing of its neighbours' (the finisher of splitmix64).
fn scatter(number: u64) -> u64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// What a payload begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The number of the record within its partition.
    pub(super) sequence: u64,
    /// Nanoseconds from the beginning of the run.
    pub(super) sent_at_ns: u64,
}

impl Stamp {
    pub(super) fn now(sequence: u64, clock: Instant) -> Self {
        Self {
            sequence,
            sent_at_ns: elapsed_ns(clock),
        }
    }

    pub(super) fn write(self, payload: &mut [u8]) {
        payload[..8].copy_from_slice(&self.sequence.to_le_bytes());
        payload[8..STAMP_BYTES].copy_from_slice(&self.sent_at_ns.to_le_bytes());
    }

    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let (sequence, rest) = payload.split_first_chunk::<8>()?;
        let (sent_at_ns, _noise) = rest.split_first_chunk::<8>()?;
        Some(Self {
            sequence: u64::from_le_bytes(*sequence),
            sent_at_ns: u64::from_le_bytes(*sent_at_ns),
        })
    }

    pub(super) fn age_ms(self, clock: Instant) -> f64 {
        elapsed_ns(clock).saturating_sub(self.sent_at_ns) as f64 / 1e6
    }
}

fn elapsed_ns(clock: Instant) -> u64 {
    u64::try_from(clock.elapsed().as_nanos()).expect("a run of less than 500 years")
}

/// A client as any other, but for what large records and a bounded memory need.
pub(super) fn client(bootstrap: &str, topic: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("message.max.bytes", "8000000")
        .set("queue.buffering.max.kbytes", "65536")
        .set("group.id", topic)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "true")
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.queue.backoff.ms", "5");
    config
}

/// Makes a topic.
pub(super) async fn create_topic(bootstrap: &str, topic: Topic) {
    let retention = topic.retention_bytes.to_string();
    let segment = topic.segment_bytes.to_string();
    let replication = TopicReplication::Fixed(1);
    let new = NewTopic::new(topic.name, i32::from(topic.partitions), replication)
        .set("retention.bytes", &retention)
        .set("segment.bytes", &segment)
        .set("max.message.bytes", "8000000")
        .set("flush.messages", topic.flush.messages());
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let created = admin(bootstrap).create_topics([&new], &options).await;
    created.expect("a broker that answers")[0]
        .as_ref()
        .expect("a new topic");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_spread_over_their_whole_range() {
        let sizes = Sizes {
            least: 100_000,
            most: 6_400_000,
        };
        let all: Vec<usize> = (0..1000).map(|number| sizes.of(number)).collect();
        assert!(
            all.iter()
                .all(|size| (sizes.least..=sizes.most).contains(size))
        );
        // Six doublings: a sixth below 200,000 and a sixth above 3,200,000.
        let below = all.iter().filter(|size| **size < 200_000).count();
        let above = all.iter().filter(|size| **size > 3_200_000).count();
        assert!((100..250).contains(&below), "{below}");
        assert!((100..250).contains(&above), "{above}");
        assert_eq!(all[17], sizes.of(17));
    }

    #[test]
    fn a_stamp_comes_back() {
        let stamp = Stamp {
            sequence: 7,
            sent_at_ns: u64::MAX - 1,
        };
        let mut payload = vec![0xAA; 20];
        stamp.write(&mut payload);
        assert_eq!(Stamp::read(&payload), Some(stamp));
        assert_eq!(Stamp::read(&payload[..15]), None);
    }

    #[test]
    fn a_topic_may_have_two_segments_a_partition_more_than_it_keeps() {
        let topic = Topic {
            name: "t",
            partitions: 3,
            retention_bytes: 100,
            segment_bytes: 10,
            flush: Flush::EveryRecord,
        };
        assert_eq!(topic.most_bytes(), 360);
    }
}
