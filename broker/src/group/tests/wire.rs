//! Every answer fits the wire in every version that is asked for, and every call may move threads.

use bytes::BytesMut;
use kafka_protocol::messages::{
    DescribeGroupsRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest,
    ListGroupsRequest, OffsetFetchRequest, SyncGroupRequest,
};
use kafka_protocol::protocol::Encodable;

use super::shell::{House, group, join_request};
use crate::group::ClientInfo;

fn fits(answer: &impl Encodable, version: i16) {
    answer.encode(&mut BytesMut::new(), version).unwrap();
}

fn may_move<F: Future + Send>(call: F) -> F {
    call
}

#[tokio::test]
async fn answers_fit_every_version() {
    let (house, joined) = House::stable().await;
    let this = &house.coordinator;
    for version in 0..=9 {
        let refused = join_request("stranger").with_group_id(group("none"));
        let own = join_request(&joined.member_id);
        for request in [refused, own, JoinGroupRequest::default()] {
            let call = this.join_group(request, version, ClientInfo::default());
            fits(&may_move(call).await, version);
        }
    }
    for version in 0..=5 {
        let request = SyncGroupRequest::default().with_group_id(group("g"));
        fits(&may_move(this.sync_group(request, version)).await, version);
        let request = LeaveGroupRequest::default().with_group_id(group("none"));
        fits(&may_move(this.leave_group(request, version)).await, version);
        let request = DescribeGroupsRequest::default()
            .with_groups(vec![group("g"), group("none")])
            .with_include_authorized_operations(version >= 3);
        fits(&may_move(this.describe_groups(request)).await, version);
    }
    for version in 0..=4 {
        fits(
            &may_move(this.heartbeat(HeartbeatRequest::default())).await,
            version,
        );
        fits(
            &may_move(this.list_groups(ListGroupsRequest::default())).await,
            version,
        );
    }
    for version in 1..=8 {
        let request = OffsetFetchRequest::default().with_group_id(group("g"));
        fits(
            &may_move(this.offset_fetch(request, version)).await,
            version,
        );
    }
}
