//! `LeaveGroup`, for one member or several, by member id or (for administrators) by instance id.

use kafka_protocol::ResponseError;

use super::member::Now;
use super::responses::{join_error, sync_error};
use super::state::{Group, State};

#[derive(Clone, Debug)]
pub(super) struct Leaving {
    /// Empty when an administrator removes a static member by its instance id.
    pub member_id: String,
    pub instance_id: Option<String>,
}

impl Group {
    pub(super) fn leave(
        &mut self,
        leaving: &[Leaving],
        now: Now,
    ) -> Result<Vec<Result<(), ResponseError>>, ResponseError> {
        if self.state == State::Dead {
            return Err(ResponseError::CoordinatorNotAvailable);
        }
        let results: Vec<_> = leaving.iter().map(|one| self.leave_one(one)).collect();
        if results.iter().any(Result::is_ok) {
            match self.state {
                State::Stable | State::Completing => self.rebalance_or_complete_join(now),
                State::Preparing => self.maybe_complete_join(now),
                State::Empty | State::Dead => {}
            }
        }
        Ok(results)
    }

    fn leave_one(&mut self, leaving: &Leaving) -> Result<(), ResponseError> {
        if self.pending_joins.remove(&leaving.member_id).is_some() {
            return Ok(());
        }
        let member_id = if leaving.member_id.is_empty() {
            let instance_id = leaving
                .instance_id
                .as_ref()
                .ok_or(ResponseError::UnknownMemberId)?;
            self.static_members
                .get(instance_id)
                .cloned()
                .ok_or(ResponseError::UnknownMemberId)?
        } else {
            self.validate_member(&leaving.member_id, leaving.instance_id.as_deref())?;
            leaving.member_id.clone()
        };
        tracing::info!(group = self.id, member = member_id, "member leaves");
        self.remove_answering(&member_id);
        Ok(())
    }

    /// Whoever still waits on this member's behalf is told to start over.
    pub(super) fn remove_answering(&mut self, member_id: &str) {
        if let Some(mut member) = self.remove(member_id) {
            member.answer_join(join_error(ResponseError::UnknownMemberId, ""));
            member.answer_sync(sync_error(ResponseError::UnknownMemberId));
        }
    }
}
