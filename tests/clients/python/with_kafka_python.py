"""Drives kafka-python (a client in pure Python) against the broker that the only argument names."""

import sys
import time

from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition, errors
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec

from checks import PATIENCE_S, check, equal, fails_with, noise, unique, until

BROKER = {"bootstrap_servers": sys.argv[1].split(",")}
ADMIN = KafkaAdminClient(**BROKER)
TOPIC = unique("kafka-python")
CODECS = [None, "gzip", "snappy", "lz4", "zstd"]
DAY_MS = 86_400_000
LARGEST = 8_388_608

# What each partition of the topic is for.
CODED, ORDERED, LARGE, TIMED = range(4)


def kind(*kinds):
    return lambda error: isinstance(error, kinds)


def config_of_topic():
    resource = ConfigResource(ConfigResourceType.TOPIC, TOPIC)
    found = ADMIN.describe_configs([resource], config_filter="all")["topic"][TOPIC]
    return {name: entry["value"] for name, entry in found.items()}


def alter(name, value, **how):
    resource = ConfigResource(ConfigResourceType.TOPIC, TOPIC, {name: value})
    result = ADMIN.alter_configs([resource], **how)
    until(f"{name} is {value}", lambda: config_of_topic()[name] == value)
    return result


def partitions(topic):
    (description,) = ADMIN.describe_topics([topic])
    return len(description["partitions"])


def produce(settings, partition, records, topic=TOPIC):
    """Sends records, each a dict of send()'s arguments, and returns their offsets in order."""
    settings = {"linger_ms": 5, "acks": "all", "max_request_size": 2 * LARGEST, **settings}
    producer = KafkaProducer(**BROKER, **settings)
    try:
        sent = [producer.send(topic, partition=partition, **record) for record in records]
        producer.flush(PATIENCE_S)
        return [future.get(PATIENCE_S).offset for future in sent]
    finally:
        producer.close(PATIENCE_S)


def consumer(group=None, **settings):
    return KafkaConsumer(
        **BROKER,
        group_id=group,
        **{"auto_offset_reset": "earliest", "enable_auto_commit": False, **settings},
    )


def poll(reader):
    return [record for batch in reader.poll(timeout_ms=200).values() for record in batch]


def read(partition, offset, count):
    """Records of one partition, without a group."""
    reader = consumer()
    reader.assign([TopicPartition(TOPIC, partition)])
    reader.seek(TopicPartition(TOPIC, partition), offset)
    found = []

    def enough():
        found.extend(poll(reader))
        return len(found) >= count

    until(f"{count} records", enough)
    reader.close()
    return found[:count]


def topics():
    with check("the cluster has nodes and a controller"):
        cluster = ADMIN.describe_cluster()
        assert cluster["cluster_id"] and cluster["controller_id"] >= 0 and cluster["brokers"], cluster
    with check("a topic is made with its settings"):
        config = {"max.message.bytes": str(LARGEST), "retention.ms": str(DAY_MS)}
        ADMIN.create_topics({TOPIC: {"num_partitions": 2, "replication_factor": 1, "configs": config}})
        ADMIN.wait_for_topics([TOPIC])
        equal(partitions(TOPIC), 2)
        found = config_of_topic()
        equal({name: found[name] for name in config}, config)
    with check("the topic is listed"):
        assert TOPIC in ADMIN.list_topics()
    with check("a topic of the same name is refused"):
        fails_with(kind(errors.TopicAlreadyExistsError), lambda: ADMIN.create_topics([TOPIC]))
    with check("a topic with a bad name is refused"):
        fails_with(kind(errors.InvalidTopicError), lambda: ADMIN.create_topics(["no such name!"]))
    with check("settings are altered one by one"):
        alter("retention.ms", str(2 * DAY_MS), incremental=True)
        equal(config_of_topic()["max.message.bytes"], str(LARGEST))
    with check("settings are altered as a whole"):
        alter("retention.ms", str(3 * DAY_MS), incremental=False)
        equal(config_of_topic()["max.message.bytes"], str(LARGEST))
    with check("partitions are added"):
        ADMIN.create_partitions({TOPIC: 4})
        until("the topic has 4 partitions", lambda: partitions(TOPIC) == 4)
    with check("partitions are not taken away"):
        fails_with(kind(errors.InvalidPartitionsError), lambda: ADMIN.create_partitions({TOPIC: 3}))


def records():
    """With and without keys, values and headers."""
    return [
        {"key": b"key", "value": b"value", "headers": [("a", b"1"), ("a", b"2"), ("empty", b"")]},
        {"key": None, "value": b"no key"},
        {"key": b"no value", "value": None},
        {"key": b"", "value": b""},
        {"key": "schlüssel".encode(), "value": b"compressible " * 1000, "headers": [("ü", b"\xff")]},
    ]


def producing():
    for number, codec in enumerate(CODECS):
        with check(f"records pass unchanged with compression {codec}"):
            offsets = produce({"compression_type": codec}, CODED, records())
            equal(offsets, list(range(5 * number, 5 * number + 5)))
            for record, sent in zip(read(CODED, offsets[0], 5), records(), strict=True):
                headers = [(name, bytes(value)) for name, value in record.headers]
                equal({"key": record.key, "value": record.value, "headers": headers}, {"headers": [], **sent})
    with check("batches of all compressions are read in one go"):
        found = [record.value for record in read(CODED, 0, 5 * len(CODECS))]
        equal(found, [record["value"] for record in records()] * len(CODECS))
    with check("an idempotent producer's 2000 records are there once and in order"):
        sent = [{"value": b"%d" % number} for number in range(2000)]
        settings = {"enable_idempotence": True, "batch_size": 1000}
        equal(produce(settings, ORDERED, sent), list(range(2000)))
        equal([record.value for record in read(ORDERED, 0, 2000)], [record["value"] for record in sent])
    with check("records of 1 KB to 5 MB pass unchanged"):
        sizes = [1_000, 10_000, 100_000, 1_000_000, 5_000_000, 1_000]
        sent = [noise(size, seed) for seed, size in enumerate(sizes)]
        for codec in (None, "zstd"):
            offsets = produce({"compression_type": codec}, LARGE, [{"value": value} for value in sent])
            equal([record.value for record in read(LARGE, offsets[0], len(sent))], sent)
    with check("a record over the topic's limit is refused"):
        large = lambda: produce({}, LARGE, [{"value": noise(LARGEST + 1000, 1)}])
        fails_with(kind(errors.MessageSizeTooLargeError), large)


def consuming_by_assignment():
    begin = (int(time.time()) - 3600) * 1000
    timed = TopicPartition(TOPIC, TIMED)
    with check("offsets are found by time"):
        sent = [{"value": b"%d" % number, "timestamp_ms": begin + 1000 * number} for number in range(100)]
        produce({"compression_type": "lz4", "linger_ms": 50}, TIMED, sent)
        reader = consumer()
        found = [reader.offsets_for_times({timed: begin + 1000 * n - 500})[timed].offset for n in (0, 40, 99)]
        equal(found, [0, 40, 99])
        equal(reader.offsets_for_times({timed: begin + 10_000_000})[timed], None)
        reader.close()
    with check("reading from a time starts at its record"):
        found = read(TIMED, 40, 60)
        equal([record.timestamp for record in found], [begin + 1000 * n for n in range(40, 100)])
        equal([record.value for record in found], [b"%d" % n for n in range(40, 100)])
    with check("the ends of a partition are known"):
        reader = consumer()
        equal((reader.beginning_offsets([timed])[timed], reader.end_offsets([timed])[timed]), (0, 100))
        reader.close()
        newest = ADMIN.list_partition_offsets({timed: OffsetSpec.MAX_TIMESTAMP})
        equal(newest[timed].offset, 99)


def consuming_by_group():
    topic, group = unique("grouped"), unique("group")
    ADMIN.create_topics({topic: {"num_partitions": 4, "replication_factor": 1}})
    ADMIN.wait_for_topics([topic])
    every = [TopicPartition(topic, partition) for partition in range(4)]
    members, seen = [], set()

    def fill():
        for partition in range(4):
            produce({}, partition, [{"value": b"x"}] * 25, topic)

    def join():
        member = consumer(group, session_timeout_ms=10_000)
        member.subscribe([topic])
        members.append(member)

    def turns():
        for member in members:
            seen.update((record.partition, record.offset) for record in poll(member))

    def shared():
        turns()
        return [len(member.assignment()) for member in members] == [4 // len(members)] * len(members)

    def read_all(count, end):
        turns()
        # Each in all it owns: what a member has not read itself it cannot commit.
        stand = [member.position(part) for member in members for part in member.assignment()]
        return len(seen) >= count and stand == [end] * 4

    fill()
    join()
    join()
    with check("two members share the partitions"):
        until("two partitions each", shared)
    with check("the two read every record"):
        until("100 records", lambda: read_all(100, 25))
    with check("the group is listed and described with its members"):
        assert group in [one["group_id"] for one in ADMIN.list_groups()]
        description = ADMIN.describe_groups([group])[group]
        equal((description["group_state"], len(description["members"])), ("Stable", 2))
    with check("what a member leaves goes to the other"):
        for member in members:
            member.commit()
        members.pop().close()
        until("all partitions", shared)
        members.pop().close()
    with check("a member that comes back resumes at the commit"):
        fill()
        seen.clear()
        join()
        until("100 records", lambda: read_all(100, 50))
        equal(sorted(seen), [(partition, n) for partition in range(4) for n in range(25, 50)])
        members[0].commit()
        members.pop().close()
    with check("the group's commits are listed, set and deleted"):
        committed = lambda: {part: one.offset for part, one in ADMIN.list_group_offsets({group: every})[group].items()}
        equal(committed(), {part: 50 for part in every})
        ADMIN.alter_group_offsets(group, {part: OffsetAndMetadata(7, "note", -1) for part in every})
        equal(committed(), {part: 7 for part in every})
        ADMIN.delete_group_offsets(group, every[:1])
        equal([committed().get(part) for part in every[1:]], [7] * 3)
        assert committed().get(every[0]) in (None, -1), committed()
    with check("an empty group is deleted"):
        ADMIN.delete_groups([group])
        assert group not in [one["group_id"] for one in ADMIN.list_groups()]
    ADMIN.delete_topics([topic])


def deleting():
    ordered = TopicPartition(TOPIC, ORDERED)
    with check("records are deleted up to an offset"):
        equal(ADMIN.delete_records({ordered: 1000})[ordered]["low_watermark"], 1000)
        reader = consumer()
        equal(reader.beginning_offsets([ordered])[ordered], 1000)
        reader.close()
        equal(read(ORDERED, 1000, 1)[0].value, b"1000")
        # What was deleted is read from where the partition begins now.
        equal(read(ORDERED, 10, 1)[0].offset, 1000)
    unknown = unique("unknown")
    missing = kind(errors.UnknownTopicOrPartitionError)
    with check("an unknown topic is an error"):
        settings = {"max_block_ms": 3000}
        timeout = kind(errors.KafkaTimeoutError, errors.UnknownTopicOrPartitionError)
        fails_with(timeout, lambda: produce(settings, 0, [{"value": b"lost"}], unknown))
        fails_with(missing, lambda: ADMIN.delete_topics([unknown]))
        fails_with(missing, lambda: ADMIN.create_partitions({unknown: 9}))
    with check("the topic is deleted"):
        ADMIN.delete_topics([TOPIC])
        until("the topic is gone", lambda: TOPIC not in ADMIN.list_topics())


topics()
producing()
consuming_by_assignment()
consuming_by_group()
deleting()
ADMIN.close()
print("all checks passed", flush=True)
