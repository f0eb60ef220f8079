//! `SyncGroup` and `Heartbeat`: what members say between two rebalances.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::SyncGroupResponse;

use super::member::{Now, SyncWaiter, answer};
use super::responses::{sync_error, text};
use super::state::{Group, State, Storing};

/// What a member says it is: its id, its instance id if it is static, and its generation.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub member_id: String,
    pub instance_id: Option<String>,
    pub generation: i32,
}

#[derive(Clone, Debug)]
pub(super) struct Sync {
    pub claim: Claim,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub assignments: BTreeMap<String, Bytes>,
}

impl Group {
    pub(super) fn sync(&mut self, sync: Sync, waiter: SyncWaiter, now: Now) {
        if let Err(error) = self.check_sync(&sync) {
            return answer(waiter, sync_error(error));
        }
        let member_id = sync.claim.member_id;
        self.pending_syncs.remove(&member_id);
        if self.pending_syncs.is_empty() {
            self.sync_deadline = None;
        }
        let is_leader = self.is_leader(&member_id);
        let stable_answer = SyncGroupResponse::default()
            .with_protocol_type(self.protocol_type.as_deref().map(text))
            .with_protocol_name(self.protocol.as_deref().map(text));
        let Some(member) = self.members.get_mut(&member_id) else {
            return answer(waiter, sync_error(ResponseError::UnknownMemberId));
        };
        member.restart_session(now);
        if self.state == State::Stable {
            return answer(
                waiter,
                stable_answer.with_assignment(member.assignment.clone()),
            );
        }
        member.sync_waiter = Some(waiter);
        if is_leader {
            let generation = self.generation;
            let by_member = sync.assignments;
            self.request_write(Some(Storing::Assignments {
                generation,
                by_member,
            }));
        }
    }

    fn check_sync(&self, sync: &Sync) -> Result<(), ResponseError> {
        match self.state {
            State::Dead => return Err(ResponseError::CoordinatorNotAvailable),
            State::Empty => return Err(ResponseError::UnknownMemberId),
            State::Preparing | State::Completing | State::Stable => {}
        }
        self.check_claim(&sync.claim)?;
        let differs = |said: &Option<String>, is: &Option<String>| said.is_some() && said != is;
        if differs(&sync.protocol_type, &self.protocol_type)
            || differs(&sync.protocol, &self.protocol)
        {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        if self.state == State::Preparing {
            return Err(ResponseError::RebalanceInProgress);
        }
        Ok(())
    }

    pub(super) fn check_claim(&self, claim: &Claim) -> Result<(), ResponseError> {
        self.validate_member(&claim.member_id, claim.instance_id.as_deref())?;
        if claim.generation != self.generation {
            return Err(ResponseError::IllegalGeneration);
        }
        Ok(())
    }

    pub(super) fn heartbeat(&mut self, claim: &Claim, now: Now) -> Result<(), ResponseError> {
        if self.state == State::Dead {
            return Err(ResponseError::CoordinatorNotAvailable);
        }
        self.check_claim(claim)?;
        if let Some(member) = self.members.get_mut(&claim.member_id) {
            member.restart_session(now);
        }
        match self.state {
            State::Preparing => Err(ResponseError::RebalanceInProgress),
            State::Empty | State::Dead => Err(ResponseError::UnknownMemberId),
            State::Completing | State::Stable => Ok(()),
        }
    }

    /// Whether these offsets may be committed; a commit is a sign of life as well.
    pub(super) fn admit_commit(&mut self, claim: &Claim, now: Now) -> Result<(), ResponseError> {
        if self.state == State::Dead {
            return Err(ResponseError::CoordinatorNotAvailable);
        }
        if claim.generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        let says_it_is_a_member =
            claim.generation >= 0 || !claim.member_id.is_empty() || claim.instance_id.is_some();
        if !says_it_is_a_member {
            return Err(ResponseError::UnknownMemberId);
        }
        self.check_claim(claim)?;
        if self.state == State::Completing {
            return Err(ResponseError::RebalanceInProgress);
        }
        if let Some(member) = self.members.get_mut(&claim.member_id) {
            member.restart_session(now);
        }
        Ok(())
    }
}
