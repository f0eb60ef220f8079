//! Kafka: the brokers named, or the place of the embedded one, and the topics.

use std::time::Duration;

use pipeline::{
    kafka::{AdminError, KafkaConfig, PropertyError, TopicReport, frame_topics, look_at_topics},
    service::{
        config::KafkaSettingsError,
        http::{BindError, bind},
        shutdown::describe,
    },
    topic::Topics,
};

use super::{DoctorArgs, disk, finding::Finding};

const BROKERS: &str = "brokers";
const TOPICS: &str = "topics";

/// How long named brokers may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same for one on this machine.
const LOCAL_PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn look(args: &DoctorArgs) -> Vec<Finding> {
    let topics = match Topics::new(&args.kafka.topic_prefix) {
        Ok(topics) => topics,
        Err(error) => return vec![Finding::fail(TOPICS, describe(&error))],
    };
    match args.kafka.config() {
        Ok(kafka) => named(&kafka, &topics).await,
        Err(KafkaSettingsError::Property(PropertyError::NoBrokers)) => {
            let mut findings = embedded(args, &topics).await;
            findings.push(disk::look(args.embedded.data(), &frame_topics(&topics)));
            findings
        }
        Err(error) => vec![Finding::fail(BROKERS, describe(&error))],
    }
}

async fn named(kafka: &KafkaConfig, topics: &Topics) -> Vec<Finding> {
    match look_at_topics(kafka, &frame_topics(topics), PATIENCE).await {
        Ok(report) => {
            let brokers = report.brokers.join(", ");
            let answering = Finding::ok(BROKERS, format!("Kafka answers: {brokers}"));
            vec![answering, of_topics(&report)]
        }
        Err(error @ AdminError::Unreachable { .. }) => vec![
            Finding::fail(BROKERS, describe(&error))
                .advise("start it, or correct --brokers, KAFKA_BROKERS and --kafka"),
            unchecked_topics(),
        ],
        Err(error) => vec![Finding::fail(BROKERS, describe(&error)), unchecked_topics()],
    }
}

async fn embedded(args: &DoctorArgs, topics: &Topics) -> Vec<Finding> {
    let address = args.embedded.listen();
    let taken = match bind(address, "--broker-listen").await {
        Ok(_free_again) => {
            let free = format!("none named; the embedded broker can have {address}");
            let later = "the embedded broker makes them; ask again while kadr up runs";
            return vec![Finding::ok(BROKERS, free), Finding::ok(TOPICS, later)];
        }
        Err(taken @ BindError::InUse { .. }) => taken,
        Err(error) => return vec![Finding::fail(BROKERS, describe(&error)), unchecked_topics()],
    };
    let Ok(kafka) = args.kafka.config_for(&address.to_string()) else {
        return vec![Finding::fail(BROKERS, describe(&taken)), unchecked_topics()];
    };
    let Ok(report) = look_at_topics(&kafka, &frame_topics(topics), LOCAL_PATIENCE).await else {
        return vec![Finding::fail(BROKERS, describe(&taken)), unchecked_topics()];
    };
    let data = args.embedded.data();
    let broker = if disk::is_in_use(data) {
        let text = format!(
            "the embedded broker runs at {address} on {}",
            data.display()
        );
        Finding::ok(BROKERS, text)
    } else {
        let text = format!(
            "another Kafka than that of {} answers at {address}",
            data.display()
        );
        Finding::fail(BROKERS, text).advise(format!(
            "use it with --brokers {address}, or choose another port with --broker-listen"
        ))
    };
    vec![broker, of_topics(&report)]
}

fn of_topics(report: &TopicReport) -> Finding {
    if !report.leaderless.is_empty() {
        let names = report.leaderless.join(", ");
        return Finding::fail(TOPICS, format!("{names}: no leader for every partition"))
            .advise("is a broker down?");
    }
    if !report.differences.is_empty() {
        return Finding::fail(TOPICS, report.differences.join("; "));
    }
    if !report.missing.is_empty() {
        let names = report.missing.join(", ");
        return Finding::ok(TOPICS, format!("the first start will make {names}"));
    }
    Finding::ok(TOPICS, "all there, as they should be")
}

/// A skipped check never reads as passed.
fn unchecked_topics() -> Finding {
    Finding::warn(TOPICS, "not checked, as no broker of ours answers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_that_would_stop_a_start_fail() {
        let text = |report: &TopicReport| of_topics(report).to_string();
        let mut report = TopicReport::default();
        assert!(text(&report).starts_with("ok"));
        report.missing = vec!["kadr.live".to_owned()];
        assert!(text(&report).contains("the first start will make kadr.live"));
        report.differences = vec!["topic kadr.live has 3 partitions, not 4".to_owned()];
        assert!(text(&report).starts_with("FAIL"), "{}", text(&report));
        report.leaderless = vec!["kadr.dead".to_owned()];
        assert!(text(&report).contains("is a broker down?"));
    }
}
