//! `OffsetFetch`: for one group up to version 7, for several from version 8 on.

use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::offsets::Committed;
use super::responses::text;
use super::shell::{Book, Coordinator};

const FIRST_VERSION_WITH_GROUPS: i16 = 8;

/// A topic and the partitions asked for, or all topics with something committed.
type Asked = Option<Vec<(TopicName, Vec<i32>)>>;

struct Found {
    topic: TopicName,
    partitions: Vec<(i32, Option<Committed>)>,
}

impl Coordinator {
    #[expect(
        clippy::unused_async,
        reason = "all requests are answered through the same kind of call"
    )]
    pub(crate) async fn offset_fetch(
        &self,
        request: OffsetFetchRequest,
        version: i16,
    ) -> OffsetFetchResponse {
        let book = self.shared.book();
        if version >= FIRST_VERSION_WITH_GROUPS {
            let groups = request
                .groups
                .into_iter()
                .map(|group| fetch_group(&book, group));
            return OffsetFetchResponse::default().with_groups(groups.collect());
        }
        let asked: Asked = request.topics.map(|topics| {
            topics
                .into_iter()
                .map(|topic| (topic.name, topic.partition_indexes))
                .collect()
        });
        let found = find(&book, &request.group_id, asked);
        OffsetFetchResponse::default().with_topics(found.into_iter().map(topic_answer).collect())
    }
}

fn fetch_group(book: &Book, request: OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    let asked: Asked = request.topics.map(|topics| {
        topics
            .into_iter()
            .map(|topic| (topic.name, topic.partition_indexes))
            .collect()
    });
    let found = find(book, &request.group_id, asked);
    OffsetFetchResponseGroup::default()
        .with_group_id(request.group_id)
        .with_topics(found.into_iter().map(group_topic_answer).collect())
}

/// An unknown group has committed nothing, which is no error.
fn find(book: &Book, group: &str, asked: Asked) -> Vec<Found> {
    let Some(asked) = asked else {
        return find_all(book, group);
    };
    let find_topic = |(topic, partitions): (TopicName, Vec<i32>)| {
        let one = |partition| {
            (
                partition,
                book.offsets.get(group, &topic, partition).cloned(),
            )
        };
        let partitions = partitions.into_iter().map(one).collect();
        Found { topic, partitions }
    };
    asked.into_iter().map(find_topic).collect()
}

fn find_all(book: &Book, group: &str) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for (topic, partition, committed) in book.offsets.of_group(group) {
        let entry = (partition, Some(committed.clone()));
        match found.last_mut() {
            Some(last) if last.topic.as_str() == topic => last.partitions.push(entry),
            _ => found.push(Found {
                topic: TopicName(text(topic)),
                partitions: vec![entry],
            }),
        }
    }
    found
}

fn topic_answer(found: Found) -> OffsetFetchResponseTopic {
    let one = |(index, committed): (i32, Option<Committed>)| {
        let partition = OffsetFetchResponsePartition::default().with_partition_index(index);
        match committed {
            None => partition
                .with_committed_offset(-1)
                .with_metadata(Some(StrBytes::default())),
            Some(committed) => partition
                .with_committed_offset(committed.offset)
                .with_committed_leader_epoch(committed.leader_epoch)
                .with_metadata(Some(text(&committed.metadata))),
        }
    };
    OffsetFetchResponseTopic::default()
        .with_name(found.topic)
        .with_partitions(found.partitions.into_iter().map(one).collect())
}

fn group_topic_answer(found: Found) -> OffsetFetchResponseTopics {
    let one = |(index, committed): (i32, Option<Committed>)| {
        let partition = OffsetFetchResponsePartitions::default().with_partition_index(index);
        match committed {
            None => partition
                .with_committed_offset(-1)
                .with_metadata(Some(StrBytes::default())),
            Some(committed) => partition
                .with_committed_offset(committed.offset)
                .with_committed_leader_epoch(committed.leader_epoch)
                .with_metadata(Some(text(&committed.metadata))),
        }
    };
    OffsetFetchResponseTopics::default()
        .with_name(found.topic)
        .with_partitions(found.partitions.into_iter().map(one).collect())
}
