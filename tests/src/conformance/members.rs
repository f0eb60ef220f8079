//! A member of a consumer group that is driven by hand, request by request.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::join_group_response::JoinGroupResponse;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest,
    SyncGroupResponse,
};

use super::requests::code;
use super::{Target, until_some};
use crate::wire::{Client, text};

/// A request to join with one protocol, as a dynamic member that has no id yet.
pub(super) fn join_request(group: &str) -> JoinGroupRequest {
    JoinGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(60_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol("range", "t-some-topic")])
}

/// An assignor of a consumer that wants one topic.
pub(super) fn protocol(assignor: &str, topic: &str) -> JoinGroupRequestProtocol {
    JoinGroupRequestProtocol::default()
        .with_name(text(assignor))
        .with_metadata(subscription(topic))
}

/// A consumer's subscription, version 0: topics, user data. Apache Kafka reads it, and never
/// answers a member whose subscription makes no sense.
pub(super) fn subscription(topic: &str) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(0);
    bytes.put_i32(1);
    bytes.put_i16(i16::try_from(topic.len()).expect("a topic name"));
    bytes.put_slice(topic.as_bytes());
    bytes.put_i32(-1);
    bytes.freeze()
}

/// A member with a connection of its own.
pub(super) struct Member {
    pub(super) client: Client,
    pub(super) join: JoinGroupRequest,
    pub(super) generation: i32,
}

impl Member {
    /// A member that has not joined yet.
    pub(super) async fn new(target: &Target, group: &str) -> Self {
        Self {
            client: target.client().await,
            join: join_request(group),
            generation: -1,
        }
    }

    /// The only member of a group, stable.
    pub(super) async fn alone(target: &Target, group: &str) -> Self {
        let mut member = Self::new(target, group).await;
        member.introduce().await;
        member.become_stable().await;
        member
    }

    /// Gets a member id without joining, as a dynamic member has to.
    pub(super) async fn introduce(&mut self) {
        let answer = self.client.call(7, &self.join).await;
        assert_eq!(answer.error_code, code::MEMBER_ID_REQUIRED);
        self.join.member_id = answer.member_id;
    }

    /// Joins and, as the leader, gives every member its own name as its assignment.
    pub(super) async fn become_stable(&mut self) {
        let joined = self.join().await;
        assert_eq!(joined.error_code, code::NONE);
        assert_eq!(
            joined.leader, joined.member_id,
            "the leader of a group of one"
        );
        let synced = self.sync_as_leader(&joined).await;
        assert_eq!(synced.error_code, code::NONE);
    }

    pub(super) async fn join(&mut self) -> JoinGroupResponse {
        self.send_join().await;
        self.joined().await
    }

    /// Begins to join; other members may have to join before there is an answer.
    pub(super) async fn send_join(&mut self) {
        self.client.send(7, &self.join).await;
    }

    pub(super) async fn joined(&mut self) -> JoinGroupResponse {
        let answer = self.client.receive::<JoinGroupRequest>(7).await;
        let answer = answer.expect("an answer to a member that joins");
        if answer.error_code == code::NONE {
            self.join.member_id = answer.member_id.clone();
            self.generation = answer.generation_id;
        }
        answer
    }

    pub(super) fn sync_request(&self) -> SyncGroupRequest {
        SyncGroupRequest::default()
            .with_group_id(self.join.group_id.clone())
            .with_generation_id(self.generation)
            .with_member_id(self.join.member_id.clone())
            .with_group_instance_id(self.join.group_instance_id.clone())
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text("range")))
    }

    pub(super) async fn sync_as_leader(&mut self, joined: &JoinGroupResponse) -> SyncGroupResponse {
        let assign =
            |member: &kafka_protocol::messages::join_group_response::JoinGroupResponseMember| {
                SyncGroupRequestAssignment::default()
                    .with_member_id(member.member_id.clone())
                    .with_assignment(Bytes::from(member.member_id.to_string()))
            };
        let assignments = joined.members.iter().map(assign).collect();
        let request = self.sync_request().with_assignments(assignments);
        self.client.call(5, &request).await
    }

    pub(super) fn heartbeat_request(&self) -> HeartbeatRequest {
        HeartbeatRequest::default()
            .with_group_id(self.join.group_id.clone())
            .with_generation_id(self.generation)
            .with_member_id(self.join.member_id.clone())
            .with_group_instance_id(self.join.group_instance_id.clone())
    }

    pub(super) async fn heartbeat(&mut self) -> i16 {
        let request = self.heartbeat_request();
        self.client.call(4, &request).await.error_code
    }

    /// Beats until the answer is this one.
    pub(super) async fn until_heartbeat(&mut self, expected: i16) {
        until_some(&format!("a heartbeat is answered {expected}"), async || {
            (self.heartbeat().await == expected).then_some(())
        })
        .await;
    }

    pub(super) async fn leave(&mut self) -> i16 {
        let member = MemberIdentity::default()
            .with_member_id(self.join.member_id.clone())
            .with_group_instance_id(self.join.group_instance_id.clone());
        let request = LeaveGroupRequest::default()
            .with_group_id(self.join.group_id.clone())
            .with_members(vec![member]);
        let answer = self.client.call(5, &request).await;
        assert_eq!(answer.error_code, code::NONE);
        answer.members[0].error_code
    }
}

/// Adds a second member to a stable group of one; both are stable then.
pub(super) async fn add_second(first: &mut Member, second: &mut Member) -> JoinGroupResponse {
    second.introduce().await;
    second.send_join().await;
    first.until_heartbeat(code::REBALANCE_IN_PROGRESS).await;
    let joined = first.join().await;
    assert_eq!(second.joined().await.error_code, code::NONE);
    assert_eq!(first.sync_as_leader(&joined).await.error_code, code::NONE);
    let request = second.sync_request();
    let synced = second.client.call(5, &request).await;
    assert_eq!(synced.assignment, second.join.member_id.to_string());
    joined
}
