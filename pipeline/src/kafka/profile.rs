//! Our defaults over librdkafka, and the properties that may not be changed.

/// Largest record, batch header included: the same number on client, topic and broker.
pub const MAX_RECORD_BYTES: usize = 8 * 1024 * 1024;

/// Set for every client.
pub(super) const COMMON: &[(&str, &str)] = &[
    ("client.id", "kadr"),
    // 1 MB by default, and a 4K JPEG is larger.
    ("message.max.bytes", "8388608"),
    // A broker that comes back is found within a second, not ten.
    ("reconnect.backoff.ms", "50"),
    ("reconnect.backoff.max.ms", "1000"),
    ("socket.keepalive.enable", "true"),
    ("socket.nagle.disable", "true"),
    // Feeds lag, link state and metrics.
    ("statistics.interval.ms", "1000"),
    // A topic created after us is found in seconds.
    ("topic.metadata.refresh.interval.ms", "30000"),
];

/// Set for consumers.
pub(super) const CONSUMER: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("session.timeout.ms", "6000"),
    ("heartbeat.interval.ms", "2000"),
    // A full prefetch queue waits 1 s by default before it looks again.
    ("fetch.queue.backoff.ms", "10"),
    ("fetch.error.backoff.ms", "100"),
    // A newly assigned partition waits for the running fetch to return.
    ("fetch.wait.max.ms", "100"),
    // Per partition, because each partition is read from its own queue: 12 partitions hold at
    // most 60 MB. A record larger than the fetch size still arrives, alone (KIP-74).
    ("queued.max.messages.kbytes", "4096"),
    ("max.partition.fetch.bytes", "1048576"),
];

/// Set for producers.
pub(super) const PRODUCER: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("max.in.flight.requests.per.connection", "5"),
    // Frames fill a request alone; waiting for company only adds delay.
    ("linger.ms", "0"),
    ("partitioner", "murmur2_random"),
    // 1 GB by default. This is also the byte budget of the sink.
    ("queue.buffering.max.kbytes", "65536"),
    ("queue.buffering.max.messages", "200000"),
    ("delivery.timeout.ms", "120000"),
    ("topic.metadata.propagation.max.ms", "10000"),
];

/// Aliases librdkafka knows; one name each, so that an override replaces our default instead of
/// racing it.
const ALIASES: &[(&str, &str)] = &[
    ("metadata.broker.list", "bootstrap.servers"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("sasl.mechanisms", "sasl.mechanism"),
    (
        "sasl.oauthbearer.client.credentials.client.id",
        "sasl.oauthbearer.client.id",
    ),
    (
        "sasl.oauthbearer.client.credentials.client.secret",
        "sasl.oauthbearer.client.secret",
    ),
    ("fetch.message.max.bytes", "max.partition.fetch.bytes"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("message.send.max.retries", "retries"),
    ("compression.codec", "compression.type"),
    ("request.required.acks", "acks"),
    ("message.timeout.ms", "delivery.timeout.ms"),
    ("auto.commit.enable", "enable.auto.commit"),
];

/// The one name a property goes by here.
pub(super) fn canonical(name: &str) -> &str {
    ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name, |(_, canonical)| canonical)
}

/// Why this setting is refused, if it is.
pub(super) fn refusal(name: &str, value: &str) -> Option<&'static str> {
    let is = |allowed: &[&str]| allowed.contains(&value.to_ascii_lowercase().as_str());
    let off = || is(&["false", "f", "0"]);
    let on = || is(&["true", "t", "1"]);
    match name {
        "enable.auto.commit" | "enable.auto.offset.store" if !off() => {
            Some("offsets are committed only after the output is acknowledged")
        }
        "enable.idempotence" if !on() => {
            Some("without idempotence a retry can duplicate or reorder frames")
        }
        "acks" if !is(&["all", "-1"]) => {
            Some("a result counts as delivered only when all in-sync replicas have it")
        }
        "partitioner" if !is(&["murmur2_random"]) => {
            Some("a key keeps its partition on every topic, in step with Java clients")
        }
        "delivery.report.only.error" if !off() => Some("every send waits for its delivery report"),
        "transactional.id" => Some("transactions are not used; output is idempotent by frame id"),
        "statistics.interval.ms" if is(&["0"]) => {
            Some("lag and connection state are read from the statistics")
        }
        "group.id" | "group.instance.id" => Some("the group is a setting of each service"),
        "auto.offset.reset" => Some("the start position follows from the lane"),
        _ => None,
    }
}

/// Whether a property's value must never be shown.
pub(super) fn is_secret(name: &str) -> bool {
    const MARKS: [&str; 7] = [
        "password",
        "secret",
        "passphrase",
        "key.pem",
        "ssl_key",
        "oauthbearer.config",
        "token",
    ];
    // `…token.endpoint.url` is an address, and its host is what one needs to see.
    let is_address = name.contains("endpoint");
    !is_address && MARKS.iter().any(|mark| name.contains(mark))
}
