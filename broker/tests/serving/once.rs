//! What a request names several times is answered once, so that no short request has a long answer.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    DescribeConfigsRequest, DescribeGroupsRequest, GroupId, MetadataRequest, OffsetFetchRequest,
};

use crate::common::{broker, call, folder};
use crate::support::{TOPIC, create, name, text};

const TIMES: usize = 1000;

#[tokio::test]
async fn what_is_named_often_is_answered_once() {
    let folder = folder();
    let broker = broker(&folder).await;
    let address = broker.addr();
    create(address, TOPIC, &[]).await;

    let topic = MetadataRequestTopic::default().with_name(Some(name(TOPIC)));
    let request = MetadataRequest::default().with_topics(Some(vec![topic; TIMES]));
    assert_eq!(call(address, 12, &request).await.topics.len(), 1);

    let resource = DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text(TOPIC))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource; TIMES]);
    assert_eq!(call(address, 4, &request).await.results.len(), 1);

    let group = GroupId(text("g"));
    let request = DescribeGroupsRequest::default().with_groups(vec![group.clone(); TIMES]);
    assert_eq!(call(address, 5, &request).await.groups.len(), 1);

    let group = OffsetFetchRequestGroup::default()
        .with_group_id(group)
        .with_topics(None);
    let request = OffsetFetchRequest::default().with_groups(vec![group; TIMES]);
    assert_eq!(call(address, 8, &request).await.groups.len(), 1);
    broker.close().await;
}
