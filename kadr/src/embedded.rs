//! The embedded broker's options, which `kadr up` and `kadr broker` share, and its place among the
//! parts that health shows.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use broker::{Advertised, Broker, BrokerConfig, TopicSettings};
use clap::Args;
use jiff::fmt::serde::unsigned_duration::friendly::compact;
use pipeline::service::{
    Part,
    config::parse_listen_address,
    units::{parse_duration, parse_size},
};
use serde::Serialize;
use tokio::time::interval;

/// How often health looks at the broker's disk.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Options of the broker.
#[derive(Args, Clone, Debug, Serialize)]
#[command(next_help_heading = "Embedded broker")]
pub(crate) struct EmbeddedArgs {
    /// The folder of everything that outlives a restart
    #[arg(
        long,
        env = "KADR_DATA",
        default_value = "kadr-data",
        value_name = "DIR"
    )]
    data: PathBuf,

    /// Where Kafka clients connect; port 0 takes a free one. There is no password: keep it on
    /// loopback or a network you trust
    #[arg(long, env = "KADR_BROKER_LISTEN", default_value = "127.0.0.1:9092", value_name = "IP:PORT", value_parser = parse_listen_address)]
    broker_listen: SocketAddr,

    /// What clients are told to connect to, where that differs from what they connected to
    #[arg(long, env = "KADR_BROKER_ADVERTISE", value_name = "HOST:PORT", value_parser = parse_advertised)]
    #[serde(skip)]
    broker_advertise: Option<Advertised>,

    /// How long a topic keeps records that says nothing else
    #[arg(long, env = "KADR_BROKER_RETENTION", default_value = "24h", value_name = "DURATION", value_parser = parse_duration)]
    #[serde(with = "compact::required")]
    broker_retention: Duration,

    /// How much a partition keeps of a topic that says nothing else
    #[arg(long, env = "KADR_BROKER_RETENTION_SIZE", default_value = "1GiB", value_name = "SIZE", value_parser = parse_size)]
    broker_retention_size: u64,

    /// Least time between two flushes to the disk; all that waits meanwhile shares the next one
    #[arg(long, env = "KADR_BROKER_FLUSH_INTERVAL", default_value = "2ms", value_name = "DURATION", value_parser = parse_duration)]
    #[serde(with = "compact::required")]
    broker_flush_interval: Duration,

    /// Let records of topics that say nothing else be acknowledged before they are on the disk
    #[arg(long, env = "KADR_BROKER_NO_FLUSH")]
    broker_no_flush: bool,

    /// Let a client that asks for an unknown topic create it
    #[arg(long, env = "KADR_BROKER_AUTO_CREATE_TOPICS")]
    broker_auto_create_topics: bool,
}

impl EmbeddedArgs {
    /// Starts the broker.
    pub(crate) async fn start(&self) -> anyhow::Result<Broker> {
        Ok(Broker::start(self.config()).await?)
    }

    /// Where everything durable would lie.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Where Kafka clients would connect.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.broker_listen
    }

    fn config(&self) -> BrokerConfig {
        let defaults = TopicSettings::default();
        let retention_ms = self.broker_retention.as_millis();
        BrokerConfig {
            listen: self.broker_listen,
            advertised: self.broker_advertise.clone(),
            auto_create_topics: self.broker_auto_create_topics,
            topic_defaults: TopicSettings {
                retention_ms: i64::try_from(retention_ms).unwrap_or(i64::MAX),
                retention_bytes: i64::try_from(self.broker_retention_size).unwrap_or(i64::MAX),
                flush_messages: if self.broker_no_flush { i64::MAX } else { 1 },
                ..defaults
            },
            flush_interval: self.broker_flush_interval,
            ..BrokerConfig::new(&self.data)
        }
    }
}

/// Reads `host:9092` and `[::1]:9092`.
fn parse_advertised(text: &str) -> Result<Advertised, String> {
    let wrong = || format!("{text:?} is not HOST:PORT, such as edge-7.plant:9092");
    let (host, port) = text.trim().rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = port.parse().map_err(|_not_a_port| wrong())?;
    if host.is_empty() || port == 0 {
        return Err(wrong());
    }
    Ok(Advertised {
        host: host.to_owned(),
        port,
    })
}

/// Tells health whether the broker can write, for ever.
pub(crate) async fn report(broker: &Broker, part: &Part) {
    let mut ticks = interval(WATCH_INTERVAL);
    loop {
        ticks.tick().await;
        match broker.disk_trouble() {
            None => part.ready(),
            Some(trouble) => part.not_ready(&trouble),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        let advertised = |host: &str, port| {
            let host = host.to_owned();
            Ok(Advertised { host, port })
        };
        assert_eq!(parse_advertised("edge-7:9092"), advertised("edge-7", 9092));
        assert_eq!(parse_advertised("[::1]:5"), advertised("::1", 5));
        for wrong in ["edge-7", ":9092", "edge-7:0", "edge-7:x", ""] {
            let error = parse_advertised(wrong).expect_err(wrong);
            assert!(error.contains("edge-7.plant:9092"), "{error}");
        }
    }
}
