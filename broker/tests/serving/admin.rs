//! Topics made by asking, the address that clients are told, settings, and coordinators.

use broker::{Advertised, Broker, BrokerConfig};
use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request as incremental;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    AlterConfigsRequest, DescribeClusterRequest, DescribeConfigsRequest, DescribeConfigsResponse,
    FindCoordinatorRequest, IncrementalAlterConfigsRequest, MetadataRequest, MetadataResponse,
};

use crate::common::{broker, call, folder};
use crate::support::{TOPIC, create, name, text, topics};

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_TOPIC: i16 = 17;
const INVALID_CONFIG: i16 = 40;
const INVALID_REQUEST: i16 = 42;
const TRANSACTIONAL_ID_REFUSED: i16 = 53;

const OF_TOPIC: i8 = 2;
const OF_BROKER: i8 = 4;

fn ask_for(topic: &str) -> MetadataRequest {
    let topic = MetadataRequestTopic::default().with_name(Some(name(topic)));
    MetadataRequest::default()
        .with_topics(Some(vec![topic]))
        .with_allow_auto_topic_creation(true)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_asked_for_is_made_once_where_that_is_wanted() {
    let folder = folder();
    let config = BrokerConfig {
        auto_create_topics: true,
        default_partitions: 3,
        ..BrokerConfig::new(folder.path())
    };
    let broker = Broker::start(config).await.expect("a broker");
    let address = broker.addr();
    let ask = move |request: MetadataRequest| async move { call(address, 9, &request).await };
    let refused = ask(ask_for(TOPIC).with_allow_auto_topic_creation(false)).await;
    assert_eq!(refused.topics[0].error_code, UNKNOWN_TOPIC_OR_PARTITION);
    let refused = ask(ask_for("no/topic")).await;
    assert_eq!(refused.topics[0].error_code, INVALID_TOPIC);
    assert!(topics(address).await.is_empty());

    let asking: Vec<_> = (0..8).map(|_| tokio::spawn(ask(ask_for(TOPIC)))).collect();
    for answer in asking {
        let topic = &answer.await.unwrap().topics[0];
        assert_eq!((topic.error_code, topic.partitions.len()), (0, 3));
    }
    assert_eq!(topics(address).await.len(), 1);
    broker.close().await;
}

#[tokio::test]
async fn nothing_is_made_by_asking_unless_it_is_wanted() {
    let folder = folder();
    let broker = broker(&folder).await;
    let answer: MetadataResponse = call(broker.addr(), 9, &ask_for(TOPIC)).await;
    assert_eq!(answer.topics[0].error_code, UNKNOWN_TOPIC_OR_PARTITION);
    assert!(topics(broker.addr()).await.is_empty());
    broker.close().await;
}

/// Where the broker says it is, in each of the answers that say so.
async fn told_by(broker: &Broker) -> Vec<(String, i32)> {
    let address = broker.addr();
    let mut told = Vec::new();
    let metadata = call(address, 12, &MetadataRequest::default()).await;
    let one = &metadata.brokers[0];
    told.push((one.host.to_string(), one.port));
    let cluster = call(
        address,
        1,
        &DescribeClusterRequest::default().with_endpoint_type(1),
    )
    .await;
    let one = &cluster.brokers[0];
    told.push((one.host.to_string(), one.port));
    let request = FindCoordinatorRequest::default().with_key(text("g"));
    let one = call(address, 3, &request).await;
    told.push((one.host.to_string(), one.port));
    let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g")]);
    let found = call(address, 4, &request).await;
    let one = &found.coordinators[0];
    told.push((one.host.to_string(), one.port));
    told
}

#[tokio::test]
async fn clients_are_told_the_advertised_address_or_the_one_they_came_to() {
    let folder = folder();
    let broker = broker(&folder).await;
    let reached = (
        broker.addr().ip().to_string(),
        i32::from(broker.addr().port()),
    );
    assert_eq!(told_by(&broker).await, vec![reached; 4]);
    broker.close().await;

    let advertised = Advertised {
        host: "edge-7.plant".to_owned(),
        port: 9192,
    };
    let config = BrokerConfig {
        advertised: Some(advertised),
        ..BrokerConfig::new(folder.path())
    };
    let broker = Broker::start(config).await.expect("a broker");
    let advertised = ("edge-7.plant".to_owned(), 9192);
    assert_eq!(told_by(&broker).await, vec![advertised; 4]);
    broker.close().await;
}

#[tokio::test]
async fn transactions_have_no_coordinator_in_any_version() {
    let folder = folder();
    let broker = broker(&folder).await;
    for version in 1..=3 {
        let request = FindCoordinatorRequest::default()
            .with_key(text("t"))
            .with_key_type(1);
        let answer = call(broker.addr(), version, &request).await;
        assert_eq!(
            answer.error_code, TRANSACTIONAL_ID_REFUSED,
            "version {version}"
        );
        assert_eq!((answer.node_id.0, answer.port), (-1, -1));
    }
    let request = FindCoordinatorRequest::default()
        .with_coordinator_keys(vec![text("t"), text("u")])
        .with_key_type(1);
    let answer = call(broker.addr(), 4, &request).await;
    let told = answer.coordinators.iter();
    let told: Vec<_> = told
        .map(|one| (one.key.to_string(), one.error_code))
        .collect();
    let refused = |key: &str| (key.to_owned(), TRANSACTIONAL_ID_REFUSED);
    assert_eq!(told, [refused("t"), refused("u")]);
    let request = FindCoordinatorRequest::default()
        .with_key(text("g"))
        .with_key_type(7);
    let answer = call(broker.addr(), 3, &request).await;
    assert_eq!(answer.error_code, INVALID_REQUEST);
    broker.close().await;
}

fn describe(kind: i8, resource: &str, keys: Option<&[&str]>) -> DescribeConfigsRequest {
    let keys = keys.map(|keys| keys.iter().map(|key| text(key)).collect());
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(resource))
        .with_configuration_keys(keys);
    DescribeConfigsRequest::default().with_resources(vec![resource])
}

#[tokio::test]
async fn the_settings_of_the_broker_can_be_read() {
    let folder = folder();
    let config = BrokerConfig {
        default_partitions: 7,
        ..BrokerConfig::new(folder.path())
    };
    let broker = Broker::start(config).await.expect("a broker");
    let address = broker.addr();
    for us in ["1", ""] {
        let answer: DescribeConfigsResponse =
            call(address, 4, &describe(OF_BROKER, us, None)).await;
        let configs = &answer.results[0].configs;
        assert!(configs.iter().all(|config| config.read_only), "{configs:?}");
        let partitions = configs
            .iter()
            .find(|config| config.name.as_str() == "num.partitions");
        assert_eq!(partitions.unwrap().value.as_deref(), Some("7"));
    }
    let one = describe(OF_BROKER, "1", Some(&["num.partitions", "unheard.of"]));
    let answer = call(address, 4, &one).await;
    assert_eq!(answer.results[0].configs.len(), 1);
    for (kind, resource) in [(OF_BROKER, "2"), (8, "1")] {
        let answer = call(address, 4, &describe(kind, resource, None)).await;
        assert_eq!(
            answer.results[0].error_code, INVALID_REQUEST,
            "{kind} {resource}"
        );
    }
    let answer = call(address, 4, &describe(OF_TOPIC, "absent", None)).await;
    assert_eq!(answer.results[0].error_code, UNKNOWN_TOPIC_OR_PARTITION);
    broker.close().await;
}

#[tokio::test]
async fn a_setting_without_a_value_changes_nothing() {
    let folder = folder();
    let broker = broker(&folder).await;
    let address = broker.addr();
    create(address, TOPIC, &[("retention.ms", "5000")]).await;
    let configs = vec![
        AlterableConfig::default()
            .with_name(text("segment.bytes"))
            .with_value(Some(text("2000000"))),
        AlterableConfig::default()
            .with_name(text("retention.ms"))
            .with_value(None),
    ];
    let resource = AlterConfigsResource::default()
        .with_resource_type(OF_TOPIC)
        .with_resource_name(text(TOPIC))
        .with_configs(configs);
    let request = AlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = call(address, 2, &request).await;
    assert_eq!(answer.responses[0].error_code, INVALID_CONFIG);

    let config = incremental::AlterableConfig::default()
        .with_name(text("retention.ms"))
        .with_config_operation(0)
        .with_value(None);
    let resource = incremental::AlterConfigsResource::default()
        .with_resource_type(OF_TOPIC)
        .with_resource_name(text(TOPIC))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = call(address, 1, &request).await;
    assert_eq!(answer.responses[0].error_code, INVALID_REQUEST);

    let keys = ["retention.ms", "segment.bytes"];
    let answer = call(address, 4, &describe(OF_TOPIC, TOPIC, Some(&keys))).await;
    let values: Vec<_> = answer.results[0]
        .configs
        .iter()
        .map(|one| one.value.as_deref())
        .collect();
    assert_eq!(values, [Some("5000"), Some("67108864")]);
    broker.close().await;
}
