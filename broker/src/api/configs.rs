//! `DescribeConfigs`, `AlterConfigs` and `IncrementalAlterConfigs` of topics, and what can be said of
//! the broker itself.

use std::{collections::HashSet, sync::Arc};

use kafka_protocol::{
    error::ResponseError,
    messages::{
        AlterConfigsRequest, AlterConfigsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
        IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, alter_configs_response,
        create_topics_request::CreatableTopic,
        create_topics_response::CreatableTopicConfigs,
        describe_configs_request::DescribeConfigsResource,
        describe_configs_response::{
            DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
        },
        incremental_alter_configs_request::AlterableConfig,
        incremental_alter_configs_response,
    },
    protocol::StrBytes,
};

use super::{Refusal, once};
use crate::{
    node::{NODE_ID, Node},
    topics::{
        Topic, TopicError,
        settings::{Overrides, SETTINGS, Setting, SettingError},
    },
};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Where a value comes from, as the protocol numbers it.
const FROM_TOPIC: i8 = 1;
const FROM_DEFAULT: i8 = 5;

const SET: i8 = 0;
const DELETE: i8 = 1;

/// The settings given for a new topic. A setting without a value is refused, as Apache Kafka does.
pub(super) fn overrides(topic: &CreatableTopic) -> Result<Overrides, Refusal> {
    let mut overrides = Overrides::new();
    for config in &topic.configs {
        let value = config
            .value
            .as_ref()
            .ok_or_else(|| no_value(&config.name))?;
        overrides.insert(config.name.to_string(), value.to_string());
    }
    Ok(overrides)
}

fn no_value(name: &str) -> Refusal {
    Refusal::new(
        ResponseError::InvalidConfig,
        format!("setting {name} has no value"),
    )
}

/// The settings of a topic just created.
pub(super) fn of_created(topic: &Topic) -> Vec<CreatableTopicConfigs> {
    let settings = SETTINGS.iter().map(|setting| {
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_static_str(setting.name))
            .with_value(Some(StrBytes::from_string(setting.value(&topic.settings))))
            .with_config_source(source(topic, setting))
    });
    settings.collect()
}

fn source(topic: &Topic, setting: &Setting) -> i8 {
    if topic.overrides.contains_key(setting.name) {
        FROM_TOPIC
    } else {
        FROM_DEFAULT
    }
}

/// The settings of each resource asked for.
pub(super) fn describe(
    node: &Arc<Node>,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let with_synonyms = request.include_synonyms;
    let with_documentation = request.include_documentation;
    let resources = once(request.resources, |resource| {
        (resource.resource_type, resource.resource_name.clone())
    });
    let results = resources.into_iter().map(|resource| {
        let result = DescribeConfigsResult::default()
            .with_error_message(None)
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        match describe_one(node, &resource) {
            Ok(mut configs) => {
                for config in &mut configs {
                    if !with_synonyms {
                        config.synonyms.clear();
                    }
                    if !with_documentation {
                        config.documentation = None;
                    }
                }
                result.with_configs(configs)
            }
            Err(refusal) => result
                .with_error_code(refusal.code)
                .with_error_message(refusal.message),
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn describe_one(
    node: &Node,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    let asked = |name: &str| match &resource.configuration_keys {
        Some(keys) => keys.iter().any(|key| key.as_str() == name),
        None => true,
    };
    match resource.resource_type {
        TOPIC => {
            let name = resource.resource_name.to_string();
            let topic = node.topics.get(&name).ok_or(TopicError::Unknown(name))?;
            let asked = SETTINGS.iter().filter(|setting| asked(setting.name));
            Ok(asked.map(|setting| of_topic(&topic, setting)).collect())
        }
        BROKER if is_us(&resource.resource_name) => {
            let settings = of_broker(node).into_iter();
            Ok(settings.filter(|setting| asked(&setting.name)).collect())
        }
        BROKER => Err(Refusal::new(
            ResponseError::InvalidRequest,
            format!("there is one broker, with id {}", NODE_ID.0),
        )),
        other => Err(Refusal::new(
            ResponseError::InvalidRequest,
            format!("resources of type {other} have no settings here"),
        )),
    }
}

fn is_us(name: &str) -> bool {
    name.is_empty() || name == NODE_ID.0.to_string()
}

fn of_topic(topic: &Topic, setting: &Setting) -> DescribeConfigsResourceResult {
    let name = StrBytes::from_static_str(setting.name);
    let value = Some(StrBytes::from_string(setting.value(&topic.settings)));
    let source = source(topic, setting);
    let synonym = DescribeConfigsSynonym::default()
        .with_name(name.clone())
        .with_value(value.clone())
        .with_source(source);
    DescribeConfigsResourceResult::default()
        .with_name(name)
        .with_value(value)
        .with_config_source(source)
        .with_synonyms(vec![synonym])
        .with_config_type(setting.wire_type())
        .with_documentation(Some(StrBytes::from_static_str(setting.documentation)))
}

/// What this broker was started with, for reading only.
fn of_broker(node: &Node) -> Vec<DescribeConfigsResourceResult> {
    let config = &node.config;
    let facts = [
        (
            "auto.create.topics.enable",
            config.auto_create_topics.to_string(),
            1,
        ),
        ("log.dirs", config.data.display().to_string(), 2),
        (
            "message.max.bytes",
            config.topic_defaults.max_message_bytes.to_string(),
            3,
        ),
        ("num.partitions", config.default_partitions.to_string(), 3),
        ("offsets.topic.replication.factor", "1".to_owned(), 3),
    ];
    let settings = facts.map(|(name, value, wire_type)| {
        DescribeConfigsResourceResult::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(StrBytes::from_string(value)))
            .with_read_only(true)
            .with_config_source(FROM_DEFAULT)
            .with_config_type(wire_type)
    });
    settings.to_vec()
}

/// Replaces the settings of each topic.
pub(super) async fn alter(node: &Arc<Node>, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let mut wanted = Overrides::new();
        let mut valueless = None;
        for config in &resource.configs {
            match &config.value {
                Some(value) => {
                    wanted.insert(config.name.to_string(), value.to_string());
                }
                None => valueless = Some(no_value(&config.name)),
            }
        }
        let change = |_old: Overrides| Ok(wanted);
        let altered = if let Some(refusal) = valueless {
            Err(refusal)
        } else {
            let target = (resource.resource_type, resource.resource_name.as_str());
            configure(node, target, change, request.validate_only).await
        };
        let response = alter_configs_response::AlterConfigsResourceResponse::default()
            .with_error_message(None)
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        responses.push(match altered {
            Ok(()) => response,
            Err(refusal) => response
                .with_error_code(refusal.code)
                .with_error_message(refusal.message),
        });
    }
    AlterConfigsResponse::default().with_responses(responses)
}

/// Sets and deletes single settings of each topic.
pub(super) async fn alter_incrementally(
    node: &Arc<Node>,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let configs = resource.configs;
        let change = move |old| {
            named_once(&configs)?;
            configs.iter().try_fold(old, altered)
        };
        let target = (resource.resource_type, resource.resource_name.as_str());
        let altered = configure(node, target, change, request.validate_only).await;
        let response = incremental_alter_configs_response::AlterConfigsResourceResponse::default()
            .with_error_message(None)
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        responses.push(match altered {
            Ok(()) => response,
            Err(refusal) => response
                .with_error_code(refusal.code)
                .with_error_message(refusal.message),
        });
    }
    IncrementalAlterConfigsResponse::default().with_responses(responses)
}

fn named_once(configs: &[AlterableConfig]) -> Result<(), TopicError> {
    let mut seen = HashSet::new();
    match configs.iter().find(|config| !seen.insert(&config.name)) {
        Some(twice) => Err(TopicError::Request(format!(
            "setting {} is named twice",
            twice.name
        ))),
        None => Ok(()),
    }
}

fn altered(mut overrides: Overrides, config: &AlterableConfig) -> Result<Overrides, TopicError> {
    let name = config.name.to_string();
    let setting = Setting::find(&name)?;
    match (config.config_operation, &config.value) {
        (SET, Some(value)) => {
            overrides.insert(name, value.to_string());
        }
        (DELETE, _) => {
            overrides.remove(&name);
        }
        (SET, None) => return Err(TopicError::Request(format!("setting {name} has no value"))),
        (_, value) => {
            return Err(TopicError::Setting(SettingError::Invalid {
                name: setting.name,
                value: value.as_ref().map(ToString::to_string).unwrap_or_default(),
                hint: "settings here can be set and deleted; none is a list".to_owned(),
            }));
        }
    }
    Ok(overrides)
}

async fn configure(
    node: &Node,
    (resource_type, name): (i8, &str),
    change: impl FnOnce(Overrides) -> Result<Overrides, TopicError>,
    validate_only: bool,
) -> Result<(), Refusal> {
    match resource_type {
        TOPIC => Ok(node.topics.configure(name, change, validate_only).await?),
        _ => Err(Refusal::new(
            ResponseError::InvalidRequest,
            "only topics can be configured while this broker runs; its own settings are options of kadr broker",
        )),
    }
}
