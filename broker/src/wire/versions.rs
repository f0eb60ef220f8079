//! Which requests this broker takes, and in which versions. What is listed is implemented.

use kafka_protocol::{messages::ApiKey, protocol::VersionRange};

/// Every request taken, with its versions.
///
/// Versions past these would bring topic ids into Produce and Fetch, transactions' second protocol,
/// or fields of groups that live on several brokers.
pub(crate) const SPOKEN: [(ApiKey, VersionRange); 26] = [
    (ApiKey::Produce, versions(3, 9)),
    (ApiKey::Fetch, versions(4, 12)),
    (ApiKey::ListOffsets, versions(1, 7)),
    (ApiKey::Metadata, versions(0, 12)),
    (ApiKey::OffsetCommit, versions(2, 8)),
    (ApiKey::OffsetFetch, versions(1, 8)),
    (ApiKey::FindCoordinator, versions(0, 4)),
    (ApiKey::JoinGroup, versions(0, 7)),
    (ApiKey::Heartbeat, versions(0, 4)),
    (ApiKey::LeaveGroup, versions(0, 5)),
    (ApiKey::SyncGroup, versions(0, 5)),
    (ApiKey::DescribeGroups, versions(0, 5)),
    (ApiKey::ListGroups, versions(0, 4)),
    (ApiKey::ApiVersions, versions(0, 4)),
    (ApiKey::CreateTopics, versions(2, 7)),
    (ApiKey::DeleteTopics, versions(1, 6)),
    (ApiKey::DeleteRecords, versions(0, 2)),
    (ApiKey::InitProducerId, versions(0, 4)),
    (ApiKey::OffsetForLeaderEpoch, versions(2, 4)),
    (ApiKey::DescribeConfigs, versions(1, 4)),
    (ApiKey::AlterConfigs, versions(0, 2)),
    (ApiKey::IncrementalAlterConfigs, versions(0, 1)),
    (ApiKey::CreatePartitions, versions(0, 3)),
    (ApiKey::DeleteGroups, versions(0, 2)),
    (ApiKey::OffsetDelete, versions(0, 0)),
    (ApiKey::DescribeCluster, versions(0, 1)),
];

const fn versions(min: i16, max: i16) -> VersionRange {
    VersionRange { min, max }
}

/// Whether a request of that kind and version is taken.
pub(crate) fn speaks(api: ApiKey, version: i16) -> bool {
    SPOKEN
        .iter()
        .any(|(key, range)| *key == api && (range.min..=range.max).contains(&version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codec_knows_all_we_list() {
        for (api, range) in SPOKEN {
            let known = api.valid_versions();
            assert_eq!(range.intersect(&known), range, "{api:?}");
        }
    }

    #[test]
    fn one_past_the_range_is_not_spoken() {
        assert!(speaks(ApiKey::Fetch, 12));
        assert!(!speaks(ApiKey::Fetch, 13));
        assert!(!speaks(ApiKey::Fetch, 3));
        assert!(!speaks(ApiKey::AddPartitionsToTxn, 0));
    }
}
