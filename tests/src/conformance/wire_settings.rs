//! Settings of topics on the wire: told, changed, put back, refused.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResult;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};

use super::requests::code;
use super::{Target, differences, until_some};
use crate::wire::{Client, text};

/// The kind of resource that topics are.
const TOPIC: i8 = 2;
const SET: i8 = 0;
const DELETE: i8 = 1;

async fn alter(client: &mut Client, topic: &str, changes: &[(i8, &str, Option<&str>)]) -> i16 {
    let change = |(operation, name, value): &(i8, &str, Option<&str>)| {
        AlterableConfig::default()
            .with_name(text(*name))
            .with_config_operation(*operation)
            .with_value(value.map(text))
    };
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(topic))
        .with_configs(changes.iter().map(change).collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    client.call(1, &request).await.responses[0].error_code
}

/// Changes settings of a topic.
pub(super) async fn set(client: &mut Client, topic: &str, settings: &[(&str, &str)]) {
    let settings = settings
        .iter()
        .map(|(name, value)| (SET, *name, Some(*value)));
    let changes: Vec<_> = settings.collect();
    assert_eq!(alter(client, topic, &changes).await, code::NONE);
}

async fn describe(
    client: &mut Client,
    topic: &str,
    names: Option<&[&str]>,
) -> DescribeConfigsResult {
    let names = names.map(|names| names.iter().map(|name| text(*name)).collect());
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(topic))
        .with_configuration_keys(names);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    client.call(4, &request).await.results.remove(0)
}

/// What a topic's setting is.
pub(super) async fn told(client: &mut Client, topic: &str, name: &str) -> Option<String> {
    let described = describe(client, topic, Some(&[name])).await;
    assert_eq!(described.error_code, code::NONE);
    let value = described.configs.first()?.value.as_ref()?;
    Some(value.to_string())
}

pub async fn settings_are_told_as_asked(target: &Target) {
    let given = [("retention.ms", "7200000")];
    let name = target.topic_with("told", 1, &given).await;
    let mut client = target.client().await;
    let all = describe(&mut client, &name, None).await;
    assert_eq!((all.error_code, all.resource_type), (code::NONE, TOPIC));
    assert_eq!(all.resource_name.as_str(), name);
    assert!(all.configs.len() >= 6, "{all:?}");
    let named = describe(
        &mut client,
        &name,
        Some(&["retention.ms", "retention.bytes", "x"]),
    )
    .await;
    let mut told: Vec<_> = named
        .configs
        .iter()
        .map(|setting| {
            let value = setting.value.as_ref().map(ToString::to_string);
            // 1 is a setting of the topic, 5 a default.
            (setting.name.as_str(), value.unwrap(), setting.config_source)
        })
        .collect();
    told.sort();
    let kept = differences::default_retention_bytes(target);
    let bytes = ("retention.bytes", kept.to_owned(), 5);
    assert_eq!(told, [bytes, ("retention.ms", "7200000".to_owned(), 1)]);
    let unknown = describe(&mut client, "t-no-such-topic", None).await;
    assert_eq!(unknown.error_code, code::UNKNOWN_TOPIC_OR_PARTITION);
    assert!(unknown.configs.is_empty());
}

pub async fn settings_are_set_and_put_back(target: &Target) {
    let name = target.topic("set", 1).await;
    let mut client = target.client().await;
    let before = told(&mut client, &name, "max.message.bytes").await;
    set(&mut client, &name, &[("max.message.bytes", "7777")]).await;
    until_some("it is told", async || {
        let now = told(&mut client, &name, "max.message.bytes").await;
        (now.as_deref() == Some("7777")).then_some(())
    })
    .await;
    let back = alter(&mut client, &name, &[(DELETE, "max.message.bytes", None)]).await;
    assert_eq!(back, code::NONE);
    until_some("it is as before", async || {
        (told(&mut client, &name, "max.message.bytes").await == before).then_some(())
    })
    .await;
}

pub async fn settings_that_are_refused(target: &Target) {
    let name = target.topic("refused", 1).await;
    let mut client = target.client().await;
    for (changes, expected) in [
        (vec![(SET, "no.such", Some("1"))], code::INVALID_CONFIG),
        (
            vec![(SET, "retention.ms", Some("soon"))],
            code::INVALID_CONFIG,
        ),
        (vec![(SET, "retention.ms", None)], code::INVALID_REQUEST),
        (vec![(2, "retention.ms", Some("1"))], code::INVALID_CONFIG),
        (
            vec![
                (SET, "retention.ms", Some("1")),
                (SET, "retention.ms", Some("2")),
            ],
            code::INVALID_REQUEST,
        ),
    ] {
        assert_eq!(
            alter(&mut client, &name, &changes).await,
            expected,
            "{changes:?}"
        );
    }
    let unknown = alter(
        &mut client,
        "t-no-such-topic",
        &[(SET, "retention.ms", Some("1"))],
    )
    .await;
    assert_eq!(unknown, code::UNKNOWN_TOPIC_OR_PARTITION);
    let good_and_bad = [
        (SET, "retention.bytes", Some("5")),
        (SET, "no.such", Some("1")),
    ];
    assert_eq!(
        alter(&mut client, &name, &good_and_bad).await,
        code::INVALID_CONFIG
    );
    let kept = told(&mut client, &name, "retention.bytes").await;
    assert_eq!(
        kept.as_deref(),
        Some(differences::default_retention_bytes(target)),
        "all or nothing"
    );
}

pub async fn compacted_topics(target: &Target) {
    let name = target.topic("compacted", 1).await;
    let mut client = target.client().await;
    let change = [(SET, "cleanup.policy", Some("compact"))];
    let expected = differences::compaction_code(target);
    assert_eq!(alter(&mut client, &name, &change).await, expected);
}
