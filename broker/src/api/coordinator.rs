//! `FindCoordinator`: every group is coordinated here, no transaction is.

use kafka_protocol::{
    error::ResponseError,
    messages::{
        FindCoordinatorRequest, FindCoordinatorResponse, find_coordinator_response::Coordinator,
    },
    protocol::StrBytes,
};

use super::Refusal;
use crate::{
    net::Ends,
    node::{NODE_ID, Node},
};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
/// From here on a request names several keys.
const MANY_KEYS: i16 = 4;

/// This broker for groups; a refusal for anything else.
pub(super) fn find(
    node: &Node,
    ends: Ends,
    request: FindCoordinatorRequest,
    version: i16,
) -> FindCoordinatorResponse {
    let (host, port) = node.address_for(ends);
    let host = StrBytes::from_string(host);
    let port = i32::from(port);
    let refusal = refusal(request.key_type);
    if version >= MANY_KEYS {
        let coordinators = request.coordinator_keys.into_iter().map(|key| {
            let coordinator = Coordinator::default().with_key(key);
            match &refusal {
                None => coordinator
                    .with_error_message(None)
                    .with_node_id(NODE_ID)
                    .with_host(host.clone())
                    .with_port(port),
                Some(refusal) => coordinator
                    .with_node_id((-1).into())
                    .with_port(-1)
                    .with_error_code(refusal.code)
                    .with_error_message(refusal.message.clone()),
            }
        });
        return FindCoordinatorResponse::default().with_coordinators(coordinators.collect());
    }
    match refusal {
        None => FindCoordinatorResponse::default()
            .with_error_message(None)
            .with_node_id(NODE_ID)
            .with_host(host)
            .with_port(port),
        Some(refusal) => FindCoordinatorResponse::default()
            .with_node_id((-1).into())
            .with_port(-1)
            .with_error_code(refusal.code)
            .with_error_message(refusal.message),
    }
}

/// The code is the one on which both librdkafka and the Java client give up at once and say so.
fn refusal(key_type: i8) -> Option<Refusal> {
    match key_type {
        GROUP => None,
        TRANSACTION => Some(Refusal::new(
            ResponseError::TransactionalIdAuthorizationFailed,
            "this broker has no transactions; Apache Kafka has",
        )),
        other => Some(Refusal::new(
            ResponseError::InvalidRequest,
            format!("no coordinator of type {other}"),
        )),
    }
}
