//! What every request handler works with.

use std::sync::{Arc, atomic::AtomicBool};

use kafka_protocol::messages::BrokerId;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    config::BrokerConfig, group::Coordinator, net::Ends, producer_ids::ProducerIds, topics::Topics,
};

/// The only broker there is.
pub(crate) const NODE_ID: BrokerId = BrokerId(1);

/// A running broker, as its connections see it.
pub(crate) struct Node {
    pub(crate) config: BrokerConfig,
    pub(crate) cluster_id: String,
    /// Counts the starts after which records may be missing that were never flushed.
    pub(crate) leader_epoch: i32,
    pub(crate) topics: Arc<Topics>,
    pub(crate) coordinator: Coordinator,
    pub(crate) producer_ids: ProducerIds,
    /// Room for requests, in units of [`crate::net::ROOM_UNIT`].
    pub(crate) requests_room: Arc<Semaphore>,
    /// Room for records read for answers, in the same units.
    pub(crate) fetches_room: Arc<Semaphore>,
    /// Whether the journal says that this run is under way. Until then no record may be written: after
    /// a crash the next start would trust the ends of the logs.
    pub(crate) is_marked: AtomicBool,
    /// No further request is read, and long polls end.
    pub(crate) stop: CancellationToken,
    /// Ends connections wherever they are.
    pub(crate) cut_off: CancellationToken,
}

impl Node {
    /// Where a client that came in through `ends` finds this broker.
    pub(crate) fn address_for(&self, ends: Ends) -> (String, u16) {
        match &self.config.advertised {
            Some(advertised) => (advertised.host.clone(), advertised.port),
            None => (
                ends.reached_at.ip().to_canonical().to_string(),
                ends.reached_at.port(),
            ),
        }
    }
}
