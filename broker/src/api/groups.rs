//! Groups and their offsets: every request is the coordinator's.

use std::sync::Arc;

use kafka_protocol::messages::{ApiKey, DescribeGroupsRequest, OffsetFetchRequest};

use super::{RequestError, decode, once};
use crate::{
    group::ClientInfo,
    net::Ends,
    node::Node,
    wire::{Answer, header::Request},
};

/// Hands a request to the coordinator.
pub(super) async fn answer(
    node: &Arc<Node>,
    ends: Ends,
    request: &Request,
) -> Result<Answer, RequestError> {
    let groups = &node.coordinator;
    let version = request.version;
    let client = ClientInfo {
        id: request.client_id.clone(),
        host: format!("/{}", ends.client.ip().to_canonical()),
    };
    let answer = match request.api {
        ApiKey::JoinGroup => {
            let response = groups.join_group(decode(request)?, version, client).await;
            Answer::to(request, &response)
        }
        ApiKey::SyncGroup => {
            Answer::to(request, &groups.sync_group(decode(request)?, version).await)
        }
        ApiKey::Heartbeat => Answer::to(request, &groups.heartbeat(decode(request)?).await),
        ApiKey::LeaveGroup => Answer::to(
            request,
            &groups.leave_group(decode(request)?, version).await,
        ),
        ApiKey::OffsetCommit => Answer::to(request, &groups.offset_commit(decode(request)?).await),
        ApiKey::OffsetFetch => {
            let mut asked: OffsetFetchRequest = decode(request)?;
            asked.groups = once(asked.groups, |group| group.group_id.clone());
            Answer::to(request, &groups.offset_fetch(asked, version).await)
        }
        ApiKey::OffsetDelete => Answer::to(request, &groups.offset_delete(decode(request)?).await),
        ApiKey::DescribeGroups => {
            let mut asked: DescribeGroupsRequest = decode(request)?;
            asked.groups = once(asked.groups, Clone::clone);
            Answer::to(request, &groups.describe_groups(asked).await)
        }
        ApiKey::ListGroups => Answer::to(request, &groups.list_groups(decode(request)?).await),
        ApiKey::DeleteGroups => Answer::to(request, &groups.delete_groups(decode(request)?).await),
        api => return Err(RequestError::Unhandled(api)),
    };
    Ok(answer?)
}
