"""HTTP in, Kafka out, and the answer back; for gunicorn, with BROKERS and PREFIX in the environment."""

import io
import json
import os
import threading
import uuid

from confluent_kafka import Consumer, Producer
from flask import Flask, Response, request
from PIL import Image

BROKERS, PREFIX = os.environ["BROKERS"], os.environ["PREFIX"]
app = Flask(__name__)
producer = Producer({"bootstrap.servers": BROKERS, "acks": "all", "linger.ms": 0, "message.max.bytes": 8_000_000})
waiting: dict[str, "Answer"] = {}


class Answer:
    """What comes back for an upload: both halves, in whatever order."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.parts: dict[str, bytes] = {}

    def put(self, topic: str, value: bytes) -> None:
        self.parts[topic] = value
        if len(self.parts) == 2:
            self.done.set()


def listen() -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": BROKERS,
            "group.id": f"{PREFIX}-peer-door-{uuid.uuid4()}",
            "auto.offset.reset": "latest",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 10,
        }
    )
    consumer.subscribe([f"{PREFIX}.annotated", f"{PREFIX}.results"], on_assign=lambda *_: listening.set())
    while True:
        message = consumer.poll(1.0)
        if message is None or message.error():
            continue
        answer = waiting.get(message.key().decode())
        if answer is not None:
            answer.put(message.topic().rsplit(".", 1)[1], message.value())


def deliver() -> None:
    while True:
        producer.poll(0.1)


listening = threading.Event()
threading.Thread(target=listen, daemon=True).start()
threading.Thread(target=deliver, daemon=True).start()


@app.get("/healthz")
def healthz() -> Response:
    return Response(status=200 if listening.is_set() else 503)


@app.post("/api/frames")
def frames() -> Response:
    body = request.get_data()
    try:
        with Image.open(io.BytesIO(body)) as picture:
            if picture.format != "JPEG":
                return Response("send a JPEG", 415)
            picture.verify()
    except OSError as error:
        return Response(str(error), 422)
    name, answer, safe = str(uuid.uuid4()), Answer(), threading.Event()
    wait = "wait" in request.args
    if wait:
        waiting[name] = answer
    failures = []

    def acknowledged(error, _message) -> None:
        failures.extend([error] if error else [])
        safe.set()

    try:
        producer.produce(f"{PREFIX}.frames", body, name, callback=acknowledged)
        if not safe.wait(10) or failures:
            return Response("Kafka did not take it", 503)
        if not wait:
            return Response(json.dumps({"id": name, "status": "queued"}), 202, content_type="application/json")
        if not answer.done.wait(30):
            return Response(json.dumps({"id": name, "status": "queued"}), 202, content_type="application/json")
    finally:
        waiting.pop(name, None)
    if request.headers.get("accept") == "image/jpeg":
        return Response(answer.parts["annotated"], content_type="image/jpeg")
    result = json.loads(answer.parts["results"])
    return Response(json.dumps({"id": name, "status": "done", "result": result}), content_type="application/json")
