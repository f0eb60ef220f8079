//! The coordinator's answers to members: `JoinGroup`, `SyncGroup`, `Heartbeat`, `LeaveGroup`.

use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use tokio::sync::oneshot;

use super::leave::Leaving;
use super::member::{Join, Joining, Protocol};
use super::responses::{code, join_error, sync_error};
use super::shell::{Coordinator, Permit};
use super::state::Group;
use super::sync::{Claim, Sync};
use super::{ClientInfo, CoordinatorConfig};

/// Up to here, `LeaveGroup` is about one member.
const LAST_VERSION_LEAVING_ALONE: i16 = 2;
/// From here on, `SyncGroup` must say what it believes the protocol to be.
const FIRST_SYNC_VERSION_WITH_PROTOCOL: i16 = 5;
/// From here on, `JoinGroup` may answer without a protocol name.
const FIRST_JOIN_VERSION_WITHOUT_NAME: i16 = 7;

impl Coordinator {
    pub(crate) async fn join_group(
        &self,
        request: JoinGroupRequest,
        version: i16,
        client: ClientInfo,
    ) -> JoinGroupResponse {
        let member_id = request.member_id.clone();
        let response = match self.join_and_wait(request, version, client).await {
            Ok(response) => response,
            Err(error) => join_error(error, &member_id),
        };
        if version < FIRST_JOIN_VERSION_WITHOUT_NAME && response.protocol_name.is_none() {
            return response.with_protocol_name(Some(StrBytes::default()));
        }
        response
    }

    async fn join_and_wait(
        &self,
        request: JoinGroupRequest,
        version: i16,
        client: ClientInfo,
    ) -> Result<JoinGroupResponse, ResponseError> {
        let group_id = request.group_id.to_string();
        let join = checked_join(&self.shared.config, &request, version, client)?;
        let permit = self.shared.permit().await?;
        let (waiter, answer) = oneshot::channel();
        self.join_now(&group_id, Joining { join, waiter }, permit)?;
        // A waiter is dropped when the same member joins again on another connection.
        answer
            .await
            .map_err(|_dropped| ResponseError::RebalanceInProgress)
    }

    fn join_now(
        &self,
        group_id: &str,
        joining: Joining,
        permit: Permit,
    ) -> Result<(), ResponseError> {
        let now = self.shared.now();
        let mut book = self.shared.book();
        if !book.groups.contains_key(group_id) {
            if !joining.join.member_id.is_empty() {
                return Err(ResponseError::UnknownMemberId);
            }
            if book.groups.len() >= self.shared.config.max_groups {
                tracing::warn!(
                    group = group_id,
                    "too many groups: delete some, or raise the limit"
                );
                return Err(ResponseError::GroupMaxSizeReached);
            }
            let fresh = Group::new(group_id.to_owned(), self.shared.rules(), now);
            book.groups.insert(group_id.to_owned(), fresh);
        }
        let group = book
            .groups
            .get_mut(group_id)
            .expect("looked up or inserted just above");
        group.join(joining, now);
        self.shared.after_change(group, permit);
        Ok(())
    }

    pub(crate) async fn sync_group(
        &self,
        request: SyncGroupRequest,
        version: i16,
    ) -> SyncGroupResponse {
        self.sync_and_wait(request, version)
            .await
            .unwrap_or_else(sync_error)
    }

    async fn sync_and_wait(
        &self,
        request: SyncGroupRequest,
        version: i16,
    ) -> Result<SyncGroupResponse, ResponseError> {
        if request.group_id.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        let says_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
        if version >= FIRST_SYNC_VERSION_WITH_PROTOCOL && !says_protocol {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        let group_id = request.group_id.to_string();
        let sync = checked_sync(&self.shared.config, &request)?;
        let permit = self.shared.permit().await?;
        let (waiter, answer) = oneshot::channel();
        {
            let now = self.shared.now();
            let mut book = self.shared.book();
            let group = book
                .groups
                .get_mut(&group_id)
                .ok_or(ResponseError::UnknownMemberId)?;
            group.sync(sync, waiter, now);
            self.shared.after_change(group, permit);
        }
        answer
            .await
            .map_err(|_dropped| ResponseError::RebalanceInProgress)
    }

    #[expect(
        clippy::unused_async,
        reason = "all requests are answered through the same kind of call"
    )]
    pub(crate) async fn heartbeat(&self, request: HeartbeatRequest) -> HeartbeatResponse {
        let result = self.heartbeat_result(&request);
        HeartbeatResponse::default().with_error_code(code(&result))
    }

    fn heartbeat_result(&self, request: &HeartbeatRequest) -> Result<(), ResponseError> {
        if request.group_id.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        let claim = Claim {
            member_id: request.member_id.to_string(),
            instance_id: request.group_instance_id.as_ref().map(ToString::to_string),
            generation: request.generation_id,
        };
        // No room in the journal's queue is asked for: a slow disk must not cost memberships.
        self.shared.check_open()?;
        let now = self.shared.now();
        let mut book = self.shared.book();
        let group = book.groups.get_mut(request.group_id.as_str());
        group
            .ok_or(ResponseError::UnknownMemberId)?
            .heartbeat(&claim, now)
    }

    pub(crate) async fn leave_group(
        &self,
        request: LeaveGroupRequest,
        version: i16,
    ) -> LeaveGroupResponse {
        let mut identities = request.members;
        if version <= LAST_VERSION_LEAVING_ALONE {
            identities = vec![MemberIdentity::default().with_member_id(request.member_id)];
        }
        let left = self.leave(&request.group_id, &identities).await;
        let response = LeaveGroupResponse::default();
        match left {
            Err(error) => response.with_error_code(error.code()),
            Ok(results) if version <= LAST_VERSION_LEAVING_ALONE => {
                response.with_error_code(results.first().map_or(0, code))
            }
            Ok(results) => {
                let one = |(identity, result): (MemberIdentity, &Result<(), ResponseError>)| {
                    MemberResponse::default()
                        .with_member_id(identity.member_id)
                        .with_group_instance_id(identity.group_instance_id)
                        .with_error_code(code(result))
                };
                response.with_members(identities.into_iter().zip(&results).map(one).collect())
            }
        }
    }

    async fn leave(
        &self,
        group_id: &str,
        identities: &[MemberIdentity],
    ) -> Result<Vec<Result<(), ResponseError>>, ResponseError> {
        if group_id.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        let leaving: Vec<Leaving> = identities
            .iter()
            .map(|identity| Leaving {
                member_id: identity.member_id.to_string(),
                instance_id: identity.group_instance_id.as_ref().map(ToString::to_string),
            })
            .collect();
        let permit = self.shared.permit().await?;
        let now = self.shared.now();
        let mut book = self.shared.book();
        let Some(group) = book.groups.get_mut(group_id) else {
            return Ok(vec![Err(ResponseError::UnknownMemberId); leaving.len()]);
        };
        let results = group.leave(&leaving, now)?;
        self.shared.after_change(group, permit);
        Ok(results)
    }
}

fn checked_join(
    config: &CoordinatorConfig,
    request: &JoinGroupRequest,
    version: i16,
    client: ClientInfo,
) -> Result<Join, ResponseError> {
    if request.group_id.is_empty() {
        return Err(ResponseError::InvalidGroupId);
    }
    let session_timeout = duration_from_ms(request.session_timeout_ms);
    if session_timeout < config.min_session_timeout || session_timeout > config.max_session_timeout
    {
        return Err(ResponseError::InvalidSessionTimeout);
    }
    let protocols: Vec<Protocol> = request
        .protocols
        .iter()
        .map(|protocol| Protocol {
            name: protocol.name.to_string(),
            // A copy: a slice would keep the whole request in memory as long as the member lives.
            metadata: protocol.metadata.to_vec().into(),
        })
        .collect();
    let bytes: usize = protocols
        .iter()
        .map(|one| one.name.len() + one.metadata.len())
        .sum();
    if bytes > config.max_member_bytes {
        return Err(ResponseError::InvalidRequest);
    }
    Ok(Join {
        version,
        client,
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.as_ref().map(ToString::to_string),
        protocol_type: request.protocol_type.to_string(),
        protocols,
        session_timeout,
        // Version 0 does not have it.
        rebalance_timeout: match version {
            0 => session_timeout,
            _ => duration_from_ms(request.rebalance_timeout_ms),
        },
    })
}

fn checked_sync(
    config: &CoordinatorConfig,
    request: &SyncGroupRequest,
) -> Result<Sync, ResponseError> {
    if request
        .assignments
        .iter()
        .any(|one| one.assignment.len() > config.max_member_bytes)
    {
        return Err(ResponseError::InvalidRequest);
    }
    let assignments = request.assignments.iter();
    Ok(Sync {
        claim: Claim {
            member_id: request.member_id.to_string(),
            instance_id: request.group_instance_id.as_ref().map(ToString::to_string),
            generation: request.generation_id,
        },
        protocol_type: request.protocol_type.as_ref().map(ToString::to_string),
        protocol: request.protocol_name.as_ref().map(ToString::to_string),
        assignments: assignments
            .map(|one| (one.member_id.to_string(), one.assignment.to_vec().into()))
            .collect(),
    })
}

fn duration_from_ms(milliseconds: i32) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}
