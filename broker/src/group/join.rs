//! `JoinGroup`: who is let in, and as whom.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::JoinGroupResponse;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use uuid::Uuid;

use super::member::{Join, Joining, Member, Now, answer};
use super::responses::{fenced_sync, join_error, text};
use super::state::{Group, State, Storing};

/// From here on, a client without a member id is given one first and joins with it.
const FIRST_VERSION_WITH_KNOWN_MEMBER_ID: i16 = 4;
const FIRST_VERSION_THAT_SKIPS_ASSIGNMENT: i16 = 9;

enum Admission {
    /// Gets an id and must come back with it.
    GiveId,
    Add(String),
    ReplaceStatic(String),
    Update,
    /// Missed our answer: gets it once more.
    Repeat,
}

struct Refusal {
    error: ResponseError,
    member_id: String,
}

impl Group {
    pub(super) fn join(&mut self, joining: Joining, now: Now) {
        let member_id = &joining.join.member_id;
        match self.admit(&joining.join) {
            Err(refusal) => {
                if refusal.error == ResponseError::GroupMaxSizeReached {
                    self.remove(member_id);
                }
                answer(
                    joining.waiter,
                    join_error(refusal.error, &refusal.member_id),
                );
            }
            Ok(Admission::GiveId) => self.give_id(joining, now),
            Ok(Admission::Add(member_id)) => self.add_joining(member_id, joining, now),
            Ok(Admission::ReplaceStatic(old_id)) => {
                self.replace_static(&old_id, joining, now);
            }
            Ok(Admission::Update) => {
                if let Some(member) = self.members.get_mut(member_id) {
                    member.update(joining);
                }
                self.rebalance_or_complete_join(now);
            }
            Ok(Admission::Repeat) => {
                let response = self.joined(member_id);
                answer(joining.waiter, response);
            }
        }
        // With no initial delay, a first rebalance is already due.
        self.tick(now);
    }

    fn admit(&self, join: &Join) -> Result<Admission, Refusal> {
        let refuse = |error| Refusal {
            error,
            member_id: join.member_id.clone(),
        };
        if self.state == State::Dead {
            return Err(refuse(ResponseError::CoordinatorNotAvailable));
        }
        if !self.has_room_for(&join.member_id) {
            return Err(Refusal {
                error: ResponseError::GroupMaxSizeReached,
                member_id: String::new(),
            });
        }
        if !self.supports(join) {
            return Err(refuse(ResponseError::InconsistentGroupProtocol));
        }
        if join.member_id.is_empty() {
            return self.admit_new(join).map_err(refuse);
        }
        if self.pending_joins.contains_key(&join.member_id) {
            // Ids are given out to dynamic members only.
            return match join.instance_id {
                Some(_) => Err(refuse(ResponseError::UnknownMemberId)),
                None => Ok(Admission::Add(join.member_id.clone())),
            };
        }
        self.admit_known(join).map_err(refuse)
    }

    fn admit_new(&self, join: &Join) -> Result<Admission, ResponseError> {
        if let Some(instance_id) = &join.instance_id {
            return Ok(match self.static_members.get(instance_id) {
                Some(old_id) => Admission::ReplaceStatic(old_id.clone()),
                None => Admission::Add(new_member_id(instance_id)),
            });
        }
        if join.version < FIRST_VERSION_WITH_KNOWN_MEMBER_ID {
            return Ok(Admission::Add(new_member_id(&join.client.id)));
        }
        // Ids are cheap to ask for, so their number has a bound too.
        if self.pending_joins.len() >= self.rules.max_members {
            return Err(ResponseError::GroupMaxSizeReached);
        }
        Ok(Admission::GiveId)
    }

    fn admit_known(&self, join: &Join) -> Result<Admission, ResponseError> {
        self.validate_member(&join.member_id, join.instance_id.as_deref())?;
        // A leader that joins again asks for a rebalance: it may have seen new partitions.
        let is_leader = self.is_leader(&join.member_id);
        let unchanged = self
            .members
            .get(&join.member_id)
            .is_some_and(|member| member.protocols == join.protocols);
        match self.state {
            State::Completing if unchanged => Ok(Admission::Repeat),
            State::Stable if unchanged && !is_leader => Ok(Admission::Repeat),
            State::Preparing | State::Completing | State::Stable => Ok(Admission::Update),
            State::Empty | State::Dead => Err(ResponseError::UnknownMemberId),
        }
    }

    /// In a rebalance those who wait are counted, so that the last to join are the ones left out.
    fn has_room_for(&self, member_id: &str) -> bool {
        let member = self.members.get(member_id);
        match self.state {
            State::Empty | State::Dead => true,
            State::Preparing => {
                member.is_some_and(Member::is_awaiting_join)
                    || self.awaiting_join() < self.rules.max_members
            }
            State::Completing | State::Stable => {
                member.is_some() || self.members.len() < self.rules.max_members
            }
        }
    }

    fn give_id(&mut self, joining: Joining, now: Now) {
        let member_id = new_member_id(&joining.join.client.id);
        let deadline = now.tick + joining.join.session_timeout;
        answer(
            joining.waiter,
            join_error(ResponseError::MemberIdRequired, &member_id),
        );
        self.pending_joins.insert(member_id, deadline);
    }

    fn add_joining(&mut self, member_id: String, joining: Joining, now: Now) {
        tracing::info!(group = self.id, member = member_id, "member joins");
        if self.state == State::Preparing && self.previous_state == State::Empty {
            self.new_member_added = true;
        }
        let protocol_type = joining.join.protocol_type.clone();
        self.add(member_id, Member::new(joining, now), protocol_type);
        self.rebalance_or_complete_join(now);
    }

    /// A static member is back, usually after a restart: the old incarnation is fenced and the new
    /// one takes its place, without a rebalance if that changes nothing for the others.
    fn replace_static(&mut self, old_id: &str, joining: Joining, now: Now) {
        let Some(mut member) = self.members.remove(old_id) else {
            return answer(
                joining.waiter,
                join_error(ResponseError::UnknownMemberId, ""),
            );
        };
        member.answer_join(join_error(ResponseError::FencedInstanceId, old_id));
        member.answer_sync(fenced_sync());
        let instance_id = joining.join.instance_id.clone().unwrap_or_default();
        let new_id = new_member_id(&instance_id);
        tracing::info!(group = self.id, old_id, new_id, "static member is back");
        let leader_before = self.leader.clone();
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        if self.pending_syncs.remove(old_id) {
            self.pending_syncs.insert(new_id.clone());
        }
        self.static_members.insert(instance_id, new_id.clone());
        let version = joining.join.version;
        member.update(joining);
        member.restart_session(now);
        self.members.insert(new_id.clone(), member);
        match self.state {
            State::Stable if self.select_protocol() == self.protocol => {
                let storing = Storing::StaticReplacement {
                    member_id: new_id,
                    version,
                    leader_before,
                };
                self.request_write(Some(storing));
            }
            // In `Completing` the leader may already assign to the old id.
            State::Stable | State::Completing => self.prepare_rebalance(now),
            State::Preparing | State::Empty | State::Dead => self.maybe_complete_join(now),
        }
    }

    /// The answer of the current generation.
    pub(super) fn joined(&self, member_id: &str) -> JoinGroupResponse {
        let members = if self.is_leader(member_id) {
            self.members_for_leader()
        } else {
            Vec::new()
        };
        JoinGroupResponse::default()
            .with_generation_id(self.generation)
            .with_protocol_type(self.protocol_type.as_deref().map(text))
            .with_protocol_name(self.protocol.as_deref().map(text))
            .with_leader(self.leader.as_deref().map(text).unwrap_or_default())
            .with_member_id(text(member_id))
            .with_members(members)
    }

    fn members_for_leader(&self) -> Vec<JoinGroupResponseMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let one = |(id, member): (&String, &Member)| {
            JoinGroupResponseMember::default()
                .with_member_id(text(id))
                .with_group_instance_id(member.instance_id.as_deref().map(text))
                .with_metadata(member.metadata(protocol))
        };
        self.members.iter().map(one).collect()
    }

    /// Clients that cannot be told to skip the assignment must not take themselves for the leader
    /// of a generation that is already assigned, so they are told the leader's old id.
    pub(super) fn replaced(
        &self,
        member_id: &str,
        version: i16,
        leader_before: Option<&str>,
    ) -> JoinGroupResponse {
        let response = self.joined(member_id);
        if version >= FIRST_VERSION_THAT_SKIPS_ASSIGNMENT {
            return response.with_skip_assignment(self.is_leader(member_id));
        }
        let leader_before = leader_before.map(text).unwrap_or_default();
        response.with_members(Vec::new()).with_leader(leader_before)
    }
}

fn new_member_id(prefix: &str) -> String {
    format!("{prefix}-{}", Uuid::now_v7())
}
