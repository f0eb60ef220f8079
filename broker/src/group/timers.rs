//! What happens by itself: sessions end, ids run out, rebalances stop waiting.

use std::time::Instant;

use kafka_protocol::ResponseError;

use super::member::Now;
use super::responses::{join_error, sync_error};
use super::state::{Group, State};

impl Group {
    /// When `tick` has something to do next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let sessions = self.members.values().map(|member| member.session_deadline);
        let pending = self.pending_joins.values().copied();
        let join = self.join_timer.as_ref().map(|timer| timer.at);
        sessions
            .chain(pending)
            .chain(join)
            .chain(self.sync_deadline)
            .min()
    }

    pub(super) fn tick(&mut self, now: Now) {
        self.end_sessions(now);
        self.drop_unused_ids(now);
        if self
            .join_timer
            .as_ref()
            .is_some_and(|timer| timer.at <= now.tick)
            && let Some(timer) = self.join_timer.take()
        {
            self.join_timer_fired(&timer, now);
        }
        if self
            .sync_deadline
            .is_some_and(|deadline| deadline <= now.tick)
        {
            self.remove_missing_syncs(now);
        }
    }

    fn end_sessions(&mut self, now: Now) {
        let mut ended = Vec::new();
        for (member_id, member) in &mut self.members {
            if member.session_deadline > now.tick {
                continue;
            }
            if member.is_alive(now) {
                member.restart_session(now);
            } else {
                ended.push(member_id.clone());
            }
        }
        for member_id in ended {
            tracing::info!(
                group = self.id,
                member = member_id,
                "session timed out, removed"
            );
            self.remove_answering(&member_id);
            match self.state {
                State::Stable | State::Completing => self.rebalance_or_complete_join(now),
                State::Preparing | State::Empty | State::Dead => {
                    self.complete_join_if_all_joined(now);
                }
            }
        }
    }

    fn drop_unused_ids(&mut self, now: Now) {
        let before = self.pending_joins.len();
        self.pending_joins
            .retain(|_, deadline| *deadline > now.tick);
        if self.pending_joins.len() < before {
            self.complete_join_if_all_joined(now);
        }
    }

    fn remove_missing_syncs(&mut self, now: Now) {
        self.sync_deadline = None;
        if !matches!(self.state, State::Completing | State::Stable) || self.pending_syncs.is_empty()
        {
            return;
        }
        for member_id in std::mem::take(&mut self.pending_syncs) {
            tracing::info!(
                group = self.id,
                member = member_id,
                "did not sync in time, removed"
            );
            self.remove_answering(&member_id);
        }
        self.prepare_rebalance(now);
    }

    /// The broker is closing: nobody may wait on.
    pub(super) fn release_waiters(&mut self) {
        let error = ResponseError::CoordinatorNotAvailable;
        for (member_id, member) in &mut self.members {
            member.answer_join(join_error(error, member_id));
            member.answer_sync(sync_error(error));
        }
    }
}
