//! A group: its members, its state, its leader and protocol. How they change is in the files named
//! after what happens: `join`, `rebalance`, `sync`, `leave`, `timers`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::member::{Join, Member, Now, Protocol};
use super::subscription;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Empty,
    /// Waiting for members to join.
    Preparing,
    /// Waiting for the leader's assignment.
    Completing,
    Stable,
    /// Being deleted.
    Dead,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Preparing => "PreparingRebalance",
            Self::Completing => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct GroupRules {
    pub max_members: usize,
    pub initial_rebalance_delay: Duration,
}

pub(super) struct JoinTimer {
    pub at: Instant,
    /// In a group's first rebalance: how much longer it may be put off for members yet to come.
    pub initial_remaining: Option<Duration>,
}

/// What waits for the journal.
pub(super) enum Storing {
    Assignments {
        generation: i32,
        by_member: BTreeMap<String, Bytes>,
    },
    StaticReplacement {
        member_id: String,
        version: i16,
        leader_before: Option<String>,
    },
}

pub(super) struct Group {
    pub id: String,
    pub rules: GroupRules,
    pub state: State,
    pub previous_state: State,
    pub state_since_ms: i64,
    pub generation: i32,
    /// `None` for a group that only ever kept offsets.
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub leader: Option<String>,
    pub members: BTreeMap<String, Member>,
    /// Instance id to member id.
    pub static_members: BTreeMap<String, String>,
    /// Ids given out with `MEMBER_ID_REQUIRED`, and until when they may be used.
    pub pending_joins: BTreeMap<String, Instant>,
    pub pending_syncs: BTreeSet<String>,
    /// `None` when the metadata is not the consumer protocol's.
    pub subscribed_topics: Option<BTreeSet<String>>,
    pub new_member_added: bool,
    pub join_timer: Option<JoinTimer>,
    pub sync_deadline: Option<Instant>,
    pub storing: BTreeMap<u64, Storing>,
    pub last_write: u64,
    pub unwritten: bool,
}

impl Group {
    pub(super) fn new(id: String, rules: GroupRules, now: Now) -> Self {
        Self {
            id,
            rules,
            state: State::Empty,
            previous_state: State::Empty,
            state_since_ms: now.wall_ms,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_joins: BTreeMap::new(),
            pending_syncs: BTreeSet::new(),
            subscribed_topics: None,
            new_member_added: false,
            join_timer: None,
            sync_deadline: None,
            storing: BTreeMap::new(),
            last_write: 0,
            unwritten: false,
        }
    }

    pub(super) fn transition(&mut self, state: State, now: Now) {
        self.previous_state = self.state;
        self.state = state;
        self.state_since_ms = now.wall_ms;
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub(super) fn add(&mut self, member_id: String, member: Member, protocol_type: String) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type);
        }
        if let Some(instance_id) = &member.instance_id {
            self.static_members
                .insert(instance_id.clone(), member_id.clone());
        }
        self.leader.get_or_insert_with(|| member_id.clone());
        self.pending_joins.remove(&member_id);
        self.members.insert(member_id, member);
    }

    pub(super) fn remove(&mut self, member_id: &str) -> Option<Member> {
        self.pending_joins.remove(member_id);
        self.pending_syncs.remove(member_id);
        let member = self.members.remove(member_id)?;
        if let Some(instance_id) = &member.instance_id {
            self.static_members.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    /// Kafka's order of checks: who is fenced learns that before being told it is unknown.
    pub(super) fn validate_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), ResponseError> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(ResponseError::UnknownMemberId),
                Some(current) if current != member_id => {
                    return Err(ResponseError::FencedInstanceId);
                }
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) {
            Ok(())
        } else {
            Err(ResponseError::UnknownMemberId)
        }
    }

    pub(super) fn awaiting_join(&self) -> usize {
        self.members
            .values()
            .filter(|member| member.is_awaiting_join())
            .count()
    }

    pub(super) fn have_all_joined(&self) -> bool {
        self.pending_joins.is_empty() && self.members.values().all(Member::is_awaiting_join)
    }

    pub(super) fn rebalance_timeout(&self) -> Duration {
        self.members
            .values()
            .map(|member| member.rebalance_timeout)
            .max()
            .unwrap_or_default()
    }

    /// One of the joining member's protocols must suit everybody who is already here.
    pub(super) fn supports(&self, join: &Join) -> bool {
        if self.state == State::Empty {
            return !join.protocol_type.is_empty() && !join.protocols.is_empty();
        }
        let suits_all = |protocol: &Protocol| {
            self.members
                .values()
                .all(|member| member.supports(&protocol.name))
        };
        self.protocol_type.as_ref() == Some(&join.protocol_type)
            && join.protocols.iter().any(suits_all)
    }

    /// Every member votes for its first protocol that all support; the most votes win.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let suits_all = |protocol: &&Protocol| {
            self.members
                .values()
                .all(|member| member.supports(&protocol.name))
        };
        let votes: Vec<&str> = self
            .members
            .values()
            .filter_map(|member| member.protocols.iter().find(suits_all))
            .map(|protocol| protocol.name.as_str())
            .collect();
        let count = |name: &str| votes.iter().filter(|vote| **vote == name).count();
        votes
            .iter()
            .rev()
            .max_by_key(|vote| count(vote))
            .map(|vote| (*vote).to_owned())
    }

    pub(super) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(subscription::CONSUMER_PROTOCOL_TYPE)
    }

    pub(super) fn find_subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        let Some(protocol) = &self.protocol else {
            return self.members.is_empty().then(BTreeSet::new);
        };
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscription::topics(&member.metadata(protocol))?);
        }
        Some(topics)
    }

    /// A consumer group whose subscription cannot be read counts as subscribed to everything.
    pub(super) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.uses_consumer_protocol(),
        }
    }
}
