//! `Fetch`: whole batches out of the log, waiting for them when there are none.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::future::select_all;
use kafka_protocol::{
    error::ResponseError,
    messages::{FetchRequest, fetch_request::FetchPartition},
};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use super::{RequestError, decode, delete_records::read_code};
use crate::{
    log::Log,
    net::ROOM_UNIT,
    node::Node,
    topics::Topic,
    wire::{
        Answer,
        fetch::{Fetched, FetchedPartition, FetchedTopic},
        header::Request,
    },
};

/// The longest a consumer may ask to wait for records.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Only full fetches carry this epoch or -1; others go on with a session, and there are none.
const FIRST_EPOCH: i32 = 0;

/// One partition asked for, and where it stands in the answer.
#[derive(Clone)]
struct Wanted {
    topic: usize,
    index: i32,
    offset: i64,
    max_bytes: usize,
    /// The log, or why there is none to read.
    log: Result<Log, ResponseError>,
}

/// What is asked for, resolved.
#[derive(Clone)]
struct Plan {
    topics: Vec<String>,
    wanted: Vec<Wanted>,
    max_bytes: usize,
    min_bytes: usize,
    /// The most that one read may bring: the first batch comes whole, however little is asked for.
    room_bytes: usize,
}

/// Answers when there are records enough, when something is wrong, or when the time is up.
pub(super) async fn fetch(node: &Arc<Node>, request: &Request) -> Result<Answer, RequestError> {
    let body: FetchRequest = decode(request)?;
    if body.session_epoch > FIRST_EPOCH {
        let fetched = Fetched {
            error_code: ResponseError::FetchSessionIdNotFound.code(),
            topics: Vec::new(),
        };
        return Ok(fetched.into_answer(request.version, request.correlation_id));
    }
    let wait = Duration::from_millis(u64::try_from(body.max_wait_ms).unwrap_or(0)).min(MAX_WAIT);
    let deadline = Instant::now() + wait;
    let plan = Arc::new(plan(node, body));
    let mut is_last = false;
    loop {
        // Watched before reading: what arrives in between is not missed.
        let mut changes = watch_all(&plan);
        let read = read(node, &plan).await;
        if is_last || changes.is_empty() || read.is_enough(&plan) {
            let fetched = arrange(&plan, read.partitions);
            let mut answer = fetched.into_answer(request.version, request.correlation_id);
            answer.room = read.room;
            return Ok(answer);
        }
        // What was read is dropped while waiting: many may wait, and their memory is bounded.
        drop(read);
        is_last = !wait_for_more(node, &mut changes, deadline).await;
    }
}

/// What was read, and the room it takes.
struct ReadAll {
    partitions: Vec<FetchedPartition>,
    room: Option<OwnedSemaphorePermit>,
}

impl ReadAll {
    fn bytes(&self) -> usize {
        self.partitions.iter().map(|part| part.records.len()).sum()
    }

    fn is_enough(&self, plan: &Plan) -> bool {
        let has_error = self.partitions.iter().any(|part| part.error_code != 0);
        has_error || self.bytes() >= plan.min_bytes
    }
}

fn plan(node: &Node, request: FetchRequest) -> Plan {
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut wanted = Vec::new();
    let mut largest_batch_bytes = 0;
    for topic in request.topics {
        let known = node.topics.get(&topic.topic);
        if let Some(known) = &known {
            largest_batch_bytes = largest_batch_bytes.max(known.settings.for_log().max_batch_bytes);
        }
        for partition in topic.partitions {
            wanted.push(Wanted {
                topic: topics.len(),
                index: partition.partition,
                offset: partition.fetch_offset,
                max_bytes: usize::try_from(partition.partition_max_bytes).unwrap_or(0),
                log: find(node, known.as_deref(), &partition),
            });
        }
        topics.push(topic.topic.to_string());
    }
    let limits = &node.config.limits;
    let max_bytes = usize::try_from(request.max_bytes).unwrap_or(0);
    let max_bytes = max_bytes.min(limits.fetch_bytes);
    Plan {
        topics,
        wanted,
        max_bytes,
        room_bytes: max_bytes.max(largest_batch_bytes).min(limits.fetches_bytes),
        min_bytes: usize::try_from(request.min_bytes).unwrap_or(0),
    }
}

fn find(
    node: &Node,
    topic: Option<&Topic>,
    partition: &FetchPartition,
) -> Result<Log, ResponseError> {
    let index = usize::try_from(partition.partition).ok();
    let log = index.and_then(|index| topic?.partitions.get(index));
    let log = log.ok_or(ResponseError::UnknownTopicOrPartition)?;
    check_epoch(node, partition.current_leader_epoch)?;
    Ok(log.clone())
}

/// A client that knows another epoch has old metadata, or newer ones than ours.
pub(super) fn check_epoch(node: &Node, client_epoch: i32) -> Result<(), ResponseError> {
    match client_epoch {
        -1 => Ok(()),
        epoch if epoch < node.leader_epoch => Err(ResponseError::FencedLeaderEpoch),
        epoch if epoch > node.leader_epoch => Err(ResponseError::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

fn watch_all(plan: &Plan) -> Vec<watch::Receiver<i64>> {
    let logs = plan
        .wanted
        .iter()
        .filter_map(|wanted| wanted.log.as_ref().ok());
    logs.map(Log::watch).collect()
}

/// Whether it is worth reading again: something changed in time.
async fn wait_for_more(
    node: &Node,
    changes: &mut [watch::Receiver<i64>],
    deadline: Instant,
) -> bool {
    let any = select_all(changes.iter_mut().map(|change| Box::pin(change.changed())));
    let changed = node.stop.run_until_cancelled(timeout_at(deadline, any));
    matches!(changed.await, Some(Ok(_)))
}

/// Reads all partitions, off the async threads when there is something to read.
async fn read(node: &Node, plan: &Arc<Plan>) -> ReadAll {
    let is_news = |wanted: &Wanted| match &wanted.log {
        Ok(log) => log.offsets().high_watermark != wanted.offset,
        Err(_) => false,
    };
    if !plan.wanted.iter().any(is_news) {
        return ReadAll {
            partitions: read_all(plan),
            room: None,
        };
    }
    // Room is taken for the most that may be read, and what is not needed given back at once.
    let units = |bytes: usize| u32::try_from(bytes.div_ceil(ROOM_UNIT)).unwrap_or(u32::MAX);
    let acquired = Arc::clone(&node.fetches_room).acquire_many_owned(units(plan.room_bytes));
    let mut room = acquired.await.expect("the semaphore is never closed");
    let plan = Arc::clone(plan);
    let partitions = spawn_blocking(move || read_all(&plan))
        .await
        .expect("reading does not panic");
    let mut read = ReadAll {
        partitions,
        room: None,
    };
    let unused = room
        .num_permits()
        .saturating_sub(units(read.bytes()) as usize);
    drop(room.split(unused));
    read.room = Some(room);
    read
}

fn read_all(plan: &Plan) -> Vec<FetchedPartition> {
    let mut room = plan.max_bytes;
    let mut partitions = Vec::with_capacity(plan.wanted.len());
    let mut at_least_one = true;
    for wanted in &plan.wanted {
        let partition = read_one(wanted, room, at_least_one);
        if !partition.records.is_empty() {
            // A batch beyond all bounds goes alone, or its consumer would be stuck before it.
            at_least_one = false;
            room = room.saturating_sub(partition.records.len());
        }
        partitions.push(partition);
    }
    partitions
}

fn read_one(wanted: &Wanted, room: usize, at_least_one: bool) -> FetchedPartition {
    let failed = |error: ResponseError| FetchedPartition {
        index: wanted.index,
        error_code: error.code(),
        high_watermark: -1,
        log_start: -1,
        ..FetchedPartition::default()
    };
    let log = match &wanted.log {
        Ok(log) => log,
        Err(error) => return failed(*error),
    };
    match log.read(wanted.offset, wanted.max_bytes.min(room), at_least_one) {
        Ok(read) => FetchedPartition {
            index: wanted.index,
            error_code: 0,
            high_watermark: read.high_watermark,
            log_start: read.log_start,
            records: read.records,
        },
        Err(cause) => failed(read_code(&cause)),
    }
}

/// Puts the partitions back under their topics, in the order asked.
fn arrange(plan: &Plan, partitions: Vec<FetchedPartition>) -> Fetched {
    let mut by_topic: HashMap<usize, Vec<FetchedPartition>> = HashMap::new();
    for (wanted, partition) in plan.wanted.iter().zip(partitions) {
        by_topic.entry(wanted.topic).or_default().push(partition);
    }
    let topics = plan
        .topics
        .iter()
        .enumerate()
        .map(|(index, name)| FetchedTopic {
            name: name.clone(),
            partitions: by_topic.remove(&index).unwrap_or_default(),
        });
    Fetched {
        error_code: 0,
        topics: topics.collect(),
    }
}
