//! One member of a group, and what a client says when it joins.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use tokio::sync::oneshot;

use super::ClientInfo;

pub(super) type JoinWaiter = oneshot::Sender<JoinGroupResponse>;
pub(super) type SyncWaiter = oneshot::Sender<SyncGroupResponse>;

/// A new member that waits in a long rebalance is let go after this, so that clients that gave up
/// and came back under another id do not pile up.
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_mins(5);

/// Both clocks of one moment: time-outs run on the first, what is kept on disk uses the second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub tick: Instant,
    pub wall_ms: i64,
}

/// An assignor's name and what it wants to know about the member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Protocol {
    pub name: String,
    pub metadata: Bytes,
}

/// A `JoinGroup` request, whatever its version.
#[derive(Clone, Debug)]
pub(super) struct Join {
    pub version: i16,
    pub client: ClientInfo,
    /// Empty when the client has none yet.
    pub member_id: String,
    pub instance_id: Option<String>,
    pub protocol_type: String,
    pub protocols: Vec<Protocol>,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
}

/// A join and the connection that waits for its answer.
pub(super) struct Joining {
    pub join: Join,
    pub waiter: JoinWaiter,
}

pub(super) struct Member {
    pub instance_id: Option<String>,
    pub client: ClientInfo,
    pub protocols: Vec<Protocol>,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    pub assignment: Bytes,
    pub join_waiter: Option<JoinWaiter>,
    pub sync_waiter: Option<SyncWaiter>,
    pub session_deadline: Instant,
    /// Set until the member's first generation: how long its first join may take.
    pub first_join_deadline: Option<Instant>,
}

impl Member {
    pub(super) fn new(joining: Joining, now: Now) -> Self {
        let Joining { join, waiter } = joining;
        Self {
            instance_id: join.instance_id,
            client: join.client,
            protocols: join.protocols,
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            assignment: Bytes::new(),
            join_waiter: Some(waiter),
            sync_waiter: None,
            session_deadline: now.tick + join.session_timeout,
            first_join_deadline: Some(now.tick + NEW_MEMBER_JOIN_TIMEOUT),
        }
    }

    pub(super) fn update(&mut self, joining: Joining) {
        let Joining { join, waiter } = joining;
        self.protocols = join.protocols;
        self.session_timeout = join.session_timeout;
        self.rebalance_timeout = join.rebalance_timeout;
        self.join_waiter = Some(waiter);
    }

    pub(super) fn is_awaiting_join(&self) -> bool {
        self.join_waiter.is_some()
    }

    pub(super) fn restart_session(&mut self, now: Now) {
        self.session_deadline = now.tick + self.session_timeout;
    }

    /// A client that waits for our answer cannot send heartbeats, so it counts as alive as long as
    /// somebody still listens on its connection.
    pub(super) fn is_alive(&self, now: Now) -> bool {
        if self
            .first_join_deadline
            .is_some_and(|deadline| deadline <= now.tick)
        {
            return false;
        }
        let joins = self
            .join_waiter
            .as_ref()
            .is_some_and(|waiter| !waiter.is_closed());
        let syncs = self
            .sync_waiter
            .as_ref()
            .is_some_and(|waiter| !waiter.is_closed());
        joins || syncs
    }

    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|known| known.name == protocol);
        found
            .map(|known| known.metadata.clone())
            .unwrap_or_default()
    }

    pub(super) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|known| known.name == protocol)
    }

    pub(super) fn answer_join(&mut self, response: JoinGroupResponse) {
        if let Some(waiter) = self.join_waiter.take() {
            answer(waiter, response);
        }
    }

    /// True when somebody was waiting.
    pub(super) fn answer_sync(&mut self, response: SyncGroupResponse) -> bool {
        let Some(waiter) = self.sync_waiter.take() else {
            return false;
        };
        answer(waiter, response);
        true
    }
}

/// Nobody listens any more when the connection has died; the session then ends by itself.
pub(super) fn answer<T>(waiter: oneshot::Sender<T>, response: T) {
    if waiter.send(response).is_err() {
        tracing::debug!("a group member's connection is gone before its answer");
    }
}
