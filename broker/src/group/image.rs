//! How a group looks in the journal, and back. Members are kept with the generation they are in, so
//! that after a restart they go on heartbeating as if nothing had happened.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ClientInfo;
use super::member::{Member, Now, Protocol};
use super::state::{Group, GroupRules, State, Storing};

#[derive(Serialize, Deserialize)]
struct GroupImage {
    generation: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader: Option<String>,
    since_ms: i64,
    members: Vec<MemberImage>,
}

#[derive(Serialize, Deserialize)]
struct MemberImage {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
    client_id: String,
    host: String,
    session_timeout_ms: u64,
    rebalance_timeout_ms: u64,
    /// Names and hexadecimal metadata, in the client's order of preference.
    protocols: Vec<(String, String)>,
    /// Hexadecimal.
    assignment: String,
}

impl Group {
    /// The write that is due, if any: its number and what goes into the journal.
    pub(super) fn take_write(&mut self) -> Option<(u64, Value)> {
        std::mem::take(&mut self.unwritten).then(|| (self.last_write, self.image()))
    }

    fn image(&self) -> Value {
        // The assignment that is being stored is what the image is about.
        let fresh = self
            .storing
            .values()
            .rev()
            .find_map(|storing| match storing {
                Storing::Assignments { by_member, .. } if self.state == State::Completing => {
                    Some(by_member)
                }
                Storing::Assignments { .. } | Storing::StaticReplacement { .. } => None,
            });
        let members = self
            .members
            .iter()
            .map(|(id, member)| member_image(id, member, fresh));
        let image = GroupImage {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            since_ms: self.state_since_ms,
            members: members.collect(),
        };
        serde_json::to_value(image).expect("strings and numbers are always JSON")
    }

    pub(super) fn from_image(
        id: String,
        image: Value,
        rules: GroupRules,
        now: Now,
    ) -> Result<Self, serde_json::Error> {
        let image: GroupImage = serde_json::from_value(image)?;
        let mut group = Self::new(id, rules, now);
        for member in image.members {
            let (member_id, member) = restored_member(member, now)?;
            group.add(
                member_id,
                member,
                image.protocol_type.clone().unwrap_or_default(),
            );
        }
        group.state = if group.members.is_empty() {
            State::Empty
        } else {
            State::Stable
        };
        group.state_since_ms = image.since_ms;
        group.generation = image.generation;
        group.protocol_type = image.protocol_type;
        group.protocol = image.protocol;
        group.leader = image
            .leader
            .filter(|leader| group.members.contains_key(leader));
        group.subscribed_topics = group.find_subscribed_topics();
        Ok(group)
    }
}

fn member_image(id: &str, member: &Member, fresh: Option<&BTreeMap<String, Bytes>>) -> MemberImage {
    let assignment = match fresh {
        Some(assignments) => assignments.get(id).cloned().unwrap_or_default(),
        None => member.assignment.clone(),
    };
    let as_text = |protocol: &Protocol| (protocol.name.clone(), to_hex(&protocol.metadata));
    MemberImage {
        id: id.to_owned(),
        instance_id: member.instance_id.clone(),
        client_id: member.client.id.clone(),
        host: member.client.host.clone(),
        session_timeout_ms: member.session_timeout.as_millis() as u64,
        rebalance_timeout_ms: member.rebalance_timeout.as_millis() as u64,
        protocols: member.protocols.iter().map(as_text).collect(),
        assignment: to_hex(&assignment),
    }
}

fn restored_member(image: MemberImage, now: Now) -> Result<(String, Member), serde_json::Error> {
    let session_timeout = Duration::from_millis(image.session_timeout_ms);
    let mut protocols = Vec::new();
    for (name, metadata) in image.protocols {
        protocols.push(Protocol {
            name,
            metadata: from_hex(&metadata)?,
        });
    }
    let member = Member {
        instance_id: image.instance_id,
        client: ClientInfo {
            id: image.client_id,
            host: image.host,
        },
        protocols,
        session_timeout,
        rebalance_timeout: Duration::from_millis(image.rebalance_timeout_ms),
        assignment: from_hex(&image.assignment)?,
        join_waiter: None,
        sync_waiter: None,
        session_deadline: now.tick + session_timeout,
        first_join_deadline: None,
    };
    Ok((image.id, member))
}

fn to_hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).expect("four bits are a digit");
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)])
        .collect()
}

fn from_hex(text: &str) -> Result<Bytes, serde_json::Error> {
    let damaged = || <serde_json::Error as serde::de::Error>::custom("damaged hexadecimal");
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| digit.to_digit(16).map(|value| value as u8))
        .collect();
    let digits = digits
        .filter(|digits| digits.len() % 2 == 0)
        .ok_or_else(damaged)?;
    Ok(digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect())
}

/// Journal keys. A group id may hold anything, so the separator is escaped in it.
pub(super) fn group_key(group: &str) -> String {
    format!("group/{}", escape(group))
}

pub(super) fn group_of_key(key: &str) -> Option<String> {
    key.strip_prefix("group/").map(unescape)
}

pub(super) fn offset_key(group: &str, topic: &str, partition: i32) -> String {
    format!("offset/{}/{}/{partition}", escape(group), escape(topic))
}

pub(super) fn offset_of_key(key: &str) -> Option<(String, String, i32)> {
    let mut parts = key.strip_prefix("offset/")?.split('/');
    let (group, topic) = (unescape(parts.next()?), unescape(parts.next()?));
    let partition = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some((group, topic, partition))
}

fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F")
}

fn unescape(text: &str) -> String {
    text.replace("%2F", "/").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_whatever_the_group_is_called() {
        let mut seen = std::collections::BTreeSet::new();
        for group in ["g", "a/b", "a%2Fb", "%", "%25", "", "ü/\n"] {
            for topic in ["t", "t/0", "%2F"] {
                let key = offset_key(group, topic, 7);
                let back = offset_of_key(&key).unwrap();
                assert_eq!(back, (group.to_owned(), topic.to_owned(), 7));
                assert!(seen.insert(key));
            }
            assert_eq!(group_of_key(&group_key(group)).unwrap(), group);
        }
    }

    #[test]
    fn hexadecimal_goes_there_and_back() {
        let bytes: Bytes = (0..=255).collect();
        assert_eq!(from_hex(&to_hex(&bytes)).unwrap(), bytes);
        assert!(from_hex("0").is_err());
        assert!(from_hex("0g").is_err());
    }
}
