//! TLS and SASL through librdkafka's own properties, and failures that name their cause.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::time::Duration;

use pipeline::kafka::{
    KafkaConfig, Link, Source, SourceConfig, StartPosition, TopicSpec, delete_topics, ensure_topics,
};
use tests::kafka::{
    acknowledged, listener, metrics, number_of, numbered, sink, tls_file, unique, within,
};

fn password() -> String {
    let file = tls_file("password");
    let text = std::fs::read_to_string(&file);
    let text =
        text.unwrap_or_else(|error| panic!("{}: {error}; run script/kafka start", file.display()));
    text.trim().to_owned()
}

fn from_flags(brokers: &str, properties: &[String]) -> KafkaConfig {
    KafkaConfig::from_settings(Some(brokers), properties, &|_| None).unwrap()
}

fn tls_flags(protocol: &str) -> Vec<String> {
    let ca = tls_file("ca.pem");
    vec![
        format!("security.protocol={protocol}"),
        format!("ssl.ca.location={}", ca.display()),
    ]
}

fn sasl_flags(password: &str) -> Vec<String> {
    let mut flags = tls_flags("sasl_ssl");
    flags.extend([
        "sasl.mechanism=SCRAM-SHA-256".to_owned(),
        "sasl.username=kadr".to_owned(),
        format!("sasl.password={password}"),
    ]);
    flags
}

/// Admin, sink and source over the same settings.
async fn round_trip(kafka: &KafkaConfig) {
    let name = unique("secure");
    let spec = TopicSpec::new(&name, 1, Duration::from_hours(1));
    ensure_topics(kafka, &[spec], Duration::from_secs(20))
        .await
        .unwrap();
    acknowledged(sink(kafka).send(&name, None, &numbered("cam", 7)).unwrap()).await;
    let settings = SourceConfig::new(&name, &[&name], StartPosition::Earliest);
    let mut source = Source::start(kafka, settings, &metrics().1).unwrap();
    let received = within("the record", source.recv()).await.unwrap();
    assert_eq!(number_of(received.value()), 7);
    received.complete();
    within("the source closes", source.close(Duration::from_secs(5))).await;
    delete_topics(kafka, &[&name]).await.unwrap();
}

/// The reason that a source gives for not reaching its brokers, once it has the given words.
async fn source_failure(kafka: &KafkaConfig, words: &str) -> String {
    let settings = SourceConfig::new("t-refused", &["t-refused"], StartPosition::Earliest);
    let source = Source::start(kafka, settings, &metrics().1).unwrap();
    let mut link = source.link();
    let mut reason = String::new();
    let named = link.wait_for(|link| match link {
        Link::Down(text) => {
            reason.clone_from(text);
            text.contains(words)
        }
        Link::Connecting => false,
        Link::Up => panic!("the brokers took a client they must refuse"),
    });
    within("the link names the cause", named).await.unwrap();
    within("the source closes", source.close(Duration::ZERO)).await;
    reason
}

async fn admin_failure(kafka: &KafkaConfig) -> String {
    let spec = TopicSpec::new("t-refused", 1, Duration::from_hours(1));
    let refused = ensure_topics(kafka, &[spec], Duration::ZERO).await;
    refused.unwrap_err().to_string()
}

#[tokio::test]
async fn tls_with_our_certificate_authority_carries_everything() {
    round_trip(&from_flags(&listener(1), &tls_flags("ssl"))).await;
}

#[tokio::test]
async fn tls_without_the_certificate_authority_fails_and_says_why() {
    let kafka = from_flags(&listener(1), &["security.protocol=ssl".to_owned()]);
    for text in [
        source_failure(&kafka, "ssl.ca.location").await,
        admin_failure(&kafka).await,
    ] {
        assert!(text.contains("certificate verify failed"), "{text}");
        assert!(
            text.contains("ssl.ca.location"),
            "names the setting: {text}"
        );
    }
}

#[tokio::test]
async fn sasl_over_tls_with_the_right_password_carries_everything() {
    round_trip(&from_flags(&listener(2), &sasl_flags(&password()))).await;
}

#[tokio::test]
async fn sasl_with_a_wrong_password_fails_and_the_password_is_nowhere() {
    let kafka = from_flags(&listener(2), &sasl_flags("not-the-password"));
    for text in [
        source_failure(&kafka, "uthentication").await,
        admin_failure(&kafka).await,
    ] {
        assert!(text.contains("uthentication"), "{text}");
        assert!(!text.contains("not-the-password"), "{text}");
    }
    assert!(!format!("{kafka} {kafka:?}").contains("not-the-password"));
}

#[tokio::test]
async fn a_client_that_speaks_plain_text_to_tls_is_told_which_setting_to_look_at() {
    let kafka = KafkaConfig::new(&listener(1)).unwrap();
    source_failure(&kafka, "security.protocol").await;
}
