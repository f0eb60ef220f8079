"""Drives confluent-kafka (librdkafka) against the broker that the only argument names."""

import sys
import time

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    ConsumerGroupState,
    KafkaError,
    KafkaException,
    OFFSET_BEGINNING,
    TopicCollection,
    TopicPartition,
    Consumer,
    Producer,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)

from checks import PATIENCE_S, check, equal, fails_with, noise, unique, until

BROKER = {"bootstrap.servers": sys.argv[1]}
ADMIN = AdminClient(BROKER)
TOPIC = unique("confluent")
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
DAY_MS = 86_400_000
LARGEST = 8_388_608

# What each partition of the topic is for.
CODED, ORDERED, LARGE, TIMED = range(4)


def answers(futures):
    """The one result of an admin request about one thing."""
    (future,) = futures.values()
    return future.result(PATIENCE_S)


def code(*codes):
    return lambda error: isinstance(error, KafkaException) and error.args[0].code() in codes


def config_of_topic():
    resource = ConfigResource(ConfigResource.Type.TOPIC, TOPIC)
    return {name: entry.value for name, entry in answers(ADMIN.describe_configs([resource])).items()}


def alter(name, value):
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, TOPIC, incremental_configs=[entry])
    answers(ADMIN.incremental_alter_configs([resource]))
    until(f"{name} is {value}", lambda: config_of_topic()[name] == value)


def partitions():
    metadata = ADMIN.list_topics(TOPIC, timeout=PATIENCE_S).topics[TOPIC]
    return 0 if metadata.error else len(metadata.partitions)


def produce(settings, partition, records, topic=TOPIC):
    """Sends records, each a dict of produce()'s arguments, and returns their offsets in order."""
    delivered = []
    producer = Producer({**BROKER, "message.max.bytes": 2 * LARGEST, "linger.ms": 5, **settings})
    for record in records:
        report = lambda error, message: delivered.append((error, message))
        producer.produce(topic, partition=partition, on_delivery=report, **record)
        producer.poll(0)
    equal(producer.flush(PATIENCE_S), 0)
    for error, _ in delivered:
        if error is not None:
            raise KafkaException(error)
    return [message.offset() for _, message in delivered]


def consumer(group, **settings):
    return Consumer(
        {
            **BROKER,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 10_000,
            "fetch.message.max.bytes": 1_000_000,
            **{name.replace("_", "."): value for name, value in settings.items()},
        }
    )


def message_from(reader):
    message = until("a message", lambda: reader.poll(1.0))
    if message.error():
        raise KafkaException(message.error())
    return message


def read(partition, offset, count):
    """Messages of one partition, without a group."""
    reader = consumer(unique("reader"))
    reader.assign([TopicPartition(TOPIC, partition, offset)])
    messages = [message_from(reader) for _ in range(count)]
    reader.close()
    return messages


def topics():
    with check("the cluster has nodes and a controller"):
        cluster = ADMIN.describe_cluster().result(PATIENCE_S)
        assert cluster.cluster_id and cluster.controller and cluster.nodes, cluster
    with check("a topic is made with its settings"):
        config = {"max.message.bytes": str(LARGEST), "retention.ms": str(DAY_MS)}
        answers(ADMIN.create_topics([NewTopic(TOPIC, 2, 1, config=config)]))
        until("the topic has 2 partitions", lambda: partitions() == 2)
        found = config_of_topic()
        equal({name: found[name] for name in config}, config)
    with check("the topic is described with its id and leaders"):
        description = answers(ADMIN.describe_topics(TopicCollection([TOPIC])))
        equal([(part.id, part.leader.id >= 0) for part in description.partitions], [(0, True), (1, True)])
        assert str(description.topic_id) != "AAAAAAAAAAAAAAAAAAAAAA", description.topic_id
    with check("a topic of the same name is refused"):
        again = lambda: answers(ADMIN.create_topics([NewTopic(TOPIC, 2, 1)]))
        fails_with(code(KafkaError.TOPIC_ALREADY_EXISTS), again)
    with check("a topic with a bad name is refused"):
        bad = lambda: answers(ADMIN.create_topics([NewTopic("no such name!", 1, 1)]))
        fails_with(code(KafkaError.TOPIC_EXCEPTION), bad)
    with check("a topic is only validated when that is asked"):
        name = unique("validated")
        answers(ADMIN.create_topics([NewTopic(name, 1, 1)], validate_only=True))
        assert name not in ADMIN.list_topics(timeout=PATIENCE_S).topics
    with check("settings are altered"):
        alter("retention.ms", str(2 * DAY_MS))
        equal(config_of_topic()["max.message.bytes"], str(LARGEST))
    with check("an unknown setting is refused"):
        fails_with(code(KafkaError.INVALID_CONFIG), lambda: alter("no.such.setting", "1"))
    with check("partitions are added"):
        answers(ADMIN.create_partitions([NewPartitions(TOPIC, 4)]))
        until("the topic has 4 partitions", lambda: partitions() == 4)
    with check("partitions are not taken away"):
        fewer = lambda: answers(ADMIN.create_partitions([NewPartitions(TOPIC, 3)]))
        fails_with(code(KafkaError.INVALID_PARTITIONS), fewer)


def records():
    """With and without keys, values and headers."""
    return [
        {"key": b"key", "value": b"value", "headers": [("a", b"1"), ("a", b"2"), ("empty", b"")]},
        {"key": None, "value": b"no key"},
        {"key": b"no value", "value": None, "headers": [("null", None)]},
        {"key": b"", "value": b""},
        {"key": "schlüssel".encode(), "value": b"compressible " * 1000, "headers": [("ü", b"\xff")]},
    ]


def producing():
    for number, codec in enumerate(CODECS):
        with check(f"records pass unchanged with compression {codec}"):
            offsets = produce({"compression.type": codec}, CODED, records())
            equal(offsets, list(range(5 * number, 5 * number + 5)))
            for message, sent in zip(read(CODED, offsets[0], 5), records(), strict=True):
                found = {"key": message.key(), "value": message.value(), "headers": message.headers()}
                equal(found, {"headers": None, **sent})
    with check("batches of all compressions are read in one go"):
        found = [message.value() for message in read(CODED, 0, 5 * len(CODECS))]
        equal(found, [record["value"] for record in records()] * len(CODECS))
    with check("an idempotent producer's 5000 records are there once and in order"):
        sent = [{"value": b"%d" % number} for number in range(5000)]
        settings = {"enable.idempotence": True, "batch.num.messages": 100}
        equal(produce(settings, ORDERED, sent), list(range(5000)))
        equal([message.value() for message in read(ORDERED, 0, 5000)], [record["value"] for record in sent])
    with check("acks 1 and acks 0 are answered as asked"):
        equal(produce({"acks": 1}, CODED, [{"value": b"one"}]), [25])
        # Nobody tells a producer without acknowledgements what the offset was.
        produce({"acks": 0}, CODED, [{"value": b"none"}])
        equal([message.value() for message in read(CODED, 25, 2)], [b"one", b"none"])
    with check("records of 1 KB to 5 MB pass unchanged"):
        sizes = [1_000, 10_000, 100_000, 1_000_000, 5_000_000, 1_000]
        sent = [noise(size, seed) for seed, size in enumerate(sizes)]
        for codec in ("none", "zstd"):
            offsets = produce({"compression.type": codec}, LARGE, [{"value": value} for value in sent])
            equal([message.value() for message in read(LARGE, offsets[0], len(sent))], sent)
    with check("a record over the topic's limit is refused"):
        large = lambda: produce({}, LARGE, [{"value": noise(LARGEST + 1000, 1)}])
        fails_with(code(KafkaError.MSG_SIZE_TOO_LARGE), large)


def offsets_of(spec, partition):
    return answers(ADMIN.list_offsets({TopicPartition(TOPIC, partition): spec})).offset


def consuming_by_assignment():
    begin = (int(time.time()) - 3600) * 1000
    with check("offsets are found by time"):
        sent = [{"value": b"%d" % number, "timestamp": begin + 1000 * number} for number in range(100)]
        produce({"compression.type": "lz4", "linger.ms": 50}, TIMED, sent)
        reader = consumer(unique("timed"))
        asked = [TopicPartition(TOPIC, TIMED, begin + 1000 * number - 500) for number in (0, 40, 99)]
        found = [reader.offsets_for_times([one], timeout=PATIENCE_S)[0].offset for one in asked]
        equal(found, [0, 40, 99])
        late = TopicPartition(TOPIC, TIMED, begin + 10_000_000)
        equal(reader.offsets_for_times([late], timeout=PATIENCE_S)[0].offset, -1)
        reader.close()
    with check("reading from a time starts at its record"):
        messages = read(TIMED, 40, 60)
        equal([message.timestamp()[1] for message in messages], [begin + 1000 * n for n in range(40, 100)])
        equal([message.value() for message in messages], [b"%d" % n for n in range(40, 100)])
    with check("the ends of a partition and its newest record are known"):
        found = [offsets_of(spec, TIMED) for spec in (OffsetSpec.earliest(), OffsetSpec.latest())]
        equal(found, [0, 100])
        equal(offsets_of(OffsetSpec.max_timestamp(), TIMED), 99)
        equal(offsets_of(OffsetSpec.for_timestamp(begin + 500), TIMED), 1)
    with check("a reader waits at the end for what comes next"):
        reader = consumer(unique("tail"), enable_partition_eof=True)
        reader.assign([TopicPartition(TOPIC, TIMED, 100)])
        event = until("the end of the partition", lambda: reader.poll(1.0))
        equal(event.error().code(), KafkaError._PARTITION_EOF)
        produce({}, TIMED, [{"value": b"next"}])
        equal(message_from(reader).value(), b"next")
        reader.close()
    with check("an offset past the end is out of range"):
        reader = consumer(unique("past"), auto_offset_reset="error")
        reader.assign([TopicPartition(TOPIC, TIMED, 1_000_000)])
        event = until("an error", lambda: reader.poll(1.0))
        equal(event.error().code(), KafkaError._AUTO_OFFSET_RESET)
        reader.close()


class Member:
    """A member of a group that notes what it was given and what it read."""

    def __init__(self, group, topic, strategy):
        self.read = []
        self.consumer = consumer(group, partition_assignment_strategy=strategy)
        self.consumer.subscribe([topic])

    def turn(self):
        message = self.consumer.poll(0.05)
        if message is not None and not message.error():
            self.read.append((message.partition(), message.offset()))

    def owns(self):
        return len(self.consumer.assignment())

    def stands_at(self, offset):
        """Whether this is where it stands in all it owns: what it has not read itself it cannot commit."""
        return all(part.offset == offset for part in self.consumer.position(self.consumer.assignment()))


def consuming_by_group(strategy):
    topic, group = unique("grouped"), unique("group")
    answers(ADMIN.create_topics([NewTopic(topic, 4, 1)]))
    until("the topic is there", lambda: topic in ADMIN.list_topics(timeout=PATIENCE_S).topics)

    def fill():
        for partition in range(4):
            produce({}, partition, [{"value": b"x"}] * 25, topic)

    def turns(*members):
        for member in members:
            member.turn()

    fill()
    first, second = Member(group, topic, strategy), Member(group, topic, strategy)
    with check(f"two members share the partitions ({strategy})"):
        def shared():
            turns(first, second)
            return first.owns() == 2 and second.owns() == 2

        until("two partitions each", shared)
        ours = {(part.partition) for part in first.consumer.assignment() + second.consumer.assignment()}
        equal(ours, {0, 1, 2, 3})
    with check(f"the two read every record ({strategy})"):
        def complete():
            turns(first, second)
            read = set(first.read + second.read)
            return len(read) == 100 and first.stands_at(25) and second.stands_at(25)

        until("100 records", complete)
    with check(f"the group is listed and described with its members ({strategy})"):
        listed = ADMIN.list_consumer_groups().result(PATIENCE_S).valid
        assert group in [one.group_id for one in listed], listed
        description = answers(ADMIN.describe_consumer_groups([group]))
        equal((description.state, len(description.members)), (ConsumerGroupState.STABLE, 2))
        equal(sum(len(one.assignment.topic_partitions) for one in description.members), 4)
    with check(f"a group with members is not deleted ({strategy})"):
        delete = lambda: answers(ADMIN.delete_consumer_groups([group]))
        fails_with(code(KafkaError.NON_EMPTY_GROUP), delete)
    with check(f"what a member leaves goes to the other ({strategy})"):
        for member in (first, second):
            member.consumer.commit(asynchronous=False)
        second.consumer.close()

        def alone():
            first.turn()
            return first.owns() == 4

        until("all partitions", alone)
        first.consumer.close()
    with check(f"a member that comes back resumes at the commit ({strategy})"):
        fill()
        again = Member(group, topic, strategy)

        def complete():
            again.turn()
            return len(again.read) >= 100

        until("100 records", complete)
        equal(sorted(again.read), [(partition, n) for partition in range(4) for n in range(25, 50)])
        again.consumer.commit(asynchronous=False)
        again.consumer.close()
    committed_offsets(group, topic, strategy)


def committed_offsets(group, topic, strategy):
    every = [TopicPartition(topic, partition) for partition in range(4)]

    def committed():
        answer = answers(ADMIN.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, every)]))
        return [part.offset for part in answer.topic_partitions]

    with check(f"the group's commits are listed and set ({strategy})"):
        empty = lambda: answers(ADMIN.describe_consumer_groups([group])).state == ConsumerGroupState.EMPTY
        until("the group is empty", empty)
        equal(committed(), [50] * 4)
        to = [TopicPartition(topic, partition, 7) for partition in range(4)]
        answers(ADMIN.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, to)]))
        equal(committed(), [7] * 4)
    with check(f"an empty group is deleted, and once only ({strategy})"):
        delete = lambda: answers(ADMIN.delete_consumer_groups([group]))
        delete()
        listed = ADMIN.list_consumer_groups().result(PATIENCE_S).valid
        assert group not in [one.group_id for one in listed], listed
        fails_with(code(KafkaError.GROUP_ID_NOT_FOUND), delete)
    answers(ADMIN.delete_topics([topic]))


def deleting():
    with check("records are deleted up to an offset"):
        answer = answers(ADMIN.delete_records([TopicPartition(TOPIC, ORDERED, 1000)]))
        equal(answer.low_watermark, 1000)
        equal(offsets_of(OffsetSpec.earliest(), ORDERED), 1000)
        equal(read(ORDERED, OFFSET_BEGINNING, 1)[0].value(), b"1000")
        # What was deleted is read from where the partition begins now.
        equal(read(ORDERED, 10, 1)[0].offset(), 1000)
    with check("records past the end are not deleted"):
        past = lambda: answers(ADMIN.delete_records([TopicPartition(TOPIC, ORDERED, 999_999)]))
        fails_with(code(KafkaError.OFFSET_OUT_OF_RANGE), past)
    unknown = unique("unknown")
    missing = code(KafkaError.UNKNOWN_TOPIC_OR_PART)
    with check("an unknown topic is an error for producer, reader and admin"):
        settings = {"topic.metadata.propagation.max.ms": 1000, "message.timeout.ms": 20_000}
        gone = code(KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)
        fails_with(gone, lambda: produce(settings, 0, [{"value": b"lost"}], unknown))
        reader = consumer(unique("lost"))
        reader.subscribe([unknown])
        fails_with(missing, lambda: message_from(reader))
        reader.close()
        fails_with(missing, lambda: answers(ADMIN.describe_topics(TopicCollection([unknown]))))
        fails_with(missing, lambda: answers(ADMIN.delete_topics([unknown])))
        fails_with(missing, lambda: answers(ADMIN.create_partitions([NewPartitions(unknown, 9)])))
    with check("an unknown partition is an error"):
        unknown_partition = code(KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART)
        fails_with(unknown_partition, lambda: produce({}, 99, [{"value": b"lost"}]))
    with check("the topic is deleted"):
        answers(ADMIN.delete_topics([TOPIC]))
        until("the topic is gone", lambda: TOPIC not in ADMIN.list_topics(timeout=PATIENCE_S).topics)


topics()
producing()
consuming_by_assignment()
consuming_by_group("range")
consuming_by_group("cooperative-sticky")
deleting()
print("all checks passed", flush=True)
