//! Whether a client reaches its brokers, for health checks, and librdkafka's log lines.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::Statistics;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::watch;

/// A client's connection to the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// Started, nothing heard yet.
    #[default]
    Connecting,
    /// At least one broker answers.
    Up,
    /// No broker answers, or the client is broken; the text says what was last heard.
    Down(String),
}

/// The writing end of a [`Link`].
#[derive(Debug, Default)]
pub(super) struct LinkSender {
    link: watch::Sender<Link>,
    /// Why a connection failed last; librdkafka tells some causes only in its log.
    last_failure: Mutex<Option<String>>,
}

impl LinkSender {
    pub(super) fn subscribe(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    pub(super) fn up(&self) {
        self.set(Link::Up);
    }

    pub(super) fn down(&self, reason: impl Into<String>) {
        self.set(Link::Down(reason.into()));
    }

    /// Takes in a client-wide error. Most of them heal: one broker of several may be gone.
    pub(super) fn heard(&self, error: &KafkaError, reason: &str) {
        // While a broker is away the same comes many times a second; the link's change is logged.
        tracing::debug!(%error, reason, "kafka client reports an error");
        let all_down = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        let names_no_cause = all_down || is_bare_code(reason);
        let is_news = match &*self.link.borrow() {
            Link::Connecting => true,
            Link::Up => all_down,
            Link::Down(_) => !names_no_cause,
        };
        if is_news {
            let cause = names_no_cause
                .then(|| self.last_failure().clone())
                .flatten();
            self.down(cause.unwrap_or_else(|| reason.to_owned()));
        }
    }

    /// Takes in a log line of librdkafka.
    pub(super) fn logged(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
        if facility == "FAIL" && !is_bare_code(line) {
            *self.last_failure() = Some(explain(line));
        }
    }

    fn last_failure(&self) -> MutexGuard<'_, Option<String>> {
        self.last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the periodic statistics: they tell when a connection is back.
    pub(super) fn measured(&self, statistics: &Statistics) {
        let is_up = |state: &str| state == "UP" || state == "UPDATE";
        if statistics
            .brokers
            .values()
            .any(|broker| is_up(&broker.state))
        {
            self.up();
        } else if *self.link.borrow() == Link::Up {
            self.down("no broker is connected");
        }
    }

    fn set(&self, new: Link) {
        self.link.send_if_modified(|link| {
            if *link == new {
                return false;
            }
            match (&*link, &new) {
                (Link::Up | Link::Connecting, Link::Down(reason)) => {
                    // Nobody watches a client whose service has ended; an embedded broker may then
                    // be gone before its last connection.
                    if self.link.receiver_count() > 0 {
                        tracing::warn!(reason, "kafka is not reachable");
                    } else {
                        tracing::debug!(reason, "kafka is not reachable, and nobody asks");
                    }
                }
                (Link::Down(_), Link::Up) => tracing::info!("kafka is reachable again"),
                _ => {}
            }
            *link = new;
            true
        });
    }
}

/// OpenSSL's code alone; a second message explains it.
fn is_bare_code(text: &str) -> bool {
    text.contains(": error:") && !text.contains("handshake failed")
}

/// Drops the thread name and adds what the line only hints at.
fn explain(line: &str) -> String {
    let text = line.split_once("]: ").map_or(line, |(_, text)| text);
    if text.contains("in state APIVERSION_QUERY") {
        return format!("{text}: is security.protocol right for this port?");
    }
    text.to_owned()
}

/// Passes librdkafka's log line on. Its errors are about single connections, and it retries.
fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    // Every property goes to every kind of client, and librdkafka remarks on it each time; and it
    // repeats for each attempt why a connection failed, which the link tells once.
    let expected = matches!(facility, "CONFWARN" | "FAIL");
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning
            if !expected =>
        {
            tracing::warn!(target: "librdkafka", facility, "{line}");
        }
        RDKafkaLogLevel::Debug => tracing::trace!(target: "librdkafka", facility, "{line}"),
        _ => tracing::debug!(target: "librdkafka", facility, "{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_brokers_down_keeps_the_cause_that_came_before() {
        let link = LinkSender::default();
        link.heard(
            &KafkaError::Global(RDKafkaErrorCode::SSL),
            "certificate verify failed",
        );
        link.heard(
            &KafkaError::Global(RDKafkaErrorCode::AllBrokersDown),
            "1/1 brokers are down",
        );
        let expected = Link::Down("certificate verify failed".into());
        assert_eq!(*link.subscribe().borrow(), expected);
    }

    #[test]
    fn a_cause_that_is_only_logged_is_reported_with_the_setting_to_look_at() {
        let link = LinkSender::default();
        link.logged(
            RDKafkaLogLevel::Info,
            "FAIL",
            "[thrd:host:1/bootstrap]: host:1/bootstrap: Disconnected (in state APIVERSION_QUERY)",
        );
        link.heard(
            &KafkaError::Global(RDKafkaErrorCode::AllBrokersDown),
            "1/1 brokers are down",
        );
        let expected = "host:1/bootstrap: Disconnected (in state APIVERSION_QUERY): is \
                        security.protocol right for this port?";
        assert_eq!(*link.subscribe().borrow(), Link::Down(expected.into()));
    }

    #[test]
    fn a_bare_openssl_code_does_not_replace_its_explanation() {
        let link = LinkSender::default();
        for line in [
            "[thrd:b]: b: SSL handshake failed: error:0A000086: verify that ssl.ca.location is set",
            "[thrd:b]: b: error:0A000086:SSL routines::certificate verify failed",
        ] {
            link.logged(RDKafkaLogLevel::Error, "FAIL", line);
        }
        let ssl = KafkaError::Global(RDKafkaErrorCode::SSL);
        link.heard(
            &ssl,
            "b: error:0A000086:SSL routines::certificate verify failed",
        );
        let state = link.subscribe().borrow().clone();
        assert!(
            matches!(&state, Link::Down(text) if text.contains("ssl.ca.location")),
            "{state:?}"
        );
    }

    #[test]
    fn one_lost_broker_does_not_take_the_link_down() {
        let link = LinkSender::default();
        link.up();
        link.heard(
            &KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure),
            "disconnected",
        );
        assert_eq!(*link.subscribe().borrow(), Link::Up);
        link.heard(
            &KafkaError::Global(RDKafkaErrorCode::AllBrokersDown),
            "3/3 brokers are down",
        );
        assert_eq!(
            *link.subscribe().borrow(),
            Link::Down("3/3 brokers are down".into())
        );
    }

    #[test]
    fn statistics_tell_when_a_broker_is_back_or_gone() {
        let link = LinkSender::default();
        link.down("gone");
        link.measured(&statistics("UP"));
        assert_eq!(*link.subscribe().borrow(), Link::Up);
        link.measured(&statistics("DOWN"));
        assert!(matches!(*link.subscribe().borrow(), Link::Down(_)));
    }

    fn statistics(state: &str) -> Statistics {
        let broker = rdkafka::statistics::Broker {
            state: state.to_owned(),
            ..Default::default()
        };
        Statistics {
            brokers: [("localhost:9092/1".to_owned(), broker)].into(),
            ..Default::default()
        }
    }
}
