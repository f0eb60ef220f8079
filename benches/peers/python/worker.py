"""Kafka in, the model, Kafka out: worker.py BROKERS PREFIX MODEL_FOLDER. Says `ready` when it reads."""

import json
import sys
from pathlib import Path

from confluent_kafka import Consumer, Producer

import look

brokers, prefix, folder = sys.argv[1:]
model = look.Model(Path(folder))
producer = Producer({"bootstrap.servers": brokers, "acks": "all", "linger.ms": 0, "message.max.bytes": 8_000_000})
consumer = Consumer(
    {
        "bootstrap.servers": brokers,
        "group.id": f"{prefix}-peer",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "fetch.queue.backoff.ms": 10,
    }
)
consumer.subscribe([f"{prefix}.frames"], on_assign=lambda *_: print("ready", flush=True))
while True:
    message = consumer.poll(1.0)
    if message is None:
        continue
    if message.error():
        print(message.error(), file=sys.stderr, flush=True)
        continue
    picture = look.decode(message.value())
    seen = model.look_at(picture)
    annotated = look.draw(picture, seen)
    instances = [{key: value for key, value in one.items() if key not in ("crop", "corner", "color")} for one in seen]
    result = {"width": picture.width, "height": picture.height, "instances": instances}
    headers = [("ce_id", message.key())]
    producer.produce(f"{prefix}.annotated", annotated, message.key(), headers=headers)
    producer.produce(f"{prefix}.results", json.dumps(result), message.key(), headers=headers)
    # Committed only when the outputs are safe.
    producer.flush()
    consumer.commit(message, asynchronous=True)
