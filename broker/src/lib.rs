//! Kafka's protocol on one machine: a small durable broker that `kadr up` embeds.
//!
//! Layout, in the order of a request: `net` reads it off a connection under every bound, `wire`
//! knows its bytes, `api` works on it, `topics`, `log` and `group` hold what it asks about, and
//! `journal` keeps what is not records. [`Broker::start`] puts them together.
//!
//! For one machine only: there is no replication, and no transactions, compaction or security.
//! Past one machine the same services talk to Apache Kafka.

mod api;
mod buffer;
mod config;
mod data;
#[cfg(fuzzing)]
pub mod fuzzing;
mod group;
mod journal;
mod log;
mod net;
mod node;
mod producer_ids;
mod topics;
mod wire;

use std::{collections::BTreeMap, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{net::TcpListener, sync::Semaphore, task::spawn_blocking, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

pub use self::{
    config::{Advertised, BrokerConfig, Limits},
    topics::settings::TopicSettings,
};
use self::{
    data::Data,
    group::{Coordinator, CoordinatorConfig},
    journal::JournalError,
    net::ROOM_UNIT,
    node::Node,
    producer_ids::ProducerIds,
    topics::Topics,
};

/// Where the logs are, within the data folder.
pub(crate) const LOGS_FOLDER: &str = "logs";

/// How long answers under way may take when the broker stops.
const GRACE: Duration = Duration::from_secs(5);

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process has the data folder.
    #[error("{} is in use by another broker: stop that one, or name another folder", .0.display())]
    InUse(PathBuf),
    /// The data folder cannot be used.
    #[error("the data folder {} cannot be used: {cause}", path.display())]
    Data {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {cause}; name another address, or port 0 for a free one")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
}

/// A running broker. Dropped without [`Broker::close`] it is as if it had been killed: what was
/// acknowledged is safe, and the next start checks the ends of the logs.
pub struct Broker {
    addr: SocketAddr,
    node: Arc<Node>,
    data: Data,
    tasks: TaskTracker,
}

impl Broker {
    /// Opens the data folder and listens; clients are served when this returns.
    pub async fn start(config: BrokerConfig) -> Result<Self, StartError> {
        let address = config.listen;
        let listen = |cause| StartError::Listen { address, cause };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;

        let opening = config.clone();
        let opened = spawn_blocking(move || open(&opening)).await;
        let (data, topics, entries) = opened.expect("opening the data does not panic")?;
        let unusable = |cause: JournalError| StartError::Data {
            path: config.data.clone(),
            cause: io::Error::other(cause.to_string()),
        };
        data.mark_open().await.map_err(unusable)?;

        let node = Arc::new(node(config, &data, topics, &entries));
        let tasks = TaskTracker::new();
        let accepting = net::accept(
            listener,
            Arc::clone(&node),
            node.stop.clone(),
            tasks.clone(),
        );
        tasks.spawn(accepting);
        info!(%addr, data = %node.config.data.display(), "broker is ready");
        Ok(Self {
            addr,
            node,
            data,
            tasks,
        })
    }

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Why records cannot be written at the moment, if so: a full disk, most often.
    pub fn disk_trouble(&self) -> Option<String> {
        self.data.store.disk_trouble()
    }

    /// Answers what is under way, puts everything on the disk, and marks the folder as closed well.
    pub async fn close(self) {
        self.node.stop.cancel();
        self.node.coordinator.close().await;
        self.tasks.close();
        if timeout(GRACE, self.tasks.wait()).await.is_err() {
            warn!("some clients were cut off in the middle of a request");
        }
        let Self { node, data, .. } = self;
        drop(node);
        if let Err(cause) = data.close().await {
            warn!(%cause, "the data folder was not closed well; the next start checks it");
        }
    }
}

type Entries = BTreeMap<String, Value>;

/// Everything durable. Blocking.
fn open(config: &BrokerConfig) -> Result<(Data, Topics, Entries), StartError> {
    let (data, entries) = Data::open(config)?;
    let store = Arc::clone(&data.store);
    let topics = Topics::load(config, store, data.journal.clone(), &entries);
    let topics = topics.map_err(|cause| StartError::Data {
        path: config.data.clone(),
        cause,
    })?;
    Ok((data, topics, entries))
}

fn node(config: BrokerConfig, data: &Data, topics: Topics, entries: &Entries) -> Node {
    let room = |bytes: usize| Arc::new(Semaphore::new(bytes.div_ceil(ROOM_UNIT)));
    let topics = Arc::new(topics);
    let known = Arc::clone(&topics);
    let exists = move |topic: &str, partition| known.partition(topic, partition).is_some();
    let coordinator = CoordinatorConfig {
        initial_rebalance_delay: config.group_initial_delay,
        ..CoordinatorConfig::new(Arc::new(exists))
    };
    let producer_ids = entries.get(producer_ids::KEY);
    Node {
        cluster_id: data.identity.cluster_id.clone(),
        leader_epoch: data.identity.leader_epoch,
        coordinator: Coordinator::new(data.journal.clone(), coordinator, entries),
        producer_ids: ProducerIds::new(data.journal.clone(), producer_ids),
        requests_room: room(config.limits.requests_bytes),
        fetches_room: room(config.limits.fetches_bytes),
        stop: CancellationToken::new(),
        topics,
        config,
    }
}
