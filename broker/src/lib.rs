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

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};

pub use self::{
    config::{Advertised, BrokerConfig, Limits},
    topics::settings::TopicSettings,
};
use self::{
    data::Data,
    group::{Coordinator, CoordinatorConfig},
    journal::{Changes, Journal, JournalError},
    net::ROOM_UNIT,
    node::Node,
    producer_ids::ProducerIds,
    topics::Topics,
};

/// Where the logs are, within the data folder.
pub(crate) const LOGS_FOLDER: &str = "logs";

/// How long answers under way may take when the broker stops.
const GRACE: Duration = Duration::from_secs(5);

/// How often a journal that could not be written is tried again.
const MARK_INTERVAL: Duration = Duration::from_secs(1);

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
    ending: Ending,
    data: Data,
    tasks: TaskTracker,
}

/// Ends everything at work, so that a broker that is dropped lets go of its folder.
struct Ending(Arc<Node>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.stop.cancel();
        self.0.cut_off.cancel();
        self.0.coordinator.stop();
    }
}

/// What says in the journal that this run is under way.
struct Mark {
    node: Arc<Node>,
    journal: Journal,
    changes: Changes,
}

impl Mark {
    async fn set(&self) -> Result<(), JournalError> {
        self.journal.put(self.changes.clone()).await?;
        self.node.is_marked.store(true, Ordering::Release);
        Ok(())
    }

    /// Tries again when the disk was full at the start; and later too, when the last write failed, or
    /// nobody would learn that the disk is well again before the next commit.
    async fn keep(self) {
        let rest = || sleep(MARK_INTERVAL);
        while self.node.stop.run_until_cancelled(rest()).await.is_some() {
            let is_marked = self.node.is_marked.load(Ordering::Acquire);
            if (!is_marked || self.journal.trouble().is_some())
                && let Err(cause) = self.set().await
            {
                debug!(%cause, "the journal still cannot be written");
            }
        }
    }
}

impl Broker {
    /// Opens the data folder and listens; clients are served when this returns.
    pub async fn start(config: BrokerConfig) -> Result<Self, StartError> {
        let address = config.listen;
        let path = config.data.clone();
        let listen = |cause| StartError::Listen { address, cause };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;

        let opening = config.clone();
        let opened = spawn_blocking(move || open(&opening)).await;
        let (data, topics, entries) = opened.expect("opening the data does not panic")?;

        let node = Arc::new(node(config, &data, topics, &entries));
        let ending = Ending(Arc::clone(&node));
        let mark = Mark {
            node: Arc::clone(&node),
            journal: data.journal.clone(),
            changes: data.mark_open(),
        };
        if let Err(cause) = mark.set().await {
            // A folder that never was in use says nothing yet, so there is nothing to go on from.
            if data.is_fresh {
                return Err(StartError::Data {
                    path,
                    cause: io::Error::other(cause),
                });
            }
            warn!("starting without taking records until the journal can be written");
        }
        node.coordinator.forget_offsets_of_lost_topics().await;
        let tasks = TaskTracker::new();
        tasks.spawn(mark.keep());
        tasks.spawn(net::accept(listener, node, tasks.clone()));
        let data_folder = path.display();
        info!(%addr, data = %data_folder, "broker is ready");
        Ok(Self {
            addr,
            ending,
            data,
            tasks,
        })
    }

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Why records, commits or topics cannot be written at the moment, if so: a full disk, most often.
    pub fn disk_trouble(&self) -> Option<String> {
        let of_logs = self.data.store.disk_trouble();
        of_logs.or_else(|| self.data.journal.trouble())
    }

    /// Answers what is under way, puts everything on the disk, and marks the folder as closed well.
    pub async fn close(self) {
        let Self {
            ending,
            data,
            tasks,
            ..
        } = self;
        ending.0.stop.cancel();
        ending.0.coordinator.close().await;
        tasks.close();
        if timeout(GRACE, tasks.wait()).await.is_err() {
            warn!("some clients were cut off in the middle of a request");
            ending.0.cut_off.cancel();
            tasks.wait().await;
        }
        drop(ending);
        if let Err(cause) = data.close().await {
            warn!(%cause, "the data folder was not closed well; the next start checks it");
        }
    }
}

type Entries = BTreeMap<String, Value>;

/// Everything durable. Blocking.
fn open(config: &BrokerConfig) -> Result<(Data, Topics, Entries), StartError> {
    let (data, entries) = Data::open(config)?;
    let topics = Topics::load(config, &data, &entries);
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
        is_marked: AtomicBool::new(false),
        stop: CancellationToken::new(),
        cut_off: CancellationToken::new(),
        topics,
        config,
    }
}

#[cfg(test)]
#[path = "broker_tests.rs"]
mod tests;
