//! What administrators ask: `DescribeGroups`, `ListGroups`, `DeleteGroups`.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    GroupId, ListGroupsRequest, ListGroupsResponse,
};

use super::member::Member;
use super::responses::{code, text};
use super::shell::{Book, Coordinator};
use super::state::{Group, State};
use super::writer::Forget;

/// READ, DELETE and DESCRIBE, as bits: there are no permissions here, so everybody may.
const ALL_OPERATIONS_ON_GROUPS: i32 = 1 << 3 | 1 << 6 | 1 << 8;

impl Coordinator {
    #[expect(
        clippy::unused_async,
        reason = "all requests are answered through the same kind of call"
    )]
    pub(crate) async fn describe_groups(
        &self,
        request: DescribeGroupsRequest,
    ) -> DescribeGroupsResponse {
        let book = self.shared.book();
        let describe = |id: GroupId| {
            let group = book.groups.get(id.as_str());
            let described = group
                .map_or_else(dead_group, described_group)
                .with_group_id(id);
            if request.include_authorized_operations {
                return described.with_authorized_operations(ALL_OPERATIONS_ON_GROUPS);
            }
            described
        };
        DescribeGroupsResponse::default()
            .with_groups(request.groups.into_iter().map(describe).collect())
    }

    #[expect(
        clippy::unused_async,
        reason = "all requests are answered through the same kind of call"
    )]
    pub(crate) async fn list_groups(&self, request: ListGroupsRequest) -> ListGroupsResponse {
        let says = |filter: &[_], value: &str| {
            let is_it =
                |one: &kafka_protocol::protocol::StrBytes| one.trim().eq_ignore_ascii_case(value);
            filter.is_empty() || filter.iter().any(is_it)
        };
        let book = self.shared.book();
        let groups = book.groups.iter().filter(|(_, group)| {
            says(&request.states_filter, group.state.name())
                && says(&request.types_filter, "classic")
        });
        let listed = groups.map(|(id, group)| {
            ListedGroup::default()
                .with_group_id(GroupId(text(id)))
                .with_protocol_type(text(group.protocol_type.as_deref().unwrap_or_default()))
                .with_group_state(text(group.state.name()))
                .with_group_type(text("classic"))
        });
        ListGroupsResponse::default().with_groups(listed.collect())
    }

    pub(crate) async fn delete_groups(&self, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
        let mut response = DeleteGroupsResponse::default();
        for id in request.groups_names {
            let result = self.delete_group(&id).await;
            response.results.push(
                DeletableGroupResult::default()
                    .with_group_id(id)
                    .with_error_code(code(&result)),
            );
        }
        response
    }

    async fn delete_group(&self, id: &str) -> Result<(), ResponseError> {
        mark_dead(&mut self.shared.book(), id, self.shared.now())?;
        let result = self.shared.forget(Forget::Group(id.to_owned())).await;
        if result.is_err()
            && let Some(group) = self.shared.book().groups.get_mut(id)
            && group.state == State::Dead
        {
            group.transition(State::Empty, self.shared.now());
        }
        result
    }
}

fn mark_dead(book: &mut Book, id: &str, now: super::member::Now) -> Result<(), ResponseError> {
    let group = book
        .groups
        .get_mut(id)
        .ok_or(ResponseError::GroupIdNotFound)?;
    match group.state {
        State::Dead => Err(ResponseError::GroupIdNotFound),
        State::Preparing | State::Completing | State::Stable => Err(ResponseError::NonEmptyGroup),
        State::Empty => {
            group.transition(State::Dead, now);
            Ok(())
        }
    }
}

fn dead_group() -> DescribedGroup {
    DescribedGroup::default().with_group_state(text(State::Dead.name()))
}

/// Protocol and metadata are settled only in a stable group.
fn described_group(group: &Group) -> DescribedGroup {
    let protocol = group
        .protocol
        .as_deref()
        .filter(|_| group.state == State::Stable);
    let members = group
        .members
        .iter()
        .map(|(id, member)| described_member(id, member, protocol));
    DescribedGroup::default()
        .with_group_state(text(group.state.name()))
        .with_protocol_type(text(group.protocol_type.as_deref().unwrap_or_default()))
        .with_protocol_data(text(protocol.unwrap_or_default()))
        .with_members(members.collect())
}

fn described_member(id: &str, member: &Member, protocol: Option<&str>) -> DescribedGroupMember {
    DescribedGroupMember::default()
        .with_member_id(text(id))
        .with_group_instance_id(member.instance_id.as_deref().map(text))
        .with_client_id(text(&member.client.id))
        .with_client_host(text(&member.client.host))
        .with_member_metadata(
            protocol
                .map(|name| member.metadata(name))
                .unwrap_or_default(),
        )
        .with_member_assignment(member.assignment.clone())
}
