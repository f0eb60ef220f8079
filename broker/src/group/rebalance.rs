//! From one generation to the next: preparing a rebalance, ending the join phase, and taking over
//! the assignment once the journal has it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::SyncGroupResponse;

use super::member::{Member, Now};
use super::responses::{join_error, sync_error, text};
use super::state::{Group, JoinTimer, State, Storing};

/// Clients may give themselves no time at all to rejoin; the timer must not spin on that.
const MIN_WAIT_FOR_ANYBODY: Duration = Duration::from_secs(1);

impl Group {
    pub(super) fn rebalance_or_complete_join(&mut self, now: Now) {
        match self.state {
            State::Empty | State::Completing | State::Stable => self.prepare_rebalance(now),
            State::Preparing | State::Dead => self.maybe_complete_join(now),
        }
    }

    pub(super) fn prepare_rebalance(&mut self, now: Now) {
        if self.state == State::Completing {
            self.refuse_waiting_syncs(ResponseError::RebalanceInProgress, now);
        }
        self.storing
            .retain(|_, storing| !matches!(storing, Storing::Assignments { .. }));
        self.pending_syncs.clear();
        self.sync_deadline = None;
        let is_first = self.state == State::Empty;
        self.transition(State::Preparing, now);
        tracing::info!(
            group = self.id,
            generation = self.generation,
            "preparing a rebalance"
        );
        if is_first {
            let delay = self.rules.initial_rebalance_delay;
            self.new_member_added = false;
            self.join_timer = Some(JoinTimer {
                at: now.tick + delay,
                initial_remaining: Some(self.rebalance_timeout().saturating_sub(delay)),
            });
        } else if self.have_all_joined() {
            self.complete_join(now);
        } else {
            self.wait_for_joins(self.rebalance_timeout(), now);
        }
    }

    /// A first rebalance ends by its timer only, so that members which start together share it.
    pub(super) fn maybe_complete_join(&mut self, now: Now) {
        if self.previous_state != State::Empty {
            self.complete_join_if_all_joined(now);
        }
    }

    pub(super) fn complete_join_if_all_joined(&mut self, now: Now) {
        if self.state == State::Preparing && self.have_all_joined() {
            self.complete_join(now);
        }
    }

    /// The join timer fired.
    pub(super) fn join_timer_fired(&mut self, timer: &JoinTimer, now: Now) {
        let delay = self.rules.initial_rebalance_delay;
        match timer.initial_remaining {
            Some(remaining) if self.new_member_added && remaining > Duration::ZERO => {
                self.new_member_added = false;
                self.join_timer = Some(JoinTimer {
                    at: now.tick + delay.min(remaining),
                    initial_remaining: Some(remaining.saturating_sub(delay)),
                });
            }
            _ => self.complete_join(now),
        }
    }

    fn wait_for_joins(&mut self, time: Duration, now: Now) {
        let at = now.tick + time;
        self.join_timer = Some(JoinTimer {
            at,
            initial_remaining: None,
        });
    }

    /// Who has not come by now is out, but for static members, which have their session to return.
    fn complete_join(&mut self, now: Now) {
        self.join_timer = None;
        let is_late = |member: &Member| !member.is_awaiting_join() && member.instance_id.is_none();
        let late: Vec<String> = self
            .members
            .iter()
            .filter(|(_, member)| is_late(member))
            .map(|(id, _)| id.clone())
            .collect();
        for member_id in late {
            tracing::info!(
                group = self.id,
                member = member_id,
                "did not rejoin in time, removed"
            );
            self.remove(&member_id);
        }
        if !self.members.is_empty() && !self.elect_joined_leader() {
            tracing::warn!(group = self.id, "no member has rejoined, waiting on");
            return self.wait_for_joins(self.rebalance_timeout().max(MIN_WAIT_FOR_ANYBODY), now);
        }
        self.start_generation(now);
    }

    fn elect_joined_leader(&mut self) -> bool {
        let has_joined = |member_id: &String| {
            self.members
                .get(member_id)
                .is_some_and(Member::is_awaiting_join)
        };
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let Some(leader) = self.members.keys().find(|id| has_joined(id)).cloned() else {
            return false;
        };
        self.leader = Some(leader);
        true
    }

    fn start_generation(&mut self, now: Now) {
        // An old generation must stay refusable, whatever sign the counter has had.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.pending_syncs.clear();
        if self.members.is_empty() {
            self.protocol = None;
            self.subscribed_topics = self.find_subscribed_topics();
            self.transition(State::Empty, now);
            tracing::info!(
                group = self.id,
                generation = self.generation,
                "group is empty"
            );
            return self.request_write(None);
        }
        self.protocol = self.select_protocol();
        self.subscribed_topics = self.find_subscribed_topics();
        self.transition(State::Completing, now);
        tracing::info!(
            group = self.id,
            generation = self.generation,
            members = self.members.len(),
            "all have joined, waiting for the leader's assignment"
        );
        self.answer_joined(now);
        self.sync_deadline = Some(now.tick + self.rebalance_timeout());
    }

    fn answer_joined(&mut self, now: Now) {
        let member_ids: Vec<String> = self.members.keys().cloned().collect();
        for member_id in member_ids {
            let response = self.joined(&member_id);
            if let Some(member) = self.members.get_mut(&member_id) {
                member.answer_join(response);
                member.first_join_deadline = None;
                member.restart_session(now);
            }
            self.pending_syncs.insert(member_id);
        }
    }

    fn refuse_waiting_syncs(&mut self, error: ResponseError, now: Now) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
            if member.answer_sync(sync_error(error)) {
                member.restart_session(now);
            }
        }
    }

    /// Marks the group as not yet in the journal; `storing` is what happens once it is.
    pub(super) fn request_write(&mut self, storing: Option<Storing>) {
        self.last_write += 1;
        self.unwritten = true;
        if let Some(storing) = storing {
            self.storing.insert(self.last_write, storing);
        }
    }

    /// The journal has answered for a write, which held whatever was asked for before it as well.
    pub(super) fn stored(&mut self, write: u64, is_durable: bool, now: Now) {
        let later = self.storing.split_off(&(write + 1));
        for storing in std::mem::replace(&mut self.storing, later).into_values() {
            match storing {
                Storing::Assignments {
                    generation,
                    by_member,
                } if self.state == State::Completing && generation == self.generation => {
                    self.assignments_stored(&by_member, is_durable, now);
                }
                Storing::StaticReplacement {
                    member_id,
                    version,
                    leader_before,
                } if self.state == State::Stable => {
                    let response = if is_durable {
                        self.replaced(&member_id, version, leader_before.as_deref())
                    } else {
                        join_error(ResponseError::CoordinatorNotAvailable, "")
                    };
                    if let Some(member) = self.members.get_mut(&member_id) {
                        member.answer_join(response);
                    }
                }
                // Overtaken by a rebalance, which answers whoever waits.
                Storing::Assignments { .. } | Storing::StaticReplacement { .. } => {}
            }
        }
    }

    fn assignments_stored(
        &mut self,
        by_member: &BTreeMap<String, Bytes>,
        is_durable: bool,
        now: Now,
    ) {
        if is_durable {
            return self.assign(by_member, now);
        }
        self.refuse_waiting_syncs(ResponseError::CoordinatorNotAvailable, now);
        self.rebalance_or_complete_join(now);
    }

    fn assign(&mut self, by_member: &BTreeMap<String, Bytes>, now: Now) {
        self.transition(State::Stable, now);
        let answer = SyncGroupResponse::default()
            .with_protocol_type(self.protocol_type.as_deref().map(text))
            .with_protocol_name(self.protocol.as_deref().map(text));
        for (member_id, member) in &mut self.members {
            member.assignment = by_member.get(member_id).cloned().unwrap_or_default();
            if member.answer_sync(answer.clone().with_assignment(member.assignment.clone())) {
                member.restart_session(now);
            }
        }
    }
}
