//! A group on a test bench: a hand-turned clock, and a client's view of every answer.

use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use tokio::sync::oneshot;

use crate::group::ClientInfo;
use crate::group::member::{Join, Joining, Now, Protocol};
use crate::group::state::{Group, GroupRules};
use crate::group::sync::{Claim, Sync};

pub(super) const SESSION: Duration = Duration::from_secs(10);
pub(super) const REBALANCE: Duration = Duration::from_mins(1);

pub(super) struct Bench {
    pub group: Group,
    pub now: Now,
}

/// An answer that may still be on its way.
pub(super) struct Awaited<T> {
    receiver: oneshot::Receiver<T>,
    seen: Option<T>,
}

impl<T> Awaited<T> {
    fn new(receiver: oneshot::Receiver<T>) -> Self {
        Self {
            receiver,
            seen: None,
        }
    }

    pub(super) fn get(&mut self) -> T {
        assert!(!self.is_pending(), "there is no answer yet");
        self.seen
            .take()
            .expect("the answer was dropped or already taken")
    }

    pub(super) fn is_pending(&mut self) -> bool {
        match self.receiver.try_recv() {
            Ok(answer) => self.seen = Some(answer),
            Err(oneshot::error::TryRecvError::Closed) => {}
            Err(oneshot::error::TryRecvError::Empty) => return true,
        }
        false
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with_rules(GroupRules {
            max_members: 10,
            initial_rebalance_delay: Duration::ZERO,
        })
    }

    pub(super) fn with_rules(rules: GroupRules) -> Self {
        let now = Now {
            tick: Instant::now(),
            wall_ms: 1_700_000_000_000,
        };
        Self {
            group: Group::new("g".to_owned(), rules, now),
            now,
        }
    }

    pub(super) fn join(&mut self, join: Join) -> Awaited<JoinGroupResponse> {
        let (waiter, answer) = oneshot::channel();
        self.group.join(Joining { join, waiter }, self.now);
        Awaited::new(answer)
    }

    /// Asks for an id and gets it, as clients do from version 4 on.
    pub(super) fn give_id(&mut self) -> String {
        let response = self.join(dynamic("")).get();
        assert_eq!(response.error_code, ResponseError::MemberIdRequired.code());
        response.member_id.to_string()
    }

    /// A first join with an id that was asked for.
    pub(super) fn join_new(&mut self) -> (String, Awaited<JoinGroupResponse>) {
        let id = self.give_id();
        let answer = self.join(dynamic(&id));
        (id, answer)
    }

    pub(super) fn sync(
        &mut self,
        id: &str,
        assignments: &[(&str, &str)],
    ) -> Awaited<SyncGroupResponse> {
        let generation = self.group.generation;
        self.sync_as(claim(id, generation), assignments)
    }

    pub(super) fn sync_as(
        &mut self,
        claim: Claim,
        assignments: &[(&str, &str)],
    ) -> Awaited<SyncGroupResponse> {
        let (waiter, answer) = oneshot::channel();
        let assignments = assignments.iter().map(|(id, assignment)| {
            (
                (*id).to_owned(),
                bytes::Bytes::copy_from_slice(assignment.as_bytes()),
            )
        });
        let sync = Sync {
            claim,
            protocol_type: None,
            protocol: None,
            assignments: assignments.collect(),
        };
        self.group.sync(sync, waiter, self.now);
        Awaited::new(answer)
    }

    /// Plays the journal: what is due is written.
    pub(super) fn store(&mut self) {
        self.store_or_fail(true);
    }

    pub(super) fn store_or_fail(&mut self, works: bool) {
        let (number, _) = self.group.take_write().expect("nothing was to be written");
        self.group.stored(number, works, self.now);
    }

    pub(super) fn heartbeat(&mut self, id: &str) -> Result<(), ResponseError> {
        let generation = self.group.generation;
        self.group.heartbeat(&claim(id, generation), self.now)
    }

    pub(super) fn commit(&mut self, id: &str, generation: i32) -> Result<(), ResponseError> {
        self.group.admit_commit(&claim(id, generation), self.now)
    }

    /// Turns the clock from deadline to deadline, as the timer task does.
    pub(super) fn wait(&mut self, time: Duration) {
        let end = self.now.tick + time;
        while let Some(deadline) = self
            .group
            .next_deadline()
            .filter(|deadline| *deadline <= end)
        {
            self.set_clock(deadline);
            self.group.tick(self.now);
        }
        self.set_clock(end);
    }

    fn set_clock(&mut self, tick: Instant) {
        self.now.wall_ms += (tick - self.now.tick).as_millis() as i64;
        self.now.tick = tick;
    }

    /// A stable group of this many dynamic members; the first is the leader.
    pub(super) fn stable(members: usize) -> (Self, Vec<String>) {
        let mut bench = Self::new();
        let mut ids: Vec<String> = Vec::new();
        for _ in 0..members {
            let (id, _) = bench.join_new();
            for old in &ids {
                drop(bench.join(dynamic(old)));
            }
            ids.push(id);
        }
        bench.assign(&ids);
        (bench, ids)
    }

    /// All sync, the leader with an assignment for everybody.
    pub(super) fn assign(&mut self, ids: &[String]) {
        let leader = self.group.leader.clone().unwrap();
        let texts: Vec<String> = ids.iter().map(|id| format!("for {id}")).collect();
        let pairs: Vec<(&str, &str)> = ids
            .iter()
            .map(String::as_str)
            .zip(texts.iter().map(String::as_str))
            .collect();
        let mut answers: Vec<_> = ids
            .iter()
            .filter(|id| **id != leader)
            .map(|id| self.sync(id, &[]))
            .collect();
        answers.push(self.sync(&leader, &pairs));
        self.store();
        for answer in &mut answers {
            assert_eq!(answer.get().error_code, 0);
        }
    }
}

pub(super) fn claim(id: &str, generation: i32) -> Claim {
    Claim {
        member_id: id.to_owned(),
        instance_id: None,
        generation,
    }
}

pub(super) fn protocol(name: &str, metadata: &str) -> Protocol {
    Protocol {
        name: name.to_owned(),
        metadata: metadata.to_owned().into(),
    }
}

pub(super) fn dynamic(id: &str) -> Join {
    Join {
        version: 7,
        client: ClientInfo {
            id: "client".to_owned(),
            host: "/127.0.0.1".to_owned(),
        },
        member_id: id.to_owned(),
        instance_id: None,
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol("range", "topics")],
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
    }
}

pub(super) fn of_instance(instance: &str, id: &str) -> Join {
    Join {
        instance_id: Some(instance.to_owned()),
        ..dynamic(id)
    }
}

pub(super) fn error(code: i16) -> Option<ResponseError> {
    ResponseError::try_from_code(code)
}
