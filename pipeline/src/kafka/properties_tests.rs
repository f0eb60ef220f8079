//! Tests of the Kafka settings.

use super::*;

fn no_env(_: &str) -> Option<String> {
    None
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn from_env(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    move |name| {
        let found = pairs.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}

#[test]
fn every_default_is_known_to_librdkafka_and_passes_our_own_rules() {
    let defaults = profile::COMMON
        .iter()
        .chain(profile::CONSUMER)
        .chain(profile::PRODUCER);
    for (name, value) in defaults {
        assert_eq!(check_known(name, value), Ok(()));
        assert_eq!(profile::refusal(name, value), None, "{name}");
        assert_eq!(
            profile::canonical(name),
            *name,
            "defaults use the canonical name"
        );
    }
}

#[test]
fn an_override_replaces_our_default_under_any_of_its_names() {
    let config = KafkaConfig::new("a:1").unwrap();
    let config = config.with("queue.buffering.max.ms", "5").unwrap();
    assert_eq!(config.producer().get("linger.ms"), Some("5"));
    assert_eq!(config.producer().get("queue.buffering.max.ms"), None);
}

#[test]
fn a_larger_record_limit_raises_the_fetch_sizes_with_it() {
    let config = KafkaConfig::new("a:1").unwrap();
    let config = config.with("message.max.bytes", "200000000").unwrap();
    assert_eq!(config.max_record_bytes(), 200_000_000);
    let consumer = config.consumer();
    assert_eq!(consumer.get("fetch.max.bytes"), Some("200000000"));
    assert_eq!(consumer.get("receive.message.max.bytes"), Some("201048576"));
    consumer
        .create::<rdkafka::consumer::BaseConsumer>()
        .expect("librdkafka accepts the sizes together");
}

#[test]
fn settings_that_break_a_promise_are_refused_with_the_reason() {
    let refused = [
        ("enable.auto.commit", "true"),
        ("auto.commit.enable", "true"),
        ("enable.auto.offset.store", "true"),
        ("acks", "1"),
        ("request.required.acks", "0"),
        ("enable.idempotence", "false"),
        ("partitioner", "random"),
        ("delivery.report.only.error", "true"),
        ("transactional.id", "t"),
        ("statistics.interval.ms", "0"),
        ("group.id", "g"),
        ("auto.offset.reset", "latest"),
    ];
    for (name, value) in refused {
        let error = KafkaConfig::new("a:1")
            .unwrap()
            .with(name, value)
            .unwrap_err();
        assert!(
            matches!(error, PropertyError::Refused { .. }),
            "{name}: {error}"
        );
    }
    let error = KafkaConfig::new("a:1")
        .unwrap()
        .with("acks", "0")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "Kafka property acks cannot be set to \"0\": a result counts as delivered only when all \
         in-sync replicas have it"
    );
    let allowed = KafkaConfig::new("a:1")
        .unwrap()
        .with("enable.auto.commit", "false");
    assert!(allowed.is_ok());
}

#[test]
fn unknown_properties_and_bad_values_are_one_clear_line() {
    let error = |name, value| {
        let config = KafkaConfig::new("a:1").unwrap();
        config.with(name, value).unwrap_err().to_string()
    };
    assert_eq!(
        error("lingre.ms", "5"),
        "Kafka property lingre.ms: No such configuration property: \"lingre.ms\""
    );
    let text = error("linger.ms", "soon");
    assert!(
        text.starts_with("Kafka property linger.ms: Invalid value"),
        "{text}"
    );
    assert!(!error("linger.ms", "-5").contains('\n'));
}

#[test]
fn secrets_are_never_shown() {
    let secrets = [
        "sasl.password",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.password",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.assertion.private.key.pem",
    ];
    for name in secrets {
        assert!(profile::is_secret(name), "{name}");
    }
    let config = KafkaConfig::new("a:1").unwrap();
    let config = config.with("sasl.password", "hunter2").unwrap();
    let config = config.with("sasl.username", "kadr").unwrap();
    let shown = format!("{config} {config:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("sasl.username=kadr"), "{shown}");
    assert!(shown.contains("sasl.password=[redacted]"), "{shown}");
    assert_eq!(config.consumer().get("sasl.password"), Some("hunter2"));
}

#[test]
fn a_pair_without_a_key_does_not_print_what_may_be_the_secret() {
    let properties = strings(&["correct-horse-battery-staple"]);
    let error = KafkaConfig::from_settings(Some("a:1"), &properties, &no_env).unwrap_err();
    assert!(!error.to_string().contains("horse"), "{error}");
    assert!(matches!(error, PropertyError::NotAPair { .. }));
}

#[test]
fn flags_win_over_the_environment() {
    let env = from_env(&[("KADR_KAFKA", "linger.ms=7,debug=cgrp,topic,client.id=env")]);
    let flags = strings(&["client.id=flag"]);
    let config = KafkaConfig::from_settings(Some("a:1"), &flags, &env).unwrap();
    let producer = config.producer();
    assert_eq!(producer.get("linger.ms"), Some("7"));
    assert_eq!(producer.get("debug"), Some("cgrp,topic"));
    assert_eq!(producer.get("client.id"), Some("flag"));
}

#[test]
fn properties_one_per_line_may_contain_commas() {
    let env = from_env(&[(
        "KADR_KAFKA",
        "sasl.oauthbearer.config=principal=kadr,scope=frames\nlinger.ms = 3\n",
    )]);
    let config = KafkaConfig::from_settings(Some("a:1"), &[], &env).unwrap();
    let producer = config.producer();
    let oauth = producer.get("sasl.oauthbearer.config");
    assert_eq!(oauth, Some("principal=kadr,scope=frames"));
    assert_eq!(producer.get("linger.ms"), Some("3"));
}

#[test]
fn brokers_come_from_either_variable_and_must_agree() {
    const ONE: &[(&str, &str)] = &[("KAFKA_BROKERS", "a:1, b:2")];
    const OTHER: &[(&str, &str)] = &[("KAFKA_BOOTSTRAP_SERVERS", "c:3")];
    const SAME: &[(&str, &str)] = &[
        ("KAFKA_BROKERS", "a:1"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:1,"),
    ];
    const BOTH: &[(&str, &str)] = &[("KAFKA_BROKERS", "a:1"), ("KAFKA_BOOTSTRAP_SERVERS", "c:3")];
    let brokers = |env: &'static [(&str, &str)], flag: Option<&str>, properties: &[&str]| {
        KafkaConfig::from_settings(flag, &strings(properties), &from_env(env))
            .map(|config| config.brokers().to_owned())
    };
    assert_eq!(brokers(ONE, None, &[]).unwrap(), "a:1,b:2");
    assert_eq!(brokers(OTHER, None, &[]).unwrap(), "c:3");
    assert_eq!(brokers(SAME, None, &[]).unwrap(), "a:1");
    assert_eq!(
        brokers(BOTH, None, &[]).unwrap_err().to_string(),
        "KAFKA_BROKERS and KAFKA_BOOTSTRAP_SERVERS name different brokers; set one of them, or \
         both alike"
    );
    assert_eq!(brokers(BOTH, Some("f:9"), &[]).unwrap(), "f:9");
    assert_eq!(
        brokers(ONE, None, &["bootstrap.servers=p:1"]).unwrap(),
        "p:1"
    );
    assert!(matches!(
        brokers(&[], Some("f:9"), &["metadata.broker.list=p:1"]),
        Err(PropertyError::BrokersDisagree { .. })
    ));
    assert_eq!(brokers(&[], None, &[]), Err(PropertyError::NoBrokers));
    assert_eq!(
        brokers(&[], Some(" , "), &[]),
        Err(PropertyError::NoBrokers)
    );
}

#[test]
fn errors_of_a_client_that_cannot_be_made_do_not_repeat_secrets() {
    let mut config = ClientConfig::new();
    config.set("sasl.oauthbearer.client.secret.typo", "hunter2");
    let error = config.create_native_config().map(|_| ()).unwrap_err();
    let text = client_error_text(&error);
    assert!(!text.contains("hunter2"), "{text}");
}
