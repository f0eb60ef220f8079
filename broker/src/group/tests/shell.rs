//! The coordinator as requests see it, on tokio's paused clock and a real journal. The clock is
//! paused only while nothing waits for the journal: it runs ahead whenever tasks wait for a thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    DescribeGroupsRequest, GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, ListGroupsRequest, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use serde_json::Value;
use tokio::time::pause;

use super::bench::error;
use crate::group::{ClientInfo, Coordinator, CoordinatorConfig};
use crate::journal::Journal;

/// Topic "t" with four partitions is all there is.
pub(super) fn config() -> CoordinatorConfig {
    CoordinatorConfig {
        wall_clock_ms: || 1_700_000_000_000,
        ..CoordinatorConfig::new(Arc::new(|topic, partition| {
            topic == "t" && (0..4).contains(&partition)
        }))
    }
}

/// A coordinator on a journal in its own folder, which can be restarted.
pub(super) struct House {
    folder: tempfile::TempDir,
    pub coordinator: Coordinator,
    journal: Journal,
}

impl House {
    pub(super) fn new() -> Self {
        Self::with_config(config())
    }

    pub(super) fn with_config(config: CoordinatorConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (coordinator, journal) = open(&folder, config);
        Self {
            folder,
            coordinator,
            journal,
        }
    }

    pub(super) async fn restart(self) -> Self {
        self.restart_with(config()).await
    }

    pub(super) async fn restart_with(self, config: CoordinatorConfig) -> Self {
        self.coordinator.close().await;
        self.journal.close();
        let (coordinator, journal) = open(&self.folder, config);
        Self {
            folder: self.folder,
            coordinator,
            journal,
        }
    }

    pub(super) async fn restart_with_entries(self, entries: &BTreeMap<String, Value>) -> Self {
        self.coordinator.close().await;
        let coordinator = Coordinator::new(self.journal.clone(), config(), entries);
        Self {
            coordinator,
            ..self
        }
    }

    /// As after kill -9: only what the journal has by now is there.
    pub(super) fn crash(self) -> Self {
        let (coordinator, journal) = open(&self.folder, config());
        Self {
            folder: self.folder,
            coordinator,
            journal,
        }
    }

    pub(super) fn entries(&self) -> BTreeMap<String, Value> {
        Journal::open(&self.folder.path().join("journal"))
            .unwrap()
            .1
    }

    pub(super) fn break_journal(&self) {
        self.journal.clone().close();
    }

    pub(super) async fn join(&self, member: &str) -> JoinGroupResponse {
        self.coordinator
            .join_group(join_request(member), 7, client())
            .await
    }

    /// Asks for an id and joins with it, alone.
    pub(super) async fn join_new(&self) -> JoinGroupResponse {
        let id = self.join("").await;
        assert_eq!(error(id.error_code), Some(ResponseError::MemberIdRequired));
        self.join(&id.member_id).await
    }

    pub(super) async fn sync(&self, joined: &JoinGroupResponse, mine: &str) -> SyncGroupResponse {
        let assignment = SyncGroupRequestAssignment::default()
            .with_member_id(joined.member_id.clone())
            .with_assignment(Bytes::copy_from_slice(mine.as_bytes()));
        let request = SyncGroupRequest::default()
            .with_group_id(group("g"))
            .with_generation_id(joined.generation_id)
            .with_member_id(joined.member_id.clone())
            .with_protocol_type(Some(StrBytes::from_static_str("consumer")))
            .with_protocol_name(Some(StrBytes::from_static_str("range")))
            .with_assignments(vec![assignment]);
        self.coordinator.sync_group(request, 5).await
    }

    pub(super) async fn heartbeat(&self, joined: &JoinGroupResponse) -> Option<ResponseError> {
        let request = HeartbeatRequest::default()
            .with_group_id(group("g"))
            .with_generation_id(joined.generation_id)
            .with_member_id(joined.member_id.clone());
        error(self.coordinator.heartbeat(request).await.error_code)
    }

    pub(super) async fn stable() -> (Self, JoinGroupResponse) {
        let house = Self::new();
        let joined = house.join_new().await;
        assert_eq!(house.sync(&joined, "mine").await.assignment, "mine");
        (house, joined)
    }

    pub(super) async fn leave(&self, member: &str) -> Option<ResponseError> {
        let request = LeaveGroupRequest::default()
            .with_group_id(group("g"))
            .with_member_id(StrBytes::from_string(member.to_owned()));
        error(self.coordinator.leave_group(request, 2).await.error_code)
    }

    pub(super) async fn state(&self) -> String {
        let request = DescribeGroupsRequest::default().with_groups(vec![group("g")]);
        self.coordinator.describe_groups(request).await.groups[0]
            .group_state
            .to_string()
    }
}

fn open(folder: &tempfile::TempDir, config: CoordinatorConfig) -> (Coordinator, Journal) {
    let (journal, entries) = Journal::open(&folder.path().join("journal")).unwrap();
    (Coordinator::new(journal.clone(), config, &entries), journal)
}

pub(super) fn group(id: &str) -> GroupId {
    GroupId(StrBytes::from_string(id.to_owned()))
}

fn client() -> ClientInfo {
    ClientInfo {
        id: "client".to_owned(),
        host: "/127.0.0.1".to_owned(),
    }
}

/// The consumer protocol's metadata: version 0, the one topic "t", no user data.
const SUBSCRIBED_TO_T: &[u8] = b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff";

pub(super) fn join_request(member: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(StrBytes::from_static_str("range"))
        .with_metadata(Bytes::from_static(SUBSCRIBED_TO_T));
    JoinGroupRequest::default()
        .with_group_id(group("g"))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(60_000)
        .with_member_id(StrBytes::from_string(member.to_owned()))
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![protocol])
}

#[tokio::test]
async fn a_member_joins_syncs_heartbeats_and_leaves() {
    let (house, joined) = House::stable().await;
    assert_eq!(house.heartbeat(&joined).await, None);
    assert_eq!(house.state().await, "Stable");
    assert_eq!(house.leave(&joined.member_id).await, None);
    assert_eq!(house.state().await, "Empty");
    assert_eq!(
        house.leave(&joined.member_id).await,
        Some(ResponseError::UnknownMemberId)
    );
}

#[tokio::test]
async fn a_generation_is_in_the_journal_before_its_members_are_answered() {
    let (house, joined) = House::stable().await;
    let image = &house.entries()["group/g"];
    assert_eq!(image["generation"], joined.generation_id);
    assert_eq!(image["members"][0]["id"], joined.member_id.as_str());
    assert_eq!(image["members"][0]["assignment"], "6d696e65");
}

#[tokio::test]
async fn a_silent_member_is_gone_after_its_session() {
    let (house, joined) = House::stable().await;
    pause();
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(house.heartbeat(&joined).await, None);
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(house.state().await, "Stable");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(house.state().await, "Empty");
    assert_eq!(
        house.heartbeat(&joined).await,
        Some(ResponseError::UnknownMemberId)
    );
}

#[tokio::test]
async fn a_second_member_waits_until_the_first_has_rejoined() {
    let (house, first) = House::stable().await;
    pause();
    let (second, rejoined) = tokio::join!(house.join_new(), async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if house.heartbeat(&first).await == Some(ResponseError::RebalanceInProgress) {
                return house.join(&first.member_id).await;
            }
        }
    });
    assert_eq!(second.error_code, 0);
    assert_eq!((second.generation_id, rejoined.generation_id), (2, 2));
    assert_eq!(rejoined.members.len(), 2);
}

#[tokio::test]
async fn a_rebalance_ends_by_its_time_out() {
    let (house, first) = House::stable().await;
    pause();
    let (second, ()) = tokio::join!(house.join_new(), async {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(5)).await;
            house.heartbeat(&first).await;
        }
    });
    assert_eq!((second.error_code, second.members.len()), (0, 1));
    assert_eq!(
        house.heartbeat(&first).await,
        Some(ResponseError::UnknownMemberId)
    );
}

#[tokio::test(start_paused = true)]
async fn a_first_rebalance_honours_the_initial_delay() {
    let delay = Duration::from_secs(3);
    let house = House::with_config(CoordinatorConfig {
        initial_rebalance_delay: delay,
        ..config()
    });
    let before = tokio::time::Instant::now();
    assert_eq!(house.join_new().await.error_code, 0);
    // The clock is paused and turned by the coordinator's own timer.
    assert!(before.elapsed() >= delay);
}

#[tokio::test]
async fn closing_ends_every_wait() {
    let (house, first) = House::stable().await;
    let waiting = house.coordinator.clone();
    let new_id = house.join("").await.member_id.to_string();
    let join =
        tokio::spawn(async move { waiting.join_group(join_request(&new_id), 7, client()).await });
    while house.heartbeat(&first).await != Some(ResponseError::RebalanceInProgress) {
        tokio::task::yield_now().await;
    }
    house.coordinator.close().await;
    let answer = join.await.unwrap();
    assert_eq!(
        error(answer.error_code),
        Some(ResponseError::CoordinatorNotAvailable)
    );
    let late = house.join("").await;
    assert_eq!(
        error(late.error_code),
        Some(ResponseError::CoordinatorNotAvailable)
    );
    assert_eq!(
        house.heartbeat(&first).await,
        Some(ResponseError::CoordinatorNotAvailable)
    );
}

#[tokio::test]
async fn a_journal_that_fails_is_told_to_the_member() {
    let house = House::new();
    let joined = house.join_new().await;
    house.break_journal();
    let answer = house.sync(&joined, "mine").await;
    assert_eq!(
        error(answer.error_code),
        Some(ResponseError::CoordinatorNotAvailable)
    );
}

#[tokio::test]
async fn senseless_requests_are_refused() {
    let house = House::new();
    let join = async |request, version| {
        error(
            house
                .coordinator
                .join_group(request, version, client())
                .await
                .error_code,
        )
    };
    let nameless = join_request("").with_group_id(group(""));
    assert_eq!(join(nameless, 7).await, Some(ResponseError::InvalidGroupId));
    for session_ms in [5_999, 1_800_001, -1] {
        let request = join_request("").with_session_timeout_ms(session_ms);
        assert_eq!(
            join(request, 7).await,
            Some(ResponseError::InvalidSessionTimeout)
        );
    }
    let mut huge = join_request("");
    huge.protocols[0].metadata = vec![0; 2 << 20].into();
    assert_eq!(join(huge, 7).await, Some(ResponseError::InvalidRequest));
    assert_eq!(
        join(join_request("old id"), 7).await,
        Some(ResponseError::UnknownMemberId)
    );
    let without_protocol = SyncGroupRequest::default().with_group_id(group("g"));
    let answer = house.coordinator.sync_group(without_protocol, 5).await;
    assert_eq!(
        error(answer.error_code),
        Some(ResponseError::InconsistentGroupProtocol)
    );
    assert_eq!(house.state().await, "Dead");
}

#[tokio::test]
async fn answers_to_old_versions_name_no_null_protocol() {
    let house = House::new();
    for (version, expected) in [(6, Some("")), (7, None)] {
        let answer = house
            .coordinator
            .join_group(join_request("x"), version, client())
            .await;
        assert_eq!(answer.protocol_name.as_deref(), expected);
    }
}

#[tokio::test]
async fn the_number_of_groups_is_bounded() {
    let house = House::with_config(CoordinatorConfig {
        max_groups: 1,
        ..config()
    });
    house.join_new().await;
    let other = join_request("").with_group_id(group("other"));
    let answer = house.coordinator.join_group(other, 7, client()).await;
    assert_eq!(
        error(answer.error_code),
        Some(ResponseError::GroupMaxSizeReached)
    );
}

#[tokio::test]
async fn a_batch_of_leavers_is_answered_one_by_one() {
    let (house, joined) = House::stable().await;
    let one =
        |id: &str| MemberIdentity::default().with_member_id(StrBytes::from_string(id.to_owned()));
    let request = LeaveGroupRequest::default()
        .with_group_id(group("g"))
        .with_members(vec![one("stranger"), one(&joined.member_id)]);
    let answer = house.coordinator.leave_group(request.clone(), 3).await;
    let codes: Vec<_> = answer
        .members
        .iter()
        .map(|member| error(member.error_code))
        .collect();
    assert_eq!(codes, [Some(ResponseError::UnknownMemberId), None]);
    let nowhere = request.with_group_id(group("nowhere"));
    let answer = house.coordinator.leave_group(nowhere, 3).await;
    assert_eq!(answer.error_code, 0);
    assert_eq!(
        error(answer.members[1].error_code),
        Some(ResponseError::UnknownMemberId)
    );
}

#[tokio::test]
async fn groups_are_described_and_listed() {
    let (house, joined) = House::stable().await;
    let request = DescribeGroupsRequest::default().with_groups(vec![group("g"), group("none")]);
    let groups = house.coordinator.describe_groups(request).await.groups;
    assert_eq!(groups[0].protocol_data.as_str(), "range");
    assert_eq!(groups[0].members[0].member_id, joined.member_id);
    assert_eq!(groups[0].members[0].member_assignment, "mine");
    assert_eq!(groups[0].members[0].member_metadata, SUBSCRIBED_TO_T);
    assert_eq!(groups[1].group_state.as_str(), "Dead");
    for (filter, expected) in [("stable", 1), ("Empty", 0)] {
        let request = ListGroupsRequest::default()
            .with_states_filter(vec![StrBytes::from_static_str(filter)]);
        assert_eq!(
            house.coordinator.list_groups(request).await.groups.len(),
            expected
        );
    }
}
