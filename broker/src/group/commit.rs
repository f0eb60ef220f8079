//! The coordinator's answers about offsets: `OffsetCommit`, `OffsetFetch`, `OffsetDelete`.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
};
use tokio::sync::oneshot;

use super::member::Now;
use super::offsets::{Committed, OffsetKey};
use super::responses::code;
use super::shell::{Book, Coordinator};
use super::state::{Group, State};
use super::sync::Claim;
use super::writer::{Forget, Write};

type Entries = Vec<(OffsetKey, Committed)>;

impl Coordinator {
    pub(crate) async fn offset_commit(&self, request: OffsetCommitRequest) -> OffsetCommitResponse {
        let now = self.shared.now();
        let (mut response, entries) = self.check_partitions(&request, now);
        // As with Kafka: the group is asked only about topics that exist.
        let unknown = ResponseError::UnknownTopicOrPartition.code();
        let is_known = |partition: &OffsetCommitResponsePartition| partition.error_code != unknown;
        if !response
            .topics
            .iter()
            .any(|topic| topic.partitions.iter().any(is_known))
        {
            return response;
        }
        if let Err(error) = self.commit(&request, entries, now).await {
            for topic in &mut response.topics {
                for partition in topic.partitions.iter_mut().filter(|one| is_known(one)) {
                    partition.error_code = error.code();
                }
            }
        }
        response
    }

    fn check_partitions(
        &self,
        request: &OffsetCommitRequest,
        now: Now,
    ) -> (OffsetCommitResponse, Entries) {
        let mut entries = Entries::new();
        let mut response = OffsetCommitResponse::default();
        for topic in &request.topics {
            let mut answered = OffsetCommitResponseTopic::default().with_name(topic.name.clone());
            for partition in &topic.partitions {
                let key = OffsetKey {
                    group: request.group_id.to_string(),
                    topic: topic.name.to_string(),
                    partition: partition.partition_index,
                };
                let error = self.check_partition(&key, partition);
                answered.partitions.push(
                    OffsetCommitResponsePartition::default()
                        .with_partition_index(partition.partition_index)
                        .with_error_code(error.map_or(0, |error| error.code())),
                );
                if error.is_none() {
                    entries.push((key, committed(request, partition, now)));
                }
            }
            response.topics.push(answered);
        }
        (response, entries)
    }

    fn check_partition(
        &self,
        key: &OffsetKey,
        partition: &OffsetCommitRequestPartition,
    ) -> Option<ResponseError> {
        let config = &self.shared.config;
        if !(config.topic_exists)(&key.topic, key.partition) {
            return Some(ResponseError::UnknownTopicOrPartition);
        }
        let metadata_bytes = partition
            .committed_metadata
            .as_ref()
            .map_or(0, |text| text.len());
        (metadata_bytes > config.max_offset_metadata_bytes)
            .then_some(ResponseError::OffsetMetadataTooLarge)
    }

    async fn commit(
        &self,
        request: &OffsetCommitRequest,
        entries: Entries,
        now: Now,
    ) -> Result<(), ResponseError> {
        let permit = self.shared.permit().await?;
        let (done, answer) = oneshot::channel();
        {
            let mut book = self.shared.book();
            self.admit_commit(&mut book, request, now)?;
            if entries.is_empty() {
                return Ok(());
            }
            permit.send(Write::Offsets { entries, done });
        }
        answer
            .await
            .unwrap_or(Err(ResponseError::CoordinatorNotAvailable))
    }

    fn admit_commit(
        &self,
        book: &mut Book,
        request: &OffsetCommitRequest,
        now: Now,
    ) -> Result<(), ResponseError> {
        let claim = Claim {
            member_id: request.member_id.to_string(),
            instance_id: request.group_instance_id.as_ref().map(ToString::to_string),
            generation: request.generation_id_or_member_epoch,
        };
        let group_id = request.group_id.as_str();
        if let Some(group) = book.groups.get_mut(group_id) {
            return group.admit_commit(&claim, now);
        }
        if claim.generation >= 0 {
            return Err(ResponseError::IllegalGeneration);
        }
        if book.groups.len() >= self.shared.config.max_groups {
            tracing::warn!(
                group = group_id,
                "too many groups: delete some, or raise the limit"
            );
            return Err(ResponseError::GroupMaxSizeReached);
        }
        let mut simple = Group::new(group_id.to_owned(), self.shared.rules(), now);
        simple.admit_commit(&claim, now)?;
        book.groups.insert(group_id.to_owned(), simple);
        Ok(())
    }

    pub(crate) async fn offset_delete(&self, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
        let (response, doomed) = match self.check_delete(&request) {
            Ok(checked) => checked,
            Err(error) => return OffsetDeleteResponse::default().with_error_code(error.code()),
        };
        match self.shared.forget(Forget::Offsets(doomed)).await {
            Ok(()) => response,
            Err(error) => OffsetDeleteResponse::default().with_error_code(error.code()),
        }
    }

    fn check_delete(
        &self,
        request: &OffsetDeleteRequest,
    ) -> Result<(OffsetDeleteResponse, Vec<OffsetKey>), ResponseError> {
        let book = self.shared.book();
        let group = find_group(&book, &request.group_id)?;
        if group.state != State::Empty && !group.uses_consumer_protocol() {
            return Err(ResponseError::NonEmptyGroup);
        }
        let mut doomed = Vec::new();
        let mut response = OffsetDeleteResponse::default();
        for topic in &request.topics {
            let mut answered = OffsetDeleteResponseTopic::default().with_name(topic.name.clone());
            for partition in &topic.partitions {
                let partition = partition.partition_index;
                let result = self.check_delete_partition(group, &topic.name, partition);
                answered.partitions.push(
                    OffsetDeleteResponsePartition::default()
                        .with_partition_index(partition)
                        .with_error_code(code(&result)),
                );
                if result.is_ok() {
                    let (group, topic) = (group.id.clone(), topic.name.to_string());
                    doomed.push(OffsetKey {
                        group,
                        topic,
                        partition,
                    });
                }
            }
            response.topics.push(answered);
        }
        Ok((response, doomed))
    }

    fn check_delete_partition(
        &self,
        group: &Group,
        topic: &str,
        partition: i32,
    ) -> Result<(), ResponseError> {
        if !(self.shared.config.topic_exists)(topic, partition) {
            return Err(ResponseError::UnknownTopicOrPartition);
        }
        if group.is_subscribed_to(topic) {
            return Err(ResponseError::GroupSubscribedToTopic);
        }
        Ok(())
    }

    /// Forgets what was committed to a topic that is no more.
    pub(crate) async fn topic_deleted(&self, name: &str) {
        if let Err(error) = self.shared.forget(Forget::Topic(name.to_owned())).await {
            tracing::warn!(topic = name, %error, "offsets of a deleted topic are still there");
        }
    }
}

fn find_group<'book>(book: &'book Book, id: &str) -> Result<&'book Group, ResponseError> {
    if id.is_empty() {
        return Err(ResponseError::InvalidGroupId);
    }
    let group = book
        .groups
        .get(id)
        .filter(|group| group.state != State::Dead);
    group.ok_or(ResponseError::GroupIdNotFound)
}

fn committed(
    request: &OffsetCommitRequest,
    partition: &OffsetCommitRequestPartition,
    now: Now,
) -> Committed {
    let retention_ms = request.retention_time_ms;
    Committed {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition
            .committed_metadata
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        since_ms: now.wall_ms,
        expires_ms: (retention_ms >= 0).then(|| now.wall_ms.saturating_add(retention_ms)),
    }
}
